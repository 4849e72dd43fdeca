import { createThrottle, type Log } from '../../log.ts'
import type { Journal } from './journal.ts'
import { type Closing, closeEntries } from './protocol.ts'

/** Numbers the entries of this process, in the background and in the order in which their writes ended. */
export interface Closer {
  close(closing: Closing): void
  /** Settles when what was closed before has its number, or cannot have it now. */
  flush(): Promise<void>
}

const gatherMs = 5
const retryMs = 500
// More than that a repair finds as well.
const maxWaiting = 10_000
const atOnce = 1000

export function createCloser(journal: Journal, log: Log): Closer {
  const throttle = createThrottle()
  let waiting: Closing[] = []
  let last: number | undefined
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const closings = waiting.slice(0, atOnce)
      waiting = waiting.slice(atOnce)
      try {
        last = await journal.run(closeEntries(closings, last))
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
