import type { Mark, Run, State } from './entity.ts'
import { type Interval, knownIntervals, type Totals, totalsOf, type Window } from './interval.ts'
import { type Seen, seeExperiments, seeNode } from './original.ts'
import type { Filter } from './parameter.ts'
import { type Known, knownOf, workcellOf } from './select.ts'
import { compareSignals } from './signal.ts'
import type { Row } from './table.ts'

/** Why the original's report says something else. */
export const reasons = {
  outside_sessions:
    'no session covers it: the original reports only between lab_start or workcell_start within the window and their stop',
  stored_as_log:
    'the event that began it was logged with a text, so its type stands in event_data: the original passes it over',
  action_events_not_read:
    'the original reads action_status_change alone, not action_start, action_complete and action_failed',
  status_not_read: 'the original reads no status flags: errors, pauses, locks, busy',
  error_not_read: 'the original reads no node_error',
  before_session: 'it began before the session: the original begins each session anew',
  default_active: 'without a node_start in the session the original takes the node for active all the time',
  run_lost:
    'a stop, a start or two statuses in a row show that it ended; the original waits for its end until that of the session',
  pause_not_read: 'the original counts a paused experiment as running',
  start_not_read:
    'the original takes the node for active only from its node_start on, or not after its node_stop',
  silent: 'nothing was heard of it for a day: the original takes it to be as it was last',
  overlapping_sessions: 'sessions overlap: the original counts the time once for each',
  other: 'for another reason',
} as const
export type Reason = keyof typeof reasons

export interface Difference {
  reason: Reason
  original: Seen['state']
  exact: State | 'none'
  micros: number
  intervals: number
  /** The first of the events that began the exact state. */
  eventIds: string[]
}

export interface Comparison {
  kind: 'node' | 'experiments'
  id: string
  name: string | null
  /** As the original's report says it, summed over its sessions; microseconds. */
  original: { busy: number; idle: number }
  exact: Totals
  /** Microseconds of the window by what the original and the engine say, `busy/idle` and so on. */
  matrix: { [pair: string]: number }
  differences: Difference[]
  /** What the original's report says beyond what its rules give on the events that the engine knows; rounding apart 0. */
  unexplained: number
}

/** A session as the original's report shows it. */
export interface ReportedSession extends Window {
  activeSeconds: number
  nodes: Map<string, { busySeconds: number; idleSeconds: number }>
}

const maxEventIds = 20

/** Holds the original's report against the engine, for each node and for the experiments together. */
export function compare(
  sources: Known,
  sessions: readonly ReportedSession[],
  window: Window,
  { filter, checkTime }: { filter: Filter; checkTime: () => void },
): Comparison[] {
  const { history } = sources
  const actionsOf = new Map<string, Mark[]>()
  const experiments: Run[] = []
  const nodes: { id: string; name: string | undefined }[] = []
  const known = new Set<string>()
  for (const entity of history.entities.values()) {
    if (entity.kind === 'experiment') experiments.push(entity as Run)
    if (entity.kind === 'node') {
      known.add(entity.id)
      if (filter.workcellId === undefined || workcellOf(history, entity) === filter.workcellId)
        nodes.push(entity)
    }
    if (entity.kind !== 'action') continue
    for (let mark = entity.marks; mark; mark = mark.previous) {
      if (mark.node === undefined || mark.key === undefined) continue
      const list = actionsOf.get(mark.node)
      if (list) list.push(mark)
      else actionsOf.set(mark.node, [mark])
    }
  }
  for (const list of actionsOf.values()) list.sort(compareSignals)
  for (const session of sessions)
    for (const id of session.nodes.keys())
      if (!known.has(id)) {
        known.add(id)
        if (filter.workcellId === undefined) nodes.push({ id, name: undefined })
      }

  const found: Comparison[] = []
  for (const { id, name } of nodes.sort((a, b) => (a.id < b.id ? -1 : 1))) {
    if (filter.nodeId !== undefined && id !== filter.nodeId) continue
    const node = history.find('node', id)
    const original = { busy: 0, idle: 0 }
    for (const { nodes: reported } of sessions) {
      original.busy += toMicros(reported.get(id)?.busySeconds ?? 0)
      original.idle += toMicros(reported.get(id)?.idleSeconds ?? 0)
    }
    // Of a node that it does not know in a session the original says nothing there.
    const tracks = sessions.map((session): Seen[] => {
      checkTime()
      return session.nodes.has(id)
        ? seeNode(node?.marks, actionsOf.get(id) ?? [], session)
        : [{ start: session.start, end: session.end, state: 'none' }]
    })
    const exact = node
      ? knownIntervals(node, node.last, knownOf(sources, node), window)
      : [{ ...nothing, ...window }]
    found.push({
      kind: 'node',
      id,
      name: name ?? null,
      original,
      ...hold(exact, tracks, sessions, { reportedBusy: original.busy, kind: 'node', checkTime }),
    })
  }
  if (filter.nodeId === undefined && filter.workcellId === undefined) {
    const active = sessions.reduce((sum, session) => sum + toMicros(session.activeSeconds), 0)
    const length = sessions.reduce((sum, session) => sum + session.end - session.start, 0)
    const tracks = sessions.map((session) => {
      checkTime()
      return seeExperiments(
        experiments.map(({ marks }) => marks),
        session,
      )
    })
    const exact = uniteRuns(sources, experiments, window)
    const original = { busy: active, idle: length - active }
    found.push({
      kind: 'experiments',
      id: 'all',
      name: null,
      original,
      ...hold(exact, tracks, sessions, { reportedBusy: active, kind: 'experiments', checkTime }),
    })
  }
  return found
}

