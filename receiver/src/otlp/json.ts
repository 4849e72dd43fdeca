import { isUtf8 } from 'node:buffer'
import {
  isObject,
  type LogRecord,
  type OtelScope,
  parseJson,
  scanJson,
  type Value,
} from '@madsci-events/sdk/event'
import type { EventDocument, NewEvent } from '../document/event-document.ts'
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
  tooManyValues,
} from './decoded.ts'
import { encodeRecord } from './encode-protobuf.ts'
import {
  Defect,
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
import { RecordFields } from './record-fields.ts'
import { createTranscoder, type RecordTranscoder } from './transcode-record.ts'
import { createReader, malformed } from './wire.ts'

/**
 * ExportLogsServiceRequest in OTLP/JSON → events; the same as decodeProtobuf gives for the same request.
 *
 * Promises: those of decodeProtobuf. Names are lowerCamelCase and enums are integers, as OTLP says; 64-bit integers
 * come as text or as numbers and keep every digit; null is as good as absent.
 */
export function decodeJson(bytes: Uint8Array, options: DecodeOptions & { documents?: undefined }): DecodedLogs
export function decodeJson(bytes: Uint8Array, options: DecodeOptions): DecodedLogs<NewEvent>
export function decodeJson(bytes: Uint8Array, options: DecodeOptions): DecodedLogs<NewEvent> {
  const request = parseText(bytes, maxValuesOf(options))
  if (!isObject(request)) throw malformed('it is no JSON object')
  const notes: JsonNotes = { defect: '', duplicateKeyCount: 0, unreadableIdCount: 0, hasWholeDoubles: false }
  const sink = createEventSink(bytes, options)
  const transcoder = createTranscoder(sink.ids, bytes.length, options)
  const unread = createNameCheck()
  unread.look(request, 'request')
  for (const resourceLogs of envelopesIn(request, 'resourceLogs', sink)) {
    unread.look(resourceLogs, 'resourceLogs')
    const [resource = noResource, resourceDefect] = readAlone(notes, () => toResource(resourceLogs, notes))
    sink.openResource(resource, resourceDefect)
    for (const scopeLogs of envelopesIn(resourceLogs, 'scopeLogs', sink)) {
      unread.look(scopeLogs, 'scopeLogs')
      const [scope = {}, scopeDefect] = readAlone(notes, () => toScope(scopeLogs, notes))
      const doubles = takeDoublesOf(notes, scope.attributes ?? {}, '/scope')
      const isKept = sink.openScope(scope, scopeDefect, doubles)
      transcoder?.open(isKept ? sink.contextOf : undefined, false)
      for (const record of envelopesIn(scopeLogs, 'logRecords', sink)) {
        unread.look(record, 'logRecords')
        addRecord(record, notes, { sink, transcoder })
      }
    }
  }
  transcoder?.close()
  return sink.close({
    duplicateKeyCount: notes.duplicateKeyCount,
    unreadableIdCount: notes.unreadableIdCount,
    unreadNames: unread.names,
    // JSON may hold lone surrogates and integers of any length.
    isSound: false,
  })
}

/** The lists that make a request. What is none, and what in one is no object, costs itself: it is counted as a record that is none. */
function envelopesIn(members: Members, name: string, sink: EventSink): Members[] {
  const value = members[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    sink.refuseMalformed(`${name} is no array`)
    return []
  }
  return value.filter((member) => {
    if (isObject(member)) return true
    sink.refuseMalformed(`${name} holds what is no object`)
    return false
  }) as Members[]
}

/** What is read, undefined when it is none; and why it cannot be kept, '' when it can. */
function readAlone<T>(notes: JsonNotes, read: () => T): [value: T | undefined, defect: string] {
  notes.defect = ''
  try {
    return [read(), notes.defect]
  } catch (error) {
    if (error instanceof Defect) return [undefined, error.message]
    throw error
  }
}

const maxUint32 = 0xffff_ffff
const maxInt32 = 0x7fff_ffff

interface Target {
  sink: EventSink
  transcoder: RecordTranscoder | undefined
}

function addRecord(members: Members, notes: JsonNotes, { sink, transcoder }: Target): void {
  const [record, defect] = readAlone(notes, () => toLogRecord(members, notes))
  const hasDoubles = notes.hasWholeDoubles
  notes.hasWholeDoubles = false
  if (record === undefined) sink.refuseMalformed(defect)
  else if (defect !== '') sink.refuse(defect)
  else {
    const document = transcoder && transcode(record, transcoder)
    if (document) sink.take(document, transcoder.doubles)
    else {
      if (hasDoubles) takeDoublesOfRecord(record)
      sink.add(record)
    }
  }
}

const fields = new RecordFields()
const noBytes = Buffer.alloc(0)
let reader = createReader(noBytes, 0)

/** By the way of every record: as protobuf has it, to the document. Undefined for what protobuf or a document has not. */
function transcode(record: LogRecord, transcoder: RecordTranscoder): EventDocument | undefined {
  try {
    const { buffer, end } = encodeRecord(record)
    if (reader.bytes.buffer !== buffer.buffer) reader = createReader(buffer, 0)
    reader.pos = 0
    // The parser has counted them.
    reader.valuesLeft = Number.MAX_SAFE_INTEGER
    fields.read(reader, end)
    return transcoder.write(reader, fields)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

const noResource: Resource = { attributes: {}, droppedAttributesCount: 0, schemaUrl: '' }

function toResource(resourceLogs: Members, notes: JsonNotes): Resource {
  const resource = objectIn(resourceLogs, 'resource') ?? {}
  const attributes = toMembers(listIn(resource, 'attributes'), notes, 1)
  return {
    attributes,
    doubles: takeDoublesOf(notes, attributes, '/resource'),
    droppedAttributesCount: int32In(resource, 'droppedAttributesCount', 0, maxUint32),
    schemaUrl: textIn(resourceLogs, 'schemaUrl'),
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
    traceId: hexIn(members, 'traceId', 16, notes),
    spanId: hexIn(members, 'spanId', 8, notes),
  }
}

function severityIn(members: Members): number {
  if (typeof members.severityNumber === 'string') throw new Defect('severityNumber is no integer')
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
  return scope
}

const namesOf = {
  request: ['resourceLogs'],
  resourceLogs: ['resource', 'scopeLogs', 'schemaUrl'],
  scopeLogs: ['scope', 'logRecords', 'schemaUrl'],
  logRecords: [
    'timeUnixNano',
    'observedTimeUnixNano',
    'severityNumber',
    'severityText',
    'eventName',
    'body',
    'attributes',
    'droppedAttributesCount',
    'flags',
    'traceId',
    'spanId',
  ],
}
const plainName = (name: string) => name.replaceAll('_', '').toLowerCase()
const knownNames = new Map(
  Object.entries(namesOf).map(([where, names]) => [
    where,
    { exact: new Set(names), plain: new Map(names.map((name) => [plainName(name), name])) },
  ]),
)
const maxUnreadNames = 10
const maxNameCharacters = 40

/** Finds names that are OTLP's but for their form (`resource_logs`), and a request that has nothing but others. */
function createNameCheck() {
  const found = new Set<string>()
  return {
    look(members: Members, where: keyof typeof namesOf): void {
      const { exact, plain } = knownNames.get(where)!
      let hasKnown = false
      for (const name in members) {
        if (exact.has(name)) {
          hasKnown = true
          continue
        }
        const meant = name.length <= maxNameCharacters ? plain.get(plainName(name)) : undefined
        if (meant !== undefined && found.size < maxUnreadNames) found.add(`${name} for ${meant}`)
      }
      if (where === 'request' && !hasKnown && Object.keys(members).length > 0 && found.size === 0)
        found.add('a body without resourceLogs')
    },
    get names() {
      return [...found]
    },
  }
}

// parseJson looks for long runs of digits, and every request has some in its times. But those are in quotes: a bare
// integer follows one of these characters, and without one JSON.parse alone (five times faster) alters nothing.
const bareLongInteger = /[:,[\s-]\d{16}/
// Values are bounded for themselves; so deep goes nothing that was meant.
const maxDepth = 100_000
const utf8 = new TextDecoder('utf-8')

function parseText(bytes: Uint8Array, maxValues: number): Value {
  // `{}` becomes twenty times as many bytes in memory: ask before parsing.
  const { objects, arrays, depth } = scanJson(bytes, { values: Number.POSITIVE_INFINITY, depth: maxDepth })
  if (objects + arrays > maxValues) throw tooManyValues()
  if (depth > maxDepth) throw malformed('it is nested too deep')
  try {
    const text = isUtf8(bytes) ? utf8.decode(bytes) : decodeMarked(bytes)
    return bareLongInteger.test(text) ? parseJson(text) : (JSON.parse(text) as Value)
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed('it is no JSON')
    if (error instanceof RangeError) throw malformed('it is nested too deep')
    throw error
  }
}

const replacement = Buffer.from('\u{fffd}')
// A lone surrogate whatever stands beside it, which the gate refuses.
const mark = '\ud800\ud800'

/** Bytes that are no UTF-8 → text with a mark in place of each fault, so that only what holds one is refused. */
function decodeMarked(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts: string[] = []
  for (let start = 0; start <= buffer.length; ) {
    // The decoder writes the replacement character for a fault: those that were sent are set aside.
    const found = buffer.indexOf(replacement, start)
    const end = found < 0 ? buffer.length : found
    parts.push(buffer.toString('utf8', start, end).replaceAll('\u{fffd}', mark))
    start = end + replacement.length
  }
  return parts.join('\u{fffd}')
}
