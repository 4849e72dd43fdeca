import type { Fact } from '../store/alert-store.ts'
import { addEvents, type Group } from './group.ts'
import type { Rule } from './rule.ts'
import { boundedKey, type Context, maxGroups, type RuleState } from './state.ts'

type Moments = [number, number][]

/** Moments of one key: 1000 keys of four rate rules come to 8 MB; more rules get fewer each. */
const maxMoments = 100
const leastMoments = 10

export function addRateFact(
  context: Context,
  rule: Rule,
  ruleState: RuleState,
  fact: Fact,
  atMs: number,
): void {
  const { rates } = ruleState
  const key = boundedKey(ruleState, fact.key)
  const list = (rates[key] ?? []).filter(([ms]) => ms > atMs - rule.windowMs)
  const last = list.at(-1)
  if (last?.[0] === atMs) last[1] += fact.count
  else list.push([atMs, fact.count])
  const rateRules = context.ruleSet.rules.filter(({ kind }) => kind === 'rate').length
  const most = Math.max(leastMoments, Math.floor((4 * maxMoments) / Math.max(4, rateRules)))
  const kept = list.length > most ? coarser(list, rule.windowMs, most) : list
  delete rates[key]
  rates[key] = kept
  forgetOldest(ruleState)
  const sum = sumOf(kept)
  let group = ruleState.groups[key]
  if (!group && sum < rule.count) return
  const isNew = !group
  const why = `${rule.count} or more events within ${rule.windowMs / 1000} s`
  group ??= context.open(rule, ruleState, key, { labels: fact.labels, level: fact.level, why, atMs })
  addEvents(group, fact, atMs)
  if (isNew) {
    // Those before it in the window are part of why it fired.
    group.count += sum - fact.count
    group.pending += sum - fact.count
  }
  context.changed(rule, group)
}

/** When fewer than `count` events are left in the window. */
export function rateEnd(rule: Rule, { rates }: RuleState, group: Group): number {
  const list = rates[group.key]
  // Nothing is known of it but its newest event.
  if (!list) return group.lastMs + rule.windowMs
  let left = sumOf(list)
  for (const [ms, count] of list) {
    left -= count
    if (left < rule.count) return ms + rule.windowMs
  }
  return group.lastMs + rule.windowMs
}

/** Keys without an alert whose window has passed are forgotten. */
export function forgetPassed(rule: Rule, { rates, groups }: RuleState, nowMs: number): void {
  for (const [key, list] of Object.entries(rates))
    if (!(key in groups) && !list.some(([ms]) => ms > nowMs - rule.windowMs)) delete rates[key]
}

/** Too many keys: those that were quiet longest go, but none with an alert. */
function forgetOldest({ rates, groups }: RuleState): void {
  const keys = Object.keys(rates)
  if (keys.length <= maxGroups) return
  const oldest = keys.find((key) => !(key in groups))
  if (oldest !== undefined && oldest !== keys.at(-1)) delete rates[oldest]
}

/** Neighbours become one, at the newest of them: a window's edge is off by at most two parts of `most`. */
function coarser(list: Moments, windowMs: number, most: number): Moments {
  const widthMs = (2 * windowMs) / most
  const merged: Moments = []
  for (const [ms, count] of list) {
    const last = merged.at(-1)
    if (last && Math.floor(last[0] / widthMs) === Math.floor(ms / widthMs)) {
      last[0] = ms
      last[1] += count
    } else merged.push([ms, count])
  }
  return merged
}

const sumOf = (list: Moments) => list.reduce((total, [, count]) => total + count, 0)
