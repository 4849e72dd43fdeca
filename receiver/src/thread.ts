import { setPriority } from 'node:os'
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

/** For the thread itself: whoever waits for a commit or a single event goes first. `nice` is Linux's: 19 yields most. */
export function yieldToOthers(nice = 10): void {
  // Linux counts priorities by thread, and 0 is the caller; elsewhere this would slow the whole process.
  if (process.platform === 'linux') setPriority(0, nice)
}
