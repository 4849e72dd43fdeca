import type { Fact } from '../store/alert-store.ts'
import { isMaintained } from './group.ts'
import type { Rule } from './rule.ts'
import type { Context, RuleState } from './state.ts'
import { afterWindows, nextTimeOfDay } from './window.ts'

// Beyond that the oldest is forgotten: a laboratory does not run as many at once.
const maxRunning = 5000
const level = 40
// A node that was heard that long before a workflow began is not part of the laboratory any more, unless it is named.
const forgottenMs = 86_400_000

/** Facts of rules about what does not happen. */
export function addAbsenceFact(
  context: Context,
  rule: Rule,
  state: RuleState,
  fact: Fact,
  atMs: number,
): void {
  const { key, kind, labels, ids } = fact
  if (kind === 'seen') {
    bound(state.seen, key)
    state.seen[key] = { atMs, labels }
    endAt(context, rule, state, key, atMs, 'heard again')
  } else if (kind === 'start') {
    bound(state.running, key)
    // A clock that runs ahead must not make it start later than it was told.
    state.running[key] = { startMs: Math.min(fact.timeMs ?? atMs, atMs), labels, ids: ids.slice(0, 1) }
    state.runningSinceMs ??= atMs
  } else if (kind === 'end') {
    const isWorkflow = rule.kind === 'slow_step' && (JSON.parse(key) as string[]).length === 1
    const prefix = `${key.slice(0, -1)},`
    for (const one of isWorkflow
      ? Object.keys(state.running).filter((step) => step.startsWith(prefix))
      : [key]) {
      delete state.running[one]
      endAt(context, rule, state, one, atMs, 'it ended')
    }
    if (Object.keys(state.running).length === 0 && state.runningSinceMs !== null) {
      state.runningSinceMs = null
      if (rule.kind === 'silent' && rule.whileWorkflow)
        for (const one of Object.keys(state.groups))
          endAt(context, rule, state, one, atMs, 'no workflow runs')
    }
  }
}

function bound(map: { [key: string]: unknown }, key: string): void {
  if (key in map) return
  const keys = Object.keys(map)
  if (keys.length >= maxRunning) delete map[keys[0]!]
}

function endAt(context: Context, rule: Rule, state: RuleState, key: string, atMs: number, why: string): void {
  const group = state.groups[key]
  if (group) context.end(rule, state, group, atMs, why)
}

/** Opens the alerts whose time comes until then, each at its own time. */
export function advanceAbsence(context: Context, rule: Rule, state: RuleState, nowMs: number): void {
  const open = (
    key: string,
    atMs: number,
    why: string,
    from: { labels: { [name: string]: string }; ids?: string[] },
  ) => {
    if (key in state.groups) return
    const group = context.open(rule, state, key, { labels: from.labels, level, why, atMs })
    group.count++
    group.pending++
    group.firstIds.push(...(from.ids ?? []))
    group.pendingIds.push(...(from.ids ?? []))
    context.changed(rule, group)
  }
  /** What is due in a maintenance window is due at its end. */
  const dueAt = (labels: { [name: string]: string }, atMs: number) =>
    isMaintained(context.ruleSet, { labels, level }, atMs)
      ? afterWindows(context.ruleSet.maintenance, { labels, level }, atMs)
      : atMs

  if (rule.kind === 'silent') {
    if (rule.whileWorkflow && state.runningSinceMs === null) return
    for (const [key, { atMs, labels }] of Object.entries(state.seen)) {
      const sinceMs = Math.max(atMs, rule.whileWorkflow ? state.runningSinceMs! : 0)
      if (!rule.nodeIds && sinceMs - atMs > forgottenMs) continue
      const dueMs = sinceMs + rule.afterMs
      if (dueMs > nowMs || key in state.groups) continue
      const startMs = dueAt(labels, dueMs)
      if (startMs <= nowMs) open(key, startMs, `silent for ${rule.afterMs / 60_000} min`, { labels })
    }
  } else if (rule.kind === 'slow_step') {
    for (const [key, { startMs, labels, ids }] of Object.entries(state.running)) {
      if (startMs + rule.afterMs > nowMs || key in state.groups) continue
      // One that came late is late when it comes.
      const dueMs = dueAt(labels, Math.max(startMs + rule.afterMs, context.state.nowMs))
      if (dueMs <= nowMs) open(key, dueMs, `runs longer than ${rule.afterMs / 60_000} min`, { labels, ids })
    }
  } else if (rule.kind === 'unfinished') {
    state.deadlineMs ??= nextTimeOfDay(rule.zone, rule.byMinute, context.state.nowMs)
    while (state.deadlineMs <= nowMs) {
      const atMs = state.deadlineMs
      for (const [key, { labels, ids }] of Object.entries(state.running)) {
        if (isMaintained(context.ruleSet, { labels, level }, atMs)) continue
        open(key, atMs, `not finished by ${clockText(rule)}`, { labels, ids })
      }
      state.deadlineMs = nextTimeOfDay(rule.zone, rule.byMinute, atMs)
    }
  }
}

function clockText({ byMinute, zone }: Rule): string {
  const text = `${Math.floor(byMinute / 60)}`.padStart(2, '0')
  return `${text}:${`${byMinute % 60}`.padStart(2, '0')} ${zone}`
}
