import { Worker } from 'node:worker_threads'
import { type Event, EventError } from '@madsci-events/sdk/event'
import type { WriteOutcome } from '../event-store.ts'
import { workerUrl } from '../worker-url.ts'
import type { Synchronous } from './connection.ts'
import type { KeepResult, KeepTask } from './keep.ts'
import { addRow, createRows, type Rows } from './row.ts'
import type { FromWriter, ToWriter, WriteWorkerData } from './write-worker.ts'

export interface Writer {
  write(events: readonly Event[]): Promise<WriteOutcome[]>
  keep(task: KeepTask): Promise<KeepResult>
  /** An empty commit: throws EVT_STORE_UNAVAILABLE when no other would succeed. */
  probe(): Promise<void>
  /** Why the last commit failed; undefined after one that did not. */
  readonly trouble: string | undefined
  /** Ends the thread after the writes under way. */
  close(): Promise<void>
}

type Done = Exclude<FromWriter, { failed: string }>

interface Waiting {
  resolve: (done: Done) => void
  reject: (error: EventError) => void
}

/** Writes in a thread of their own, which starts again with the next write should it die. */
export function createWriter(options: { path: string; synchronous: Synchronous }): Writer {
  const waiting = new Map<number, Waiting>()
  let worker: Worker | undefined
  let lastWrite = 0
  let trouble: string | undefined
  let isClosed = false
  let wakeClose = () => {}

  function start(): Worker {
    const data: WriteWorkerData = options
    const started = new Worker(workerUrl('./sqlite/write-worker'), { workerData: data })
    started.unref()
    started.on('message', (message: FromWriter) => {
      const call = waiting.get(message.write)
      waiting.delete(message.write)
      if ('failed' in message) {
        trouble = message.failed
        call?.reject(new EventError('EVT_STORE_UNAVAILABLE', message.failed))
      } else {
        trouble = undefined
        call?.resolve(message)
      }
      if (waiting.size === 0) wakeClose()
    })
    const stop = (cause?: unknown) => {
      if (worker !== started) return
      worker = undefined
      trouble = 'the thread that writes has died'
      for (const call of waiting.values())
        call.reject(new EventError('EVT_STORE_UNAVAILABLE', trouble, { cause }))
      waiting.clear()
      wakeClose()
    }
    started.on('error', stop)
    started.on('exit', () => stop())
    return started
  }

  function send(work: { rows: Rows } | { task: KeepTask }): Promise<Done> {
    if (isClosed) return Promise.reject(new EventError('EVT_CLOSING'))
    worker ??= start()
    const sending = worker
    const write = ++lastWrite
    return new Promise((resolve, reject) => {
      waiting.set(write, { resolve, reject })
      const message: ToWriter = { write, ...work }
      sending.postMessage(message)
    })
  }

  return {
    async write(events) {
      const rows = createRows()
      const outcomes: WriteOutcome[] = new Array(events.length)
      for (let i = 0; i < events.length; i++) {
        const refused = addRow(rows, events[i]!)
        if (refused !== undefined) outcomes[i] = { refused }
      }
      const done = await send({ rows })
      const isStored = 'isStored' in done ? done.isStored : []
      let row = 0
      for (let i = 0; i < events.length; i++) outcomes[i] ??= isStored[row++] === 1 ? 'stored' : 'duplicate'
      return outcomes
    },
    async probe() {
      await send({ rows: createRows() })
    },
    async keep(task) {
      const done = await send({ task })
      return 'kept' in done ? done.kept : { changed: 0, next: undefined }
    },
    get trouble() {
      return trouble
    },
    async close() {
      isClosed = true
      if (waiting.size > 0)
        await new Promise<void>((resolve) => {
          wakeClose = resolve
        })
      const closing = worker
      worker = undefined
      await closing?.terminate()
    },
  }
}