/** Of a thing that the engine does not know. */
const nothing: Interval = {
  state: 'unknown',
  cause: 'unheard',
  start: 0,
  end: 0,
  begunBy: null,
  endedBy: null,
  isOpen: false,
  since: Number.NEGATIVE_INFINITY,
  type: null,
  promoted: false,
  endType: null,
  endPromoted: false,
}

const toMicros = (seconds: number) => Math.round(seconds * 1e6)

/** Walks both together, session by session, then what no session covers. */
function hold(
  exact: readonly Interval[],
  tracks: readonly Seen[][],
  sessions: readonly Window[],
  {
    reportedBusy,
    kind,
    checkTime,
  }: { reportedBusy: number; kind: Comparison['kind']; checkTime: () => void },
): Pick<Comparison, 'exact' | 'matrix' | 'differences' | 'unexplained'> {
  const matrix: { [pair: string]: number } = {}
  const differences = new Map<string, Difference>()
  let rulesBusy = 0
  const add = (
    reason: Reason | undefined,
    seen: Seen['state'],
    state: State | 'none',
    micros: number,
    eventId: string | null,
  ) => {
    if (micros <= 0) return
    if (reason !== 'overlapping_sessions')
      matrix[`${seen}/${state}`] = (matrix[`${seen}/${state}`] ?? 0) + micros
    if (reason === undefined) return
    const key = `${reason} ${seen} ${state}`
    let one = differences.get(key)
    if (!one) {
      one = { reason, original: seen, exact: state, micros: 0, intervals: 0, eventIds: [] }
      differences.set(key, one)
    }
    one.micros += micros
    one.intervals++
    if (eventId !== null && one.eventIds.length < maxEventIds && !one.eventIds.includes(eventId))
      one.eventIds.push(eventId)
  }

  // Where the sessions so far reach: what lies before it is counted already.
  const covered: Window[] = []
  tracks.forEach((track, index) => {
    const session = sessions[index]!
    for (const seen of track) {
      checkTime()
      if (seen.state === 'busy') rulesBusy += seen.end - seen.start
      for (const part of subtract(seen, covered))
        for (const { interval, start, end } of within(exact, part))
          add(
            reasonOf(seen.state, interval, session, kind),
            seen.state,
            interval.state,
            end - start,
            interval.begunBy,
          )
      const twice =
        seen.end - seen.start - subtract(seen, covered).reduce((sum, one) => sum + one.end - one.start, 0)
      if (seen.state !== 'none') add('overlapping_sessions', seen.state, 'none', twice, null)
    }
    covered.push(session)
  })
  for (const interval of exact) {
    checkTime()
    for (const { start, end } of subtract(interval, covered)) {
      const counts = interval.state !== 'unknown' && interval.state !== 'down'
      add(counts ? 'outside_sessions' : undefined, 'none', interval.state, end - start, interval.begunBy)
    }
  }
  return {
    exact: totalsOf(exact),
    matrix,
    differences: [...differences.values()].sort((a, b) => b.micros - a.micros),
    unexplained: reportedBusy - rulesBusy,
  }
}

