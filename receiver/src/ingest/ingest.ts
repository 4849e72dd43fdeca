import { EventError, findDefect } from '@madsci-events/sdk/event'
import type { DocumentWriter } from '../document/document-writer.ts'
import { EventDocument, eventOf, type NewEvent, runsOf } from '../document/event-document.ts'
import type { Metric } from '../metric.ts'
import type { Match } from '../store/alert-store.ts'
import { isCanary } from '../store/canary.ts'
import type { EventStore, WriteOutcome } from '../store/event-store.ts'
import type { Ranges } from '../store/range.ts'
import { type Attributes, spanOfNow } from '../trace.ts'
import { type Batcher, createBatcher } from './batcher.ts'
import { createGate, type Ticket } from './gate.ts'

export interface Rejection {
  /** Position in the accepted list. */
  index: number
  reason: string
}

/** What became of the events of one call. stored + duplicate + rejected.length = their number. */
export interface Receipt {
  stored: number
  duplicate: number
  rejected: Rejection[]
}

export interface IngestOptions {
  store: EventStore
  metric: Metric
  /** Bytes of bodies that may be in flight before doors answer EVT_OVERLOAD. */
  maxInFlightBytes: number
  /** Events of one store write at most. */
  maxBatchEvents: number
  /** How spans name the store. */
  database?: Attributes
  /** What alert rules see in the events of a write: pure, on this thread, and the store keeps it with them. */
  /** `looksAtAll`: it reads every event, so that a document made ahead would be read back. */
  match?: (((events: readonly NewEvent[]) => Match[]) & { looksAtAll?: boolean }) | undefined
  /** After a write in which they saw something. */
  onMatch?: (() => void) | undefined
  /** Asked before each write; called with its outcomes, without any when it failed. */
  watch?:
    | ((events: readonly NewEvent[]) => ((outcomes?: readonly WriteOutcome[]) => void) | undefined)
    | undefined
  /** Called after each commit with the events of a call, for counters and followers. */
  onReceipt?: (receipt: Receipt, isRest: boolean) => void
}

export interface AcceptOptions {
  /** They came by REST, and so past any Collector: fan-out forwards these by default. */
  isRest?: boolean
  /** Their decoder has made sure that both stores can keep each of them: `findDefect` would find nothing. */
  isSound?: boolean
}

/** The one gate that every event passes, whatever its door. */
export interface Ingest {
  /** Ask before reading a body; release the ticket in `finally`. Throws EVT_OVERLOAD or EVT_CLOSING. */
  enter(bodyBytes: number, client: string): Ticket
  /**
   * Settles after the commit. Throws EVT_STORE_UNAVAILABLE when nothing can be told of at least one event
   * (the caller sends again; what was stored then counts as duplicate).
   */
  accept(events: readonly NewEvent[], options?: AcceptOptions): Promise<Receipt>
  /** The same for events of the receiver itself, which no door counts. */
  acceptOwn(events: readonly NewEvent[]): Promise<Receipt>
  /** The same for those that raise no alert: those that tell of alerts. */
  acceptQuietly(events: readonly NewEvent[]): Promise<Receipt>
  /** Counts events that came by a door. It calls what this returns once their outcome is counted, whatever that is. */
  receive(count: number): () => void
  /** Events that were received, and whose outcome is not counted yet. */
  readonly unsettledEvents: number
  /** For doors that can make the store's documents at once; undefined where events are asked for in any case. */
  readonly documents: DocumentWriter | undefined
  readonly inFlightBytes: number
  readonly isClosing: boolean
  /** Says that it will close soon; calls are still taken. */
  announceClose(): void
  /** Refuses new calls, waits for those under way. */
  close(): Promise<void>
}

const none: readonly Match[] = []

/** What is known of a write that is under way. */
interface Write {
  matches: readonly Match[]
  startedMs: number
  runs: ReturnType<typeof runsOf>
  noted: ((outcomes?: readonly WriteOutcome[]) => void) | undefined
}

