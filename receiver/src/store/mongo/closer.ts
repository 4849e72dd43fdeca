import { createThrottle, type Log } from '../../log.ts'
import type { Journal } from './journal.ts'
import { type Closing, closeEntries } from './protocol.ts'

/** Numbers the entries of this process, in the background and in the order in which their writes ended. */
export interface Closer {
  close(closing: Closing): void
  /** Whether this process numbered the entry before that time by `performance.now()`; of the last 20,000 or so. */
  hasClosed(entry: string, beforeMs: number): boolean
  /** Settles when what was closed before has its number, or cannot have it now. */
  flush(): Promise<void>
}

const gatherMs = 5
const retryMs = 500
// More than that a repair finds as well.
const maxWaiting = 10_000
const atOnce = 1000
const maxRemembered = 10_000

export function createCloser(journal: Journal, log: Log): Closer {
  const throttle = createThrottle()
  let waiting: Closing[] = []
  let last: number | undefined
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  /** Entry → when it had its number. */
  let young = new Map<string, number>()
  let old = new Map<string, number>()

  function remember(closings: readonly Closing[]): void {
    if (young.size >= maxRemembered) {
      old = young
      young = new Map()
    }
    const nowMs = performance.now()
    for (const { entry } of closings) young.set(entry.id, nowMs)
  }

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const closings = waiting.slice(0, atOnce)
      waiting = waiting.slice(atOnce)
      try {
        last = await journal.run(closeEntries(closings, last))
        remember(closings)
      } catch (error) {
        last = undefined
        waiting = [...closings, ...waiting].slice(0, maxWaiting)
        throttle('close', () =>
          log.warn({ reason: (error as Error).message }, 'commits wait for their place in the order'),
        )
        schedule(retryMs)
        return
      }
    }
  }

  function start(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    running ??= run().finally(() => {
      running = undefined
    })
    return running
  }

  function schedule(delayMs: number): void {
    timer ??= setTimeout(start, delayMs)
    timer.unref()
  }

  return {
    hasClosed: (entry, beforeMs) => (young.get(entry) ?? old.get(entry) ?? beforeMs) < beforeMs,
    close(closing) {
      if (waiting.length < maxWaiting) waiting.push(closing)
      if (!running) schedule(gatherMs)
    },
    async flush() {
      await running
      if (waiting.length > 0) await start()
    },
  }
}
