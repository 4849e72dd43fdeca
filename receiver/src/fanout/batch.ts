import { EventError } from '@madsci-events/sdk/event'
import type { ScanSource } from '../store/event-scan.ts'
import { workerUrl } from '../store/worker-url.ts'
import { createCaller } from '../thread-call.ts'
import type { SpanName } from '../trace.ts'
import type { Destination } from './destination.ts'

export interface BatchThreadData {
  source: ScanSource
  destinations: readonly Destination[]
  /** `service.name` of events that came without a resource. */
  serviceName: string
}

export interface BatchRequest {
  /** Of the destination. */
  index: number
  cursor: string
  limit: number
}

/** One request, ready to be sent. */
export interface Batch {
  /** Compressed, when the destination wants that; empty when no event was selected. */
  body: Uint8Array
  eventCount: number
  /** Of the first event, '' when there is none. */
  firstId: string
  /** Events between the two cursors, selected or not. */
  readCount: number
  /** Behind these events. */
  cursor: string
  hasMore: boolean
  expiredCommits: number
  /** Ids of canaries between the two cursors, selected or not. */
  canaries: string[]
  /** In which its events were emitted, each once; some when there are many. */
  spans: SpanName[]
}

export interface BatchThread {
  /** Throws EVT_STORE_UNAVAILABLE, and EVT_INVALID for a cursor that is none. */
  make(index: number, cursor: string, limit: number): Promise<Batch>
  close(): Promise<void>
}

export function createBatchThread(workerData: BatchThreadData): BatchThread {
  const thread = createCaller<BatchRequest, Batch>({
    file: workerUrl('../fanout/batch-worker'),
    workerData,
    maxHeapMb: 256,
    toError: (cause) =>
      new EventError('EVT_STORE_UNAVAILABLE', 'the thread of the fan-out has died', { cause }),
  })
  return {
    make: (index, cursor, limit) => thread.call({ index, cursor, limit }),
    close: thread.close,
  }
}
