import {
  type Event,
  isObject,
  type Otel,
  type Source,
  type SourceKey,
  setKey,
  sourceKeys,
  type Value,
} from './event.ts'
import { isUlid } from './id.ts'
import { fromExactJson, isPlain, toExactJson } from './json.ts'
import { type EventLevel, fromSeverity, toSeverity } from './level.ts'
import { severityOfWord } from './severity-word.ts'
import { fromTimestamp, toTimestamp } from './timestamp.ts'
import { type EventType, parseEventType } from './type.ts'

/** An OTel log record (OTLP 1.x `LogRecord`), decoded. Attributes are two parallel arrays: keys may repeat, the last wins. */
export interface LogRecord {
  /** 0n when absent. */
  timeUnixNano: bigint
  observedTimeUnixNano: bigint
  severityNumber: number
  severityText: string
  eventName: string
  body: Value | undefined
  keys: string[]
  values: Value[]
  droppedAttributesCount: number
  flags: number
  /** Lower-case hex, '' when absent. */
  traceId: string
  spanId: string
  /** Places of whole numbers that came as doubles; see Otel. */
  doubles?: string[] | undefined
}

/** What the records of one OTLP scope share. */
export interface RecordContext {
  /** `madsci.source.*` of the resource: ids fixed for a process. */
  source: Source
  /** `otel.resource`, `otel.scope`, `otel.source` for each event; undefined when there is nothing to keep. */
  resource: Otel['resource']
  resourceDroppedAttributesCount?: number
  resourceSchemaUrl?: string
  scope: Otel['scope']
  otherSource: Otel['source']
  doubles?: string[] | undefined
}

export interface FromRecordOptions {
  context?: RecordContext
  /** Time for a record that has none, nanoseconds since 1970. */
  receivedUnixNano: bigint
  /** The id of a record without `log.record.uid`. */
  createId: (record: LogRecord, timeUnixNano: bigint) => string
  /** Called for each `madsci.source.*` value that is no ULID and so went to `otel.source`. */
  onOtherSource?: (key: string) => void
}

const sourcePrefix = 'madsci.source.'
const sourceKeyOf = new Map<string, SourceKey>(sourceKeys.map((key) => [sourcePrefix + key, key]))
const maxAttributeDepth = 60 // the OTel SDK cuts attributes nested deeper than 64

/** Event → record. Total: what an attribute cannot carry exactly goes as JSON text. `otel` is not looked at. */
export function toRecord(event: Event): LogRecord {
  const severity = toSeverity(event.log_level)
  const time = fromTimestamp(event.event_timestamp) ?? 0n
  const keys = ['log.record.uid', 'madsci.event.type']
  const values: Value[] = [event.event_id, event.event_type]
  const put = (key: string, value: Value) => {
    keys.push(key)
    values.push(value)
  }
  if (event.log_level === 0) put('madsci.event.log_level', 0)
  if (event.alert) put('madsci.event.alert', true)
  for (const key of sourceKeys) {
    const id = event.source[key]
    if (id !== undefined) put(sourcePrefix + key, id)
  }
  const data = event.event_data
  if (!isMessageOnly(data)) {
    if (data !== null && isPlain(data) && fitsAttribute(data)) put('madsci.event.data', data)
    else put('madsci.event.json', toExactJson(data))
  }
  return {
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber: severity.number,
    severityText: severity.text,
    eventName: `madsci.${event.event_type}`,
    body: messageOf(data) ?? event.event_type,
    keys,
    values,
    droppedAttributesCount: 0,
    flags: 0,
    traceId: event.trace_id ?? '',
    spanId: event.span_id ?? '',
  }
}

