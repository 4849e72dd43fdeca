import { createHmac, randomBytes } from 'node:crypto'
import { ulidFrom } from '@madsci-events/sdk/event'
import type { AlertAction, AlertRecord, Fact, Intent } from '../store/alert-store.ts'
import { addAbsenceFact, advanceAbsence } from './absence.ts'
import {
  addEvents,
  cooledMs,
  dueOf,
  type Group,
  isMaintained,
  maxIds,
  type Notification,
  openGroup,
  quietEnd,
  tell,
  toRecord,
} from './group.ts'
import { addRateFact, forgetPassed, rateEnd } from './rate.ts'
import type { Rule, RuleSet } from './rule.ts'
import { type AlertsState, boundedKey, type Context, freshRule, type Input, type RuleState } from './state.ts'

export interface Machine {
  readonly state: AlertsState
  /** The clock goes on: everything due until then happens, each at its own time. */
  advance(nowMs: number): void
  /** Advances to the input's time, which counts as now when it lies in the past. */
  add(input: Input): void
  /** What came of it since the last call; `raised` has the rule of each alert that is new. */
  take(): { notices: Notification[]; alerts: AlertRecord[]; raised: string[] }
}

/**
 * The rules as a state machine: (state, events in commit order, clock) → (state, messages). Nothing else goes in, so the
 * same inputs give the same alerts, however often the clock is read and wherever a restart falls.
 */
