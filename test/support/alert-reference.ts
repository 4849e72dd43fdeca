import type { Rule, RuleSet } from '../../receiver/src/alert/rule.ts'
import type { Window } from '../../receiver/src/alert/window.ts'
import type { Fact } from '../../receiver/src/store/alert-store.ts'

/** Something that happens at a whole second. */
export interface Step {
  second: number
  fact?: Fact
  action?: { kind: 'acknowledge' | 'silence' | 'resolve'; rule: string; key: string; seconds: number }
}

export interface Told {
  rule: string
  key: string
  kind: string
  second: number
  notBefore: number
  count: number
}

interface Open {
  key: string
  labels: { [name: string]: string }
  level: number
  opened: number
  last: number
  total: number
  pending: number
  told: number | undefined
  toldLevel: number | undefined
  urgent: boolean
  firstTold: number | undefined
  silenced: number
  acknowledged: boolean
  escalated: number
}

/**
 * The rules, evaluated plainly: every second, over the whole history, without any timer. Slow and short on purpose: the
 * machine must tell the same.
 */
export function evaluatePlainly(ruleSet: RuleSet, steps: readonly Step[], lastSecond: number): Told[] {
  const told: Told[] = []
  const open = new Map<Rule, Map<string, Open>>(ruleSet.rules.map((rule) => [rule, new Map()]))
  const cooled = new Map<string, number>()
  const history: { second: number; fact: Fact }[] = []
  const seconds = (ms: number) => ms / 1000

  const isWithin = (
    windows: readonly Window[],
    labels: { [name: string]: string },
    level: number,
    t: number,
  ) =>
    windows.some(
      (one) =>
        one.fromMs! <= t * 1000 &&
        t * 1000 < one.toMs! &&
        !(one.exceptLevel !== undefined && level >= one.exceptLevel) &&
        (!one.nodeIds || one.nodeIds.includes(labels.node_id ?? '')),
    )
  const isQuiet = (rule: Rule, group: Open, t: number) =>
    isWithin([...ruleSet.quiet, ...rule.quiet], group.labels, group.level, t)
  const afterQuiet = (rule: Rule, group: Open, t: number) => {
    let at = t
    while (isQuiet(rule, group, at)) at++
    return at
  }
  const say = (rule: Rule, group: Open, kind: string, t: number, notBefore: number) =>
    told.push({ rule: rule.name, key: group.key, kind, second: t, notBefore, count: group.pending })

  function begin(rule: Rule, key: string, fact: Pick<Fact, 'labels' | 'level'>, t: number): Open {
    const group: Open = {
      key,
      labels: fact.labels,
      level: fact.level,
      opened: t,
      last: t,
      total: 0,
      pending: 0,
      told: cooled.get(`${rule.name} ${key}`),
      toldLevel: undefined,
      urgent: false,
      firstTold: undefined,
      silenced: 0,
      acknowledged: false,
      escalated: 0,
    }
    open.get(rule)!.set(key, group)
    return group
  }

  function finish(rule: Rule, group: Open, t: number, byHand = false): void {
    const cooldown = seconds(rule.cooldownMs)
    if (group.pending > 0) {
      const due = group.told === undefined || group.urgent ? t : Math.max(t, group.told + cooldown)
      say(rule, group, 'firing', t, afterQuiet(rule, group, Math.max(due, group.silenced)))
      group.pending = 0
      group.told = t
      group.firstTold ??= t
    }
    if (rule.notifyRecovery && group.firstTold !== undefined && !byHand) {
      say(rule, group, 'recovery', t, afterQuiet(rule, group, t))
      group.told = t
    }
    if (byHand) cooled.delete(`${rule.name} ${group.key}`)
    else if (group.told !== undefined) cooled.set(`${rule.name} ${group.key}`, group.told)
    open.get(rule)!.delete(group.key)
  }

  const inWindow = (rule: Rule, key: string, t: number) =>
    history
      .filter(
        ({ second, fact }) =>
          fact.rule === rule.name &&
          fact.kind === 'match' &&
          fact.key === key &&
          second > t - seconds(rule.windowMs),
      )
      .reduce((sum, { fact }) => sum + fact.count, 0)

  /** What runs at the end of history: key → its start. */
  function runningOf(rule: Rule): Map<string, { start: number; fact: Fact }> {
    const running = new Map<string, { start: number; fact: Fact }>()
    for (const { second, fact } of history) {
      if (fact.rule !== rule.name) continue
      if (fact.kind === 'start') running.set(fact.key, { start: second, fact })
      if (fact.kind !== 'end') continue
      running.delete(fact.key)
      const [workflow, step] = JSON.parse(fact.key) as string[]
      if (step !== undefined || rule.kind !== 'slow_step') continue
      for (const key of running.keys()) if ((JSON.parse(key) as string[])[0] === workflow) running.delete(key)
    }
    return running
  }

  /** Since when something runs without a break. */
  function runningSince(rule: Rule): number | undefined {
    let since: number | undefined
    const running = new Set<string>()
    for (const { second, fact } of history) {
      if (fact.rule !== rule.name) continue
      if (fact.kind === 'start') running.add(fact.key)
      if (fact.kind === 'end') running.delete(fact.key)
      if (running.size === 0) since = undefined
      else since ??= second
    }
    return since
  }

  function raise(rule: Rule, key: string, labels: { [name: string]: string }, t: number): void {
    if (open.get(rule)!.has(key) || isWithin(ruleSet.maintenance, labels, 40, t)) return
    const group = begin(rule, key, { labels, level: 40 }, t)
    group.pending = 1
    group.total = 1
  }

  function raiseAbsent(rule: Rule, t: number, isFirstLook: boolean): void {
    if (rule.kind === 'silent') {
      const since = rule.whileWorkflow ? runningSince(rule) : 0
      if (since === undefined) return
      const nodes = new Map<string, { second: number; fact: Fact }>()
      for (const one of history)
        if (one.fact.rule === rule.name && one.fact.kind === 'seen') nodes.set(one.fact.key, one)
      for (const [key, { second, fact }] of nodes)
        if (t >= Math.max(second, since) + seconds(rule.afterMs)) raise(rule, key, fact.labels, t)
    } else if (rule.kind === 'slow_step') {
      for (const [key, { start, fact }] of runningOf(rule))
        if (t >= start + seconds(rule.afterMs)) raise(rule, key, fact.labels, t)
    } else if (rule.kind === 'unfinished' && isFirstLook && t > 0 && t % 86_400 === rule.byMinute * 60)
      for (const [key, { fact }] of runningOf(rule)) raise(rule, key, fact.labels, t)
  }

  function look(t: number, isFirstLook: boolean): void {
    for (const rule of ruleSet.rules) {
      raiseAbsent(rule, t, isFirstLook)
      for (const group of [...open.get(rule)!.values()]) {
        const cooldown = seconds(rule.cooldownMs)
        const isCool = group.urgent || t >= (group.told ?? -1e9) + cooldown
        const mayTell = group.pending > 0 && t >= group.silenced && isCool
        if (mayTell && !isQuiet(rule, group, t)) {
          say(rule, group, 'firing', t, t)
          group.pending = 0
          group.told = t
          group.toldLevel = group.level
          group.urgent = false
          group.firstTold ??= t
        }
        for (;;) {
          const step = rule.escalate[group.escalated]
          if (!step || group.firstTold === undefined || group.acknowledged) break
          if (
            t < Math.max(group.firstTold + seconds(step.afterMs), group.silenced) ||
            isQuiet(rule, group, t)
          )
            break
          told.push({
            rule: rule.name,
            key: group.key,
            kind: 'escalation',
            second: t,
            notBefore: t,
            count: group.total,
          })
          group.escalated++
        }
        if (rule.kind === 'rate' && inWindow(rule, group.key, t) < rule.count) finish(rule, group, t)
        else if (
          rule.kind === 'match' &&
          group.pending === 0 &&
          t >= group.last + seconds(rule.resolveAfterMs)
        )
          finish(rule, group, t)
      }
    }
  }

  function add(fact: Fact, t: number): void {
    const rule = ruleSet.rules.find(({ name }) => name === fact.rule)!
    const group = open.get(rule)!.get(fact.key)
    const isMaintained = isWithin(ruleSet.maintenance, fact.labels, fact.level, t)
    if (fact.kind !== 'match' || !isMaintained) history.push({ second: t, fact })
    if (fact.kind === 'seen' && group) finish(rule, group, t)
    if (fact.kind === 'recover' && group) finish(rule, group, t)
    if (fact.kind === 'end') {
      const running = runningOf(rule)
      for (const one of [...open.get(rule)!.values()]) {
        const isOver = rule.kind === 'silent' ? running.size === 0 : !running.has(one.key)
        if (isOver) finish(rule, one, t)
      }
    }
    if (fact.kind !== 'match' || isMaintained) return
    if (rule.kind === 'rate' && !group && inWindow(rule, fact.key, t) < rule.count) return
    const isNew = !group
    const one = group ?? begin(rule, fact.key, fact, t)
    const more = isNew && rule.kind === 'rate' ? inWindow(rule, fact.key, t) : fact.count
    one.total += more
    if (!one.acknowledged) one.pending += more
    if (!one.acknowledged && one.toldLevel !== undefined && fact.level > one.toldLevel) one.urgent = true
    one.last = t
    one.level = Math.max(one.level, fact.level)
  }

  for (let t = 0; t <= lastSecond; t++) {
    look(t, true)
    for (const { second, fact, action } of steps) {
      if (second !== t) continue
      if (fact) add(fact, t)
      const rule = action && ruleSet.rules.find(({ name }) => name === action.rule)!
      const group = rule && open.get(rule)!.get(action!.key)
      if (rule && group && action) {
        if (action.kind === 'acknowledge') Object.assign(group, { acknowledged: true, pending: 0 })
        else if (action.kind === 'silence') group.silenced = t + action.seconds
        else {
          group.pending = 0
          const forgotten = rule.kind === 'silent' ? 'seen' : 'start'
          const isForgotten = ({ fact: one }: { fact: Fact }) =>
            one.rule === rule.name && one.kind === forgotten && one.key === group.key
          history.splice(0, history.length, ...history.filter((one) => !isForgotten(one)))
          finish(rule, group, t, true)
        }
      }
      look(t, false)
    }
  }
  return told
}
