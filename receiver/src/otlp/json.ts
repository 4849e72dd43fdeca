import {
  isObject,
  type LogRecord,
  type OtelScope,
  parseJson,
  scanJson,
  type Value,
} from '@madsci-events/sdk/event'
import {
  countDuplicates,
  createEventSink,
  type DecodedLogs,
  type DecodeOptions,
  type EventSink,
  maxValuesOf,
  tooManyValues,
} from './decoded.ts'
import {
  fixed64In,
  fromAnyValue,
  hexIn,
  int32In,
  type JsonNotes,
  listIn,
  type Members,
  objectIn,
  textIn,
  toMembers,
  toValue,
} from './json-value.ts'
import { malformed } from './wire.ts'

/**
 * ExportLogsServiceRequest in OTLP/JSON → events; the same as decodeProtobuf gives for the same request.
 *
 * Promises: those of decodeProtobuf. Names are lowerCamelCase and enums are integers, as OTLP says; 64-bit integers
 * come as text or as numbers and keep every digit; null is as good as absent.
 */
export function decodeJson(bytes: Uint8Array, options: DecodeOptions): DecodedLogs {
  const request = parseText(bytes, maxValuesOf(options))
  if (!isObject(request)) throw malformed('it is no JSON object')
  const notes: JsonNotes = { defect: '', duplicateKeyCount: 0 }
  const sink = createEventSink(options)
  for (const resourceLogs of listIn(request, 'resourceLogs')) {
    const resource = objectIn(resourceLogs, 'resource') ?? {}
    const attributes = toMembers(listIn(resource, 'attributes'), notes, 1)
    requireSound(notes, 'resource')
    sink.openResource({
      attributes,
      droppedAttributesCount: int32In(resource, 'droppedAttributesCount', 0, maxUint32),
      schemaUrl: textIn(resourceLogs, 'schemaUrl'),
    })
    for (const scopeLogs of listIn(resourceLogs, 'scopeLogs')) {
      sink.openScope(toScope(scopeLogs, notes))
      for (const record of listIn(scopeLogs, 'logRecords')) addRecord(record, notes, sink)
    }
  }
  // JSON may hold lone surrogates and integers of any length.
  return sink.close({ duplicateKeyCount: notes.duplicateKeyCount, isSound: false })
}

const maxUint32 = 0xffff_ffff
const maxInt32 = 0x7fff_ffff

function addRecord(members: Members, notes: JsonNotes, sink: EventSink): void {
  const record = toLogRecord(members, notes)
  if (notes.defect === '') sink.add(record)
  else {
    sink.refuse(notes.defect)
    notes.defect = ''
  }
}

function toLogRecord(members: Members, notes: JsonNotes): LogRecord {
  const keys: string[] = []
  const values: Value[] = []
  for (const member of listIn(members, 'attributes')) {
    keys.push(textIn(member, 'key'))
    values.push(toValue(member, notes, 1))
  }
  notes.duplicateKeyCount += countDuplicates(keys)
  const body = objectIn(members, 'body')
  return {
    timeUnixNano: fixed64In(members, 'timeUnixNano'),
    observedTimeUnixNano: fixed64In(members, 'observedTimeUnixNano'),
    severityNumber: severityIn(members),
    severityText: textIn(members, 'severityText'),
    eventName: textIn(members, 'eventName'),
    body: body === undefined ? undefined : fromAnyValue(body, notes, 1),
    keys,
    values,
    droppedAttributesCount: int32In(members, 'droppedAttributesCount', 0, maxUint32),
    flags: int32In(members, 'flags', 0, maxUint32) & 0xff,
    traceId: hexIn(members, 'traceId', 16),
    spanId: hexIn(members, 'spanId', 8),
  }
}

function severityIn(members: Members): number {
  if (typeof members.severityNumber === 'string') throw malformed('severityNumber is no integer')
  return int32In(members, 'severityNumber', -maxInt32 - 1, maxInt32)
}

function toScope(scopeLogs: Members, notes: JsonNotes): OtelScope {
  const members = objectIn(scopeLogs, 'scope') ?? {}
  const scope: OtelScope = {}
  const name = textIn(members, 'name')
  const version = textIn(members, 'version')
  const attributes = listIn(members, 'attributes')
  const dropped = int32In(members, 'droppedAttributesCount', 0, maxUint32)
  const schemaUrl = textIn(scopeLogs, 'schemaUrl')
  if (name !== '') scope.name = name
  if (version !== '') scope.version = version
  if (attributes.length > 0) scope.attributes = toMembers(attributes, notes, 1)
  if (dropped !== 0) scope.dropped_attributes_count = dropped
  if (schemaUrl !== '') scope.schema_url = schemaUrl
  requireSound(notes, 'scope')
  return scope
}

function requireSound(notes: JsonNotes, where: string): void {
  if (notes.defect !== '') throw malformed(`a ${where} holds ${notes.defect}`)
}

// parseJson looks for long runs of digits, and every request has some in its times. But those are in quotes: a bare
// integer follows one of these characters, and without one JSON.parse alone (five times faster) alters nothing.
const bareLongInteger = /[:,[\s-]\d{16}/
const maxDepth = 1000
const utf8 = new TextDecoder('utf-8', { fatal: true })

function parseText(bytes: Uint8Array, maxValues: number): Value {
  // `{}` becomes twenty times as many bytes in memory: ask before parsing.
  const { objects, arrays, depth } = scanJson(bytes, { values: Number.POSITIVE_INFINITY, depth: maxDepth })
  if (objects + arrays > maxValues) throw tooManyValues()
  if (depth > maxDepth) throw malformed('it is nested too deep')
  try {
    const text = utf8.decode(bytes)
    return bareLongInteger.test(text) ? parseJson(text) : (JSON.parse(text) as Value)
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed('it is no JSON')
    if (error instanceof RangeError) throw malformed('it is nested too deep')
    if (error instanceof TypeError) throw malformed('it is no UTF-8')
    throw error
  }
}
