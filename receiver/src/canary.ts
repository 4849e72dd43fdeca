import { setTimeout as sleep } from 'node:timers/promises'
import { createThrottle, type Log } from './log.ts'
import type { Metric } from './metric.ts'
import { canaryType, createCanaryId } from './store/canary.ts'

export interface CanaryOptions {
  /** Of this receiver, as a client addresses it. */
  url: string
  managerId: string
  intervalMs: number
  /** What has not seen a canary after that long has lost it; 30 s if not given. */
  timeoutMs?: number | undefined
  /** Destinations of the fan-out to which this receiver forwards now. */
  destinations: () => string[]
  metric: Metric
  log: Log
}

/** As /health shows it; counts are those since the start of the process. */
export interface CanaryHealth {
  sent: number
  /** Stages that did not see a canary in time. */
  lost: number
  /** The last one whose stages are all known. */
  last: { event_id: string; at: string; seconds: { [stage: string]: number | null } } | null
}

/**
 * A marked event through the receiver's own door at an interval, and how long it took to be found again:
 *
 *     POST /event ══ commit ══▶ door ─┬▶ GET /event/{event_id}     id
 *                                     ├▶ POST /events/query        query
 *                                     ├▶ GET /events/stream        tail
 *                                     └▶ each destination          fanout NAME
 *
 * `store/canary.ts` says how the others know it. It is stored as archived, so that what deletes old events deletes it too.
 */
export interface Canary {
  /** A destination has taken the event with this id, or its selector has passed it over. */
  acknowledge(destination: string, id: string): void
  health(): CanaryHealth
  close(): Promise<void>
}

const pollMs = 50
const destinationStage = (name: string) => `fanout ${name}`

export function startCanary(options: CanaryOptions): Canary {
  const { url, managerId, intervalMs, timeoutMs = 30_000, destinations, metric, log } = options
  const throttle = createThrottle(60_000)
  const closing = new AbortController()
  metric.expect('canary_lost', ['door', 'id', 'query', 'tail', ...destinations().map(destinationStage)])
  let sent = 0
  let lost = 0
  let last: CanaryHealth['last'] = null
  let waiting: { id: string; acknowledge: (destination: string) => void } | undefined

  async function send(): Promise<void> {
    const id = createCanaryId()
    const at = new Date()
    const startedMs = performance.now()
    const seconds: { [stage: string]: number | null } = {}
    const ending = new AbortController()
    const signal = AbortSignal.any([closing.signal, ending.signal, AbortSignal.timeout(timeoutMs)])
    const pass = (stage: string) => {
      seconds[stage] = (performance.now() - startedMs) / 1000
      metric.observe('canary_duration_seconds', seconds[stage], stage)
    }
    const tryStage = async (stage: string, find: () => Promise<void>): Promise<void> => {
      try {
        await find()
        pass(stage)
      } catch (error) {
        if (closing.signal.aborted) return
        seconds[stage] = null
        lost++
        metric.add('canary_lost', 1, stage)
        const reason = signal.aborted ? `not within ${timeoutMs / 1000} s` : (error as Error).message
        throttle(stage, (suppressed) =>
          log.error({ stage, event_id: id, reason, suppressed }, `a canary was not found again: ${stage}`),
        )
      }
    }

    const acknowledged = awaitDestinations(id, signal)
    // Opened before the event is stored: it tells what comes from then on.
    const tail = await openTail(id, signal).catch((error: unknown) => async () => {
      throw error
    })
    await tryStage('door', () => post(id, at, signal))
    if (seconds.door != null) {
      sent++
      metric.add('canaries_sent', 1)
      await Promise.all([
        tryStage('id', () => until(() => isFoundById(id, signal), signal)),
        tryStage('query', () => until(() => isFoundByQuery(id, signal), signal)),
        tryStage('tail', tail),
        ...acknowledged.map(({ name, seen }) => tryStage(destinationStage(name), () => seen)),
      ])
    }
    ending.abort()
    waiting = undefined
    if (!closing.signal.aborted) last = { event_id: id, at: at.toISOString(), seconds }
  }

  function awaitDestinations(id: string, signal: AbortSignal): { name: string; seen: Promise<void> }[] {
    const seen = new Map<string, () => void>()
    waiting = { id, acknowledge: (destination) => seen.get(destination)?.() }
    return destinations().map((name) => {
      const one = new Promise<void>((resolve, reject) => {
        seen.set(name, resolve)
        signal.addEventListener('abort', () => reject(new Error('not acknowledged')), { once: true })
      })
      // Nobody waits for it when the door fails.
      one.catch(() => {})
      return { name, seen: one }
    })
  }

  async function call(path: string, init: RequestInit): Promise<Response> {
    const answer = await fetch(new URL(path, url), init)
    if (answer.ok) return answer
    await answer.body?.cancel()
    throw new Error(`${path.split('?')[0]} answered ${answer.status}`)
  }

  async function post(id: string, at: Date, signal: AbortSignal): Promise<void> {
    const event = {
      event_id: id,
      event_type: canaryType,
      log_level: 10,
      event_timestamp: at.toISOString(),
      source: { manager_id: managerId },
      event_data: { message: 'a canary: the receiver tries its own doors' },
      archived: true,
      archived_at: at.toISOString(),
    }
    await (await call('event', { ...toJsonPost(event), signal })).arrayBuffer()
  }

  async function isFoundById(id: string, signal: AbortSignal): Promise<boolean> {
    const answer = await fetch(new URL(`event/${id}`, url), { signal })
    return (await answer.text()).includes(id) && answer.ok
  }

  async function isFoundByQuery(id: string, signal: AbortSignal): Promise<boolean> {
    const answer = await call('events/query', { ...toJsonPost({ _id: id }), signal })
    return (await answer.text()).includes(id)
  }

  /** Settles when the stream is open; what it gives settles when it has told of the event. */
  async function openTail(id: string, signal: AbortSignal): Promise<() => Promise<void>> {
    const selector = encodeURIComponent(JSON.stringify({ _id: id }))
    const answer = await call(`events/stream?include_archived=true&selector=${selector}`, { signal })
    return async () => {
      let text = ''
      for await (const bytes of answer.body!) {
        text = text.slice(-id.length) + Buffer.from(bytes).toString('latin1')
        if (text.includes(id)) return
      }
      throw new Error('the stream has ended')
    }
  }

  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      const startedMs = performance.now()
      await send()
      const restMs = Math.max(0, startedMs + intervalMs - performance.now())
      await sleep(restMs, undefined, { signal: closing.signal, ref: false }).catch(() => {})
    }
  }

  const running = run()
  return {
    acknowledge(destination, id) {
      if (waiting?.id === id) waiting.acknowledge(destination)
    },
    health: () => ({ sent, lost, last }),
    async close() {
      closing.abort()
      await running
    },
  }
}

const toJsonPost = (body: object) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** Asks again while the answer is no, which it may be where reads lag behind writes. */
async function until(isFound: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  while (!(await isFound())) await sleep(pollMs, undefined, { signal })
}
