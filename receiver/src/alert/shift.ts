import type { AlertsState, RuleState } from './state.ts'

const shifted = (ms: number | null, byMs: number) => (ms === null ? null : ms + byMs)

/**
 * The clock was set: moves what the rules remember with it, so that cooldowns and windows last as long as they should.
 * Times that somebody named, or a time of day, stay as they are; those that follow from a time of day are judged anew.
 */
export function shiftState(state: AlertsState, byMs: number): void {
  state.nowMs += byMs
  for (const rule of Object.values(state.rules)) shiftRule(rule, byMs)
}

function shiftRule(rule: RuleState, byMs: number): void {
  for (const group of Object.values(rule.groups)) {
    group.openedMs += byMs
    group.lastMs += byMs
    group.firstToldMs = shifted(group.firstToldMs, byMs)
    group.lastToldMs = shifted(group.lastToldMs, byMs)
    group.acknowledgedMs = shifted(group.acknowledgedMs, byMs)
    group.heldUntilMs = null
    for (const content of Object.keys(group.contents)) group.contents[content]! += byMs
    for (const one of group.history) one.atMs += byMs
  }
  for (const key of Object.keys(rule.cooled)) rule.cooled[key]! += byMs
  for (const moments of Object.values(rule.rates)) for (const moment of moments) moment[0] += byMs
  for (const one of Object.values(rule.running)) one.startMs += byMs
  for (const one of Object.values(rule.seen)) one.atMs += byMs
  rule.digestMs = shifted(rule.digestMs, byMs)
  rule.runningSinceMs = shifted(rule.runningSinceMs, byMs)
  rule.deadlineMs = null
}
