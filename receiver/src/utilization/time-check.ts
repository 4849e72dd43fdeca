import { EventError } from '@madsci-events/sdk/event'

export interface TimeCheck {
  /** For loops that can be long. Throws EVT_QUERY_TIMEOUT when more than the time limit has gone since `restart`. */
  check(): void
  restart(): void
}

/** 0 = no limit. */
export function createTimeCheck(timeoutMs: number): TimeCheck {
  let untilMs = Number.POSITIVE_INFINITY
  return {
    check() {
      if (performance.now() > untilMs) throw new EventError('EVT_QUERY_TIMEOUT')
    },
    restart() {
      untilMs = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY
    },
  }
}
