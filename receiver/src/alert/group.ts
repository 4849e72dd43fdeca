import { type AlertRecord, type AlertState, type Fact, leastIds } from '../store/alert-store.ts'
import type { Rule, RuleSet } from './rule.ts'
import { afterWindows, isWithinWindows } from './window.ts'

/** An alert that is not over, as the rules remember it. All times ms since 1970. */
export interface Group {
  id: string
  key: string
  labels: { [name: string]: string }
  level: number
  /** Why it fired, for people. */
  why: string
  openedMs: number
  /** Of the newest event. */
  lastMs: number
  count: number
  /** Same words from the same program within seconds; counted, and told by the first. */
  repeats: number
  suppressed: number
  /** Events that no message has told yet. */
  pending: number
  pendingIds: string[]
  firstIds: string[]
  lastId: string | null
  /** Messages so far. */
  told: number
  firstToldMs: number | null
  lastToldMs: number | null
  /** The greatest level that a message told; not there before the first, and in states of older versions. */
  toldLevel?: number
  /** What waits is told without regard to the cooldown. */
  isUrgent?: boolean
  /** Not before: the end of quiet hours that a message met. */
  heldUntilMs: number | null
  silencedUntilMs: number | null
  acknowledgedMs: number | null
  acknowledgedBy: string | null
  escalated: number
  contents: { [content: string]: number }
  history: { kind: NotificationKind; atMs: number; count: number }[]
}

export type NotificationKind = 'firing' | 'escalation' | 'recovery' | 'digest' | 'undelivered' | 'test'

/** One message about an alert, before it is known to whom. */
export interface Notification {
  id: string
  alertId: string
  rule: string
  kind: NotificationKind
  atMs: number
  /** Not to be sent before. */
  notBeforeMs: number
  /** Undefined: all. */
  channels: string[] | undefined
  key: string
  labels: { [name: string]: string }
  level: number
  why: string
  /** Events that it tells, and some of their ids, oldest first. */
  count: number
  ids: string[]
  /** Events of the alert so far. */
  total: number
  /** digest: the alerts in it. */
  items?: { alertId: string; key: string; why: string; count: number; ids: string[] }[]
}

export const maxIds = leastIds
const maxHistory = 20
export const sameContentMs = 10_000
const maxContents = 50

export function openGroup(
  id: string,
  { key, labels, level, why, atMs }: Pick<Group, 'key' | 'labels' | 'level' | 'why'> & { atMs: number },
): Group {
  return {
    id,
    key,
    labels,
    level,
    why,
    openedMs: atMs,
    lastMs: atMs,
    count: 0,
    repeats: 0,
    suppressed: 0,
    pending: 0,
    pendingIds: [],
    firstIds: [],
    lastId: null,
    told: 0,
    firstToldMs: null,
    lastToldMs: null,
    heldUntilMs: null,
    silencedUntilMs: null,
    acknowledgedMs: null,
    acknowledgedBy: null,
    escalated: 0,
    contents: {},
    history: [],
  }
}

/**
 * Events join: counted always, to be told unless their words were told just now or somebody has it in hand. An event with
 * `alert: true`, which has a content here, is told at once, always; so is a higher level than was told.
 */
export function addEvents(
  group: Group,
  { ids, count, level, content }: Pick<Fact, 'ids' | 'count' | 'level' | 'content'>,
  atMs: number,
): void {
  group.count += count
  group.lastMs = Math.max(group.lastMs, atMs)
  group.lastId = ids.at(-1) ?? group.lastId
  for (const id of ids) if (group.firstIds.length < maxIds) group.firstIds.push(id)
  if (level > group.level) {
    group.level = level
    group.heldUntilMs = null
  }
  const fresh = content === undefined ? count : freshCount(group, content, count, atMs)
  group.repeats += count - fresh
  const isAlert = content !== undefined && fresh > 0
  if (group.acknowledgedMs !== null && !isAlert) return
  if (isAlert || (group.toldLevel !== undefined && level > group.toldLevel)) group.isUrgent = true
  group.pending += fresh
  for (const id of ids.slice(0, fresh)) if (group.pendingIds.length < maxIds) group.pendingIds.push(id)
}

/** Of events that say the same, the first alone is told, and again when some time has passed. */
function freshCount(group: Group, content: string, count: number, atMs: number): number {
  const saidMs = group.contents[content]
  if (saidMs !== undefined && atMs - saidMs < sameContentMs) return 0
  const recent = Object.entries(group.contents).filter(([, ms]) => atMs - ms < sameContentMs)
  group.contents = Object.fromEntries([...recent.slice(1 - maxContents), [content, atMs]])
  return Math.min(count, 1)
}

/** From when on the next message may go. */
export const cooledMs = (rule: Rule, { lastToldMs, openedMs, isUrgent }: Group): number =>
  lastToldMs === null || isUrgent ? openedMs : Math.max(openedMs, lastToldMs + rule.cooldownMs)

