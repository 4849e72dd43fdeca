import { EventError } from '@madsci-events/sdk/event'
import { workerUrl } from '../store/worker-url.ts'
import { createCaller } from '../thread-call.ts'
import type { ReportHead, ReportRequest, UtilizationWorkerData } from './engine.ts'

export interface UtilizationAnswer extends ReportHead {
  /** Throws what went wrong on the way. Leaving the loop early ends the report. */
  pieces: AsyncIterable<string>
}

/** The reports of a receiver. */
export interface Utilization {
  /**
   * Throws what the engine throws before its first piece, and EVT_STORE_UNAVAILABLE when nothing came within the time limit
   * and a second: what is read for it meanwhile stays, so that a retry goes on from there.
   */
  ask(request: ReportRequest): Promise<UtilizationAnswer>
  close(): Promise<void>
}

// To start the thread takes longer than many a report: it is there before somebody asks, and what starts and ends at once
// starts none.
const startDelayMs = 1000
// A report that only computes ends itself at its time limit, and says so.
const graceMs = 1000
const late =
  'The report is not ready yet: stored events are being read, or other reports computed. Ask again later'
const lateRetrySeconds = 10

/**
 * Reports in a thread of their own, which starts soon after the receiver, or with the first report, and again should it die.
 * `settle` waits until what was acknowledged can be read there.
 */
export function createUtilization(
  data: UtilizationWorkerData,
  settle: () => Promise<unknown> = async () => {},
): Utilization {
  const thread = createCaller<ReportRequest, ReportHead, string>({
    file: workerUrl('../utilization/worker'),
    workerData: data,
    maxHeapMb: 512,
    toError: (cause) => new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause }),
  })
  let isClosed = false
  const early = setTimeout(thread.start, startDelayMs).unref()

  return {
    async ask(request) {
      if (isClosed) throw new EventError('EVT_CLOSING')
      await settle()
      const { answer, pieces } = await thread.stream(request, {
        timeoutMs: data.timeoutMs > 0 ? data.timeoutMs + graceMs : 0,
        late: () => new EventError('EVT_STORE_UNAVAILABLE', late, { retryAfterSeconds: lateRetrySeconds }),
      })
      return { ...answer, pieces }
    },
    async close() {
      isClosed = true
      clearTimeout(early)
      await thread.close()
    },
  }
}
