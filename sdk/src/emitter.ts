import type { Context, SpanContext } from '@opentelemetry/api'
import { activeContext, idsOf } from './ambient.ts'
import { encodeEvent, encodePlain, type Severity, spanOf } from './emit.ts'
import type { Event, Source } from './event/event.ts'
import { createEventId } from './event/id.ts'
import type { EventLevel } from './event/level.ts'
import { nowMicros } from './event/timestamp.ts'
import { readInput, toEvent } from './input.ts'
import type { Encoded, EncodedContext } from './otlp/encode.ts'
import { createWriter, type Writer } from './otlp/writer.ts'
import type { Sender } from './sender.ts'
import type { Losses, Tally } from './tally.ts'
import type { ToValueOptions } from './value.ts'

/** What it takes to emit. */
export interface Emitter {
  readonly tally: Tally
  readonly losses: Losses
  readonly context: EncodedContext
  readonly writer: Writer
  /** Undefined when events go nowhere. */
  readonly sender: Sender | undefined
  readonly processIds: Source
  readonly valueOptions: ToValueOptions
}

// A getter, or a diag logger, may emit an event while another is written.
let underWay = 0
const maxUnderWay = 8

/**
 * What a program said → an event in the queue; gives its id. Never throws. One call for each event, many a second: hence
 * arguments in a row.
 */
export function emit(
  emitter: Emitter,
  own: Source,
  input: unknown,
  data: unknown,
  level: EventLevel | undefined,
  alert: boolean,
  severity: Severity | undefined,
): string {
  const { tally, sender } = emitter
  tally.stats.emitted++
  if (underWay >= maxUnderWay) {
    tally.drop('failed', 1, `${maxUnderWay} others are being made, each while the one before is read`)
    return createEventId()
  }
  underWay++
  try {
    const writer = underWay === 1 ? emitter.writer : createWriter()
    const isPlain =
      level !== undefined && typeof input === 'string' && (data === undefined || typeof data === 'object')
    if (isPlain) {
      const id = emitPlain(emitter, writer, own, input, data as object | null | undefined, level, alert)
      if (id !== undefined) return id
    }
    const { valueOptions } = emitter
    const read = readInput(input, data, valueOptions)
    const around = activeContext()
    const ids = idsOf(around, emitter.processIds)
    const source = ids === undefined ? own : { ...ids, ...own }
    const event = toEvent(read, { ...valueOptions, source, ...(level !== undefined && { level }) })
    if (alert) event.alert = true
    if (sender === undefined) tally.drop('disabled', 1, 'switched off')
    else {
      const span = spanFor(event, read.trace_id, around)
      send(emitter, event.event_id, encodeEvent(writer, event, emitter.context, span, severity))
    }
    return event.event_id
  } catch (error) {
    // Nothing above should throw. If it does, the caller's work matters more than our event.
    tally.drop('failed', 1, `an event could not be made: ${error}`)
    return createEventId()
  } finally {
    underWay--
  }
}

/** The short way; undefined when the event is not that plain, and nothing has happened. */
function emitPlain(
  emitter: Emitter,
  writer: Writer,
  own: Source,
  message: string,
  data: object | null | undefined,
  level: EventLevel,
  alert: boolean,
): string | undefined {
  const { sender, valueOptions, processIds } = emitter
  if (sender === undefined || data === null || valueOptions.textLimit !== undefined) return undefined
  const eventId = createEventId()
  const around = activeContext()
  const ids = idsOf(around, processIds)
  const source = ids === undefined ? own : mergeIds(ids, own)
  const plain = { eventId, micros: nowMicros(), level, alert, source, message, data }
  let encoded: Encoded | undefined
  try {
    encoded = encodePlain(writer, plain, emitter.context, spanOf(around))
  } catch {
    return undefined // a getter that throws: the long way replaces what it gives
  }
  if (encoded === undefined) return undefined
  send(emitter, eventId, encoded)
  return eventId
}

function send({ sender, losses }: Emitter, id: string, encoded: Encoded): void {
  if (!sender!.send(encoded)) losses.note(id, 'it was not taken; events.stats says why')
}

// Events inside an action share its ids: what is encoded of them is kept by this object.
const merged = new WeakMap<Source, WeakMap<Source, Source>>()

function mergeIds(around: Source, own: Source): Source {
  let byOwn = merged.get(around)
  if (byOwn === undefined) {
    byOwn = new WeakMap()
    merged.set(around, byOwn)
  }
  let ids = byOwn.get(own)
  if (ids === undefined) {
    ids = { ...around, ...own }
    byOwn.set(own, ids)
  }
  return ids
}

/** That of the active context, unless the event names a trace of its own or, by null, none. */
function spanFor({ trace_id, span_id }: Event, given: unknown, around: Context): SpanContext | undefined {
  if (trace_id !== null || span_id !== null)
    return { traceId: trace_id ?? '', spanId: span_id ?? '', traceFlags: 0 }
  return given === null ? undefined : spanOf(around)
}
