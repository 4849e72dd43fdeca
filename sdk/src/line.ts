import { isObject, type Source, setKey, sourceKeys, type Value } from './event/event.ts'
import { isUlid } from './event/id.ts'
import type { EventLevel } from './event/level.ts'
import { parseTimestamp } from './event/timestamp.ts'
import { parseEventType } from './event/type.ts'
import { createZoneConverter } from './event/zone.ts'
import type { EventInput } from './input.ts'

/** A line that a logging library wrote, taken apart by the one who knows the library. */
export interface Line {
  message: string | undefined
  level: EventLevel
  /** In any form that `parseTimestamp` takes. */
  time: unknown
  /** `{type, message, stacktrace, …}`, or whatever the program's serializer makes of it. */
  exception: unknown
  /** Everything else that it said. */
  members: { [key: string]: unknown }
}

/**
 * A line → the event that it means. MADSci's fields are recognised among the members, if they are what MADSci takes:
 * `event_id`, `event_type`, `alert`, `event_data`, `source` or its ids one by one, `trace_id` and `span_id`. What is left
 * is event_data, beside the message. Total.
 */
export function toLineEvent({ message, level, time, exception, members }: Line): EventInput {
  const rest: { [key: string]: unknown } = {}
  const event: EventInput = { log_level: level }
  const source: Source = {}
  let data: unknown
  for (const key of Object.keys(members)) {
    const value = members[key]
    if (key === 'event_data') data = value
    else if (!readField(event, source, key, value))
      setKey(rest as { [key: string]: Value }, key, value as Value)
  }
  if (exception !== undefined) rest.exception = exception
  const stamp = time === undefined ? undefined : parseTimestamp(time)
  if (stamp && 'text' in stamp)
    event.event_timestamp = stamp.text.endsWith('Z') ? stamp.text : fromLocal(stamp.text)
  else if (time !== undefined) rest.time = time
  if (Object.keys(source).length > 0) event.source = source
  event.event_data = toData(message, rest, data)
  return event
}

/** A logger that writes no zone writes the time of its process. */
function fromLocal(naive: string): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  if (local?.zone !== zone) local = { zone, toUtc: createZoneConverter(zone) }
  return local.toUtc(naive)
}

let local: { zone: string; toUtc: (naive: string) => string } | undefined

const traceIdPattern = /^(?!0+$)[0-9a-f]{32}$/i
const spanIdPattern = /^(?!0+$)[0-9a-f]{16}$/i

/** False when it is none of MADSci's, or nothing that MADSci takes. */
function readField(event: EventInput, source: Source, key: string, value: unknown): boolean {
  if (key === 'source') return readSourceField(source, value)
  const id = sourceKeys.find((name) => name === key)
  if (id !== undefined) return readId(source, id, value)
  if (key === 'alert' && typeof value === 'boolean') event.alert = value
  else if (typeof value !== 'string') return false
  else if (key === 'event_id' && value !== '' && value.length <= 1024) event.event_id = value
  else if (key === 'event_type' && parseEventType(value) !== undefined) event.event_type = value
  else if (key === 'trace_id' && traceIdPattern.test(value)) event.trace_id = value
  else if (key === 'span_id' && spanIdPattern.test(value)) event.span_id = value
  // What OpenTelemetry's own mixins add beside the ids.
  else return key === 'trace_flags'
  return true
}

function readId(source: Source, key: keyof Source, value: unknown): boolean {
  if (typeof value !== 'string' || !isUlid(value)) return false
  source[key] = value
  return true
}

// Only as a whole: half of it in `source` and half in event_data would help nobody.
function readSourceField(source: Source, value: unknown): boolean {
  if (!isObject(value)) return false
  const entries = Object.entries(value)
  const isSource = entries.every(
    ([key, id]) =>
      sourceKeys.some((name) => name === key) && (id === null || (typeof id === 'string' && isUlid(id))),
  )
  if (!isSource) return false
  for (const [key, id] of entries) if (id !== null) source[key as keyof Source] = id as string
  return true
}

function toData(message: string | undefined, rest: { [key: string]: unknown }, data: unknown): unknown {
  const isEmpty = Object.keys(rest).length === 0
  if (data !== undefined && !isObject(data)) {
    if (message === undefined && isEmpty) return data
    rest.data = data
  }
  const members = isObject(data) ? { ...rest, ...data } : rest
  if (message === undefined) return members
  // As `events.info(text, data)` does with data that has a message of its own.
  return Object.hasOwn(members, 'message') ? { message, data: members } : { message, ...members }
}
