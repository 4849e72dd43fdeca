import { EventError } from '@madsci-events/sdk/event'

export interface Pace {
  /** Bytes that have come. */
  count(bytes: number): void
  /** The body has come, or is not waited for any more. */
  end(): void
}

interface Watched {
  sinceMs: number
  bytes: number
  fail: (error: EventError) => void
}

const windowMs = 10_000
const leastBytesPerSecond = 1024
const lookEveryMs = 1000

const bodies = new Set<Watched>()
let timer: NodeJS.Timeout | undefined
let lookedMs = 0

/**
 * A body must come at 1 KiB a second at least, in each window of ten seconds: a slower one holds memory and a place in the
 * gate for nothing. `fail` is called once, with EVT_OVERLOAD.
 */
export function watchPace(fail: (error: EventError) => void): Pace {
  const watched: Watched = { sinceMs: performance.now(), bytes: 0, fail }
  bodies.add(watched)
  if (timer === undefined) {
    lookedMs = watched.sinceMs
    timer = setInterval(look, lookEveryMs).unref()
  }
  return {
    count(bytes) {
      watched.bytes += bytes
    },
    end() {
      bodies.delete(watched)
    },
  }
}

function look(): void {
  const nowMs = performance.now()
  // While this thread was held, nothing could come.
  const isLate = nowMs - lookedMs > 2 * lookEveryMs
  lookedMs = nowMs
  if (bodies.size === 0) {
    clearInterval(timer)
    timer = undefined
  }
  for (const watched of bodies) {
    const seconds = (nowMs - watched.sinceMs) / 1000
    if (!isLate && seconds * 1000 < windowMs) continue
    if (!isLate && watched.bytes < leastBytesPerSecond * seconds) {
      bodies.delete(watched)
      watched.fail(new EventError('EVT_OVERLOAD', 'The body came slower than 1 KiB a second'))
      continue
    }
    watched.sinceMs = nowMs
    watched.bytes = 0
  }
}
