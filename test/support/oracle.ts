import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, type Event, nowTimestamp, toEventJson } from '@madsci-events/sdk/event'
import { encodeLogs } from './otlp.ts'

/**
 * Clients that never give up, and a memory of what was promised to them.
 *
 *     make events ▶ send, and send again until 200 ▶ acknowledged: id → the exact JSON that must be stored
 */
export interface Oracle {
  /** id → JSON of every event that got its 200. */
  readonly acknowledged: ReadonlyMap<string, string>
  /** Every id ever sent, acknowledged or not → its JSON. */
  readonly sent: ReadonlyMap<string, string>
  /** Of these, those that are marked as alert. */
  readonly alerting: ReadonlySet<string>
  /** Requests with events that were sent before. */
  readonly repeatCount: number
  readonly retryCount: number
  /** Answers that were neither 200 nor a reason to try again: there must be none. */
  readonly surprises: string[]
  /** Lets requests under way be answered, then ends the clients. */
  stop(): Promise<void>
}

export interface OracleOptions {
  /** Asked before each try: the receiver may have moved. */
  url: () => string
  /** Clients that POST one event at a time. */
  singleClients: number
  /** Clients that send OTLP batches. */
  batchClients: number
  batchEvents: number
  /** Each so many events are marked as alert; 50 if not given. With it, the level raises none. */
  alertEvery?: number
  /** Of ten requests so many are sent twice at once, or take an event along that was sent before; 0 if not given. */
  repeatsOfTen?: number
  /** Of a client, between two requests; 0 if not given. */
  pauseMs?: number
}

// From these the ones are taken that are sent again.
const recentEvents = 2000

const retryStatus = new Set([429, 502, 503, 504])

export function startOracle(options: OracleOptions): Oracle {
  const acknowledged = new Map<string, string>()
  const sent = new Map<string, string>()
  const alerting = new Set<string>()
  const recent: Event[] = []
  const surprises: string[] = []
  const { repeatsOfTen = 0, pauseMs = 0 } = options
  let retryCount = 0
  let repeatCount = 0
  let stopping = false
  let number = 0

  function makeEvent(): Event {
    number++
    const event: Event = {
      event_id: createEventId(),
      event_type: number % 2 ? 'action_start' : 'log_info',
      log_level: number % 7 || options.alertEvery !== undefined ? 20 : 40,
      alert: number % (options.alertEvery ?? 50) === 0,
      event_timestamp: nowTimestamp(),
      source: {},
      event_data: {
        message: `event ${number}`,
        number,
        big: 9007199254740993n + BigInt(number),
        'a.b': { $gt: number, text: 'é💡'.repeat(number % 20) },
      },
      trace_id: null,
      span_id: null,
      archived: false,
      archived_at: null,
    }
    sent.set(event.event_id, toEventJson(event))
    if (event.alert) alerting.add(event.event_id)
    recent[number % recentEvents] = event
    return event
  }

  const isRepeat = () => Math.random() * 10 < repeatsOfTen
  const pause = () => (pauseMs > 0 ? sleep(Math.random() * 2 * pauseMs) : undefined)

  /** True once the receiver said 200. */
  async function deliver(path: string, body: string | Uint8Array, type: string): Promise<boolean> {
    for (;;) {
      try {
        const answer = await fetch(options.url() + path, {
          method: 'POST',
          body: body,
          headers: { 'content-type': type },
          signal: AbortSignal.timeout(20_000),
        })
        const text = await answer.text()
        if (answer.status === 200) {
          // A full success of OTLP is an empty message: anything else would be a rejection.
          if (path === 'v1/logs' && text !== '') surprises.push(`200 ${text.slice(0, 200)}`)
          return true
        }
        if (!retryStatus.has(answer.status)) {
          surprises.push(`${answer.status} ${text.slice(0, 200)}`)
          return false
        }
      } catch {
        // Refused, reset or silent: nothing was promised, so it is sent again.
      }
      retryCount++
      if (stopping && retryCount > 1_000_000) return false
      // Clients without pause would take the processor from the start that they wait for.
      await sleep(30 + Math.random() * 60)
    }
  }

  async function runSingle(): Promise<void> {
    while (!stopping) {
      const event = makeEvent()
      const json = sent.get(event.event_id)!
      const body = json.replace('"_id"', '"event_id"')
      const tries = [deliver('event', body, 'application/json')]
      if (isRepeat()) {
        repeatCount++
        tries.push(deliver('event', body, 'application/json'))
      }
      if ((await Promise.all(tries)).includes(true)) acknowledged.set(event.event_id, json)
      await pause()
    }
  }

  async function runBatch(): Promise<void> {
    while (!stopping) {
      const before = recent[Math.floor(Math.random() * recent.length)]
      const events = Array.from({ length: options.batchEvents }, makeEvent)
      if (before && isRepeat()) {
        repeatCount++
        events.splice(Math.floor(Math.random() * events.length), 0, before)
      }
      if (await deliver('v1/logs', encodeLogs(events, { resource: {} }), 'application/x-protobuf')) {
        for (const { event_id: id } of events) acknowledged.set(id, sent.get(id)!)
      }
      await pause()
    }
  }

  const clients = [
    ...Array.from({ length: options.singleClients }, runSingle),
    ...Array.from({ length: options.batchClients }, runBatch),
  ]
  return {
    acknowledged,
    sent,
    alerting,
    surprises,
    get repeatCount() {
      return repeatCount
    },
    get retryCount() {
      return retryCount
    },
    async stop() {
      stopping = true
      await Promise.all(clients)
    },
  }
}

export interface Verdict {
  stored: number
  /** Of all that is stored. */
  ids: ReadonlySet<string>
  /** Acknowledged ids that are not there. */
  lost: string[]
  /** Acknowledged ids that are there with another payload. */
  altered: string[]
  /** Ids that are there and that nobody sent, or that are there twice. */
  foreign: string[]
}

/** Reads the whole store by REST and compares it with what was promised. */
export async function judge(url: string, oracle: Oracle): Promise<Verdict> {
  const answer = await fetch(`${url}events?number=0&include_archived=true`)
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`GET /events: ${answer.status} ${text.slice(0, 500)}`)
  const found = new Map<string, string>()
  const verdict: Verdict = { stored: 0, ids: new Set(), lost: [], altered: [], foreign: [] }
  // An object of JavaScript would hide an id that is there twice, and lose the text: each event ends where the next key begins.
  for (const part of text.slice(1, -1).split(/,(?="[0-9A-Z]{26}":\{"_id")/)) {
    if (part === '') continue
    const id = part.slice(1, 27)
    if (found.has(id) || !oracle.sent.has(id)) verdict.foreign.push(id)
    found.set(id, part.slice(29))
  }
  verdict.stored = found.size
  verdict.ids = new Set(found.keys())
  for (const [id, json] of oracle.acknowledged) {
    const there = found.get(id)
    if (there === undefined) verdict.lost.push(id)
    else if (there !== json) verdict.altered.push(`${id}: ${there} instead of ${json}`)
  }
  return verdict
}
