import { type Event, isObject, type OtelScope, type Value } from './event.ts'
import { isPlain, toExactJson } from './json.ts'
import { fitsAttribute, type LogRecord, logType, toRecord, typeOf } from './record.ts'
import { DoublePlaces } from './whole-double.ts'

/** What the records of one resource and scope share on the wire. */
export interface OtelContext {
  resource: { [key: string]: Value }
  resourceDroppedAttributesCount: number
  resourceSchemaUrl: string
  scope: OtelScope
}

/**
 * Event → record with everything that its `otel` keeps, so that a receiver makes the same event of it again. Total: an
 * `otel` of another shape (REST takes any) is used as far as it fits. Ids of `source` become attributes of the record,
 * also those that came with the resource. What a record cannot say is kept beside: `madsci.event.timestamp` for times before
 * 1970, `madsci.event.trace_id` and `.span_id` for ids that OTel does not know.
 */
export function toOtelRecord(event: Event): LogRecord {
  const otel = event.otel as { [key: string]: Value } | undefined
  const isForeign = otel?.form === 'record' && isObject(event.event_data)
  const record = toRecord(isForeign ? { ...event, event_data: {} } : event)
  if (isForeign) setAttributes(record, event, otel)
  const { keys, values } = record
  const put = (key: string, value: Value) => {
    keys.push(key)
    values.push(value)
  }
  if (record.traceId !== '' && !isId(record.traceId, 32)) {
    put('madsci.event.trace_id', record.traceId)
    record.traceId = ''
  }
  if (record.spanId !== '' && !isId(record.spanId, 16)) {
    put('madsci.event.span_id', record.spanId)
    record.spanId = ''
  }
  const eventTime = record.timeUnixNano
  if (otel) {
    const time = nanosIn(otel.time_unix_nano) ?? eventTime
    record.timeUnixNano = time
    record.observedTimeUnixNano = nanosIn(otel.observed_time_unix_nano) ?? (time || eventTime)
  }
  if (eventTime < 0n || (record.timeUnixNano <= 0n && record.observedTimeUnixNano <= 0n)) {
    put('madsci.event.timestamp', event.event_timestamp)
    record.timeUnixNano = 0n
    record.observedTimeUnixNano = 0n
  }
  if (!otel) return record

  record.severityNumber = integerIn(otel.severity_number, 255) ?? record.severityNumber
  record.severityText = textOrNothing(otel.severity_text) ?? (isForeign ? '' : record.severityText)
  record.eventName = textOrNothing(otel.event_name) ?? (isForeign ? '' : record.eventName)
  record.flags = integerIn(otel.flags, 255) ?? 0
  record.droppedAttributesCount = integerIn(otel.dropped_attributes_count, 0xffff_ffff) ?? 0
  if (otel.body !== undefined) record.body = otel.body
  const extra = objectIn(otel.attributes)
  if (!isForeign && (otel.body !== undefined || extra)) putData(event.event_data)
  if (extra) {
    // What came as the type and is none of MADSci's, or another way to write it, stands alone as it did.
    if (typeof extra['madsci.event.type'] === 'string') {
      const at = keys.indexOf('madsci.event.type')
      keys.splice(at, 1)
      values.splice(at, 1)
    }
    for (const key of Object.keys(extra)) put(key, extra[key]!)
  }
  const source = objectIn(otel.source)
  if (source) for (const key of Object.keys(source)) put(`madsci.source.${key}`, source[key]!)
  const doubles = DoublePlaces.read(otel.doubles)
  if (doubles) {
    record.body = doubles.mark(record.body, 'body')
    record.values = values.map((value, index) => doubles.mark(value, 'attributes', keys[index]!))
  }
  return record

  /** Without it, a reader would take the other attributes for event_data. */
  function putData(data: Value): void {
    if (keys.includes('madsci.event.data') || keys.includes('madsci.event.json')) return
    if (isPlain(data) && fitsAttribute(data)) put('madsci.event.data', data)
    else put('madsci.event.json', toExactJson(data))
  }
}

/** Body and attributes of a record that came as others write them: nothing of MADSci's, but for what it cannot be known by. */
function setAttributes(record: LogRecord, event: Event, otel: { [key: string]: Value }): void {
  const data = event.event_data as { [key: string]: Value }
  const { keys, values } = record
  const remove = (key: string) => {
    const at = keys.indexOf(key)
    if (at < 0) return
    keys.splice(at, 1)
    values.splice(at, 1)
  }
  // Of the event_data that it was made without.
  remove('madsci.event.data')
  const legacyName = textOrNothing(data['event.name']) ?? ''
  const type = typeOf(textOrNothing(otel.event_name) ?? '') ?? typeOf(legacyName) ?? logType(event.log_level)
  if (type === event.event_type || typeof data['madsci.event.type'] === 'string') remove('madsci.event.type')
  const hasBody = Object.hasOwn(data, 'message') && otel.no_body !== true
  record.body = hasBody ? data.message! : undefined
  for (const key of Object.keys(data)) {
    if (key === 'message' && hasBody) continue
    keys.push(key)
    values.push(data[key]!)
  }
}

/** Resource and scope of an event; empty for one that did not come by OTLP. */
export function toOtelContext(event: Event): OtelContext {
  const otel = event.otel as { [key: string]: Value } | undefined
  const doubles = DoublePlaces.read(otel?.doubles)
  const scope = objectIn(otel?.scope) ?? {}
  const resource = objectIn(otel?.resource) ?? {}
  const scopeAttributes = objectIn(scope.attributes)
  const attributes = doubles ? doubles.mark(scopeAttributes, 'scope') : scopeAttributes
  const texts = {
    name: textOrNothing(scope.name),
    version: textOrNothing(scope.version),
    schema_url: textOrNothing(scope.schema_url),
  }
  const dropped = integerIn(scope.dropped_attributes_count, 0xffff_ffff)
  return {
    resource: doubles ? doubles.mark(resource, 'resource') : resource,
    resourceDroppedAttributesCount: integerIn(otel?.resource_dropped_attributes_count, 0xffff_ffff) ?? 0,
    resourceSchemaUrl: textOrNothing(otel?.resource_schema_url) ?? '',
    scope: {
      ...(texts.name !== undefined && { name: texts.name }),
      ...(texts.version !== undefined && { version: texts.version }),
      ...(attributes && { attributes }),
      ...(dropped !== undefined && { dropped_attributes_count: dropped }),
      ...(texts.schema_url !== undefined && { schema_url: texts.schema_url }),
    },
  }
}

const isId = (text: string, digits: number) => text.length === digits && /^(?!0*$)[0-9a-fA-F]+$/.test(text)

const textOrNothing = (value: Value | undefined) => (typeof value === 'string' ? value : undefined)
const objectIn = (value: Value | undefined) =>
  isObject(value) && Object.keys(value).length > 0 ? value : undefined
const integerIn = (value: Value | undefined, most: number) =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most ? value : undefined

function nanosIn(value: Value | undefined): bigint | undefined {
  if (typeof value !== 'string' || !/^\d{1,20}$/.test(value)) return undefined
  const nanos = BigInt(value)
  return nanos < 2n ** 64n ? nanos : undefined
}
