import { type Cause, isRun, type State, states } from './entity.ts'
import type { History } from './history.ts'
import { type Interval, knownIntervals, type Window } from './interval.ts'
import { type Kind, kinds } from './kind.ts'
import type { Selected } from './select.ts'
import { describeEntity } from './timeline.ts'

/** A timeline in few characters, for a page that draws it. Times are microseconds since 1970. */
export interface TimelineColumns {
  start_us: number
  end_us: number
  now_us: number
  /** The first and the last event of all; null when there is none. */
  first_us: number | null
  last_us: number | null
  /** Shorter intervals that follow one another are one; 1 leaves all as they are. */
  resolution_us: number
  states: readonly State[]
  causes: Cause[]
  entities: ColumnEntity[]
  /** Intervals that `entities` hold. */
  intervals: number
  /** Things of each kind that are left out, because the answer would hold more than its limit of intervals. */
  left_out: { [kind in Kind]?: number }
}

/** A thing with its intervals in the order of time. */
export interface ColumnEntity {
  kind: Kind
  id: string
  name: string | null
  node_id?: string
  workflow_id?: string
  step_id?: string
  experiment_id?: string
  user?: string
  outcome?: string
  /** Where each interval starts, after the end of the one before; the first, after `start_us`. */
  gaps: number[]
  /** How long each is. */
  lengths: number[]
  /** Of each, a place in `states`. */
  states: number[]
  /** Of each, a place in `causes`. */
  causes: number[]
}

export interface ColumnOptions {
  window: Window
  bounds: { first: number; last: number } | undefined
  nowMicros: number
  maxIntervals: number
  resolutionMicros: number
  checkTime: () => void
}

/** The things of a window, the newest runs first, with `maxIntervals` intervals at most; what is beyond is counted. */
export function toTimelineColumns(
  history: History,
  selected: readonly Selected[],
  { window, bounds, nowMicros, maxIntervals, resolutionMicros, checkTime }: ColumnOptions,
): TimelineColumns {
  const causes = new Map<Cause, number>()
  const placeOf = (cause: Cause) => {
    const known = causes.get(cause)
    if (known !== undefined) return known
    causes.set(cause, causes.size)
    return causes.size - 1
  }
  const entities: ColumnEntity[] = []
  const leftOut: TimelineColumns['left_out'] = {}
  let count = 0
  for (const { entity, last, known } of newestFirst(selected)) {
    checkTime()
    const { kind } = entity
    if (leftOut[kind] !== undefined || count >= maxIntervals) {
      leftOut[kind] = (leftOut[kind] ?? 0) + 1
      continue
    }
    const intervals = coarsen(knownIntervals(entity, last, known, window), resolutionMicros)
    if (count + intervals.length > maxIntervals) {
      leftOut[kind] = 1
      continue
    }
    count += intervals.length
    let at = window.start
    const gaps: number[] = []
    for (const { start, end } of intervals) {
      gaps.push(start - at)
      at = end
    }
    const { workcell_id: _, ...description } = describeEntity(history, entity)
    entities.push({
      ...description,
      gaps,
      lengths: intervals.map(({ start, end }) => end - start),
      states: intervals.map(({ state }) => states.indexOf(state)),
      causes: intervals.map(({ cause }) => placeOf(cause)),
    })
  }
  return {
    start_us: window.start,
    end_us: window.end,
    now_us: nowMicros,
    first_us: bounds?.first ?? null,
    last_us: bounds?.last ?? null,
    resolution_us: resolutionMicros,
    states,
    causes: [...causes.keys()],
    entities,
    intervals: count,
    left_out: leftOut,
  }
}

type Piece = Pick<Interval, 'state' | 'cause' | 'start' | 'end'>

/**
 * Intervals shorter than the resolution that follow one another without a gap become one of at least its length, where there are enough
 * of them. It has the state of an error where one was, else the state that lasted longest, and its cause.
 */
export function coarsen(intervals: readonly Piece[], resolutionMicros: number): Piece[] {
  const found: Piece[] = []
  let short: Piece[] = []
  const flush = () => {
    if (short.length > 0) found.push(unite(short))
    short = []
  }
  for (const one of intervals) {
    const isShort = one.end - one.start < resolutionMicros
    const [first, last] = [short[0], short.at(-1)]
    if (!isShort || one.start !== last?.end || last.end - first!.start >= resolutionMicros) flush()
    if (isShort) short.push(one)
    else found.push(one)
  }
  flush()
  return found
}

function unite(pieces: readonly Piece[]): Piece {
  const micros = new Map<State, number>()
  for (const { state, start, end } of pieces) micros.set(state, (micros.get(state) ?? 0) + end - start)
  const longest = [...micros].reduce((one, other) => (other[1] > one[1] ? other : one))[0]
  const { state, cause } = pieces.find((one) => one.state === (micros.has('error') ? 'error' : longest))!
  return { state, cause, start: pieces[0]!.start, end: pieces.at(-1)!.end }
}

/** By kind as before, but the runs of each from the newest to the oldest. */
function newestFirst(selected: readonly Selected[]): Selected[] {
  const startOf = ({ entity }: Selected) => (isRun(entity) ? entity.heardAt : 0)
  return [...selected].sort(
    (a, b) => kinds.indexOf(a.entity.kind) - kinds.indexOf(b.entity.kind) || startOf(b) - startOf(a),
  )
}
