import type { Worker } from 'node:worker_threads'
import type { Log } from '../../log.ts'
import { startThread } from '../../thread.ts'
import { workerUrl } from '../worker-url.ts'
import { toClientOptions } from './connection.ts'
import type { PostingWorkerData } from './posting-worker.ts'

export interface Indexer {
  close(): Promise<void>
}

export interface IndexerOptions {
  url: string
  databaseName: string
  collectionName: string
  log: Log
}

// What is opened for a moment starts no thread.
const startDelayMs = 1000

/**
 * Follows the commits with the index of ids. Without it, as after an upgrade until it has caught up, the same questions read all
 * events.
 */
export function startIndexer({ log, ...source }: IndexerOptions): Indexer {
  let worker: Worker | undefined
  let isClosed = false

  function start(): void {
    const clientOptions = toClientOptions(source.url, { maxPoolSize: 2 })
    const data: PostingWorkerData = { ...source, clientOptions }
    worker = startThread(workerUrl('./mongo/posting-worker'), { workerData: data, maxHeapMb: 256 })
    worker.unref()
    worker.on('message', ({ state, ...detail }: { state: string }) =>
      log.info(detail, `the index of ids ${state}`),
    )
    worker.on('error', ({ message }: Error) => {
      if (!isClosed)
        log.warn({ reason: message }, 'the index of ids has stopped: questions by id read all events')
    })
  }

  const timer = setTimeout(start, startDelayMs).unref()
  return {
    async close() {
      isClosed = true
      clearTimeout(timer)
      await worker?.terminate()
    },
  }
}
