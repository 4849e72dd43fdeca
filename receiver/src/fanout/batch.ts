import type { Worker } from 'node:worker_threads'
import { type ErrorCode, EventError } from '@madsci-events/sdk/event'
import type { ScanSource } from '../store/event-scan.ts'
import { workerUrl } from '../store/worker-url.ts'
import { startThread } from '../thread.ts'
import type { SpanName } from '../trace.ts'
import type { Destination } from './destination.ts'

export interface BatchThreadData {
  source: ScanSource
  destinations: readonly Destination[]
  /** `service.name` of events that came without a resource. */
  serviceName: string
}

export interface BatchRequest {
  number: number
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

export type FromBatchThread =
  | { number: number; batch: Batch }
  | { number: number; failed: string; code: ErrorCode }

export interface BatchThread {
  /** Throws EVT_STORE_UNAVAILABLE, and EVT_INVALID for a cursor that is none. */
  make(index: number, cursor: string, limit: number): Promise<Batch>
  close(): Promise<void>
}

/** Starts with the first request, and again should it die. */
export function createBatchThread(data: BatchThreadData): BatchThread {
  const waiting = new Map<number, { resolve: (batch: Batch) => void; reject: (error: EventError) => void }>()
  let worker: Worker | undefined
  let last = 0

  function start(): Worker {
    const started = startThread(workerUrl('../fanout/batch-worker'), { workerData: data, maxHeapMb: 256 })
    started.unref()
    started.on('message', (message: FromBatchThread) => {
      const call = waiting.get(message.number)
      waiting.delete(message.number)
      if ('batch' in message) call?.resolve(message.batch)
      else call?.reject(new EventError(message.code, message.failed))
    })
    const stop = (cause?: unknown) => {
      if (worker !== started) return
      worker = undefined
      for (const { reject } of waiting.values())
        reject(new EventError('EVT_STORE_UNAVAILABLE', 'the thread of the fan-out has died', { cause }))
      waiting.clear()
    }
    started.on('error', stop)
    started.on('exit', () => stop())
    return started
  }

  return {
    make(index, cursor, limit) {
      worker ??= start()
      const thread = worker
      const number = ++last
      return new Promise((resolve, reject) => {
        waiting.set(number, { resolve, reject })
        const request: BatchRequest = { number, index, cursor, limit }
        thread.postMessage(request)
      })
    },
    async close() {
      await worker?.terminate()
    },
  }
}
