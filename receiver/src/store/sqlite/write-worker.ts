import { parentPort, workerData } from 'node:worker_threads'
import type { AlertTask } from './alert-task.ts'
import { type CommitterOptions, createCommitter } from './commit.ts'
import type { KeepResult, KeepTask } from './keep.ts'
import type { Rows } from './row.ts'

/** The thread that writes what takes long: a commit waits for the disk, and nothing else should wait with it. */
export type WriteWorkerData = CommitterOptions

export type ToWriter =
  | { write: number; rows: Rows }
  | { write: number; task: KeepTask }
  | { write: number; alert: AlertTask }

/** `isStored` as of Committer; `tookMs` is what the commit took, without the way to this thread and back. */
export type FromWriter =
  | { write: number; isStored: Uint8Array; tookMs: number }
  | { write: number; kept: KeepResult }
  | { write: number; answer: unknown }
  | { write: number; failed: string }

const port = parentPort!
const committer = createCommitter(workerData as WriteWorkerData)

port.on('message', (message: ToWriter) => {
  const { write } = message
  let reply: FromWriter
  try {
    const startedMs = performance.now()
    if ('rows' in message)
      reply = { write, isStored: committer.store(message.rows), tookMs: performance.now() - startedMs }
    else if ('alert' in message) reply = { write, answer: committer.alert(message.alert) }
    else reply = { write, kept: committer.keep(message.task) }
  } catch (error) {
    reply = { write, failed: (error as Error).message }
  }
  port.postMessage(reply)
})
