import type { Worker } from 'node:worker_threads'
import { type ErrorCode, EventError } from '@madsci-events/sdk/event'
import { startThread } from '../thread.ts'
import type {
  FromUtilizationThread,
  ReportRequest,
  ToUtilizationThread,
  UtilizationWorkerData,
} from './engine.ts'

export interface UtilizationAnswer {
  contentType: string
  fileName: string | undefined
  /** Throws what went wrong on the way. Leaving the loop early ends the report. */
  pieces: AsyncIterable<string>
}

/** The reports of a receiver. */
export interface Utilization {
  /**
   * Throws what the engine throws before its first piece, and EVT_STORE_UNAVAILABLE when nothing came within the time limit
   * and a second: what is read for it meanwhile stays, so that a retry goes on from there.
   */
  ask(request: ReportRequest): Promise<UtilizationAnswer>
  close(): Promise<void>
}

interface Call {
  arrived: FromUtilizationThread[]
  error: EventError | undefined
  wake: () => void
}

// To start the thread takes longer than many a report: it is there before somebody asks, and what starts and ends at once
// starts none.
const startDelayMs = 1000
// A report that only computes ends itself at its time limit, and says so.
const graceMs = 1000
const late =
  'The report is not ready yet: stored events are being read, or other reports computed. Ask again later'
const lateRetrySeconds = 10

/**
 * Reports in a thread of their own, which starts soon after the receiver, or with the first report, and again should it die.
 * `settle` waits until what was acknowledged can be read there.
 */
export function createUtilization(
  data: UtilizationWorkerData,
  settle: () => Promise<unknown> = async () => {},
): Utilization {
  const calls = new Map<number, Call>()
  let worker: Worker | undefined
  let lastCall = 0
  let isClosed = false
  const early = setTimeout(() => {
    worker ??= start()
  }, startDelayMs).unref()

  function start(): Worker {
    // Sources run unbuilt too, and a path in a text is not rewritten by the compiler.
    const file = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
    const started = startThread(file, { workerData: data, maxHeapMb: 512 })
    started.unref()
    started.on('message', (message: FromUtilizationThread) => {
      const call = calls.get(message.call)
      call?.arrived.push(message)
      call?.wake()
    })
    const died = (cause?: unknown) => {
      if (worker === started) stop(new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause }))
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

  async function nextOf(call: Call, timeoutMs = 0): Promise<FromUtilizationThread> {
    const timer =
      timeoutMs > 0 &&
      setTimeout(() => {
        call.error ??= new EventError('EVT_STORE_UNAVAILABLE', late, { retryAfterSeconds: lateRetrySeconds })
        call.wake()
      }, timeoutMs)
    try {
      return await arrivalOf(call)
    } finally {
      if (timer) clearTimeout(timer)
    }
  }

  async function arrivalOf(call: Call): Promise<FromUtilizationThread> {
    for (;;) {
      const message = call.arrived.shift()
      if (message) {
        if (message.kind !== 'failed') return message
        // The text of what nobody foresaw is for our log.
        if (message.code === 'EVT_INTERNAL')
          throw new EventError('EVT_INTERNAL', undefined, { cause: new Error(message.message) })
        throw new EventError(message.code as ErrorCode, message.message, { detail: message.detail })
      }
      if (call.error) throw call.error
      await new Promise<void>((resolve) => {
        call.wake = resolve
      })
    }
  }

  const post = (message: ToUtilizationThread) => worker?.postMessage(message)

  async function ask(request: ReportRequest): Promise<UtilizationAnswer> {
    if (isClosed) throw new EventError('EVT_CLOSING')
    await settle()
    if (isClosed) throw new EventError('EVT_CLOSING')
    worker ??= start()
    const number = ++lastCall
    const call: Call = { arrived: [], error: undefined, wake: () => {} }
    calls.set(number, call)
    post({ kind: 'ask', call: number, request })
    async function* pieces(): AsyncGenerator<string> {
      let isDone = false
      try {
        for (;;) {
          const message = await nextOf(call)
          if (message.kind === 'end') {
            isDone = true
            return
          }
          if (message.kind !== 'piece') continue
          yield message.text
          post({ kind: 'more', call: number })
        }
      } finally {
        calls.delete(number)
        if (!isDone) post({ kind: 'cancel', call: number })
      }
    }
    try {
      const head = await nextOf(call, data.timeoutMs > 0 ? data.timeoutMs + graceMs : 0)
      if (head.kind !== 'head') throw new Error('BUG: a report began without its head')
      return { contentType: head.contentType, fileName: head.fileName, pieces: pieces() }
    } catch (error) {
      calls.delete(number)
      post({ kind: 'cancel', call: number })
      throw error
    }
  }

  return {
    ask,
    async close() {
      isClosed = true
      clearTimeout(early)
      const closing = worker
      stop(new EventError('EVT_CLOSING'))
      await closing?.terminate()
    },
  }
}
