import { describe, expect, it } from 'vitest'
import { createMachine, type Machine } from '../../../receiver/src/alert/machine.ts'
import { parseRules, type RuleSet } from '../../../receiver/src/alert/rule.ts'
import { type AlertsState, emptyState } from '../../../receiver/src/alert/state.ts'
import type { Fact } from '../../../receiver/src/store/alert-store.ts'

const selector = { log_level: { $gte: 0 } }

function rulesOf(rules: object[], more: { maintenance?: object[]; quiet?: object[] } = {}): RuleSet {
  const { maintenance = [], quiet = [] } = more
  const parsed = parseRules({ alertLevel: 40, rules, quiet, maintenance, channels: ['c'] })
  return { ...parsed, rules: parsed.rules.filter(({ name }) => name !== 'alert_level') }
}

let number = 0
const fact = (fields: Partial<Fact> = {}, count = 1): Fact => ({
  rule: 'r',
  kind: 'match',
  key: '["a"]',
  labels: {},
  level: 40,
  ids: Array.from({ length: count }, () => `e${++number}`),
  count,
  ...fields,
})
const add = (machine: Machine, second: number, ...facts: Fact[]) =>
  machine.add({ atMs: second * 1000, facts })
const told = (machine: Machine) =>
  machine.take().notices.map(({ kind, atMs, count, items }) => [kind, atMs / 1000, count, items?.length ?? 0])