export function createMachine(ruleSet: RuleSet, given: AlertsState): Machine {
  const state = given
  // A rule may be named like a member of every object.
  state.rules = Object.assign(Object.create(null), state.rules)
  state.seed ??= randomBytes(16).toString('hex')
  const { seed } = state
  const ruleOf = new Map(ruleSet.rules.map((rule) => [rule.name, rule]))
  let notices: Notification[] = []
  const records = new Map<string, AlertRecord>()
  let raised: string[] = []
  for (const rule of ruleSet.rules) {
    const old = state.rules[rule.name]
    if (old?.kind === rule.kind) continue
    if (old) retire(rule.name, old)
    state.rules[rule.name] = freshRule(rule, state.nowMs)
  }
  for (const [name, old] of Object.entries(state.rules)) {
    if (ruleOf.has(name)) continue
    retire(name, old)
    delete state.rules[name]
  }

  /** Alerts of a rule that is gone, or is another now, are over. */
  function retire(name: string, { kind, groups }: RuleState): void {
    for (const group of Object.values(groups)) {
      const end = { atMs: state.nowMs, reason: 'the rule is gone' }
      records.set(group.id, toRecord({ name, kind, groupBy: [] }, group, state.nowMs, end))
    }
  }

  const context: Context = {
    ruleSet,
    state,
    open(rule, ruleState, key, fields) {
      const bounded = boundedKey(ruleState, key)
      const known = ruleState.groups[bounded]
      if (known) return known
      const number = ++state.count
      // Who knows an id may silence the alert: the next one follows from a secret, and from no id before it.
      const bytes = createHmac('sha256', seed).update(String(number)).digest().subarray(0, 10)
      const group = openGroup(ulidFrom(fields.atMs, bytes), { ...fields, key: bounded })
      group.lastToldMs = ruleState.cooled[bounded] ?? null
      delete ruleState.cooled[bounded]
      ruleState.groups[bounded] = group
      raised.push(rule.name)
      return group
    },
    changed: (rule, group) => void records.set(group.id, toRecord(rule, group, state.nowMs)),
    end,
  }

  function end(rule: Rule, ruleState: RuleState, group: Group, atMs: number, reason: string): void {
    if (group.pending > 0) flush(rule, group, atMs)
    if (rule.notifyRecovery && group.firstToldMs !== null && reason !== 'resolved by hand') {
      const recovery = tell(rule, group, atMs, 'recovery')
      recovery.notBeforeMs = quietEnd(rule, group, ruleSet, atMs)
      recovery.why = `${reason}: ${group.why}`
      notices.push(recovery)
    }
    if (group.lastToldMs !== null && reason !== 'resolved by hand')
      ruleState.cooled[group.key] = group.lastToldMs
    delete ruleState.groups[group.key]
    records.set(group.id, toRecord(rule, group, state.nowMs, { atMs, reason }))
  }

  /** What an ending alert has not told yet is told all the same, at its time. */
  function flush(rule: Rule, group: Group, atMs: number): void {
    const dueMs = Math.max(atMs, cooledMs(rule, group))
    const notice = tell(rule, group, atMs)
    notice.notBeforeMs = quietEnd(rule, group, ruleSet, Math.max(dueMs, group.silencedUntilMs ?? 0))
    notices.push(notice)
  }

  function advanceGroup(rule: Rule, ruleState: RuleState, group: Group, nowMs: number): void {
    for (;;) {
      const due = dueOf(rule, group, ruleSet)
      const { what } = due
      // What was due until then has happened: an earlier time is of something that just changed.
      const atMs = Math.max(due.atMs, state.nowMs)
      const isRateOver = rule.kind === 'rate' ? rateEnd(rule, ruleState, group) : Number.POSITIVE_INFINITY
      if (isRateOver <= nowMs && isRateOver < atMs) {
        end(rule, ruleState, group, isRateOver, 'the rate fell')
        return
      }
      if (atMs > nowMs) return
      if (what === 'end') {
        end(rule, ruleState, group, atMs, 'no further events')
        return
      }
      if (what === 'tell') {
        const heldMs = quietEnd(rule, group, ruleSet, atMs)
        if (heldMs > atMs) group.heldUntilMs = heldMs
        else notices.push(tell(rule, group, atMs))
      } else {
        const step = rule.escalate[group.escalated]!
        group.escalated++
        const { firstToldMs, lastToldMs, pending, pendingIds, isUrgent, toldLevel } = group
        const notice = tell(rule, group, atMs, 'escalation')
        // It goes to others: what its own channels have not heard is still to be told there.
        Object.assign(group, { firstToldMs, lastToldMs, pending, pendingIds, isUrgent, toldLevel })
        notices.push({ ...notice, channels: step.channels, ids: group.firstIds, count: group.count })
      }
      context.changed(rule, group)
    }
  }

  function advanceDigest(rule: Rule, ruleState: RuleState, nowMs: number): void {
    if (rule.digestMs === 0) return
    for (;;) {
      const groups = Object.values(ruleState.groups).filter(
        (group) => group.pending > 0 && (group.silencedUntilMs ?? 0) <= (ruleState.digestMs ?? nowMs),
      )
      if (groups.length === 0) {
        if ((ruleState.digestMs ?? 0) <= nowMs) ruleState.digestMs = null
        return
      }
      const firstMs = Math.min(...groups.map((group) => Math.max(group.lastToldMs ?? 0, group.openedMs)))
      ruleState.digestMs ??= Math.max(firstMs + rule.digestMs, state.nowMs)
      if (ruleState.digestMs > nowMs) return
      const level = Math.max(...groups.map((group) => group.level))
      const everything = [...ruleSet.quiet, ...rule.quiet].filter((one) => !one.nodeIds && !one.workcellIds)
      const heldMs = quietEnd(
        { ...rule, quiet: everything },
        { ...groups[0]!, labels: {}, level },
        { ...ruleSet, quiet: [] },
        ruleState.digestMs,
      )
      if (heldMs > ruleState.digestMs) {
        ruleState.digestMs = heldMs
        continue
      }
      const atMs = ruleState.digestMs
      const items = groups.map(({ id: alertId, key, why, pending, pendingIds }) => ({
        alertId,
        key,
        why,
        count: pending,
        ids: pendingIds,
      }))
      const parts = groups.map((group) => tell(rule, group, atMs, 'digest'))
      const count = parts.reduce((sum, part) => sum + part.count, 0)
      const ids = parts.flatMap((part) => part.ids).slice(0, maxIds)
      notices.push({ ...parts[0]!, level, count, ids, items })
      for (const group of groups) context.changed(rule, group)
      ruleState.digestMs = null
    }
  }

  function advance(nowMs: number): void {
    if (nowMs < state.nowMs) return
    for (const rule of ruleSet.rules) {
      const ruleState = state.rules[rule.name]!
      advanceAbsence(context, rule, ruleState, nowMs)
      for (const group of Object.values(ruleState.groups)) advanceGroup(rule, ruleState, group, nowMs)
      advanceDigest(rule, ruleState, nowMs)
      forgetPassed(rule, ruleState, nowMs)
      for (const [key, toldMs] of Object.entries(ruleState.cooled))
        if (toldMs + rule.cooldownMs <= nowMs) delete ruleState.cooled[key]
    }
    state.nowMs = nowMs
  }

  function addFact(fact: Fact, atMs: number): void {
    const rule = ruleOf.get(fact.rule)
    if (!rule) {
      state.orphaned += fact.count
      return
    }
    const ruleState = state.rules[rule.name]!
    if (rule.kind !== 'match' && rule.kind !== 'rate') {
      addAbsenceFact(context, rule, ruleState, fact, atMs)
      return
    }
    const group = ruleState.groups[fact.key]
    if (fact.kind === 'recover') {
      if (group) end(rule, ruleState, group, atMs, 'recovered')
      return
    }
    if (isMaintained(ruleSet, fact, atMs)) {
      state.suppressed += fact.count
      if (group) {
        group.suppressed += fact.count
        context.changed(rule, group)
      }
      return
    }
    if (rule.kind === 'rate') addRateFact(context, rule, ruleState, fact, atMs)
    else {
      const why = rule.selector ? 'an event matched' : 'an event at or above alert_level, or marked as alert'
      const open = context.open(rule, ruleState, fact.key, {
        labels: fact.labels,
        level: fact.level,
        why,
        atMs,
      })
      addEvents(open, fact, atMs)
      context.changed(rule, open)
    }
  }

  function act({ kind, alertId, by, untilMs }: AlertAction, atMs: number): void {
    for (const rule of ruleSet.rules) {
      const ruleState = state.rules[rule.name]!
      const group = Object.values(ruleState.groups).find(({ id }) => id === alertId)
      if (!group) continue
      if (kind === 'resolve') {
        group.pending = 0
        // What is absent still is so: it is forgotten until it shows itself again.
        delete ruleState.seen[group.key]
        if (rule.kind !== 'silent') delete ruleState.running[group.key]
        end(rule, ruleState, group, atMs, 'resolved by hand')
        return
      }
      if (kind === 'acknowledge') {
        group.acknowledgedMs = atMs
        group.acknowledgedBy = by
        group.pending = 0
        group.pendingIds = []
      } else group.silencedUntilMs = untilMs ?? atMs
      context.changed(rule, group)
    }
  }

  return {
    state,
    advance,
    add(input) {
      const atMs = Math.max(input.atMs, state.nowMs)
      if ('resumed' in input) {
        for (const { seen } of Object.values(state.rules))
          for (const one of Object.values(seen)) one.atMs = Math.max(one.atMs, atMs)
      }
      advance(atMs)
      if ('facts' in input) for (const fact of input.facts) addFact(fact, atMs)
      else if ('action' in input) act(input.action, atMs)
      advance(atMs)
    },
    take() {
      const taken = {
        notices: notices.sort((a, b) => a.atMs - b.atMs),
        alerts: [...records.values()],
        raised,
      }
      notices = []
      raised = []
      records.clear()
      return taken
    },
  }
}

/** Intent → input. */
export const toInput = ({ atMs, facts, action }: Intent): Input =>
  action ? { atMs, action } : { atMs, facts }
