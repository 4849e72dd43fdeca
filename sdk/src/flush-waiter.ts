import type { EventError } from './event/error.ts'
import { noTimeoutMs } from './setting-source.ts'

/** Up to where a flush waits. */
export interface FlushTarget {
  /** The number of the last record that it waits for. */
  until: number
  /** And of the last that was found of what others left behind. */
  untilFound: number
}

/** Flushes under way, each with a time limit that begins anew whenever something is delivered. */
export interface FlushWaiters {
  add(target: FlushTarget, timeoutMs: number): Promise<void>
  /** Something moved: those that have what they wait for end, with this error if there is one. */
  release(isReached: (target: FlushTarget) => boolean, finish: () => EventError | undefined): void
  /** Those that would have to wait longer than their time limit end at once. */
  giveUp(waitMs: number): void
}

interface Waiter extends FlushTarget {
  timeoutMs: number
  timer: NodeJS.Timeout
  settle: (error?: EventError) => void
}

export function createFlushWaiters(toTimeout: (timeoutMs: number) => EventError): FlushWaiters {
  const waiters = new Set<Waiter>()
  return {
    add(target, timeoutMs) {
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          ...target,
          timeoutMs,
          // Not unref'd: it keeps a program alive that waits for nothing else.
          timer: setTimeout(() => waiter.settle(toTimeout(timeoutMs)), Math.min(timeoutMs, noTimeoutMs)),
          settle(error) {
            clearTimeout(waiter.timer)
            waiters.delete(waiter)
            if (error) reject(error)
            else resolve()
          },
        }
        waiters.add(waiter)
      })
    },
    release(isReached, finish) {
      for (const waiter of [...waiters]) {
        if (isReached(waiter)) waiter.settle(finish())
        else waiter.timer.refresh()
      }
    },
    giveUp(waitMs) {
      for (const waiter of [...waiters])
        if (waitMs > waiter.timeoutMs) waiter.settle(toTimeout(waiter.timeoutMs))
    },
  }
}