/** Undefined when both say the same. */
function reasonOf(
  seen: Seen['state'],
  exact: Interval,
  session: Window,
  kind: Comparison['kind'],
): Reason | undefined {
  const { state, type, promoted, since } = exact
  if (seen === state) return undefined
  if (seen === 'none' && (state === 'down' || state === 'unknown')) return undefined
  // Experiments that do not run are nothing to the original.
  if (kind === 'experiments' && seen === 'idle' && state !== 'busy') return undefined
  if (exact.cause === 'silent') return 'silent'
  if (type === null) return 'default_active'
  if (promoted) return 'stored_as_log'
  if (kind === 'experiments' && state === 'down') return 'pause_not_read'
  if (seen === 'busy' && type === 'node_start') return 'run_lost'
  if (type === 'action_start' || type === 'action_complete' || type === 'action_failed')
    return 'action_events_not_read'
  if (type === 'node_error') return 'error_not_read'
  if (type.endsWith('status_update')) return 'status_not_read'
  if (since < session.start) return state === 'down' ? 'default_active' : 'before_session'
  if (seen === 'none') return 'start_not_read'
  return 'other'
}

function* within(exact: readonly Interval[], { start, end }: Window) {
  let low = 0
  for (let high = exact.length; low < high; ) {
    const middle = (low + high) >> 1
    if (exact[middle]!.end <= start) low = middle + 1
    else high = middle
  }
  for (let at = low; at < exact.length && exact[at]!.start < end; at++) {
    const interval = exact[at]!
    yield { interval, start: Math.max(interval.start, start), end: Math.min(interval.end, end) }
  }
}

function subtract({ start, end }: Window, covered: readonly Window[]): Window[] {
  let parts: Window[] = [{ start, end }]
  for (const cover of covered)
    parts = parts.flatMap((part) => {
      if (cover.end <= part.start || cover.start >= part.end) return [part]
      const left = { start: part.start, end: Math.min(part.end, cover.start) }
      const right = { start: Math.max(part.start, cover.end), end: part.end }
      return [left, right].filter((one) => one.start < one.end)
    })
  return parts
}

/** Experiments together: busy while one runs, down while one is paused and none runs, else idle. */
function uniteRuns(sources: Known, runs: readonly Run[], window: Window): Interval[] {
  const edges: { at: number; by: number; interval: Interval }[] = []
  for (const run of runs)
    for (const interval of knownIntervals(run, run.last, knownOf(sources, run), window)) {
      if (interval.state !== 'busy' && interval.state !== 'down') continue
      edges.push({ at: interval.start, by: 1, interval }, { at: interval.end, by: -1, interval })
    }
  edges.sort((a, b) => a.at - b.at)
  const count = { busy: 0, down: 0 }
  const idle: Interval = { ...nothing, ...window, state: 'idle', cause: 'ready', since: window.start }
  const found: Interval[] = []
  let current: Interval = { ...idle }
  for (let index = 0; index < edges.length; ) {
    const { at } = edges[index]!
    let last = edges[index]!.interval
    let isEnd = true
    for (; index < edges.length && edges[index]!.at === at; index++) {
      const { by, interval } = edges[index]!
      count[interval.state as 'busy' | 'down'] += by
      if (by === 1) {
        last = interval
        isEnd = false
      }
    }
    const state: State = count.busy > 0 ? 'busy' : count.down > 0 ? 'down' : 'idle'
    if (state === current.state) continue
    if (at > current.start) found.push({ ...current, end: at, endedBy: isEnd ? last.endedBy : last.begunBy })
    current = isEnd
      ? {
          ...idle,
          state,
          start: at,
          since: at,
          begunBy: last.endedBy,
          type: last.endType,
          promoted: last.endPromoted,
        }
      : {
          ...idle,
          state,
          start: at,
          since: last.since,
          begunBy: last.begunBy,
          type: last.type,
          promoted: last.promoted,
        }
  }
  if (current.start < window.end) found.push({ ...current, end: window.end })
  return found
}

export const compareColumns = [
  'kind',
  'id',
  'name',
  'reason',
  'original',
  'exact',
  'duration_us',
  'intervals',
  'event_ids',
] as const

export function* compareRows(comparisons: Iterable<Comparison>): Generator<Row> {
  for (const { kind, id, name, differences } of comparisons)
    for (const { reason, original, exact, micros, intervals, eventIds } of differences)
      yield {
        kind,
        id,
        name,
        reason,
        original,
        exact,
        duration_us: micros,
        intervals,
        event_ids: eventIds.join(' '),
      }
}
