import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { EventError } from './event/error.ts'
import type { Exporter, Outcome } from './exporter.ts'
import type { Queue } from './queue.ts'
import { noTimeoutMs } from './setting.ts'
import { estimateBytes } from './size.ts'
import type { Tally } from './tally.ts'

export interface SenderOptions {
  queue: Queue
  exporter: Exporter
  tally: Tally
  scheduleDelayMs: number
  maxBatchEvents: number
  flushTimeoutMs: number
}

export interface FlushOptions {
  /** Give up once nothing has been delivered for so long; the client's `flushTimeoutMs` if left out. */
  timeoutMs?: number
}

/**
 * Takes records and sends them in batches, one request at a time, oldest first.
 *
 *     send ─▶ queue ─▶ request ─▶ delivered   out of the queue: exported, or rejected one by one
 *               ▲         ├─────▶ refused     out of the queue: dropped; too large together: halved, again
 *               └─────────┴─────▶ retry       all stay; next try after a backoff, or when Retry-After says
 *
 * Promises (each has a test of the same name):
 *  1. A record leaves the queue only once it is delivered or refused for good.
 *  2. flush() resolves after everything taken before was delivered, and rejects when some of it was not.
 *  3. Trouble that may pass costs no record while the queue has room.
 *  4. What is lost is counted with its reason, and told once until things are well again.
 *  5. The endpoint never has two requests of ours at a time.
 */
export interface Sender {
  send(record: ReadableLogRecord): void
  /** Rejects with EVT_UNREACHABLE (the rest is still queued) or EVT_REFUSED (some was lost since the last flush). */
  flush(options?: FlushOptions): Promise<void>
  /** Flushes, then takes nothing more; what could not be delivered by then is lost, and counted. */
  close(options?: FlushOptions): Promise<void>
}

// OTLP asks for requests of at most 64 MiB; a small one costs less to repeat.
const maxRequestBytes = 8 * 1024 * 1024
const maxRecordBytes = 60 * 1024 * 1024
const firstBackoffMs = 1000
const maxBackoffMs = 30_000

interface Waiter {
  /** The number of the last record that it waits for. */
  until: number
  timeoutMs: number
  timer: NodeJS.Timeout
  settle: (error?: EventError) => void
}

