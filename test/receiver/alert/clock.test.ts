import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseRules } from '../../../receiver/src/alert/rule.ts'
import { createRunner } from '../../../receiver/src/alert/runner.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import type { Match } from '../../../receiver/src/store/alert-store.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ruleSet = parseRules({ alertLevel: 40, rules: [], quiet: [], maintenance: [], channels: ['c'] })
const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A runner by a clock that can be set, and one that cannot; `told` counts messages. */
async function begin() {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-alert-'))
  cleanups.push(() => rm(folder, { recursive: true }))
  const store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
  cleanups.push(() => store.close())
  const time = { wallMs: Date.UTC(2026, 5, 1, 12), passedMs: 0 }
  const metric = createMetric()
  const start = () =>
    createRunner({
      store: store.alerts!,
      ruleSet,
      channels: new Map(),
      holder: 'h',
      log: silentLog,
      metric,
      now: () => time.wallMs,
      monotonic: () => time.passedMs,
    })
  let runner = start()
  let count = 0
  return {
    time,
    restart() {
      runner = start()
    },
    store,
    async error(key = 'a') {
      const { name: rule } = ruleSet.rules[0]!
      const match: Match = {
        rule,
        kind: 'match',
        key: JSON.stringify([key]),
        labels: {},
        level: 40,
        positions: [0],
      }
      await store.write([makeEvent(`e${++count}`)], [match])
    },
    async pass(ms: number) {
      time.wallMs += ms
      time.passedMs += ms
      await runner.round()
      return metric.total('alert_notices')
    },
  }
}

describe('the clock of alert rules', () => {
  it.each([-hourMs, -10 * 365 * 24 * hourMs, hourMs, 10 * 365 * 24 * hourMs])(
    'is set by %i ms while the receiver lives: a cooldown lasts as long as it should',
    async (byMs) => {
      const rig = await begin()
      await rig.error()
      expect(await rig.pass(1000)).toBe(1)
      rig.time.wallMs += byMs
      await rig.error()
      expect(await rig.pass(minuteMs / 2)).toBe(1)
      expect(await rig.pass(minuteMs)).toBe(2)
    },
  )

  it('is set by a part of a millisecond more than whole ones: nothing stands still', async () => {
    const rig = await begin()
    rig.time.passedMs = 0.25
    await rig.error()
    expect(await rig.pass(1000)).toBe(1)
    rig.time.passedMs += 0.5
    rig.time.wallMs += hourMs
    // The other one is not touched by this step, but remembered with it.
    await rig.error('b')
    expect(await rig.pass(1000)).toBe(2)
    rig.restart()
    await rig.error()
    expect(await rig.pass(minuteMs)).toBe(3)
  })

  it('a database whose rules remember parts of milliseconds goes on', async () => {
    const rig = await begin()
    await rig.error()
    expect(await rig.pass(1000)).toBe(1)
    const alerts = rig.store.alerts!
    const { version, state } = await alerts.load()
    const broken = state!.replaceAll(/Ms":(\d+)/g, 'Ms":$1.25')
    expect(broken).not.toBe(state)
    await alerts.commit({ version, state: broken, folded: [], alerts: [], deliveries: [] })
    rig.restart()
    await rig.error()
    expect(await rig.pass(minuteMs)).toBe(2)
  })

  it('was ahead before a restart: what waits is told after a cooldown by the new clock', async () => {
    const rig = await begin()
    await rig.error()
    expect(await rig.pass(1000)).toBe(1)
    rig.time.wallMs -= 10 * 365 * 24 * hourMs
    rig.restart()
    await rig.error()
    expect(await rig.pass(1000)).toBe(1)
    expect(await rig.pass(minuteMs)).toBe(2)
  })
})
