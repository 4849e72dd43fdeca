import { setPriority } from 'node:os'
import { Worker, type WorkerOptions } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import type { StoredEvent } from './event-store.ts'
import { type PackedEvents, unpackEvents } from './packed-event.ts'

/** What a thread of queries takes. */
export type ToQueryThread<Command> =
  | { kind: 'find'; query: number; command: Command }
  | { kind: 'more'; query: number }
  | { kind: 'cancel'; query: number }

/** What it says. `rest` is the command for what comes after the chunk, from threads whose queries can be resumed. */
export type FromQueryThread<Command> =
  | { kind: 'chunk'; query: number; events: PackedEvents; rest?: Command }
  | { kind: 'end'; query: number }
  | { kind: 'failed'; query: number; message: string; code: number | undefined }

/** Chunks that a thread sends before its reader asks for more: one is read while the other is used. */
export const chunksAhead = 2
/** A chunk ends with the first of these. */
export const chunkLimit = { events: 100, characters: 256 * 1024 }

/** For the thread itself: whoever waits for a commit or a single event goes first. `nice` is Linux's: 19 yields most. */
export function yieldToOthers(nice = 10): void {
  // Linux counts priorities by thread, and 0 is the caller; elsewhere this would slow the whole process.
  if (process.platform === 'linux') setPriority(0, nice)
}

export interface QueryThreadOptions {
  file: URL
  workerData: NonNullable<WorkerOptions['workerData']>
  toError: (failure: { message: string; code: number | undefined }) => EventError
  /** Two numbers shared with the thread: the query it works on (0 = none), and the number of its turn. */
  turn?: Int32Array
}

export interface QueryThread<Command> {
  find(command: Command, timeoutMs: number): AsyncGenerator<StoredEvent[]>
  close(): Promise<void>
}

interface Reader<Command> {
  command: Command
  timeoutMs: number
  take(message: FromQueryThread<Command>): void
  fail(error: EventError): void
}

const watchIntervalMs = 250
// A turn looks at the clock itself; only one that cannot is longer than its time limit and this.
const graceMs = 1000

/**
 * Queries in a thread of their own, which starts with the first query, and again should it die. A query that keeps the
 * thread from looking at the clock (a regular expression can) ends with the thread; the others are resumed in the next.
 */
export function createQueryThread<Command>(options: QueryThreadOptions): QueryThread<Command> {
  const { file, workerData, toError, turn } = options
  const readers = new Map<number, Reader<Command>>()
  let worker: Worker | undefined
  let watch: NodeJS.Timeout | undefined
  let lastQuery = 0
  let isClosed = false

  function start(): Worker {
    const started = new Worker(file, { workerData })
    started.unref()
    started.on('message', (message: FromQueryThread<Command>) => {
      if (worker === started) readers.get(message.query)?.take(message)
    })
    const died = (cause?: unknown) =>
      stop(started, new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause }))
    started.on('error', died)
    started.on('exit', () => died())
    if (turn) watchTurns(started, turn)
    return started
  }

  function stop(stopped: Worker, error: EventError): void {
    if (worker !== stopped) return
    worker = undefined
    clearInterval(watch)
    for (const reader of readers.values()) reader.fail(error)
    readers.clear()
  }

  function watchTurns(watched: Worker, shared: Int32Array): void {
    let seen = -1
    let sinceMs = 0
    watch = setInterval(() => {
      const query = Atomics.load(shared, 0)
      const number = Atomics.load(shared, 1)
      const nowMs = performance.now()
      if (query === 0 || number !== seen) {
        seen = number
        sinceMs = nowMs
        return
      }
      const reader = readers.get(query)
      // A reader that has left gives no time at all.
      const limitMs = reader ? reader.timeoutMs : graceMs
      if (limitMs > 0 && nowMs - sinceMs > limitMs + graceMs) replace(watched, query)
    }, watchIntervalMs).unref()
  }

  function replace(hung: Worker, query: number): void {
    clearInterval(watch)
    readers.get(query)?.fail(new EventError('EVT_QUERY_TIMEOUT'))
    readers.delete(query)
    worker = undefined
    void hung.terminate()
    if (turn) Atomics.store(turn, 0, 0)
    if (readers.size === 0) return
    worker = start()
    for (const [number, { command }] of readers) post({ kind: 'find', query: number, command })
  }

  function post(message: ToQueryThread<Command>): void {
    worker?.postMessage(message)
  }

  async function* find(command: Command, timeoutMs: number): AsyncGenerator<StoredEvent[]> {
    if (isClosed) throw new EventError('EVT_CLOSING')
    worker ??= start()
    const number = ++lastQuery
    const arrived: FromQueryThread<Command>[] = []
    let error: EventError | undefined
    let wake = () => {}
    const reader: Reader<Command> = {
      command,
      timeoutMs,
      take(message) {
        if (message.kind === 'chunk' && message.rest !== undefined) reader.command = message.rest
        arrived.push(message)
        wake()
      },
      fail(cause) {
        error = cause
        wake()
      },
    }
    readers.set(number, reader)
    let isDone = false
    post({ kind: 'find', query: number, command })
    try {
      for (;;) {
        const message = arrived.shift()
        if (message?.kind === 'chunk') {
          yield unpackEvents(message.events)
          post({ kind: 'more', query: number })
        } else if (message) {
          isDone = true
          if (message.kind === 'end') return
          throw toError(message)
        } else if (error) throw error
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      readers.delete(number)
      if (!isDone) post({ kind: 'cancel', query: number })
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
