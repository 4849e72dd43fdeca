import type { Log } from '../../log.ts'
import { startThread } from '../../thread.ts'
import { workerUrl } from '../worker-url.ts'
import type { PostingTask } from './posting-task.ts'
import type { PostingWorkerData } from './posting-worker.ts'

export interface Indexer {
  close(): Promise<void>
}

/**
 * Follows the commits with the index of ids. Without it, as after an upgrade until it has caught up, the same questions walk along
 * the time.
 */
export function startIndexer(
  path: string,
  { write, log }: { write(task: PostingTask): Promise<unknown>; log: Log },
): Indexer {
  const data: PostingWorkerData = { path }
  const worker = startThread(workerUrl('./sqlite/posting-worker'), { workerData: data, maxHeapMb: 256 })
  worker.unref()
  let isClosed = false
  worker.on('message', (message: PostingTask | { state: string; events: number }) => {
    if ('state' in message) log.info({ events: message.events }, `the index of ids ${message.state}`)
    else
      void write(message).then(
        () => worker.postMessage('stored'),
        () => worker.postMessage('failed'),
      )
  })
  worker.on('error', ({ message }: Error) => {
    if (!isClosed)
      log.warn({ reason: message }, 'the index of ids has stopped: questions by id read all events')
  })
  return {
    async close() {
      isClosed = true
      await worker.terminate()
    },
  }
}