export function createSender(options: SenderOptions): Sender {
  const { queue, exporter, tally, scheduleDelayMs } = options
  const { stats } = tally
  let batchEvents = options.maxBatchEvents
  let taken = 0 // records ever put into the queue
  let settled = 0 // of these, delivered or refused; the queue holds the rest
  let due = 0 // these must go even in a batch that is not full
  let failures = 0
  let lastError: Error | undefined
  let tryAtMs = 0 // not sooner by ourselves
  let holdUntilMs = 0 // not sooner even for a flush: the endpoint asked for it
  let lost = 0
  let toldLost = 0
  let waiters: Waiter[] = []
  let running = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let closing: Promise<void> | undefined

  function send(record: ReadableLogRecord): void {
    const bytes = estimateBytes(record)
    if (closing) tally.drop('closed', 1, 'the client is closed')
    else if (bytes > maxRecordBytes) lose('too_large', 1, `one of ${bytes} bytes fits no request`)
    else if (queue.push({ record, bytes })) take()
    else lose('queue_full', 1, `${queue.count} wait already (${queue.bytes} bytes)`)
  }

  function take(): void {
    stats.waiting++
    taken++
    // While the endpoint is in trouble the timer decides, or each event would be a request.
    if (queue.count >= batchEvents && failures === 0) void run()
    else schedule()
  }

  function schedule(): void {
    if (timer !== undefined || running || queue.count === 0) return
    arm(failures > 0 ? tryAtMs - performance.now() : scheduleDelayMs)
  }

  function arm(delayMs: number): void {
    timer = setTimeout(
      () => {
        due = taken
        void run()
      },
      Math.min(Math.max(delayMs, 0), noTimeoutMs),
    )
    timer.unref() // a program that has come to its end is not held up: exit.ts flushes
  }

  async function run(): Promise<void> {
    if (running) return
    clearTimeout(timer)
    timer = undefined
    running = true
    try {
      while (!stopped && (queue.count >= batchEvents || settled < due)) {
        const batch = queue.batch(batchEvents, maxRequestBytes)
        const outcome = await exporter.send(batch.map((waiting) => waiting.record))
        if (stopped) break // these were counted as lost meanwhile
        if (outcome.kind === 'retry') {
          backOff(outcome)
          break
        }
        settle(batch.length, outcome)
      }
    } finally {
      running = false
    }
    if (!stopped) schedule()
  }

  function settle(count: number, outcome: Exclude<Outcome, { kind: 'retry' }>): void {
    if (outcome.kind === 'refused' && outcome.divisible && count > 1) {
      batchEvents = Math.ceil(count / 2)
      return
    }
    queue.remove(count)
    stats.waiting -= count
    settled += count
    if (outcome.kind === 'refused') lose('refused', count, outcome.error.message)
    else deliver(count, outcome)
    failures = 0
    holdUntilMs = 0
    tally.clear('unreachable', 'the receiver answers again')
    if (queue.count === 0)
      tally.clear('drop queue_full', `${stats.droppedBy.queue_full} events were dropped so far`)
    for (const waiter of waiters) {
      if (waiter.until <= settled) finish(waiter)
      else waiter.timer.refresh()
    }
  }

  function deliver(count: number, outcome: Extract<Outcome, { kind: 'delivered' }>): void {
    const rejected = Math.min(outcome.rejected, count)
    stats.exported += count - rejected
    stats.rejected += rejected
    lost += rejected
    if (rejected > 0) tally.tell('rejected', `the receiver refused ${rejected} events: ${outcome.message}`)
    else if (outcome.message)
      tally.tell(`warning ${outcome.message}`, `the receiver says: ${outcome.message}`)
    else tally.clear('rejected')
    tally.clear('drop refused')
    batchEvents = Math.min(options.maxBatchEvents, batchEvents * 2)
  }

  function backOff(outcome: Extract<Outcome, { kind: 'retry' }>): void {
    failures++
    lastError = outcome.error
    tally.tell('unreachable', `cannot deliver, ${queue.count} events wait: ${outcome.error.message}`)
    const nowMs = performance.now()
    const retryAfterMs = Math.max(outcome.retryAfterMs ?? 0, 0)
    const backoffMs =
      Math.min(firstBackoffMs * 2 ** (failures - 1), maxBackoffMs) * (0.8 + 0.4 * Math.random())
    holdUntilMs = nowMs + retryAfterMs
    tryAtMs = nowMs + Math.max(backoffMs, retryAfterMs)
    for (const waiter of waiters) if (retryAfterMs > waiter.timeoutMs) giveUp(waiter)
  }

  function lose(reason: 'too_large' | 'queue_full' | 'refused', count: number, why: string): void {
    lost += count
    tally.drop(reason, count, why)
  }

  function finish(waiter: Waiter): void {
    const missing = lost - toldLost
    toldLost = lost
    if (missing === 0) waiter.settle()
    else {
      const text = `${missing} events were not delivered; events.stats says why`
      waiter.settle(new EventError('EVT_REFUSED', text))
    }
  }

  function giveUp(waiter: Waiter): void {
    const count = waiter.until - settled
    const why = lastError && failures > 0 ? lastError.message : `no answer for ${waiter.timeoutMs} ms`
    const text = `${count} events are not delivered yet: ${why}`
    waiter.settle(new EventError('EVT_UNREACHABLE', text, { cause: lastError }))
  }

  function flush({ timeoutMs = options.flushTimeoutMs }: FlushOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        until: taken,
        timeoutMs,
        // Not unref'd: it keeps a program alive that waits for nothing else.
        timer: setTimeout(() => giveUp(waiter), Math.min(timeoutMs, noTimeoutMs)),
        settle(error) {
          clearTimeout(waiter.timer)
          waiters = waiters.filter((other) => other !== waiter)
          if (error) reject(error)
          else resolve()
        },
      }
      if (settled >= taken) return finish(waiter)
      waiters.push(waiter)
      due = taken
      const holdMs = holdUntilMs - performance.now()
      if (holdMs > timeoutMs) return giveUp(waiter)
      if (running) return
      clearTimeout(timer)
      if (holdMs > 0) arm(holdMs)
      else void run()
    })
  }

  async function shutDown(flushed: Promise<void>): Promise<void> {
    try {
      await flushed
    } finally {
      stopped = true
      clearTimeout(timer)
      const count = queue.count
      if (count > 0) {
        queue.remove(count)
        stats.waiting -= count
        tally.drop('closed', count, 'the client was closed before they could be delivered')
      }
      const ended = exporter.close()
      // With a request under way it takes its time, and has nothing to tell any more.
      if (running) ended.catch(() => {})
      else await ended
    }
  }

  return {
    send,
    flush: (flushOptions) => closing ?? flush(flushOptions),
    close: (flushOptions) => (closing ??= shutDown(flush(flushOptions))),
  }
}
