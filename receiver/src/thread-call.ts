import { parentPort, type Worker } from 'node:worker_threads'
import { type ErrorCode, EventError } from '@madsci-events/sdk/event'
import { startThread, type ThreadOptions } from './thread.ts'

/** What a thread answers: one value, and perhaps pieces behind it. */
export interface Served<Answer, Piece> {
  answer: Answer
  pieces?: Iterable<Piece> | AsyncIterable<Piece> | undefined
}

export interface Streamed<Answer, Piece> {
  answer: Answer
  /** Throws what went wrong on the way. Leaving the loop early ends the pieces. */
  pieces: AsyncIterable<Piece>
}

export interface CallerOptions extends ThreadOptions {
  file: URL
  /** What calls under way are rejected with when the thread has died. */
  toError: (cause: unknown) => EventError
  /** What the thread says unasked, by `tellCaller`. */
  onNotice?: (notice: unknown) => void
}

export interface Caller<Request, Answer, Piece> {
  /** Starts the thread ahead of its first call. */
  start(): void
  /** Throws what the thread threw (what is no EventError as EVT_INTERNAL, with its stack as the cause), and EVT_CLOSING. */
  call(request: Request): Promise<Answer>
  /** The same with pieces behind the answer. Throws `late` when the answer has not come within its time; 0 = no limit. */
  stream(
    request: Request,
    limit: { timeoutMs: number; late: () => EventError },
  ): Promise<Streamed<Answer, Piece>>
  /** Ends the thread at once, and what is under way with EVT_CLOSING. */
  close(): Promise<void>
}

type ToThread<Request> =
  | { kind: 'call'; call: number; request: Request }
  | { kind: 'more'; call: number }
  | { kind: 'cancel'; call: number }

type FromThread<Answer, Piece> =
  | { kind: 'answer'; call: number; answer: Answer }
  | { kind: 'piece'; call: number; piece: Piece }
  | { kind: 'end'; call: number }
  | { kind: 'failed'; call: number; code: ErrorCode; message: string; detail: unknown }

interface Notice {
  kind: 'notice'
  notice: unknown
}

interface Call<Answer, Piece> {
  arrived: FromThread<Answer, Piece>[]
  error: EventError | undefined
  wake: () => void
}

const piecesAhead = 2

/**
 * The one way to call a thread, and to stream from it:
 *
 *     caller ──call──▶ thread            caller ──call──▶ thread
 *            ◀─answer─                          ◀─answer─
 *                                               ◀─piece──   two ahead of their reader
 *                                               ──more──▶
 *                                               ◀──end───
 *
 * The thread starts with its first call, and again with the next one should it die. It does not keep the process.
 */
