import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMachine } from '../../../receiver/src/alert/machine.ts'
import { parseRules, type RuleSet } from '../../../receiver/src/alert/rule.ts'
import { type AlertsState, emptyState } from '../../../receiver/src/alert/state.ts'
import type { Fact } from '../../../receiver/src/store/alert-store.ts'
import { evaluatePlainly, type Step, type Told } from '../../support/alert-reference.ts'

const lastSecond = 400
const pick = <T>(...values: T[]) => fc.constantFrom(...values)
const iso = (second: number) => new Date(second * 1000).toISOString()

const windowArbitrary = fc
  .record({
    from: fc.integer({ min: 1, max: 200 }),
    length: fc.integer({ min: 1, max: 80 }),
    node: pick('', 'a', 'b'),
    except: pick(0, 40, 50),
  })
  .map(({ from, length, node, except }) => ({
    from: iso(from),
    to: iso(from + length),
    ...(node && { node_ids: [node] }),
    ...(except && { except_level: except }),
  }))

const commonArbitrary = {
  cooldown_seconds: pick(0, 1, 7, 30, 100),
  resolve_after_seconds: pick(5, 20, 60, 150),
  notify_recovery: fc.boolean(),
  escalate: pick<object[]>(
    [],
    [{ after_seconds: 10, channels: ['c'] }],
    [
      { after_seconds: 15, channels: ['c'] },
      { after_seconds: 40, channels: ['c'] },
    ],
  ),
  quiet_hours: fc.array(windowArbitrary, { maxLength: 1 }),
}
const selector = { log_level: { $gte: 0 } }
const ruleArbitrary = fc
  .oneof(
    fc.record({ ...commonArbitrary, kind: fc.constant('match'), selector: fc.constant(selector) }),
    fc.record({
      ...commonArbitrary,
      kind: fc.constant('rate'),
      selector: fc.constant(selector),
      count: fc.integer({ min: 1, max: 5 }),
      window_seconds: pick(1, 10, 60),
    }),
    fc.record({
      ...commonArbitrary,
      kind: fc.constant('silent'),
      minutes: pick(0.25, 0.5, 1),
      while_workflow: fc.boolean(),
    }),
    fc.record({ ...commonArbitrary, kind: fc.constant('slow_step'), minutes: pick(0.25, 0.5, 1) }),
    fc.record({ ...commonArbitrary, kind: fc.constant('unfinished'), by: pick('00:01', '00:03', '00:05') }),
  )
  .map((rule) => {
    if (rule.kind === 'match' || rule.kind === 'rate') return rule
    const { resolve_after_seconds: _, ...rest } = rule
    return { ...rest, resolve_after_seconds: 60 }
  })

const ruleSetArbitrary = fc
  .record({
    rules: fc.array(ruleArbitrary, { minLength: 1, maxLength: 3 }),
    quiet: fc.array(windowArbitrary, { maxLength: 1 }),
    maintenance: fc.array(windowArbitrary, { maxLength: 1 }),
  })
  .map(({ rules, quiet, maintenance }) => {
    const parsed = parseRules({
      alertLevel: 40,
      rules: rules.map((rule, i) => ({ name: `r${i}`, ...rule })),
      quiet,
      maintenance,
      channels: ['c'],
    })
    return { ...parsed, rules: parsed.rules.filter(({ name }) => name !== 'alert_level') }
  })

/** An event that each rule may see in its way. */
const eventArbitrary = fc.record({
  second: fc.integer({ min: 1, max: 300 }),
  node: pick('a', 'b'),
  what: pick(
    'match',
    'match',
    'recover',
    'seen',
    'start',
    'end',
    'step',
    'stop',
    'acknowledge',
    'silence',
    'resolve',
  ),
  workflow: pick('w1', 'w2'),
  level: pick(40, 50),
  size: pick(1, 1, 3),
})

type Happening = typeof eventArbitrary extends fc.Arbitrary<infer T> ? T : never

