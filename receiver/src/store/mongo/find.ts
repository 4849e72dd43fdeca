import { Worker } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import type { FindQuery, StoredEvent } from '../event-store.ts'
import { redact, toClientOptions } from './connection.ts'
import { toFindCommand } from './filter.ts'
import type { FromWorker, ToWorker, WorkerData } from './find-worker.ts'

export interface Finder {
  find(query: FindQuery): AsyncIterable<StoredEvent[]>
  close(): Promise<void>
}

interface Reader {
  take(message: FromWorker): void
  fail(error: EventError): void
}

// Sources run unbuilt too, and a path given as text is not rewritten by the compiler.
const workerFile = import.meta.url.endsWith('.ts') ? './find-worker.ts' : './find-worker.js'

/** Queries in a thread of their own, which starts with the first query, and again should it die. */
export function createFinder(options: { url: string; databaseName: string; collectionName: string }): Finder {
  const readers = new Map<number, Reader>()
  let worker: Worker | undefined
  let lastQuery = 0
  let isClosed = false

  function start(): Worker {
    const { url, databaseName, collectionName } = options
    // A heavy query may be silent for long; the driver's monitor tells when the server is gone.
    const clientOptions = toClientOptions(url, { maxPoolSize: 10, socketTimeoutMS: 0 })
    const data: WorkerData = { url, clientOptions, databaseName, collectionName }
    const started = new Worker(new URL(workerFile, import.meta.url), { workerData: data })
    started.unref()
    started.on('message', (message: FromWorker) => readers.get(message.query)?.take(message))
    started.on('error', (cause) =>
      stop(started, new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause })),
    )
    started.on('exit', () => stop(started, new EventError('EVT_STORE_UNAVAILABLE')))
    return started
  }

  function stop(stopped: Worker, error: EventError): void {
    if (worker !== stopped) return
    worker = undefined
    for (const reader of readers.values()) reader.fail(error)
    readers.clear()
  }

  async function* find(query: FindQuery): AsyncGenerator<StoredEvent[]> {
    if (isClosed) throw new EventError('EVT_CLOSING')
    const command = toFindCommand(query)
    worker ??= start()
    const serving = worker
    const number = ++lastQuery
    const send = (message: ToWorker) => serving.postMessage(message)
    const arrived: FromWorker[] = []
    let error: EventError | undefined
    let wake = () => {}
    readers.set(number, {
      take(message) {
        arrived.push(message)
        wake()
      },
      fail(cause) {
        error = cause
        wake()
      },
    })
    let isDone = false
    send({ kind: 'find', query: number, command })
    try {
      for (;;) {
        const message = arrived.shift()
        if (message?.kind === 'chunk') {
          yield message.events
          send({ kind: 'more', query: number })
        } else if (message) {
          isDone = true
          if (message.kind === 'end') return
          throw toQueryError(message)
        } else if (error) throw error
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      readers.delete(number)
      if (!isDone) send({ kind: 'cancel', query: number })
    }
  }

  return {
    find,
    async close() {
      isClosed = true
      const closing = worker
      if (!closing) return
      stop(closing, new EventError('EVT_CLOSING'))
      await closing.terminate()
    },
  }
}

const maxTimeExpired = 50
// BadValue, FailedToParse, TypeMismatch, and the codes of broken regular expressions and expressions.
const selectorFaults = new Set([2, 9, 14, 40, 168, 241, 51091, 51108])

function toQueryError({ message, code }: { message: string; code: number | undefined }): EventError {
  const text = redact(message)
  if (code === maxTimeExpired) return new EventError('EVT_QUERY_TIMEOUT')
  if (code !== undefined && selectorFaults.has(code))
    return new EventError('EVT_SELECTOR', `the database refuses the selector: ${text}`)
  return new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`)
}
