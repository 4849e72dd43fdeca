import { EventError } from './error.ts'
import { type Event, isObject, type Source, sourceKeys, type Value } from './event.ts'
import { createEventId, isUlid } from './id.ts'
import { parseLevel } from './level.ts'
import { nowTimestamp, parseTimestamp } from './timestamp.ts'
import { eventTypes, parseEventType } from './type.ts'

/** One line of a 422 answer, in FastAPI's form. */
export interface Detail {
  type: string
  loc: (string | number)[]
  msg: string
  input: unknown
  ctx?: { [key: string]: unknown }
}

export interface ParseEventOptions {
  /** `source.manager_id` of an event that comes without a source. */
  managerId?: string
  /** Turns the canonical text of a naive time into what is stored; by default it stays naive. */
  fromNaive?: (text: string) => string
}

const levelList = '0, 10, 20, 30, 40 or 50'
const typeList = `${eventTypes
  .slice(0, -1)
  .map((type) => `'${type}'`)
  .join(', ')} or '${eventTypes.at(-1)}'`

/**
 * Untrusted JSON → event, with the defaults and the error texts of the original (MADSci 0.8.1, pydantic 2).
 * Throws EVT_INVALID with all problems in `detail`. Unknown members are ignored.
 */
export function parseEvent(input: Value | undefined, options: ParseEventOptions = {}): Event {
  const details: Detail[] = []
  const fail = (type: string, loc: (string | number)[], msg: string, value: unknown, ctx?: Detail['ctx']) => {
    details.push({ type, loc: ['body', ...loc], msg, input: value, ...(ctx && { ctx }) })
  }
  if (input === null || input === undefined) throw invalid([missing(['body'])])
  if (!isObject(input)) {
    fail(
      'model_attributes_type',
      [],
      'Input should be a valid dictionary or object to extract fields from',
      input,
    )
    throw invalid(details)
  }
  const member = (key: string) => (Object.hasOwn(input, key) ? input[key] : undefined)

  const event: Event = {
    event_id: '',
    event_type: 'unknown',
    log_level: 20,
    alert: false,
    event_timestamp: '',
    source: {},
    event_data: member('event_data') === undefined ? {} : member('event_data')!,
    trace_id: null,
    span_id: null,
    archived: false,
    archived_at: null,
  }

  const idKey = member('_id') === undefined ? 'event_id' : '_id'
  const id = member(idKey)
  if (id === undefined || id === null) event.event_id = createEventId()
  else if (typeof id === 'number' || typeof id === 'bigint' || typeof id === 'boolean')
    event.event_id = String(id)
  else if (typeof id === 'string' && id !== '') event.event_id = id
  else fail('string_type', [idKey], 'Input should be a valid string', id)

  const type = member('event_type')
  if (type !== undefined) {
    const parsed = typeof type === 'string' ? parseEventType(type) : undefined
    if (parsed) event.event_type = parsed
    else fail('enum', ['event_type'], `Input should be ${typeList}`, type, { expected: typeList })
  }
  const level = member('log_level')
  if (level !== undefined) {
    const parsed = parseLevel(level)
    if (parsed !== undefined) event.log_level = parsed
    else fail('enum', ['log_level'], `Input should be ${levelList}`, level, { expected: levelList })
  }
  const readFlag = (key: 'alert' | 'archived') => {
    const flag = member(key)
    if (flag === undefined) return
    const parsed = parseBoolean(flag)
    if (parsed !== undefined) event[key] = parsed
    else failBoolean(fail, key, flag)
  }
  readFlag('alert')
  const stamp = member('event_timestamp')
  if (stamp === undefined) event.event_timestamp = nowTimestamp()
  else event.event_timestamp = readTime(fail, 'event_timestamp', stamp, options) ?? ''
  const source = member('source')
  if (source === undefined)
    event.source = options.managerId === undefined ? {} : { manager_id: options.managerId }
  else if (isObject(source)) event.source = parseSource(source, fail)
  else {
    fail(
      'model_attributes_type',
      ['source'],
      'Input should be a valid dictionary or object to extract fields from',
      source,
    )
  }
  for (const key of ['trace_id', 'span_id'] as const) {
    const text = member(key)
    if (typeof text === 'string') event[key] = text
    else if (text !== undefined && text !== null)
      fail('string_type', [key], 'Input should be a valid string', text)
  }
  readFlag('archived')
  const archivedAt = member('archived_at')
  if (archivedAt !== undefined && archivedAt !== null) {
    event.archived_at = readTime(fail, 'archived_at', archivedAt, options) ?? null
  }
  const otel = member('otel')
  if (isObject(otel ?? null) && Object.keys(otel as object).length > 0)
    event.otel = otel as NonNullable<Event['otel']>

  if (details.length > 0) throw invalid(details)
  return event
}

type Fail = (type: string, loc: (string | number)[], msg: string, value: unknown, ctx?: Detail['ctx']) => void

function parseSource(source: { [key: string]: Value }, fail: Fail): Source {
  const parsed: Source = {}
  for (const key of sourceKeys) {
    const id = Object.hasOwn(source, key) ? source[key] : undefined
    if (id === undefined || id === null) continue
    if (typeof id === 'string' && isUlid(id)) parsed[key] = id
    else if (typeof id !== 'string')
      fail('string_type', ['source', key], 'Input should be a valid string', id)
    else
      fail('value_error', ['source', key], `Value error, Invalid ULID ${id} for field ${key}`, id, {
        error: {},
      })
  }
  return parsed
}

function readTime(fail: Fail, key: string, input: Value, options: ParseEventOptions): string | undefined {
  const parsed = parseTimestamp(input)
  if ('text' in parsed)
    return options.fromNaive && !parsed.text.endsWith('Z') ? options.fromNaive(parsed.text) : parsed.text
  if (typeof input === 'string' || typeof input === 'number') {
    const msg = `Input should be a valid datetime or date, ${parsed.reason}`
    fail('datetime_from_date_parsing', [key], msg, input, { error: parsed.reason })
  } else fail('datetime_type', [key], 'Input should be a valid datetime', input)
  return undefined
}

const trueTexts = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const falseTexts = new Set(['false', 'f', 'no', 'n', 'off', '0'])

/** A boolean as pydantic reads it: true/false, 1/0, and their words in any case; undefined for anything else. */
export function parseBoolean(input: unknown): boolean | undefined {
  if (typeof input === 'boolean') return input
  if (input === 1 || input === 0) return input === 1
  if (typeof input !== 'string') return undefined
  const text = input.toLowerCase()
  return trueTexts.has(text) ? true : falseTexts.has(text) ? false : undefined
}

function failBoolean(fail: Fail, key: string, input: Value): void {
  if (typeof input === 'string' || typeof input === 'number') {
    fail('bool_parsing', [key], 'Input should be a valid boolean, unable to interpret input', input)
  } else fail('bool_type', [key], 'Input should be a valid boolean', input)
}

export function missing(loc: (string | number)[]): Detail {
  return { type: 'missing', loc, msg: 'Field required', input: null }
}

export function invalid(detail: Detail[]): EventError {
  return new EventError(
    'EVT_INVALID',
    detail.map((line) => `${line.loc.join('.')}: ${line.msg}`).join('; '),
    { detail },
  )
}