function toSteps(ruleSet: RuleSet, events: Happening[]): Step[] {
  let id = 0
  return [...events]
    .sort((a, b) => a.second - b.second)
    .flatMap(({ second, node, what, workflow, level, size }): Step[] =>
      ruleSet.rules.flatMap((rule): Step[] => {
        const labels = { node_id: node }
        const fact = (kind: Fact['kind'], key: string[]): Step => ({
          second,
          fact: {
            rule: rule.name,
            kind,
            key: JSON.stringify(key),
            labels,
            level,
            ids: Array.from({ length: size }, () => `e${id++}`),
            count: size,
            ...((kind === 'start' || kind === 'end') && { timeMs: second * 1000 }),
          },
        })
        const takesEvents = rule.kind === 'match' || rule.kind === 'rate'
        if (what === 'acknowledge' || what === 'silence' || what === 'resolve')
          return [
            { second, action: { kind: what, rule: rule.name, key: JSON.stringify([node]), seconds: 25 } },
          ]
        if (takesEvents) return what === 'match' || what === 'recover' ? [fact(what, [node])] : []
        if (rule.kind === 'silent' && what === 'seen') return [fact('seen', [node])]
        if (rule.kind === 'silent' && !rule.whileWorkflow) return []
        if (rule.kind !== 'slow_step')
          return what === 'start' || what === 'end' ? [fact(what, [workflow])] : []
        if (what === 'end') return [fact('end', [workflow])]
        return what === 'step' || what === 'stop'
          ? [fact(what === 'step' ? 'start' : 'end', [workflow, node])]
          : []
      }),
    )
}

interface Course {
  /** Seconds at which somebody looks at the clock. */
  ticks: readonly number[]
  /** Steps after which the process restarts. */
  restarts: ReadonlySet<number>
}

function evaluate(ruleSet: RuleSet, steps: readonly Step[], { ticks, restarts }: Course): Told[] {
  const told: Told[] = []
  let machine = createMachine(ruleSet, emptyState(0))
  const collect = () => {
    for (const { rule, key, kind, atMs, notBeforeMs, count } of machine.take().notices)
      told.push({ rule, key, kind, second: atMs / 1000, notBefore: notBeforeMs / 1000, count })
  }
  const waiting = [...ticks].sort((a, b) => a - b)
  steps.forEach(({ second, fact, action }, index) => {
    while (waiting.length > 0 && waiting[0]! < second) machine.advance(waiting.shift()! * 1000)
    const atMs = second * 1000
    if (fact) machine.add({ atMs, facts: [fact] })
    if (action) {
      machine.advance(atMs)
      const group = machine.state.rules[action.rule]!.groups[action.key]
      const alertId = group?.id ?? 'none'
      machine.add({
        atMs,
        action: { kind: action.kind, alertId, by: null, untilMs: atMs + action.seconds * 1000 },
      })
    }
    if (!restarts.has(index)) return
    collect()
    machine = createMachine(ruleSet, JSON.parse(JSON.stringify(machine.state)) as AlertsState)
  })
  for (const second of waiting) machine.advance(second * 1000)
  machine.advance(lastSecond * 1000)
  collect()
  return told
}

const sorted = (told: Told[]) => told.map((one) => JSON.stringify(one)).sort()

describe('the rules', () => {
  it('tell what a plain evaluation of the whole history tells, second by second', () => {
    fc.assert(
      fc.property(
        ruleSetArbitrary,
        fc.array(eventArbitrary, { maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: lastSecond }), { maxLength: 20 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 5 }),
        (ruleSet, events, ticks, restarts) => {
          const steps = toSteps(ruleSet, events)
          const told = evaluate(ruleSet, steps, { ticks, restarts: new Set(restarts) })
          expect(sorted(told)).toEqual(sorted(evaluatePlainly(ruleSet, steps, lastSecond)))
        },
      ),
      { numRuns: 1500 },
    )
  }, 120_000)
})
