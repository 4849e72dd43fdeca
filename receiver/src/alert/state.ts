import type { AlertAction, Fact } from '../store/alert-store.ts'
import type { Group } from './group.ts'
import type { Rule, RuleSet } from './rule.ts'

/** Something that runs, for rules about absence. */
export interface Running {
  /** By its own event. */
  startMs: number
  labels: { [name: string]: string }
  ids: string[]
}

/** What one rule remembers. Plain JSON: a restart goes on with it. */
export interface RuleState {
  kind: Rule['kind']
  groups: { [key: string]: Group }
  /** Groups that ended within their cooldown: when they were told last. */
  cooled: { [key: string]: number }
  /** rate: [ms, events] within the window, oldest first; many moments are joined. */
  rates: { [key: string]: [number, number][] }
  digestMs: number | null
  running: { [key: string]: Running }
  /** silent: node → when it was heard last, and since when something runs. */
  seen: { [key: string]: { atMs: number; labels: { [name: string]: string } } }
  runningSinceMs: number | null
  /** unfinished: the next time of day. */
  deadlineMs: number | null
}

/** What all rules remember, up to `nowMs`. */
export interface AlertsState {
  nowMs: number
  /** Alerts so far: makes ids. */
  count: number
  /** Secret of the ids; made with the first step of a state that has none. */
  seed?: string
  suppressed: number
  /** Events for rules that there are not any more. */
  orphaned: number
  rules: { [name: string]: RuleState }
}

export type Input = { atMs: number } & (
  | { facts: readonly Fact[] }
  | { action: AlertAction }
  /** A receiver leads again after nobody did: what was silent meanwhile was not heard by us. */
  | { resumed: true }
)

/** What the parts of the machine need of it. */
export interface Context {
  ruleSet: RuleSet
  state: AlertsState
  open(
    rule: Rule,
    state: RuleState,
    key: string,
    fields: Pick<Group, 'labels' | 'level' | 'why'> & { atMs: number },
  ): Group
  changed(rule: Rule, group: Group): void
  end(rule: Rule, state: RuleState, group: Group, atMs: number, reason: string): void
}

export const emptyState = (nowMs: number): AlertsState => ({
  nowMs,
  count: 0,
  suppressed: 0,
  orphaned: 0,
  rules: {},
})

export const freshRule = ({ kind, nodeIds = [] }: Rule, nowMs: number): RuleState => ({
  kind,
  groups: {},
  cooled: {},
  rates: {},
  digestMs: null,
  running: {},
  seen: Object.fromEntries(
    nodeIds.map((id) => [JSON.stringify([id]), { atMs: nowMs, labels: { node_id: id } }]),
  ),
  runningSinceMs: null,
  deadlineMs: null,
})

export const maxGroups = 1000
/** Stands for every further group of a rule. */
const otherKey = '["other"]'

/** The key under which a rule remembers a group: beyond a thousand they are one. */
export const boundedKey = ({ groups }: RuleState, key: string): string =>
  key in groups || Object.keys(groups).length < maxGroups ? key : otherKey
