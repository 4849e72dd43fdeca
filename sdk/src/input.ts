import {
  type Event,
  givenKeys,
  isObject,
  receivedKeys,
  type Source,
  type SourceInput,
  sourceKeys,
  type Value,
} from './event/event.ts'
import { createEventId, isUlid } from './event/id.ts'
import { type EventLevel, type LevelName, parseLevel } from './event/level.ts'
import { logType } from './event/record.ts'
import { fromTimestamp, nowTimestamp, parseTimestamp } from './event/timestamp.ts'
import { type EventType, parseEventType } from './event/type.ts'
import type { EventDataInput } from './payload.ts'
import { isDate, isError } from './realm.ts'
import { type ToValueOptions, toValue } from './value.ts'

/** An event as a program writes it down: every member may be left out. */
export interface EventInput {
  event_id?: string | undefined
  /** One of MADSci's types, in any case; `log_<level>`, if left out. */
  event_type?: EventType | (string & {}) | undefined
  /** A level's number or name; 20 (info), if left out. */
  log_level?: EventLevel | LevelName | (number & {}) | undefined
  alert?: boolean | undefined
  /** ISO 8601 text, Unix seconds, or a Date; now, if left out. Without a zone it counts as UTC. */
  event_timestamp?: string | number | Date | undefined
  source?: SourceInput | undefined
  /** Anything; see `toValue` for what becomes of Dates, Maps, Errors and the like. */
  event_data?: unknown
  /** Both in lower-case hex; from the active OpenTelemetry context, if left out. */
  trace_id?: string | null | undefined
  span_id?: string | null | undefined
}

/** The same, with the `event_data` that its type has. */
export type TypedEventInput<Type> = EventInput & {
  event_type?: Type | undefined
  event_data?: EventDataInput<Type>
}

/** The members of an event, of whatever a program put there. */
export type Members = { [key in keyof EventInput | '_id']?: unknown }

export interface ToEventOptions extends ToValueOptions {
  /** Ids that every event of this client carries; those of the event win. */
  source: Source
  /** What the method says (`events.warning(…)`): it wins over the event's own level. */
  level?: EventLevel
}

const idLengthLimit = 1024
const maxToldNames = 8
const maxUnixNano = 2n ** 64n
const traceIdPattern = /^(?!0+$)[0-9a-f]{32}$/
const spanIdPattern = /^(?!0+$)[0-9a-f]{16}$/

const inputKeys: readonly string[] = givenKeys
// A receiver gives it anew.
const otherKeys: readonly string[] = receivedKeys

/**
 * What a program hands to a method: an event; else a text and data for its `event_data`. An object without any of an
 * event's members is data. Total.
 */
export function readInput(input: unknown, data: unknown, options: ToValueOptions): Members {
  try {
    if (isError(input)) {
      const exception = toValue(input, options)
      if (data === undefined) return { event_data: { message: input.message, exception } }
      return { event_data: toMessageData(input.message, { exception, data }, options) }
    }
    if (typeof input !== 'object' || input === null) {
      const text = typeof input === 'string' ? input : String(toValue(input, options))
      return { event_data: toMessageData(text, data, options) }
    }
    if (!inputKeys.some((key) => key in input)) return { event_data: input }
    const strange = Object.keys(input).filter((key) => !inputKeys.includes(key) && !otherKeys.includes(key))
    tellNames(strange, options.onAlter, (name) => `${name} is no member of an event`)
    if (data !== undefined) options.onAlter('an event takes no second argument')
    return readMembers(input, options)
  } catch {
    options.onAlter('reading an event threw')
    return {}
  }
}

// Read once: a getter may throw, or answer otherwise the next time.
function readMembers(input: object, { onAlter }: ToValueOptions): Members {
  const members: { [key: string]: unknown } = {}
  for (const key of inputKeys) {
    try {
      const value = (input as { [key: string]: unknown })[key]
      if (value !== undefined) members[key] = value
    } catch {
      onAlter(`reading ${key} of an event threw`)
    }
  }
  return members
}

/** What `readInput` gives → Event. Total: what does not fit is replaced by its default and told, never thrown. */
export function toEvent(input: Members, options: ToEventOptions): Event {
  const { onAlter } = options
  const level = options.level ?? readLevel(input.log_level, onAlter)
  return {
    event_id: readId(input.event_id ?? input._id, onAlter),
    event_type: readType(input.event_type, level, onAlter),
    log_level: level,
    alert: input.alert === true,
    event_timestamp: readTime(input.event_timestamp, onAlter),
    source: readSource(input.source, options.source, onAlter),
    event_data: input.event_data === undefined ? {} : toValue(input.event_data, options),
    trace_id: readHex(input.trace_id, traceIdPattern, 'trace_id', onAlter),
    span_id: readHex(input.span_id, spanIdPattern, 'span_id', onAlter),
    archived: false,
    archived_at: null,
  }
}

