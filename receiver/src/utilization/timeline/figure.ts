import type { Stretch } from './entity.ts'
import type { Totals, Window } from './interval.ts'

/** What a list of durations says. Seconds; null when there is none. */
export interface Spread {
  count: number
  mean_seconds: number | null
  p50_seconds: number | null
  p90_seconds: number | null
  p99_seconds: number | null
  max_seconds: number | null
}

const toSeconds = (micros: number) => micros / 1e6

/** The p-th percentile is the least duration that at least p percent of them do not exceed (nearest rank). */
export function spreadOf(micros: readonly number[]): Spread {
  const count = micros.length
  if (count === 0)
    return {
      count,
      mean_seconds: null,
      p50_seconds: null,
      p90_seconds: null,
      p99_seconds: null,
      max_seconds: null,
    }
  const sorted = [...micros].sort((a, b) => a - b)
  const percentile = (p: number) => toSeconds(sorted[Math.ceil((p / 100) * count) - 1]!)
  let sum = 0
  for (const one of sorted) sum += one
  return {
    count,
    mean_seconds: toSeconds(Math.round(sum / count)),
    p50_seconds: percentile(50),
    p90_seconds: percentile(90),
    p99_seconds: percentile(99),
    max_seconds: toSeconds(sorted.at(-1)!),
  }
}

/** Busy time in percent of the time in which the state is known; null when nothing is. */
export function utilizationOf({ busy, wall, unknown }: Totals): number | null {
  return wall === unknown ? null : round((busy / (wall - unknown)) * 100)
}

/** Time in which it could work, in percent of the time in which the state is known; null when nothing is. */
export function availabilityOf({ busy, idle, wall, unknown }: Totals): number | null {
  return wall === unknown ? null : round(((busy + idle) / (wall - unknown)) * 100)
}

const round = (percent: number) => Math.round(percent * 100) / 100

export interface Failures {
  /** Errors that began in the window. */
  failures: number
  /** Time in which it could work, for each failure. */
  mtbf_seconds: number | null
  /** From the error to the next busy or idle, of those that ended in the window. */
  repairs: number
  mttr_seconds: number | null
}

/** A failure begins with an error, and lasts until it can work again, whatever is said of it in between. */
export function failuresOf(last: Stretch | undefined, window: Window, { busy, idle }: Totals): Failures {
  let failures = 0
  const repairs: number[] = []
  // From the newest back: where it can work again, then what came before.
  let workingAt: number | undefined
  let errorAt: number | undefined
  const close = () => {
    if (errorAt === undefined) return
    if (errorAt >= window.start && errorAt < window.end) failures++
    if (workingAt !== undefined && workingAt > window.start && workingAt <= window.end)
      repairs.push(workingAt - errorAt)
    errorAt = undefined
  }
  for (let stretch = last; stretch; stretch = stretch.previous) {
    const { state, start } = stretch
    if (state === 'busy' || state === 'idle') {
      close()
      workingAt = start
      if (start < window.start) break
    } else if (state === 'error') errorAt = start
  }
  close()
  const total = repairs.reduce((sum, one) => sum + one, 0)
  return {
    failures,
    mtbf_seconds: failures === 0 ? null : toSeconds(Math.round((busy + idle) / failures)),
    repairs: repairs.length,
    mttr_seconds: repairs.length === 0 ? null : toSeconds(Math.round(total / repairs.length)),
  }
}
