import { EventError } from './event/error.ts'
import { toBackoffMs } from './event/retry.ts'
import { type Exporter, errorTypeOf, type Outcome } from './exporter.ts'
import { createFlushWaiters, type FlushTarget } from './flush-waiter.ts'
import { isolate } from './isolate.ts'
import type { Encoded } from './otlp/encode.ts'
import { type Run, sliceRuns } from './otlp/request.ts'
import { countOf } from './plural.ts'
import type { Batch, Queue } from './queue.ts'
import type { SelfMetrics } from './self-metric.ts'
import { noTimeoutMs } from './setting-source.ts'
import type { DropReason, Tally } from './tally.ts'

export interface SenderOptions {
  /** Where it goes, without secrets. */
  url: string
  queue: Queue
  exporter: Exporter
  tally: Tally
  metrics: SelfMetrics
  /** Told of records that the endpoint will never take. */
  onRefuse?: (runs: readonly Run[], why: string) => void
  scheduleDelayMs: number
  maxBatchEvents: number
  flushTimeoutMs: number
}

export interface FlushOptions {
  /** Give up once nothing has been delivered for so long; the client's `flushTimeoutMs` if left out. */
  timeoutMs?: number | undefined
}

/**
 * Takes records and sends them in batches, one request at a time, oldest first.
 *
 *     send ─▶ queue ─▶ request ─▶ delivered   out of the queue: exported, or rejected one by one
 *               ▲         ├─────▶ refused     halved, again; one alone: out of the queue, set aside, dropped
 *               └─────────┴─────▶ retry       all stay; next try after a backoff, or when Retry-After says
 *
 * An answer that may change (401, 404, 500, a page for people) is retried, too. After ten of them in a row the batch is
 * tried by halves: a record that fails alone while others pass is set aside, so that it does not block the rest.
 *
 * Promises (each has a test of the same name):
 *  1. A record leaves the queue only once it is delivered or refused for good.
 *  2. flush() resolves after everything taken before was delivered, and rejects when some of it was not.
 *  3. Trouble that may pass costs no record while the queue has room.
 *  4. What is lost is counted with its reason, and told once until things are well again.
 *  5. The endpoint never has two requests of ours at a time.
 */
export interface Sender {
  /** Whether anything waits. */
  readonly isBusy: boolean
  /** A flush of the whole time limit has just timed out, and since then nothing was emitted and nothing got through. */
  readonly hasGivenUp: boolean
  send(encoded: Encoded): boolean
  /** Rejects with EVT_UNREACHABLE (the rest is still queued) or EVT_REFUSED (some was lost since the last flush). */
  flush(options?: FlushOptions): Promise<void>
  drained(): Promise<void>
  /** Flushes, then takes nothing more; what could not be delivered by then stays in the spool, or is lost and counted. */
  close(options?: FlushOptions): Promise<void>
  /**
   * The same at once, without sending anything; returns how many events are lost by it. While the process ends
   * (`isExit`), what comes later still goes to the spool.
   */
  leave(why: string, isExit?: boolean): number
}

// OTLP asks for requests of at most 64 MiB; a small one costs less to repeat.
const maxRequestBytes = 8 * 1024 * 1024
const maxRecordBytes = 60 * 1024 * 1024
const backoff = { firstMs: 1000, jitter: 0.2 }
const maxBackoffMs = 30_000
const maxAnsweredBackoffMs = 300_000
const suspectAnswers = 10
// So many records refused one by one are no longer the fault of records: batches are refused as a whole then.
const suspectRefusals = 10

