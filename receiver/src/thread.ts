import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'

export interface ThreadOptions {
  workerData: unknown
  /** Of its heap, MiB: a thread that needs more ends with ERR_WORKER_OUT_OF_MEMORY. */
  maxHeapMb: number
}

/** A thread with a heap of its own size, whatever that of the process is. */
export function startThread(file: URL, { workerData, maxHeapMb }: ThreadOptions): Worker {
  // The size that the process was started with would count for its threads, too; its own heap keeps it.
  setFlagsFromString('--max-old-space-size=0')
  return new Worker(file, { workerData, resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } })
}