/** Record → event, of any OTel source. Total; the gate checks the result like any other event. */
export function fromRecord(record: LogRecord, options: FromRecordOptions): Event {
  const { context } = options
  const { keys, values } = record
  const otel: Otel = {}
  let source: Source | undefined
  let id = ''
  let typeText = ''
  let legacyName = ''
  let notset = false
  let alert = false
  let data: Value | undefined
  let extra: { [key: string]: Value } | undefined
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    const value = values[i]!
    if (key === 'log.record.uid' && typeof value === 'string' && value !== '') id = value
    else if (key === 'madsci.event.type' && typeof value === 'string') typeText = value
    else if (key === 'madsci.event.data') data = value
    else if (key === 'madsci.event.alert' && typeof value === 'boolean') alert = value
    else if (key === 'madsci.event.log_level' && value === 0) notset = true
    else if (key === 'madsci.event.json' && typeof value === 'string') {
      const parsed = readJson(value)
      if (parsed !== undefined) data = parsed
      else extra = withKey(extra, key, value)
    } else if (key.startsWith(sourcePrefix)) {
      const name = sourceKeyOf.get(key)
      if (name !== undefined && typeof value === 'string' && isUlid(value)) {
        source ??= context ? { ...context.source } : {}
        source[name] = value
      } else {
        otel.source ??= {}
        setKey(otel.source, key.slice(sourcePrefix.length), value)
        options.onOtherSource?.(key)
      }
    } else {
      if (key === 'event.name' && typeof value === 'string') legacyName = value
      extra = withKey(extra, key, value)
    }
  }

  const { type, level, severity, isNamed } = toRecordHead(record, { typeText, legacyName, notset })
  if (record.severityNumber !== severity.number) otel.severity_number = record.severityNumber
  if (typeText !== '' && typeText !== type) {
    extra = withKey(extra, 'madsci.event.type', typeText)
  }

  const body = record.body
  let eventData: Value
  if (data !== undefined) {
    eventData = data
    if (!isNamed) otel.event_name = record.eventName
    if (extra) otel.attributes = extra
    if (body !== undefined && body !== (messageOf(data) ?? type)) otel.body = body
  } else {
    const members: { [key: string]: Value } = {}
    if (body !== undefined) members.message = body
    if (!isNamed || typeText !== type || extra || typeof body !== 'string') {
      otel.form = 'record'
      if (record.eventName !== '') otel.event_name = record.eventName
    }
    if (extra) {
      for (const key of Object.keys(extra)) {
        if (key !== 'message' || body === undefined) setKey(members, key, extra[key]!)
        else otel.attributes = { message: extra.message! }
        if (key === 'message' && body === undefined) otel.no_body = true
      }
    }
    eventData = members
  }

  const impliedText = otel.form === 'record' ? '' : severity.text
  if (record.severityText !== impliedText) otel.severity_text = record.severityText

  const time = record.timeUnixNano || record.observedTimeUnixNano || options.receivedUnixNano
  const event_timestamp = toTimestamp(time)
  // As OTel has it, who receives a record that nobody observed has observed it.
  const observed = record.timeUnixNano === 0n ? time : record.observedTimeUnixNano
  if (record.timeUnixNano === 0n) otel.time_unix_nano = '0'
  else if (time % 1000n !== 0n) otel.time_unix_nano = time.toString()
  if (observed !== record.timeUnixNano && (record.timeUnixNano !== 0n || time % 1000n !== 0n))
    otel.observed_time_unix_nano = observed.toString()
  if (record.flags !== 0) otel.flags = record.flags
  if (record.droppedAttributesCount !== 0) otel.dropped_attributes_count = record.droppedAttributesCount
  if (context) {
    if (context.resource) otel.resource = context.resource
    if (context.resourceDroppedAttributesCount)
      otel.resource_dropped_attributes_count = context.resourceDroppedAttributesCount
    if (context.resourceSchemaUrl) otel.resource_schema_url = context.resourceSchemaUrl
    if (context.scope) otel.scope = context.scope
    if (context.otherSource) otel.source = { ...context.otherSource, ...otel.source }
    if (context.doubles) otel.doubles = context.doubles
  }
  // Attributes have no order of their own.
  if (record.doubles) otel.doubles = [...(otel.doubles ?? []), ...record.doubles].sort()

  const event: Event = {
    event_id: id !== '' ? id : options.createId(record, time),
    event_type: type,
    log_level: level,
    alert,
    event_timestamp,
    source: source ?? (context ? context.source : {}),
    event_data: eventData,
    trace_id: record.traceId === '' ? null : record.traceId,
    span_id: record.spanId === '' ? null : record.spanId,
    archived: false,
    archived_at: null,
  }
  for (const _ in otel) {
    event.otel = otel
    break
  }
  return event
}

