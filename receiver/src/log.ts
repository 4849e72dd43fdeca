/** The receiver's own log, as pino writes it: fields first, then one sentence. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** A log for those who want none. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} }

/** Calls `write` at most once in the interval for each topic; `suppressed` says how many calls were left out since. */
export type Throttle = (topic: string, write: (suppressed: number) => void) => void

/** One line each interval for trouble that comes with every request: a full disk must not fill it with log lines. */
export function createThrottle(intervalMs = 10_000, now: () => number = Date.now): Throttle {
  const topics = new Map<string, { lastMs: number; suppressed: number }>()
  return (topic, write) => {
    const nowMs = now()
    const last = topics.get(topic)
    if (last && nowMs - last.lastMs < intervalMs) {
      last.suppressed++
      return
    }
    // Topics may hold text of the outside: their number is bounded.
    if (!last && topics.size >= 1000) topics.clear()
    topics.set(topic, { lastMs: nowMs, suppressed: 0 })
    write(last?.suppressed ?? 0)
  }
}
