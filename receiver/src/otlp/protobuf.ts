import { type LogRecord, maxEventBytes, type OtelScope, type Value } from '@madsci-events/sdk/event'
import { readAnyValue, readAttribute, readMember } from './any-value.ts'
import { RecordCopier } from './copy-record.ts'
import {
  countDuplicates,
  createEventSink,
  type DecodedLogs,
  type DecodeOptions,
  type EventSink,
  maxValuesOf,
  type Resource,
  takeDoublesOf,
  takeDoublesOfRecord,
} from './decoded.ts'
import {
  createReader,
  isMalformed,
  type Reader,
  readFixed32,
  readFixed64,
  readFrame,
  readHexId,
  readVarint,
  readWord,
  skipField,
} from './wire.ts'

// Bit n: field n is one that we read.
const knownOfLists = 0b10
const knownOfResourceLogs = 0b1110
const knownOfScopeLogs = 0b1110
const knownOfResource = 0b110
const knownOfScope = 0b11110
const knownOfRecord = 0b1_1111_1110_1110

// An object has four bytes at least and counts for 40: so no event of a request can be too large.
const maxPlainBytes = maxEventBytes / 10

/**
 * ExportLogsServiceRequest → events, straight from the bytes.
 *
 *     request ─▶ ResourceLogs: resource, schema_url ─▶ ScopeLogs: scope, schema_url ─▶ LogRecord ─▶ event
 *
 * Fields come in any order, and encoders write schema_url behind the records it governs: so each envelope is passed
 * over once for what it says of itself, and once more for its members.
 *
 * Promises:
 *  1. Bytes that are no such message throw EVT_OTLP; nothing else is thrown, but for EVT_TOO_LARGE.
 *  2. A record that is soundly framed but cannot be read or kept (a field of another type, text that is no UTF-8, values
 *     nested too deep) is refused alone, with a reason; such a resource or scope with its own records alone.
 *  3. Unknown fields are passed over.
 */
export function decodeProtobuf(bytes: Uint8Array, options: DecodeOptions): DecodedLogs {
  const r = createReader(bytes, maxValuesOf(options))
  const end = bytes.length
  const { documents } = options
  const sink = createEventSink(
    bytes,
    options,
    documents && end <= maxPlainBytes ? new RecordCopier(documents, end) : undefined,
  )
  let hasResources = false
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) {
      hasResources = true
      readResourceLogs(r, readFrame(r, end), sink)
    } else skipField(r, tag, end, knownOfLists)
  }
  return sink.close({
    duplicateKeyCount: r.duplicateKeyCount,
    unreadableIdCount: r.unreadableIdCount,
    unreadNames: end > 0 && !hasResources ? ['a body without resource_logs'] : [],
    isSound: r.isPlain && end <= maxPlainBytes,
  })
}

function readResourceLogs(r: Reader, end: number, sink: EventSink): void {
  const start = r.pos
  const resource: Resource = { attributes: {}, droppedAttributesCount: 0, schemaUrl: '' }
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x12) r.pos = readFrame(r, end)
    else if (tag === 0x0a) readAlone(r, readFrame(r, end), (_, stop) => readResource(r, stop, resource))
    else if (tag === 0x1a) resource.schemaUrl = readWord(r, end)
    else skipField(r, tag, end, knownOfResourceLogs)
  }
  resource.doubles = takeDoublesOf(r, resource.attributes, '/resource')
  sink.openResource(resource, takeDefect(r))
  r.pos = start
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x12) readScopeLogs(r, readFrame(r, end), sink)
    else skipField(r, tag, end, 0)
  }
}

function readResource(r: Reader, end: number, resource: Resource): void {
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) readMember(r, readFrame(r, end), resource.attributes, 1)
    else if (tag === 0x10) resource.droppedAttributesCount = readVarint(r, end)
    else skipField(r, tag, end, knownOfResource)
  }
}