/** What the words of a record say of its event. */
export interface RecordHead {
  type: EventType
  level: EventLevel
  /** What OTLP has for the level. */
  severity: ReturnType<typeof toSeverity>
  /** Its event name is that of the type. */
  isNamed: boolean
}

/** `typeText`: `madsci.event.type`; `legacyName`: `event.name`; both '' for none; `notset`: its level is told as 0. */
export function toRecordHead(
  record: Pick<LogRecord, 'severityNumber' | 'severityText' | 'eventName'>,
  { typeText, legacyName, notset }: { typeText: string; legacyName: string; notset: boolean },
): RecordHead {
  const level: EventLevel = notset && record.severityNumber === 0 ? 0 : levelOf(record)
  const type = typeOf(typeText) ?? typeOf(record.eventName) ?? typeOf(legacyName) ?? logType(level)
  return { type, level, severity: toSeverity(level), isNamed: record.eventName === `madsci.${type}` }
}

/** Splits resource attributes into ids and the rest, once for all records of a resource. */
export function createRecordContext(
  resource: { [key: string]: Value },
  scope: Otel['scope'],
  onOtherSource?: (key: string) => void,
): RecordContext {
  const context: RecordContext = { source: {}, resource: undefined, scope, otherSource: undefined }
  for (const [key, value] of Object.entries(resource)) {
    const name = sourceKeyOf.get(key)
    if (name !== undefined && typeof value === 'string' && isUlid(value)) context.source[name] = value
    else if (key.startsWith(sourcePrefix)) {
      context.otherSource ??= {}
      setKey(context.otherSource, key.slice(sourcePrefix.length), value)
      onOtherSource?.(key)
    } else {
      context.resource ??= {}
      setKey(context.resource, key, value)
    }
  }
  return context
}

/** The text that a reader of logs should see for this event_data; undefined when it has none. */
export function messageOf(data: Value): string | undefined {
  if (typeof data === 'string') return data
  if (isObject(data) && Object.hasOwn(data, 'message') && typeof data.message === 'string')
    return data.message
  return undefined
}

/** The number counts; without one, the word that stands in its place. */
function levelOf({
  severityNumber,
  severityText,
}: Pick<LogRecord, 'severityNumber' | 'severityText'>): EventLevel {
  const number = severityNumber === 0 && severityText !== '' ? severityOfWord(severityText) : severityNumber
  return fromSeverity(number ?? 0)
}

function isMessageOnly(data: Value): boolean {
  if (!isObject(data) || typeof data.message !== 'string') return false
  const keys = Object.keys(data)
  return keys.length === 1 && keys[0] === 'message'
}

/** The type that an event name, of OTel's field or of the attribute that was its place before, says. */
export function typeOf(name: string): EventType | undefined {
  if (name === '') return undefined
  return parseEventType(name.startsWith('madsci.') ? name.slice(7) : name)
}

const logTypes = {
  0: 'log',
  10: 'log_debug',
  20: 'log_info',
  30: 'log_warning',
  40: 'log_error',
  50: 'log_critical',
} as const

/** The type of an event that names none: `log_<level>`. */
export function logType(level: EventLevel): EventType {
  return logTypes[level]
}

function withKey(members: { [key: string]: Value } | undefined, key: string, value: Value) {
  const target = members ?? {}
  setKey(target, key, value)
  return target
}

function readJson(text: string): Value | undefined {
  try {
    return fromExactJson(text)
  } catch {
    return undefined // the attribute then stays what it is: text among the other attributes
  }
}

/** The OTel SDK drops an attribute that has a `__proto__` key in it, and what is nested too deep. */
export function fitsAttribute(value: Value, depth: number = maxAttributeDepth): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (depth === 0) return false
  if (Array.isArray(value)) return value.every((member) => fitsAttribute(member, depth - 1))
  const members = value as { [key: string]: Value }
  return Object.keys(members).every((key) => key !== '__proto__' && fitsAttribute(members[key]!, depth - 1))
}
