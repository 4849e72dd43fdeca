import { describe, expect, it } from 'vitest'
import { startAlerts } from '../../../receiver/src/alert/alerts.ts'
import { createRunner } from '../../../receiver/src/alert/runner.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import type { AlertRecord, AlertStore } from '../../../receiver/src/store/alert-store.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'

const ruleSet = { rules: [], quiet: [], maintenance: [] }

describe('who runs the rules', () => {
  it('leads no more when the store does not answer', async () => {
    let nowMs = 1000
    let isAway = false
    const store = {
      async lead() {
        if (isAway) throw new Error('the store is away')
        return true
      },
      load: async () => ({ version: 0, state: undefined }),
      intents: async () => [],
      commit: async () => true,
    } as unknown as AlertStore
    const runner = createRunner({
      store,
      ruleSet,
      channels: new Map(),
      holder: 'h',
      log: silentLog,
      metric: createMetric(),
      now: () => nowMs,
    })
    await runner.round()
    expect(runner.isLeading).toBe(true)
    isAway = true
    nowMs += 10_000
    await expect(runner.round()).rejects.toThrow('the store is away')
    expect(runner.isLeading).toBe(false)
    isAway = false
    await runner.round()
    expect(runner.isLeading).toBe(true)
  })
})

describe('an action on an alert', () => {
  it('is not waited for once the receiver closes', async () => {
    const record: AlertRecord = {
      id: 'a',
      rule: 'r',
      key: '[]',
      state: 'firing',
      openedMs: 1000,
      updatedMs: 1000,
      json: '{}',
    }
    let isNoted = false
    const store = {
      lead: async () => false,
      claim: async () => [],
      renew: async () => {},
      get: async () => record,
      async act() {
        isNoted = true
      },
    } as unknown as AlertStore
    const alerts = startAlerts({
      store: {} as EventStore,
      alerts: store,
      ruleSet,
      alertLevel: 40,
      channels: new Map(),
      publicUrl: '',
      eventPath: 'event',
      managerId: 'm',
      report: async () => {},
      log: silentLog,
      metric: createMetric(),
    })
    let isOver = false
    const acted = alerts.act({ kind: 'acknowledge', alertId: 'a', by: 'me' }).then((found) => {
      isOver = true
      return found
    })
    await expect.poll(() => isNoted).toBe(true)
    await alerts.close()
    await expect.poll(() => isOver, { timeout: 1000 }).toBe(true)
    expect(await acted).toEqual(record)
  })
})