export function createIngest(options: IngestOptions): Ingest {
  const { store, metric, match, onMatch, watch } = options
  const quiet = new WeakSet<NewEvent>()
  let hasQuiet = false
  const gate = createGate({ maxBytes: options.maxInFlightBytes })
  let isClosing = false
  let unsettledEvents = 0
  metric.expect('events_unavailable', ['EVT_STORE_UNAVAILABLE', 'EVT_CLOSING'])
  metric.expect('events_rejected', ['EVT_INVALID', 'EVT_JSON', 'EVT_TOO_LARGE'])

  function receive(count: number): () => void {
    metric.add('events_received', count)
    unsettledEvents += count
    return () => {
      unsettledEvents -= count
    }
  }

  function write(events: readonly NewEvent[], rest: Ranges): Promise<WriteOutcome[]> {
    const matches = match ? see(events, match) : none
    const startedMs = performance.now()
    const noted = watch?.(events)
    return observe(store.write(events, matches, rest), { matches, startedMs, runs: runsOf(events), noted })
  }

  async function observe(
    writing: Promise<WriteOutcome[]>,
    { matches, startedMs, runs, noted }: Write,
  ): Promise<WriteOutcome[]> {
    let outcomes: WriteOutcome[] | undefined
    try {
      outcomes = await writing
      return outcomes
    } finally {
      noted?.(outcomes)
      for (const { run, count } of runs) run.release(count)
      metric.observe('commit_duration_seconds', (performance.now() - startedMs) / 1000)
      if (matches.length > 0) onMatch?.()
    }
  }

  const isQuiet = (event: NewEvent) =>
    isCanary(event.event_type, event.event_id) || (hasQuiet && quiet.has(event))

  function see(
    events: readonly NewEvent[],
    match: (events: readonly NewEvent[]) => Match[],
  ): readonly Match[] {
    const matches = match(events)
    if (matches.length === 0) return none
    const heard: Match[] = []
    for (const one of matches) {
      const positions = one.positions.filter((position) => !isQuiet(events[position]!))
      if (positions.length === 0) continue
      metric.add('alert_events', positions.length, one.rule)
      heard.push({ ...one, positions })
    }
    return heard
  }

  const batcher: Batcher = createBatcher({
    write,
    concurrency: store.writeConcurrency,
    maxEvents: options.maxBatchEvents,
    ...(options.database && { database: options.database }),
  })
  metric.gauge('bytes_in_flight', () => gate.inFlightBytes)
  metric.gauge('events_waiting', () => batcher.waitingEvents)
  metric.gauge('commits_running', () => batcher.runningWrites)

  function accept(events: readonly NewEvent[], options: AcceptOptions = {}): Promise<Receipt> {
    const { isRest = false, isSound = false } = options
    const receipt: Receipt = { stored: 0, duplicate: 0, rejected: [] }
    if (events.length > 0) spanOfNow()?.about(eventOf(events[0]!))
    if (isSound) return settle(receipt, batcher.add(events, isRest), undefined, isRest)
    // Most requests have no defect: only then is a second list made.
    let sound: NewEvent[] | undefined
    let positions: number[] | undefined
    for (let i = 0; i < events.length; i++) {
      const event = events[i]!
      // What was copied into a document was looked at then.
      const reason = event instanceof EventDocument ? undefined : findDefect(event)
      if (reason !== undefined) {
        if (!sound || !positions) {
          sound = events.slice(0, i)
          positions = sound.map((_, index) => index)
        }
        receipt.rejected.push({ index: i, reason })
      } else if (sound && positions) {
        sound.push(event)
        positions.push(i)
      }
    }
    return settle(receipt, batcher.add(sound ?? events, isRest), positions, isRest)
  }

  /** No event is in sight here: while their commit runs, nobody but the store should hold them. */
  async function settle(
    receipt: Receipt,
    writing: Promise<WriteOutcome[]>,
    positions: readonly number[] | undefined,
    isRest: boolean,
  ): Promise<Receipt> {
    const outcomes = await writing
    for (let i = 0; i < outcomes.length; i++) note(receipt, outcomes[i]!, positions ? positions[i]! : i)
    options.onReceipt?.(receipt, isRest)
    return receipt
  }

  async function acceptOwn(events: readonly NewEvent[]): Promise<Receipt> {
    const settle = receive(events.length)
    try {
      const receipt = await accept(events)
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      for (const { reason } of receipt.rejected) metric.add('events_rejected', 1, reason)
      return receipt
    } catch (error) {
      metric.add('events_unavailable', events.length, codeOf(error))
      throw error
    } finally {
      settle()
    }
  }

  return {
    enter: gate.enter,
    accept,
    acceptQuietly(events) {
      hasQuiet = true
      for (const event of events) quiet.add(event)
      return acceptOwn(events)
    },
    acceptOwn,
    receive,
    get unsettledEvents() {
      return unsettledEvents
    },
    documents: match?.looksAtAll ? undefined : store.documents,
    get inFlightBytes() {
      return gate.inFlightBytes
    },
    get isClosing() {
      return isClosing
    },
    announceClose() {
      isClosing = true
    },
    async close() {
      isClosing = true
      gate.close()
      await batcher.drain()
    },
  }
}

function note(receipt: Receipt, outcome: WriteOutcome, index: number): void {
  if (outcome === 'stored') receipt.stored++
  else if (outcome === 'duplicate') receipt.duplicate++
  else receipt.rejected.push({ index, reason: outcome.refused })
}

/** By which `events_unavailable` is counted. */
export const codeOf = (error: unknown) => (error instanceof EventError ? error.code : 'EVT_INTERNAL')

/** The error of a call whose single event was refused for this reason. */
export function toRefusal(reason: string): EventError {
  return reason.startsWith('the event is larger')
    ? new EventError('EVT_TOO_LARGE', reason)
    : new EventError('EVT_INVALID', reason, {
        detail: [{ type: 'value_error', loc: ['body'], msg: `Value error, ${reason}`, input: null }],
      })
}