/**
 * `events.info(text, data)` → event_data: the data's members beside the message.
 * Data that is no object, or has a message of its own, goes under `data`; an Error goes under `exception`.
 */
function toMessageData(message: string, data: unknown, options: ToValueOptions): Value {
  const text = toValue(message, options)
  if (data === undefined) return { message: text }
  const value = toValue(data, options)
  if (isError(data)) return { message: text, exception: value }
  if (!isObject(value) || Object.hasOwn(value, 'message')) return { message: text, data: value }
  // A `__proto__` member is data like any other: spreading copies it as an own property.
  return { message: text, ...value }
}

/** The ids of `input` that are ids, laid over `base`; the others are told and left out. */
export function readSource(input: unknown, base: Source, onAlter: (why: string) => void): Source {
  if (input === undefined || input === null) return base
  // The members of a text would be its characters.
  if (typeof input !== 'object') {
    onAlter(`source ${text(input)} is no object of ids`)
    return base
  }
  const source = { ...base }
  const strange: string[] = []
  try {
    for (const [name, id] of Object.entries(input)) {
      if (id === undefined || id === null) continue
      const key = sourceKeys.find((known) => known === name)
      if (key === undefined) strange.push(name)
      else if (typeof id === 'string' && isUlid(id)) source[key] = id
      else onAlter(`source.${key} is no ULID (26 upper-case characters)`)
    }
    tellNames(strange, onAlter, (name) => `source.${name} is no id that MADSci has`)
  } catch {
    onAlter('reading the source of an event threw')
  }
  return source
}

function readLevel(input: unknown, onAlter: (why: string) => void): EventLevel {
  if (input === undefined) return 20
  const level = parseLevel(input)
  if (level === undefined) onAlter(`log_level ${text(input)} is none of MADSci's`)
  return level ?? 20
}

function readType(input: unknown, level: EventLevel, onAlter: (why: string) => void): EventType {
  if (input === undefined) return logType(level)
  const type = typeof input === 'string' ? parseEventType(input) : undefined
  if (type === undefined) onAlter(`event_type ${text(input)} is none of MADSci's`)
  return type ?? logType(level)
}

function readId(input: unknown, onAlter: (why: string) => void): string {
  if (input === undefined || input === null) return createEventId()
  const isId =
    typeof input === 'string' && input !== '' && input.length <= idLengthLimit && input.isWellFormed()
  if (isId) return input
  onAlter('event_id is no text of 1 to 1024 characters')
  return createEventId()
}

function readTime(input: unknown, onAlter: (why: string) => void): string {
  if (input === undefined || input === null) return nowTimestamp()
  const parsed = parseTimestamp(fromDate(input))
  if ('text' in parsed) {
    const stamp = parsed.text.endsWith('Z') ? parsed.text : `${parsed.text}Z`
    const unixNano = fromTimestamp(stamp)
    // OTLP counts nanoseconds since 1970 in 64 bits without a sign, and takes 0 for "no time".
    if (unixNano !== undefined && unixNano > 0n && unixNano < maxUnixNano) return stamp
  }
  onAlter(`event_timestamp ${text(input)} is no time between 1970 and 2554`)
  return nowTimestamp()
}

function fromDate(input: unknown): unknown {
  try {
    return isDate(input) ? input.toISOString() : input
  } catch {
    return undefined // an invalid Date, or a proxy that throws
  }
}

function readHex(
  input: unknown,
  pattern: RegExp,
  name: string,
  onAlter: (why: string) => void,
): string | null {
  if (input === undefined || input === null) return null
  const hex = typeof input === 'string' ? input.toLowerCase() : ''
  if (pattern.test(hex)) return hex
  onAlter(`${name} is no hex of the length that OpenTelemetry wants`)
  return null
}

/** The first of these names; each is a line of a log and a string that is kept. */
function tellNames(names: string[], onAlter: (why: string) => void, say: (name: string) => string): void {
  for (const name of names.slice(0, maxToldNames)) onAlter(say(name.slice(0, 40)))
  if (names.length > maxToldNames) onAlter(say('… (more of them)'))
}

function text(input: unknown): string {
  return typeof input === 'string' ? `'${input.slice(0, 40)}'` : `(a ${typeof input})`
}