/** When something happens to the group without any event: a message, an escalation, its end. */
export function dueOf(
  rule: Rule,
  group: Group,
  { quiet }: RuleSet,
): { what: 'tell' | 'escalate' | 'end'; atMs: number } {
  let due: { what: 'tell' | 'escalate' | 'end'; atMs: number } = {
    what: 'end',
    atMs: Number.POSITIVE_INFINITY,
  }
  const silentMs = group.silencedUntilMs ?? 0
  if (group.pending > 0 && rule.digestMs === 0) {
    due = { what: 'tell', atMs: Math.max(cooledMs(rule, group), silentMs, group.heldUntilMs ?? 0) }
  }
  const step = rule.escalate[group.escalated]
  if (step && group.firstToldMs !== null && group.acknowledgedMs === null) {
    const atMs = Math.max(group.firstToldMs + step.afterMs, silentMs)
    const windows = [...quiet, ...rule.quiet]
    const heldMs = windows.length > 0 ? afterWindows(windows, group, atMs) : atMs
    if (heldMs < due.atMs) due = { what: 'escalate', atMs: heldMs }
  }
  if (rule.kind === 'match') {
    const atMs = Math.max(group.lastMs + rule.resolveAfterMs, group.lastToldMs ?? 0)
    if (atMs < due.atMs && group.pending === 0) due = { what: 'end', atMs }
  }
  return due
}

/** The message of everything pending. `atMs` is when; quiet hours must have been asked before. */
export function tell(
  rule: Rule,
  group: Group,
  atMs: number,
  kind: NotificationKind = 'firing',
): Notification {
  const notice: Notification = {
    id: `${group.id}.${group.told + 1}`,
    alertId: group.id,
    rule: rule.name,
    kind,
    atMs,
    notBeforeMs: atMs,
    channels: rule.channels,
    key: group.key,
    labels: group.labels,
    level: group.level,
    why: group.why,
    count: group.pending,
    ids: group.pendingIds,
    total: group.count,
  }
  note(group, kind, atMs)
  group.pending = 0
  group.pendingIds = []
  group.isUrgent = false
  group.toldLevel = group.level
  group.heldUntilMs = null
  group.firstToldMs ??= atMs
  group.lastToldMs = atMs
  return notice
}

export function note(group: Group, kind: NotificationKind, atMs: number): void {
  group.told++
  group.history.push({ kind, atMs, count: group.pending })
  if (group.history.length > maxHistory) group.history.splice(1, 1)
}

/** Quiet hours of the rule and of all, as far as they hold for the group. */
export const quietEnd = (rule: Rule, group: Group, { quiet }: RuleSet, atMs: number): number =>
  afterWindows([...quiet, ...rule.quiet], group, atMs)

export const isMaintained = (
  { maintenance }: RuleSet,
  group: Pick<Group, 'labels' | 'level'>,
  atMs: number,
) => isWithinWindows(maintenance, group, atMs)

function stateOf(group: Group, nowMs: number): AlertState {
  if (group.acknowledgedMs !== null) return 'acknowledged'
  return (group.silencedUntilMs ?? 0) > nowMs ? 'silenced' : 'firing'
}

const timeText = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

/** The alert as REST shows it. `end` when it is over. */
export function toRecord(
  rule: Pick<Rule, 'name' | 'kind' | 'groupBy'>,
  group: Group,
  nowMs: number,
  end?: { atMs: number; reason: string },
): AlertRecord {
  const state = end ? 'resolved' : stateOf(group, nowMs)
  const values = JSON.parse(group.key) as (string | null)[]
  const names = rule.groupBy.length > 0 ? rule.groupBy : keyNames[rule.kind]
  const json = {
    alert_id: group.id,
    rule: rule.name,
    kind: rule.kind,
    key: group.key,
    group: Object.fromEntries(values.map((value, place) => [names[place] ?? String(place), value])),
    state,
    why: group.why,
    log_level: group.level,
    source: group.labels,
    count: group.count,
    repeats: group.repeats,
    suppressed: group.suppressed,
    pending: group.pending,
    opened_at: timeText(group.openedMs),
    last_event_at: timeText(group.lastMs),
    first_event_ids: group.firstIds,
    last_event_id: group.lastId,
    acknowledged_at: timeText(group.acknowledgedMs),
    acknowledged_by: group.acknowledgedBy,
    silenced_until: timeText(group.silencedUntilMs),
    resolved_at: timeText(end?.atMs ?? null),
    resolution: end?.reason ?? null,
    notices: group.history.map(({ kind, atMs, count }) => ({ kind, at: timeText(atMs), count })),
  }
  return {
    id: group.id,
    rule: rule.name,
    key: group.key,
    state,
    openedMs: group.openedMs,
    updatedMs: nowMs,
    json: JSON.stringify(json),
  }
}

const keyNames: { [kind in Rule['kind']]: string[] } = {
  match: [],
  rate: [],
  silent: ['source.node_id'],
  slow_step: ['source.workflow_id', 'source.step_id'],
  unfinished: ['source.workflow_id'],
}
