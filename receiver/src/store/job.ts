import type { WorkerOptions } from 'node:worker_threads'
import { startThread } from '../thread.ts'

/** Runs a thread that does one thing and posts its result, or `{failed}`. The signal ends it, and rejects. */
export function runJob<Result>(
  file: URL,
  workerData: NonNullable<WorkerOptions['workerData']>,
  signal?: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const worker = startThread(file, { workerData, maxHeapMb: 256 })
    signal?.addEventListener('abort', () => void worker.terminate(), { once: true })
    worker.once('message', (message: Result | { failed: string }) => {
      if (typeof message === 'object' && message !== null && 'failed' in message)
        reject(new Error(message.failed))
      else resolve(message)
    })
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('the thread ended without a result')))
  })
}