export function createCaller<Request, Answer, Piece = never>({
  file,
  toError,
  onNotice = () => {},
  ...options
}: CallerOptions): Caller<Request, Answer, Piece> {
  const calls = new Map<number, Call<Answer, Piece>>()
  let worker: Worker | undefined
  let last = 0
  let isClosed = false

  function startWorker(): Worker {
    const started = startThread(file, options)
    started.unref()
    started.on('message', (message: FromThread<Answer, Piece> | Notice) => {
      if (message.kind === 'notice') return onNotice(message.notice)
      const call = calls.get(message.call)
      call?.arrived.push(message)
      call?.wake()
    })
    const died = (cause?: unknown) => {
      if (worker === started) stop(toError(cause))
    }
    started.on('error', died)
    started.on('exit', () => died())
    return started
  }

  function stop(error: EventError): void {
    worker = undefined
    for (const call of calls.values()) {
      call.error = error
      call.wake()
    }
  }

  async function nextOf(call: Call<Answer, Piece>): Promise<FromThread<Answer, Piece>> {
    for (;;) {
      const message = call.arrived.shift()
      if (message) {
        if (message.kind !== 'failed') return message
        const { code, message: text, detail } = message
        // The text of what nobody foresaw is for our log.
        if (code === 'EVT_INTERNAL') throw new EventError(code, undefined, { cause: new Error(text) })
        throw new EventError(code, text, { detail })
      }
      if (call.error) throw call.error
      await new Promise<void>((resolve) => {
        call.wake = resolve
      })
    }
  }

  const post = (message: ToThread<Request>) => worker?.postMessage(message)

  function begin(request: Request) {
    if (isClosed) throw new EventError('EVT_CLOSING')
    worker ??= startWorker()
    const number = ++last
    const call: Call<Answer, Piece> = { arrived: [], error: undefined, wake: () => {} }
    calls.set(number, call)
    post({ kind: 'call', call: number, request })
    return { number, call }
  }

  async function answerOf(call: Call<Answer, Piece>): Promise<Answer> {
    const message = await nextOf(call)
    if (message.kind !== 'answer') throw new Error('BUG: a piece came ahead of its answer')
    return message.answer
  }

  async function* piecesOf(number: number, call: Call<Answer, Piece>): AsyncGenerator<Piece> {
    let isDone = false
    try {
      for (;;) {
        const message = await nextOf(call)
        if (message.kind === 'end') {
          isDone = true
          return
        }
        if (message.kind !== 'piece') continue
        yield message.piece
        post({ kind: 'more', call: number })
      }
    } finally {
      calls.delete(number)
      if (!isDone) post({ kind: 'cancel', call: number })
    }
  }

  return {
    start() {
      if (!isClosed) worker ??= startWorker()
    },
    async call(request) {
      const { number, call } = begin(request)
      try {
        return await answerOf(call)
      } finally {
        calls.delete(number)
      }
    },
    async stream(request, { timeoutMs, late }) {
      const { number, call } = begin(request)
      const timer =
        timeoutMs > 0 &&
        setTimeout(() => {
          if (call.arrived.length === 0) call.error ??= late()
          call.wake()
        }, timeoutMs)
      try {
        return { answer: await answerOf(call), pieces: piecesOf(number, call) }
      } catch (error) {
        calls.delete(number)
        post({ kind: 'cancel', call: number })
        throw error
      } finally {
        if (timer) clearTimeout(timer)
      }
    },
    async close() {
      isClosed = true
      const closing = worker
      stop(new EventError('EVT_CLOSING'))
      await closing?.terminate()
    },
  }
}

/** For the thread itself. */
export function tellCaller(notice: unknown): void {
  parentPort!.postMessage({ kind: 'notice', notice } satisfies Notice)
}

/** For the thread itself: answers what a `createCaller` asks. Calls run beside each other where `serve` waits. */
export function answerCalls<Request, Answer, Piece = never>(
  serve: (request: Request) => Served<Answer, Piece> | Promise<Served<Answer, Piece>>,
): void {
  const port = parentPort!
  const open = new Map<number, { credit: number; isCancelled: boolean; wake: () => void }>()
  const post = (message: FromThread<Answer, Piece>) => port.postMessage(message)

  port.on('message', (message: ToThread<Request>) => {
    if (message.kind === 'call') return void run(message.call, message.request)
    const state = open.get(message.call)
    if (!state) return
    if (message.kind === 'more') state.credit++
    else state.isCancelled = true
    state.wake()
  })

  async function run(call: number, request: Request): Promise<void> {
    const state = { credit: piecesAhead, isCancelled: false, wake: () => {} }
    open.set(call, state)
    try {
      const { answer, pieces } = await serve(request)
      if (state.isCancelled) return
      post({ kind: 'answer', call, answer })
      if (!pieces) return
      for await (const piece of pieces) {
        while (state.credit <= 0 && !state.isCancelled)
          await new Promise<void>((resolve) => {
            state.wake = resolve
          })
        if (state.isCancelled) return
        state.credit--
        post({ kind: 'piece', call, piece })
      }
      post({ kind: 'end', call })
    } catch (error) {
      const { code, message, detail } =
        error instanceof EventError
          ? error
          : new EventError('EVT_INTERNAL', (error as Error).stack ?? String(error))
      post({ kind: 'failed', call, code, message, detail: code === 'EVT_INTERNAL' ? undefined : detail })
    } finally {
      open.delete(call)
    }
  }
}