export function createSender(options: SenderOptions): Sender {
  const { queue, exporter, tally, metrics, scheduleDelayMs } = options
  const { stats } = tally
  let batchEvents = options.maxBatchEvents
  let taken = 0 // records ever put into the queue
  let settled = 0 // of these, delivered or refused; the queue holds the rest
  let due = 0 // these must go even in a batch that is not full
  let failures = 0
  let answers = 0 // of these, answers of trouble to the oldest batch
  let refusalsInRow = 0
  let lastError: Error | undefined
  let tryAtMs = 0 // not sooner by ourselves
  let holdUntilMs = 0 // not sooner even for a flush: the endpoint asked for it
  let lost = 0
  let toldLost = 0
  const told = new Set<string>()
  let running = false
  let stopped = false
  let isExiting = false
  let timer: NodeJS.Timeout | undefined
  let closing: Promise<void> | undefined

  function send(encoded: Encoded): boolean {
    const bytes = encoded.end - encoded.start
    if (isExiting && bytes <= maxRecordBytes && queue.pushLast(encoded)) {
      stats.left++
      return true
    }
    if (closing) tally.drop('closed', 1, 'the client is closed')
    else if (bytes > maxRecordBytes) lose('too_large', 1, `one of ${bytes} bytes fits no request`)
    else if (queue.push(encoded)) {
      take()
      return true
    } else lose('queue_full', 1, `${countOf(queue.count, 'waits', 'wait')} already (${queue.bytes} bytes)`)
    return false
  }

  function take(): void {
    stats.waiting++
    taken++
    if (running) return
    // While the endpoint is in trouble the timer decides, or each event would be a request.
    if (queue.count >= batchEvents && failures === 0) void run()
    else if (timer === undefined) schedule()
  }

  const hasFound = () => queue.doneCount < queue.foundCount

  function schedule(delayMs = scheduleDelayMs): void {
    if (timer !== undefined || running || stopped || (queue.count === 0 && !hasFound())) return
    arm(failures > 0 ? tryAtMs - performance.now() : delayMs)
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
      while (!stopped && (queue.count >= batchEvents || settled < due || hasFound())) {
        // A record that is suspect needs another one to be compared with.
        const least = answers >= suspectAnswers ? 2 : 1
        const batch = await queue.batch(Math.max(batchEvents, least), maxRequestBytes)
        if (batch === undefined) release()
        if (batch === undefined || stopped) break
        const outcome = await request(batch.runs, batch.count)
        if (stopped) break // these were counted meanwhile
        if (outcome.kind !== 'retry') settle(batch, outcome)
        else if (!(await isolateFrom(batch, outcome))) {
          if (!stopped) backOff(outcome)
          break
        }
      }
    } catch (error) {
      backOff({ kind: 'retry', error: error as Error, retryAfterMs: undefined })
    } finally {
      running = false
    }
    if (!stopped) schedule()
  }

  async function request(runs: readonly Run[], count: number): Promise<Outcome> {
    metrics.begin(count)
    const outcome = await exporter.send(runs)
    metrics.end(outcome.kind === 'delivered' ? undefined : errorTypeOf(outcome))
    return outcome
  }

  /** Finds what the endpoint chokes on, once it is time to; false when there is nothing that goes on. */
  async function isolateFrom(batch: Batch, outcome: Extract<Outcome, { kind: 'retry' }>): Promise<boolean> {
    if (!outcome.isAnswer || ++answers < suspectAnswers) return false
    // The next round comes after as many answers as this one.
    if (answers % suspectAnswers !== 0 || batch.count < 2) return false
    const verdicts = await isolate(batch.runs, batch.count, async (runs, count) =>
      stopped ? { kind: 'retry', error: outcome.error, retryAfterMs: undefined } : request(runs, count),
    )
    if (stopped || verdicts.length === 0) return false
    leaveQueue({ ...batch, count: verdicts.length })
    const failed = verdicts.flatMap((verdict, i) => (verdict === 'failed' ? [i] : []))
    const why = `each was answered ${outcome.error.message} where others passed`
    for (const i of failed) refuse(sliceRuns(batch.runs, i, i + 1), 1, why)
    stats.exported += verdicts.length - failed.length
    recover()
    return true
  }

  function settle(batch: Batch, outcome: Exclude<Outcome, { kind: 'retry' }>): void {
    const { count } = batch
    if (outcome.kind === 'refused' && count > 1 && refusalsInRow < suspectRefusals) {
      batchEvents = Math.ceil(count / 2)
      return
    }
    leaveQueue(batch)
    if (outcome.kind === 'refused') {
      refuse(batch.runs, count, outcome.error.message)
      if (++refusalsInRow >= suspectRefusals) batchEvents = options.maxBatchEvents
    } else deliver(count, outcome)
    recover()
  }

  function leaveQueue(batch: Batch): void {
    queue.remove(batch)
    stats.waiting -= batch.count
    if (batch.isOwn) settled += batch.count
  }

  function refuse(runs: readonly Run[], count: number, why: string): void {
    options.onRefuse?.(runs, why)
    const folder = queue.setAside(runs)
    lose('refused', count, folder === undefined ? why : `${why} (kept in ${folder})`)
  }

  /** Things go on. */
  function recover(): void {
    failures = 0
    answers = 0
    holdUntilMs = 0
    const wasTold = told.size > 0
    for (const topic of told) tally.clear(topic)
    told.clear()
    if (wasTold) tally.say(`${options.url} answers again`)
    if (queue.count === 0)
      tally.clear(
        'drop queue_full',
        `${countOf(stats.droppedBy.queue_full, 'event was', 'events were')} dropped so far`,
      )
    release()
  }

  function release(): void {
    waiters.release(isReached, finish)
  }

  const isReached = ({ until, untilFound }: FlushTarget) => until <= settled && untilFound <= queue.doneCount

  function deliver(count: number, outcome: Extract<Outcome, { kind: 'delivered' }>): void {
    const rejected = Math.min(outcome.rejected, count)
    stats.exported += count - rejected
    stats.rejected += rejected
    lost += rejected
    if (rejected > 0)
      tally.tell('rejected', `the receiver refused ${countOf(rejected, 'event')}: ${outcome.message}`)
    else if (outcome.message)
      tally.tell(`warning ${outcome.message}`, `the receiver says: ${outcome.message}`)
    else tally.clear('rejected')
    tally.clear('drop refused')
    refusalsInRow = 0
    batchEvents = Math.min(options.maxBatchEvents, batchEvents * 2)
  }

  function backOff(outcome: Extract<Outcome, { kind: 'retry' }>): void {
    failures++
    lastError = outcome.error
    // Each kind of trouble once, until things are well again.
    const topic = `trouble ${errorTypeOf(outcome)}`
    told.add(topic)
    tally.tell(
      topic,
      `cannot deliver to ${options.url}, ${countOf(stats.waiting, 'event waits', 'events wait')}: ${outcome.error.message}`,
    )
    const nowMs = performance.now()
    const retryAfterMs = Math.max(outcome.retryAfterMs ?? 0, 0)
    const mostMs = outcome.isAnswer ? maxAnsweredBackoffMs : maxBackoffMs
    const backoffMs = toBackoffMs(failures, { ...backoff, mostMs })
    holdUntilMs = nowMs + retryAfterMs
    tryAtMs = nowMs + Math.max(backoffMs, retryAfterMs)
    waiters.giveUp(retryAfterMs)
  }

  function lose(reason: DropReason, count: number, why: string): void {
    lost += count
    tally.drop(reason, count, why)
  }

  function finish(): EventError | undefined {
    const missing = lost - toldLost
    toldLost = lost
    if (missing === 0) return undefined
    const were = countOf(missing, 'event was', 'events were')
    return new EventError('EVT_REFUSED', `${were} not delivered; events.stats says why`)
  }

  /** How things were when a flush last timed out. */
  let givenUp = { taken: -1, settled: -1, doneCount: -1, atMs: 0 }
  const waiters = createFlushWaiters((timeoutMs) => {
    if (timeoutMs >= options.flushTimeoutMs)
      givenUp = { taken, settled, doneCount: queue.doneCount, atMs: performance.now() }
    const why = lastError && failures > 0 ? lastError.message : `no answer for ${timeoutMs} ms`
    const text = `${countOf(stats.waiting, 'event is', 'events are')} not delivered yet: ${why}`
    return new EventError('EVT_UNREACHABLE', text, { cause: lastError })
  })

  function flush({ timeoutMs = options.flushTimeoutMs }: FlushOptions = {}): Promise<void> {
    const flushed = waiters.add({ until: taken, untilFound: queue.foundCount }, timeoutMs)
    due = taken
    const holdMs = holdUntilMs - performance.now()
    if (isReached({ until: taken, untilFound: queue.foundCount })) release()
    else if (holdMs > 0) waiters.giveUp(holdMs)
    if (running || (queue.count === 0 && !hasFound())) return flushed
    clearTimeout(timer)
    if (holdMs > 0) arm(holdMs)
    else void run()
    return flushed
  }

  async function shutDown(flushed: Promise<void>): Promise<void> {
    try {
      await flushed.catch((error: EventError) => {
        throw closeBefore(error)
      })
    } finally {
      leaveNow()
      const ended = exporter.close()
      // With a request under way it takes its time, and has nothing to tell any more.
      if (running) ended.catch(() => {})
      else await ended
    }
  }

  const leaveNow = () => leave('the client was closed before they could be delivered')

  /** What becomes of the events that a last flush could not deliver. */
  function closeBefore(error: EventError): EventError {
    const leftBefore = stats.left
    const lostCount = leaveNow()
    const leftCount = stats.left - leftBefore
    if (error.code !== 'EVT_UNREACHABLE' || lostCount + leftCount === 0) return error
    const stay = countOf(leftCount, 'event stays', 'events stay')
    const go = countOf(lostCount, 'event was in memory alone and is', 'events were in memory alone and are')
    const fate = [
      leftCount > 0 &&
        `${stay} in the spool until the next start of a program of this name sends what is there`,
      lostCount > 0 && `${go} lost`,
    ]
      .filter(Boolean)
      .join('; ')
    return new EventError('EVT_UNREACHABLE', `${error.message}; ${fate}`, { cause: error.cause })
  }

  function leave(why: string, isExit = false): number {
    if (stopped) return 0
    // A client that the program has closed stays closed.
    isExiting = isExit && closing === undefined
    stopped = true
    metrics.stop()
    closing ??= Promise.resolve()
    clearTimeout(timer)
    const own = queue.count
    const lostCount = own - queue.close()
    stats.left += stats.waiting - lostCount
    stats.waiting = 0
    if (lostCount > 0)
      tally.drop('closed', lostCount, `${countOf(lostCount, 'waits', 'wait')} in memory: ${why}`)
    return lostCount
  }

  queue.start({
    onDrop(reason, { isOwn, count, why }) {
      stats.waiting -= count
      if (isOwn) settled += count
      lose(reason, count, why)
      release()
    },
    onFind(count) {
      stats.recovered += count
      stats.waiting += count
    },
    onWork: () => schedule(0),
  })

  return {
    get isBusy() {
      return queue.count > 0 || hasFound()
    },
    get hasGivenUp() {
      const isSame =
        givenUp.taken === taken && givenUp.settled === settled && givenUp.doneCount === queue.doneCount
      return isSame && performance.now() - givenUp.atMs < options.flushTimeoutMs
    },
    send,
    drained: () => queue.drained(),
    leave,
    flush: (flushOptions) => closing ?? flush(flushOptions),
    close(flushOptions) {
      metrics.keep()
      closing ??= shutDown(flush(flushOptions))
      return closing
    },
  }
}
