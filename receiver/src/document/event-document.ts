import { type Event, type EventLevel, type EventType, microsToTimestamp } from '@madsci-events/sdk/event'
import type { DocumentWriter } from './document-writer.ts'

const noBytes = Buffer.alloc(0)

/** The documents of one request, in memory that is used again when all of them are written. */
export class DocumentRun {
  readonly writer: DocumentWriter
  bytes: Buffer = noBytes
  private waiting = 0

  constructor(writer: DocumentWriter) {
    this.writer = writer
  }

  fill(bytes: Buffer, count: number): void {
    this.bytes = bytes
    this.waiting = count
  }

  /** So many of its events are written, or given up: nobody looks at them any more. */
  release(count: number): void {
    this.waiting -= count
    if (this.waiting > 0) return
    this.writer.giveBack(this.bytes)
    this.bytes = noBytes
  }
}

/** What decoders hand on and stores write: an event, or the document of it in the form of the store. */
export type NewEvent = Event | EventDocument

/** All that there is of it. A document can be read until its write has settled. */
export const eventOf = (one: NewEvent): Event => (one instanceof EventDocument ? one.toEvent() : one)

/** Of a list of events the runs, each with how many of its events are in the list. */
export function runsOf(events: readonly NewEvent[]): { run: DocumentRun; count: number }[] {
  const runs: { run: DocumentRun; count: number }[] = []
  for (const event of events) {
    if (!(event instanceof EventDocument)) continue
    const last = runs.at(-1)
    if (last?.run === event.run) last.count++
    else runs.push({ run: event.run, count: 1 })
  }
  return runs
}

/** What is at hand of an event without a look into its document. */
export interface EventHead extends Pick<Event, 'event_id' | 'event_type' | 'log_level' | 'alert'> {
  /** Canonical text, or microseconds since 1970. */
  time: string | number
  /** Not given for an event that is not archived. */
  archive?: Pick<Event, 'archived' | 'archived_at'> | undefined
  /** Where the exact JSON ends that lies behind a document whose JSON alone does not give the event back. */
  exactEnd?: number | undefined
  sightings?: readonly object[] | undefined
}

/**
 * The document of an event, in the form of the store that it goes to. What rules and counters ask of every event is at hand;
 * `toEvent` reads the rest for whoever needs it.
 */
export class EventDocument {
  readonly run: DocumentRun
  /** Of the document, in the bytes of the run. */
  readonly start: number
  readonly end: number
  readonly event_id: string
  readonly event_type: EventType
  readonly log_level: EventLevel
  readonly alert: boolean
  private readonly time: string | number
  private readonly archive: EventHead['archive']
  readonly exactEnd: number | undefined
  /** What rules saw in it, where it was decoded; undefined: nobody looked. */
  readonly sightings: readonly object[] | undefined
  private whole: Event | undefined

  constructor(
    run: DocumentRun,
    start: number,
    end: number,
    { event_id, event_type, log_level, alert, time, archive, exactEnd, sightings }: EventHead,
  ) {
    this.run = run
    this.start = start
    this.end = end
    this.event_id = event_id
    this.event_type = event_type
    this.log_level = log_level
    this.alert = alert
    this.time = time
    this.archive = archive
    this.exactEnd = exactEnd
    this.sightings = sightings
    this.whole = undefined
  }

  get event_timestamp(): string {
    return typeof this.time === 'string' ? this.time : microsToTimestamp(this.time)
  }

  get archived(): boolean {
    return this.archive?.archived ?? false
  }

  get archived_at(): string | null {
    return this.archive?.archived_at ?? null
  }

  /** Throws when its write has settled. */
  toEvent(): Event {
    if (this.whole === undefined && this.run.bytes.length === 0)
      throw new Error('BUG: the document of an event is read after its write')
    const { run, start, end, exactEnd } = this
    this.whole ??= run.writer.read(
      run.bytes.subarray(start, end),
      exactEnd === undefined ? undefined : run.bytes.subarray(end, exactEnd),
    )
    return this.whole
  }
}
