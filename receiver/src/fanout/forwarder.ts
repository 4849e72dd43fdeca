import { EventError, toBackoffMs } from '@madsci-events/sdk/event'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { Tracing } from '../trace.ts'
import type { Batch, BatchThread } from './batch.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Destination } from './destination.ts'
import { type SendOutcome, sendBatch } from './send.ts'

export interface ForwarderOptions {
  destination: Destination
  /** Of the destination, for the thread. */
  index: number
  thread: BatchThread
  checkpoint: Checkpoint
  /** Where to go on when the cursor cannot be used. */
  begin: () => Promise<string>
  leaseMs: number
  /** The destination has taken a canary, or its selector has passed it over. */
  onCanary?: ((destination: string, id: string) => void) | undefined
  tracing?: Tracing | undefined
  metric: Metric
  log: Log
}

export interface ForwarderHealth {
  name: string
  /** 'waiting': the destination or the store is away; 'elsewhere': another receiver forwards. */
  state: 'forwarding' | 'waiting' | 'elsewhere'
  /** Since everything was sent for the last time; 0 when nothing waits. Null when another receiver forwards. */
  lag_seconds: number | null
  sent: number
  refused: number
}

export interface Forwarder {
  /** Settles when the checkpoint was asked for once: a new destination has its checkpoint from then on. Never rejects. */
  readonly ready: Promise<void>
  /** Something was committed. */
  wake(isRest: boolean): void
  health(): ForwarderHealth
  /** Ends after the request under way, or cuts it off after some seconds. */
  close(): Promise<void>
}

const pollMs = 1000
// While events come one by one, so long they are gathered.
const gatherMs = 250
// Some disorder, so that receivers that lost the same destination do not come back as one.
const backoff = { firstMs: 500, mostMs: 30_000, jitter: 0.25 }
const closeMs = 3000
// So many events refused one after the other are no longer the fault of events.
const suspectRefusals = 20

/**
 * Follows the commits for one destination. Promises, each with a test of the same name:
 *  1. Every event that is to be forwarded arrives, in the order of commit, also after kills of either side; an event is
 *     sent twice only when a reply or the process was lost between its sending and the saving of the cursor.
 *  2. A destination that is away costs lag, and neither memory nor a failed request.
 *  3. What a destination refuses for good is isolated by bisecting the batch, counted and passed over; its neighbours arrive.
 *  4. Of several receivers on one database one forwards, and another goes on when it dies.
 *  5. Events that cannot be read in order any more are counted as a gap, and told.
 *
 *     cursor ▶ read, select, encode (thread) ▶ send ─ delivered ▶ save cursor ─┐
 *       ▲                                       ├ retry ▶ wait                 │
 *       └───────────────────────────────────────┴ refused ▶ half as many ◀────┘
 */
