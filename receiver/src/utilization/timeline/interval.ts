import type { EventType } from '@madsci-events/sdk/event'
import { type Cause, type Entity, isRun, type State, type Stretch, states } from './entity.ts'
import { silentMicros, uniteSpans } from './span.ts'

/** Microseconds since 1970, UTC: from `start` on, before `end`. */
export interface Window {
  start: number
  end: number
}

/** A state for some time, within a window. */
export interface Interval {
  state: State
  cause: Cause
  start: number
  end: number
  begunBy: string | null
  /** Null when it is open. */
  endedBy: string | null
  /** Nothing has ended it yet. */
  isOpen: boolean
  /** When it began, be it before the window. */
  since: number
  /** Type of the event that began it, as the engine read it. */
  type: EventType | null
  promoted: boolean
  /** The same of the one that ended it. */
  endType: EventType | null
  endPromoted: boolean
}

/** The intervals, from the last stretch of a thing back, that have a part in the window, oldest first, without gaps but for a run that was over in between. */
export function intervalsOf(last: Stretch | undefined, window: Window): Interval[] {
  const found: Interval[] = []
  let next: Stretch | undefined
  for (let stretch = last; stretch; next = stretch, stretch = stretch.previous) {
    if (next && next.start <= window.start) break
    if (stretch.start >= window.end || stretch.state === 'over') continue
    const start = Math.max(stretch.start, window.start)
    const end = Math.min(next?.start ?? window.end, window.end)
    if (start >= end) continue
    const { state, cause, begunBy, type, promoted, start: since } = stretch
    found.push({
      state,
      cause,
      start,
      end,
      begunBy,
      endedBy: next?.begunBy ?? null,
      isOpen: next === undefined,
      since,
      type,
      promoted,
      endType: next?.type ?? null,
      endPromoted: next?.promoted ?? false,
    })
  }
  return found.reverse()
}

/**
 * The same, but unknown where nothing was heard for long. What says that it stopped needs say no more, and what its own end
 * bounds was so all the time.
 */
export function knownIntervals(
  entity: Entity,
  last: Stretch | undefined,
  known: readonly Window[],
  window: Window,
): Interval[] {
  const found: Interval[] = []
  for (const interval of intervalsOf(last, window)) {
    const { state, cause, endType, isOpen, since } = interval
    const isBounded = isRun(entity)
      ? !isOpen && !entity.isLost
      : state === 'busy' && /_(complete|failed|change|abort)$/.test(endType ?? '')
    if (isBounded || state === 'unknown' || cause === 'stopped' || cause === 'disconnected') {
      found.push(interval)
      continue
    }
    // The event that began it was heard, wherever it came from.
    const spans = uniteSpans([...known, { start: since, end: since + silentMicros }])
    let at = interval.start
    const push = (end: number, isKnown: boolean) => {
      if (end <= at) return
      const isLast = end === interval.end
      found.push({
        ...interval,
        ...(!isKnown && {
          state: 'unknown' as const,
          cause: 'silent' as const,
          begunBy: null,
          type: null,
          promoted: false,
        }),
        ...(!isLast && { endedBy: null, isOpen: false, endType: null, endPromoted: false }),
        start: at,
        end,
        since: at === interval.start ? since : at,
      })
      at = end
    }
    for (const span of spans) {
      if (span.end <= at) continue
      if (span.start >= interval.end) break
      push(Math.min(span.start, interval.end), false)
      push(Math.min(span.end, interval.end), true)
    }
    push(interval.end, false)
  }
  return found
}

/** Microseconds in each state; `wall` is their sum, always. */
export type Totals = { [state in State]: number } & { wall: number }

export const emptyTotals = (): Totals => ({ busy: 0, idle: 0, error: 0, down: 0, unknown: 0, wall: 0 })

/** The wall time of a node, a workcell or a laboratory is the window; that of a run is its life within it. */
export function totalsOf(intervals: readonly Interval[]): Totals {
  const totals = emptyTotals()
  for (const { state, start, end } of intervals) {
    totals[state] += end - start
    totals.wall += end - start
  }
  return totals
}

export function addTotals(into: Totals, more: Totals): void {
  for (const state of [...states, 'wall'] as const) into[state] += more[state]
}

/** How long a run waited for its first work, how long it took from there to its end, and when that was. Microseconds. */
export interface Life {
  heardAt: number
  workedAt: number | undefined
  endedAt: number | undefined
  queue: number | undefined
  run: number | undefined
}

export function lifeOf(entity: Entity): Life | undefined {
  if (!isRun(entity)) return undefined
  const { heardAt, last } = entity
  let workedAt = entity.workedAt
  if (workedAt === undefined)
    for (let stretch = last; stretch; stretch = stretch.previous)
      if (stretch.state === 'busy') workedAt = stretch.start
  const endedAt = last?.state === 'over' ? last.start : undefined
  return {
    heardAt,
    workedAt,
    endedAt,
    queue: workedAt === undefined ? undefined : Math.max(0, workedAt - heardAt),
    run: workedAt === undefined || endedAt === undefined ? undefined : Math.max(0, endedAt - workedAt),
  }
}
