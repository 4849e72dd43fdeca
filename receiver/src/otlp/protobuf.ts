import type { OtelScope } from '@madsci-events/sdk/event'
import type { NewEvent } from '../document/event-document.ts'
import { readMember } from './any-value.ts'
import {
  createEventSink,
  type DecodedLogs,
  type DecodeOptions,
  type EventSink,
  maxValuesOf,
  type Resource,
  takeDoublesOf,
} from './decoded.ts'
import { RecordFields } from './record-fields.ts'
import { createTranscoder, maxPlainBytes, type RecordTranscoder } from './transcode-record.ts'
import { createReader, isMalformed, type Reader, readFrame, readVarint, readWord, skipField } from './wire.ts'

// Bit n: field n is one that we read.
const knownOfLists = 0b10
const knownOfResourceLogs = 0b1110
const knownOfScopeLogs = 0b1110
const knownOfResource = 0b110
const knownOfScope = 0b11110

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
 *     nested too deep) is refused alone, with a reason; such a resource or scope with its own records alone, and so are
 *     soundly framed ResourceLogs and ScopeLogs in which something cannot be read.
 *  3. Unknown fields are passed over.
 */
export function decodeProtobuf(
  bytes: Uint8Array,
  options: DecodeOptions & { documents?: undefined },
): DecodedLogs
export function decodeProtobuf(bytes: Uint8Array, options: DecodeOptions): DecodedLogs<NewEvent>
export function decodeProtobuf(bytes: Uint8Array, options: DecodeOptions): DecodedLogs<NewEvent> {
  const r = createReader(bytes, maxValuesOf(options))
  const end = bytes.length
  const sink = createEventSink(bytes, options)
  const transcoder = createTranscoder(sink.ids, end, options)
  const to: Target = { sink, transcoder }
  let hasResources = false
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) {
      hasResources = true
      readResourceLogs(r, readFrame(r, end), to)
    } else skipField(r, tag, end, knownOfLists)
  }
  transcoder?.close()
  return sink.close({
    duplicateKeyCount: r.duplicateKeyCount,
    unreadableIdCount: r.unreadableIdCount,
    unreadNames: end > 0 && !hasResources ? ['a body without resource_logs'] : [],
    isSound: r.isPlain && end <= maxPlainBytes,
  })
}

interface Target {
  sink: EventSink
  transcoder: RecordTranscoder | undefined
}

function readResourceLogs(r: Reader, end: number, to: Target): void {
  const start = r.pos
  const resource: Resource = { attributes: {}, droppedAttributesCount: 0, schemaUrl: '' }
  const stop = readEnvelope(r, end, (tag) => {
    if (tag === 0x12) r.pos = readFrame(r, end)
    else if (tag === 0x0a) readAlone(r, readFrame(r, end), (_, stop) => readResource(r, stop, resource))
    else if (tag === 0x1a) resource.schemaUrl = readWord(r, end)
    else skipField(r, tag, end, knownOfResourceLogs)
  })
  resource.doubles = takeDoublesOf(r, resource.attributes, '/resource')
  to.sink.openResource(resource, takeDefect(r))
  r.pos = start
  let count = 0
  while (r.pos < stop) {
    const tag = readVarint(r, stop)
    if (tag === 0x12) count += readScopeLogs(r, readFrame(r, stop), to)
    else skipField(r, tag, stop, 0)
  }
  if (stop < end && count === 0) to.sink.refuseMalformed('ResourceLogs that are none')
  r.pos = end
}

/** All of its fields, as far as they can be read: gives where that ends, and leaves a defect when it is before `end`. */
function readEnvelope(r: Reader, end: number, read: (tag: number) => void): number {
  let stop = r.pos
  readAlone(r, end, () => {
    for (; r.pos < end; stop = r.pos) read(readVarint(r, end))
  })
  return stop
}

function readResource(r: Reader, end: number, resource: Resource): void {
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) readMember(r, readFrame(r, end), resource.attributes, 1)
    else if (tag === 0x10) resource.droppedAttributesCount = readVarint(r, end)
    else skipField(r, tag, end, knownOfResource)
  }
}

/** Gives how many records it has, kept or not. */
function readScopeLogs(r: Reader, end: number, { sink, transcoder }: Target): number {
  const start = r.pos
  const scope: OtelScope = {}
  let count = 0
  const readable = readEnvelope(r, end, (tag) => {
    if (tag === 0x12) {
      r.pos = readFrame(r, end)
      count++
    } else if (tag === 0x0a) readAlone(r, readFrame(r, end), (_, stop) => readScope(r, stop, scope))
    else if (tag === 0x1a) setText(scope, 'schema_url', readWord(r, end))
    else skipField(r, tag, end, knownOfScopeLogs)
  })
  const doubles = takeDoublesOf(r, scope.attributes ?? {}, '/scope')
  const isKept = sink.openScope(scope, takeDefect(r), doubles)
  transcoder?.open(isKept ? sink.contextOf : undefined, r.isPlain)
  r.pos = start
  while (r.pos < readable) {
    const tag = readVarint(r, readable)
    if (tag !== 0x12) {
      skipField(r, tag, readable, 0)
      continue
    }
    const stop = readFrame(r, readable)
    try {
      addRecord(r, stop, { sink, transcoder })
    } catch (error) {
      if (!isMalformed(error)) throw error
      takeDefect(r)
      sink.refuseMalformed('a record that is no LogRecord')
    }
    r.pos = stop
  }
  r.pos = end
  if (readable === end || count > 0) return count
  sink.refuseMalformed('ScopeLogs that are none')
  return 1
}

const fields = new RecordFields()

function addRecord(r: Reader, stop: number, { sink, transcoder }: Target): void {
  fields.read(r, stop)
  const event = transcoder?.write(r, fields)
  if (transcoder && event) {
    sink.take(event, transcoder.doubles)
    return
  }
  const record = fields.toLogRecord(r)
  const defect = takeDefect(r)
  if (defect === '') sink.add(record)
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

// An empty text in protobuf is an absent one.
function setText(scope: OtelScope, key: 'name' | 'version' | 'schema_url', text: string): void {
  if (text !== '') scope[key] = text
}

function takeDefect(r: Reader): string {
  const { defect } = r
  r.defect = ''
  return defect
}