export function startForwarder(options: ForwarderOptions): Forwarder {
  const { destination, index, thread, checkpoint, begin, leaseMs, metric, log } = options
  const { name } = destination
  const throttle = createThrottle()
  const stopping = new AbortController()
  const cutting = new AbortController()
  let limit = destination.batchEvents
  let failures = 0
  let refusedInRow = 0
  let state: ForwarderHealth['state'] = 'waiting'
  // Since then something may wait to be sent; undefined when nothing does.
  let behindSinceMs: number | undefined = Date.now()
  let isWoken = false
  let wakeUp = () => {}
  let endPause = () => {}
  let beReady = () => {}
  const ready = new Promise<void>((resolve) => {
    beReady = resolve
  })
  let sent = 0
  let refused = 0

  const lagSeconds = () =>
    behindSinceMs === undefined ? 0 : Math.max(0, Math.round(Date.now() - behindSinceMs) / 1000)
  metric.gauge('fanout_lag_seconds', () => (state === 'elsewhere' ? undefined : lagSeconds()), name)
  metric.gauge('fanout_forwarding', () => Number(state !== 'elsewhere'), name)

  /** Ends early when closing, and by `wake` when that was asked for. */
  async function pause(ms: number, isWakeable = false): Promise<void> {
    if (stopping.signal.aborted || (isWakeable && isWoken)) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      timer.unref()
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
      if (isWakeable) wakeUp = endPause
    })
    endPause = () => {}
    wakeUp = () => {}
  }

  function tell(topic: string, reason: string, fields: object = {}): void {
    throttle(topic, (suppressed) =>
      log.warn({ destination: name, reason, suppressed, ...fields }, `the fan-out ${topic}`),
    )
  }

  async function waitLonger(atLeastMs = 0): Promise<void> {
    state = 'waiting'
    await pause(Math.max(atLeastMs, toBackoffMs(++failures, backoff)))
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        if (!checkpoint.isHeld && !(await take())) continue
        await step()
      } catch (error) {
        beReady()
        tell('waits for the store', reasonOf(error as Error))
        await waitLonger()
      }
    }
    beReady()
  }

  async function take(): Promise<boolean> {
    const isTaken = await checkpoint.acquire()
    beReady()
    if (isTaken) {
      behindSinceMs = checkpoint.caughtUpMs
      return true
    }
    state = 'elsewhere'
    await pause(Math.min(pollMs, leaseMs / 5))
    return false
  }

  function noteGap(commits: number, reason: string): void {
    metric.add('fanout_gaps', commits, name)
    log.error({ destination: name, commits, reason }, 'the fan-out has a gap: events were not forwarded')
  }

  async function step(): Promise<void> {
    isWoken = false
    const batch = await makeBatch()
    if (!batch) return
    if (batch.expiredCommits > 0) noteGap(batch.expiredCommits, 'their order has expired')
    if (batch.eventCount === 0) return passOver(batch)
    behindSinceMs ??= Date.now()
    if (!checkpoint.isHeld) return
    const outcome = await send(batch)
    if (outcome.kind === 'delivered') await noteDelivered(batch, outcome)
    else if (!cutting.signal.aborted) await noteFailed(batch, outcome)
  }

  /** In a span that is a child of that of the first event, and linked with the others: the destination continues its trace. */
  async function send(batch: Batch): Promise<SendOutcome> {
    const span = options.tracing?.begin(`fanout ${name}`, {
      kind: 'client',
      about: batch.spans,
      attributes: {
        'http.request.method': 'POST',
        'server.address': new URL(destination.url).hostname,
        'madsci.fanout.destination': name,
        'madsci.fanout.events': batch.eventCount,
      },
    })
    const headers = span ? { ...destination.headers, traceparent: span.header() } : destination.headers
    const outcome = await sendBatch({ ...destination, headers }, batch.body, cutting.signal)
    span?.end(outcome.kind === 'delivered' ? undefined : outcome.kind)
    return outcome
  }

  async function makeBatch(): Promise<Batch | undefined> {
    try {
      return await thread.make(index, checkpoint.cursor, limit)
    } catch (error) {
      if (!(error instanceof EventError) || error.code !== 'EVT_INVALID') throw error
      noteGap(1, `the cursor cannot be used: ${error.message}`)
      await checkpoint.save(await begin())
      return undefined
    }
  }

  /** Nothing was selected: the checkpoint moves on. */
  async function passOver({ cursor, hasMore, canaries }: Batch): Promise<void> {
    tellCanaries(canaries)
    state = 'forwarding'
    failures = 0
    checkpoint.move(cursor, hasMore ? undefined : Date.now())
    if (hasMore) return
    behindSinceMs = undefined
    await pause(pollMs, true)
    if (isWoken) await pause(gatherMs)
  }

  function tellCanaries(ids: readonly string[]): void {
    for (const id of ids) options.onCanary?.(name, id)
  }

  async function noteDelivered(
    batch: Batch,
    { refusedCount, message }: Extract<SendOutcome, { kind: 'delivered' }>,
  ): Promise<void> {
    const taken = Math.max(0, batch.eventCount - refusedCount)
    sent += taken
    metric.add('fanout_sent', taken, name)
    if (refusedCount > 0) noteRefused(refusedCount, message, batch)
    if (taken > 0) tellCanaries(batch.canaries)
    state = 'forwarding'
    failures = 0
    refusedInRow = 0
    limit = Math.min(limit * 2, destination.batchEvents)
    await saveBehind(batch)
    if (!batch.hasMore) await pause(gatherMs)
  }

  async function noteFailed(
    batch: Batch,
    outcome: Exclude<SendOutcome, { kind: 'delivered' }>,
  ): Promise<void> {
    metric.add('fanout_failures', 1, name)
    if (outcome.kind === 'retry') {
      tell('waits for its destination', outcome.reason)
      return waitLonger(outcome.afterMs)
    }
    if (batch.eventCount > 1 && limit > 1) {
      limit = Math.max(1, Math.floor(Math.min(limit, batch.readCount) / 2))
      return
    }
    noteRefused(batch.eventCount, outcome.reason, batch)
    await saveBehind(batch)
    // A destination that refuses everything is not what it should be: it must not drain the events away quickly.
    if (++refusedInRow >= suspectRefusals) await waitLonger(backoff.mostMs)
  }

  function noteRefused(count: number, reason: string, { firstId }: Batch): void {
    refused += count
    metric.add('fanout_refused', count, name)
    tell('was refused events', reason, { count, firstId })
  }

  /** What was sent must not be sent again: nothing goes on before its checkpoint is saved. */
  async function saveBehind(batch: Batch): Promise<void> {
    for (;;) {
      try {
        const isSaved = await checkpoint.save(batch.cursor, batch.hasMore ? undefined : Date.now())
        if (isSaved && !batch.hasMore) behindSinceMs = undefined
        return
      } catch (error) {
        if (stopping.signal.aborted) return
        tell('waits for the store', reasonOf(error as Error))
        state = 'waiting'
        // Soon: another receiver takes the checkpoint when it stands still, and would send the same again.
        await pause(backoff.firstMs)
      }
    }
  }

  // While a slow request is under way the lease must live.
  const heart = setInterval(() => {
    if (checkpoint.isHeld) checkpoint.beat().catch(() => {})
  }, leaseMs / 3)
  heart.unref()
  const running = run()

  return {
    ready,
    wake(isRest) {
      if (!isRest && destination.include === 'rest') return
      isWoken = true
      behindSinceMs ??= Date.now()
      wakeUp()
    },
    health: () => ({
      name,
      state,
      lag_seconds: state === 'elsewhere' ? null : lagSeconds(),
      sent,
      refused,
    }),
    async close() {
      stopping.abort()
      endPause()
      clearInterval(heart)
      const timer = setTimeout(() => cutting.abort(), closeMs)
      await running
      clearTimeout(timer)
      await checkpoint.release()
    },
  }
}

const reasonOf = ({ message, cause }: Error) =>
  cause instanceof Error && cause.message ? `${message}: ${cause.message}` : message