function readScopeLogs(r: Reader, end: number, sink: EventSink): void {
  const start = r.pos
  const scope: OtelScope = {}
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x12) r.pos = readFrame(r, end)
    else if (tag === 0x0a) readAlone(r, readFrame(r, end), (_, stop) => readScope(r, stop, scope))
    else if (tag === 0x1a) setText(scope, 'schema_url', readWord(r, end))
    else skipField(r, tag, end, knownOfScopeLogs)
  }
  const doubles = takeDoublesOf(r, scope.attributes ?? {}, '/scope')
  const isKept = sink.openScope(scope, takeDefect(r), doubles)
  sink.copier?.open(isKept && r.isPlain ? sink.contextOf : undefined)
  r.pos = start
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x12) {
      const stop = readFrame(r, end)
      const event = sink.copier?.copy(r, stop)
      if (event !== undefined) {
        r.pos = stop
        sink.take(event)
        continue
      }
      addRecord(r, stop, sink)
    } else skipField(r, tag, end, 0)
  }
}

function addRecord(r: Reader, stop: number, sink: EventSink): void {
  const record = readAlone(r, stop, readRecord)
  const defect = takeDefect(r)
  if (record === undefined) sink.refuseMalformed('a record that is no LogRecord')
  else if (defect === '') sink.add(record)
  else sink.refuse(defect)
}

/** What lies in a sound frame costs nothing beyond it, whatever it holds: undefined, and a defect, for what is no such message. */
function readAlone<T>(r: Reader, stop: number, read: (r: Reader, end: number) => T): T | undefined {
  try {
    return read(r, stop)
  } catch (error) {
    if (!isMalformed(error)) throw error
    r.defect = 'fields that OTLP does not have'
    r.pos = stop
    return undefined
  }
}

function readScope(r: Reader, end: number, scope: OtelScope): void {
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) setText(scope, 'name', readWord(r, end))
    else if (tag === 0x12) setText(scope, 'version', readWord(r, end))
    else if (tag === 0x1a) {
      scope.attributes ??= {}
      readMember(r, readFrame(r, end), scope.attributes, 1)
    } else if (tag === 0x20) {
      const count = readVarint(r, end)
      if (count !== 0) scope.dropped_attributes_count = count
    } else skipField(r, tag, end, knownOfScope)
  }
}

function readRecord(r: Reader, end: number): LogRecord {
  const keys: string[] = []
  const values: Value[] = []
  let timeUnixNano = 0n
  let observedTimeUnixNano = 0n
  let severityNumber = 0
  let severityText = ''
  let eventName = ''
  let body: Value | undefined
  let droppedAttributesCount = 0
  let flags = 0
  let traceId = ''
  let spanId = ''
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x32) readAttribute(r, readFrame(r, end), keys, values)
    else if (tag === 0x09) timeUnixNano = readFixed64(r, end)
    else if (tag === 0x59) observedTimeUnixNano = readFixed64(r, end)
    else if (tag === 0x10) severityNumber = readVarint(r, end) | 0
    else if (tag === 0x1a) severityText = readWord(r, end)
    else if (tag === 0x2a) body = readAnyValue(r, readFrame(r, end), 1)
    else if (tag === 0x62) eventName = readWord(r, end)
    else if (tag === 0x4a) traceId = readHexId(r, end, 16)
    else if (tag === 0x52) spanId = readHexId(r, end, 8)
    else if (tag === 0x45) flags = readFixed32(r, end) & 0xff
    else if (tag === 0x38) droppedAttributesCount = readVarint(r, end)
    else skipField(r, tag, end, knownOfRecord)
  }
  r.duplicateKeyCount += countDuplicates(keys)
  const record: LogRecord = {
    timeUnixNano,
    observedTimeUnixNano,
    severityNumber,
    severityText,
    eventName,
    body,
    keys,
    values,
    droppedAttributesCount,
    flags,
    traceId,
    spanId,
  }
  if (r.hasWholeDoubles) takeDoublesOfRecord(record)
  r.hasWholeDoubles = false
  return record
}

// An empty text in protobuf is an absent one.
function setText(scope: OtelScope, key: 'name' | 'version' | 'schema_url', text: string): void {
  if (text !== '') scope[key] = text
}

function takeDefect(r: Reader): string {
  const { defect } = r
  r.defect = ''
  return defect
}