describe('the rules', () => {
  it('give alerts ids that nobody can guess from the time, the number or another id', () => {
    const idOf = () => {
      const machine = createMachine(rulesOf([{ name: 'r', selector }]), emptyState(0))
      add(machine, 10, fact(), fact({ key: '["b"]' }))
      return machine.take().alerts.map(({ id }) => id)
    }
    const ids = [...idOf(), ...idOf()]
    expect(new Set(ids.map((id) => id.slice(10))).size).toBe(4)
    for (const id of ids) expect(id.slice(10)).not.toMatch(/^0{4}/)
  })

  it('put everything of a digest rule into one message each period', () => {
    const machine = createMachine(
      rulesOf([{ name: 'r', selector, digest_seconds: 60, cooldown_seconds: 0 }]),
      emptyState(0),
    )
    add(machine, 10, fact())
    add(machine, 20, fact({ key: '["b"]' }, 3))
    add(machine, 30, fact())
    machine.advance(69_000)
    expect(told(machine)).toEqual([])
    machine.advance(70_000)
    expect(told(machine)).toEqual([['digest', 70, 5, 2]])
    add(machine, 80, fact())
    machine.advance(200_000)
    expect(told(machine)).toEqual([['digest', 130, 1, 1]])
  })

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    'go on when one is named %s',
    (name) => {
      const machine = createMachine(rulesOf([{ name, selector }]), emptyState(0))
      add(machine, 1, fact({ rule: name }))
      const kept = JSON.parse(JSON.stringify(machine.state)) as AlertsState
      const again = createMachine(rulesOf([{ name, selector }]), kept)
      add(again, 100, fact({ rule: name }))
      expect(again.take().alerts.map(({ rule, key }) => [rule, key])).toEqual([[name, '["a"]']])
      expect([...told(machine)]).toEqual([['firing', 1, 1, 0]])
    },
  )

  it('count in whole milliseconds, whatever parts of a second rules name', () => {
    const odd = { cooldown_seconds: 1.00049, resolve_after_seconds: 5.00049, quiet_hours: [] }
    const rules = [
      { name: 'r', selector, ...odd, escalate: [{ after_seconds: 1.50049 }] },
      { name: 'd', selector, ...odd, digest_seconds: 1.00049 },
      { name: 'f', kind: 'rate', selector, count: 1, window_seconds: 1.00049 },
      { name: 's', kind: 'silent', minutes: 0.0200049, while_workflow: false, node_ids: ['n'] },
      { name: 'w', kind: 'slow_step', minutes: 0.0200049 },
    ]
    const machine = createMachine(rulesOf(rules), emptyState(0))
    const times: number[] = []
    const take = () => {
      const { notices, alerts } = machine.take()
      for (const { atMs, notBeforeMs } of notices) times.push(atMs, notBeforeMs)
      for (const { openedMs, updatedMs } of alerts) times.push(openedMs, updatedMs)
    }
    for (let second = 1; second < 12; second++) {
      add(machine, second, ...['r', 'd', 'f'].map((rule) => fact({ rule, key: `["${second % 3}"]` })))
      if (second === 2) add(machine, 2, fact({ rule: 'w', kind: 'start', key: '["w","s"]', timeMs: 1500 }))
      take()
    }
    machine.advance(60_000)
    take()
    expect(times.length).toBeGreaterThan(40)
    expect(times.filter((ms) => !Number.isInteger(ms))).toEqual([])
  })

  it('tell the same words of an alert once within ten seconds, and count them', () => {
    const machine = createMachine(rulesOf([{ name: 'r', selector, cooldown_seconds: 0 }]), emptyState(0))
    add(machine, 1, fact({ content: 'x' }))
    add(machine, 2, fact({ content: 'x' }))
    add(machine, 3, fact({ content: 'y' }, 2))
    add(machine, 12, fact({ content: 'x' }))
    const { notices, alerts } = machine.take()
    expect(notices.map(({ atMs, count }) => [atMs / 1000, count])).toEqual([
      [1, 1],
      [3, 1],
      [12, 1],
    ])
    expect(JSON.parse(alerts[0]!.json)).toMatchObject({ count: 5, repeats: 2 })
  })

  it('tell what is marked as alert at once, always, and once', () => {
    const machine = createMachine(rulesOf([{ name: 'r', selector, cooldown_seconds: 60 }]), emptyState(0))
    add(machine, 1, fact())
    add(machine, 2, fact())
    add(machine, 3, fact({ content: 'x' }))
    add(machine, 4, fact({ content: 'x' }))
    add(machine, 5, fact({ content: 'y' }))
    const { alerts, notices } = machine.take()
    expect(notices.map(({ atMs, count }) => [atMs / 1000, count])).toEqual([
      [1, 1],
      [3, 2],
      [5, 1],
    ])
    machine.add({
      atMs: 6000,
      action: { kind: 'acknowledge', alertId: alerts.at(-1)!.id, by: 'me' },
    } as never)
    add(machine, 7, fact())
    add(machine, 8, fact({ content: 'z' }))
    machine.advance(20_000)
    expect(machine.take().notices.map(({ atMs, count }) => [atMs / 1000, count])).toEqual([[8, 1]])
  })

  it('tell a higher level than was told at once', () => {
    const machine = createMachine(rulesOf([{ name: 'r', selector, cooldown_seconds: 60 }]), emptyState(0))
    add(machine, 1, fact({ level: 40 }))
    add(machine, 2, fact({ level: 40 }))
    add(machine, 3, fact({ level: 50 }))
    add(machine, 4, fact({ level: 50 }))
    machine.advance(62_000)
    expect(machine.take().notices.map(({ atMs, level, count }) => [atMs / 1000, level, count])).toEqual([
      [1, 40, 1],
      [3, 50, 2],
    ])
    machine.advance(63_000)
    expect(machine.take().notices.map(({ atMs, count }) => [atMs / 1000, count])).toEqual([[63, 1]])
  })

  it('raise nothing in a maintenance window, and count it', () => {
    const window = { from: '1970-01-01T00:00:10Z', to: '1970-01-01T00:00:20Z', node_ids: ['N'] }
    const machine = createMachine(
      rulesOf([{ name: 'r', selector }], { maintenance: [window] }),
      emptyState(0),
    )
    add(machine, 12, fact({ labels: { node_id: 'N' } }, 4), fact({ key: '["b"]', labels: { node_id: 'M' } }))
    expect(told(machine)).toEqual([['firing', 12, 1, 0]])
    expect(machine.state.suppressed).toBe(4)
    add(machine, 20, fact({ labels: { node_id: 'N' } }))
    expect(told(machine)).toEqual([['firing', 20, 1, 0]])
  })

  it('give every node its time again when a receiver comes back', () => {
    const rules = rulesOf([{ name: 'r', kind: 'silent', minutes: 1, while_workflow: false }])
    const first = createMachine(rules, emptyState(0))
    add(first, 1, fact({ kind: 'seen', key: '["N"]', labels: { node_id: 'N' } }))
    const second = createMachine(rules, JSON.parse(JSON.stringify(first.state)) as AlertsState)
    second.add({ atMs: 3_600_000, resumed: true })
    second.advance(3_659_000)
    expect(told(second)).toEqual([])
    second.advance(3_660_000)
    expect(told(second)).toEqual([['firing', 3660, 1, 0]])
  })

  it('end the alerts of a rule that is gone, and count events for it', () => {
    const before = createMachine(rulesOf([{ name: 'r', selector }]), emptyState(0))
    add(before, 1, fact())
    const after = createMachine(rulesOf([{ name: 'other', selector }]), before.state)
    expect(after.take().alerts).toMatchObject([
      { state: 'resolved', json: expect.stringContaining('the rule is gone') },
    ])
    add(after, 2, fact({}, 3))
    expect(after.state.orphaned).toBe(3)
    expect(told(after)).toEqual([])
  })

  it('put the groups beyond a thousand of a rule together', () => {
    const machine = createMachine(rulesOf([{ name: 'r', selector }]), emptyState(0))
    for (let i = 0; i < 1200; i++) add(machine, 1, fact({ key: `["${i}"]` }))
    expect(Object.keys(machine.state.rules.r!.groups)).toHaveLength(1001)
    const other = machine.state.rules.r!.groups['["other"]']!
    expect(other.count).toBe(200)
  })

  it('make one alert with the count of a storm, and remember little of it', () => {
    const machine = createMachine(rulesOf([{ name: 'r', selector, cooldown_seconds: 60 }]), emptyState(0))
    for (let batch = 0; batch < 100; batch++) add(machine, 1 + batch * 0.5, fact({}, 1000))
    machine.advance(200_000)
    expect(told(machine)).toEqual([
      ['firing', 1, 1000, 0],
      ['firing', 61, 99_000, 0],
    ])
    expect(JSON.stringify(machine.state).length).toBeLessThan(3000)
  })

  it('hold the alerts of a rate rule beyond a thousand groups open, until the rate fell', () => {
    const rules = rulesOf([{ name: 'r', kind: 'rate', selector, count: 2, window_seconds: 60 }])
    const machine = createMachine(rules, emptyState(0))
    for (let i = 0; i < 1300; i++) add(machine, 1, fact({ key: `["${i}"]` }, 2))
    for (let i = 1100; i < 1200; i++) add(machine, 20, fact({ key: `["${i}"]` }, 2))
    machine.advance(59_000)
    const { notices, alerts } = machine.take()
    expect(new Set(notices.map(({ kind }) => kind))).toEqual(new Set(['firing']))
    expect(notices).toHaveLength(1001)
    expect(alerts.filter(({ state }) => state === 'resolved')).toEqual([])
    machine.advance(79_000)
    expect(Object.keys(machine.state.rules.r!.groups)).toEqual(['["other"]'])
    machine.advance(80_000)
    expect(machine.state.rules.r!.groups).toEqual({})
    expect(machine.state.rules.r!.rates).toEqual({})
  })

  it('remember little of a rate, however many moments it has, and forget it with its window', () => {
    const rules = rulesOf([{ name: 'r', kind: 'rate', selector, count: 100_000, window_seconds: 60 }])
    const machine = createMachine(rules, emptyState(0))
    for (let i = 0; i < 5000; i++) add(machine, 1 + i * 0.01, fact())
    const { rates } = machine.state.rules.r!
    const list = rates['["a"]']!
    expect(list.length).toBeLessThanOrEqual(100)
    expect(list.reduce((sum, [, count]) => sum + count, 0)).toBe(5000)
    machine.advance(120_000)
    expect(rates).toEqual({})
  })
})
