import type { AnyValue, Attributes } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import {
  begin,
  closeMessage,
  openMessage,
  reserve,
  roomBytes,
  varintBytes,
  type Writer,
  writeBytes,
  writeInt64,
  writeText,
  writeVarint,
} from './writer.ts'

/**
 * A log record as it stands in a request: field 2 of ScopeLogs with its tag and length, so that a request is nothing but
 * such bytes one after another. `buffer` is the writer's own: valid until its next record. At least 12 bytes before
 * `start` are free.
 */
export interface Encoded {
  buffer: Buffer
  start: number
  end: number
  context: EncodedContext
}

/** What records of one resource and scope share. */
export interface EncodedContext {
  /** See `joinContext`. */
  bytes: Buffer
}

/** The numbers of OTLP's fields, with their wire type (opentelemetry/proto/logs/v1/logs.proto). */
export const tag = {
  time: 0x09,
  severityNumber: 0x10,
  severityText: 0x1a,
  body: 0x2a,
  attribute: 0x32,
  droppedAttributesCount: 0x38,
  flags: 0x45,
  traceId: 0x4a,
  spanId: 0x52,
  observedTime: 0x59,
  eventName: 0x62,
} as const

// The names of attributes are few and come in every record: each is encoded once.
const keyCache = new Map<string, Uint8Array>()
const maxKeys = 2000

/** Field 1 of KeyValue. */
export function writeKey(writer: Writer, key: string): void {
  const known = keyCache.get(key)
  if (known !== undefined) {
    writeBytes(writer, known)
    return
  }
  reserve(writer, 16)
  const start = writer.pos
  writer.buffer[writer.pos++] = 0x0a
  writeText(writer, key)
  if (key.length > 64) return
  if (keyCache.size >= maxKeys) keyCache.clear()
  keyCache.set(key, new Uint8Array(writer.buffer.subarray(start, writer.pos)))
}

/** Any value OTLP knows; what it does not know (a function, a symbol) is written as null. Depth is the caller's care. */
export function writeValue(writer: Writer, value: AnyValue | bigint): void {
  reserve(writer, 16)
  switch (typeof value) {
    case 'string':
      writer.buffer[writer.pos++] = 0x0a
      writeText(writer, value)
      break
    case 'boolean':
      writer.buffer[writer.pos++] = 0x10
      writer.buffer[writer.pos++] = value ? 1 : 0
      break
    case 'bigint':
      writer.buffer[writer.pos++] = 0x18
      writeInt64(writer, value)
      break
    case 'number':
      writeNumber(writer, value)
      break
    case 'object':
      if (value !== null) writeObject(writer, value)
  }
}

export function writeNumber(writer: Writer, value: number): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    writer.buffer[writer.pos++] = 0x18
    writeInt64(writer, value)
  } else {
    writer.buffer[writer.pos++] = 0x21
    writer.pos = writer.buffer.writeDoubleLE(value, writer.pos)
  }
}

function writeObject(writer: Writer, value: object): void {
  if (value instanceof Uint8Array) {
    writer.buffer[writer.pos++] = 0x3a
    writeVarint(writer, value.length)
    writeBytes(writer, value)
    return
  }
  const isArray = Array.isArray(value)
  writer.buffer[writer.pos++] = isArray ? 0x2a : 0x32
  const start = openMessage(writer)
  if (isArray) {
    for (const member of value) {
      reserve(writer, 8)
      writer.buffer[writer.pos++] = 0x0a
      const inner = openMessage(writer)
      writeValue(writer, member)
      closeMessage(writer, inner)
    }
  } else {
    const members = value as { [key: string]: AnyValue }
    for (const key of Object.keys(members))
      if (members[key] !== undefined) writeKeyValue(writer, 0x0a, key, members[key])
  }
  closeMessage(writer, start)
}

export function writeKeyValue(writer: Writer, fieldTag: number, key: string, value: AnyValue | bigint): void {
  reserve(writer, 8)
  writer.buffer[writer.pos++] = fieldTag
  const start = openMessage(writer)
  writeKey(writer, key)
  reserve(writer, 8)
  writer.buffer[writer.pos++] = 0x12
  const inner = openMessage(writer)
  writeValue(writer, value)
  closeMessage(writer, inner)
  closeMessage(writer, start)
}

export function writeFixed64(writer: Writer, fieldTag: number, seconds: number, nanos: number): void {
  reserve(writer, 9)
  writer.buffer[writer.pos] = fieldTag
  putFixed64(writer.buffer, writer.pos + 1, seconds, nanos)
  writer.pos += 9
}

/** seconds·10⁹ + nanos, which is beyond a double's 53 bits: in two halves of 32. */
export function putFixed64(buffer: Buffer, at: number, seconds: number, nanos: number): void {
  const low = (seconds % 65536) * 1e9 + nanos // below 2^46
  const high = Math.floor(seconds / 65536) * 1e9 // in units of 65536: below 2^46
  const upper = high + Math.floor(low / 65536)
  buffer.writeUInt32LE((upper % 65536) * 65536 + (low % 65536), at)
  buffer.writeUInt32LE(Math.floor(upper / 65536) % 4294967296, at + 4)
}

export function writeHex(writer: Writer, fieldTag: number, hex: string): void {
  reserve(writer, 2 + hex.length / 2)
  writer.buffer[writer.pos++] = fieldTag
  writer.buffer[writer.pos++] = hex.length / 2
  writer.pos += writer.buffer.write(hex, writer.pos, 'hex')
}

/** A whole record of the OpenTelemetry SDK. */
export function encodeRecord(writer: Writer, record: ReadableLogRecord, context: EncodedContext): Encoded {
  begin(writer)
  writeFixed64(writer, tag.time, record.hrTime[0], record.hrTime[1])
  writeFixed64(writer, tag.observedTime, record.hrTimeObserved[0], record.hrTimeObserved[1])
  reserve(writer, 16)
  if (record.severityNumber !== undefined) {
    writer.buffer[writer.pos++] = tag.severityNumber
    writeVarint(writer, record.severityNumber)
  }
  writeTextField(writer, tag.severityText, record.severityText)
  writeTextField(writer, tag.eventName, record.eventName)
  if (record.body !== undefined) {
    reserve(writer, 8)
    writer.buffer[writer.pos++] = tag.body
    const start = openMessage(writer)
    writeValue(writer, record.body)
    closeMessage(writer, start)
  }
  const { attributes } = record
  for (const key of Object.keys(attributes)) {
    const value = attributes[key]
    if (value !== undefined) writeKeyValue(writer, tag.attribute, key, value)
  }
  if (record.droppedAttributesCount > 0) {
    reserve(writer, 12)
    writer.buffer[writer.pos++] = tag.droppedAttributesCount
    writeVarint(writer, record.droppedAttributesCount)
  }
  const trace = record.spanContext
  if (trace) writeTrace(writer, trace.traceId, trace.spanId, trace.traceFlags)
  return finish(writer, context)
}

/** Ids in hex; '' is none. */
export function writeTrace(writer: Writer, traceId: string, spanId: string, flags: number): void {
  if (traceId) writeHex(writer, tag.traceId, traceId)
  if (spanId) writeHex(writer, tag.spanId, spanId)
  if (!flags) return
  reserve(writer, 5)
  writer.buffer[writer.pos++] = tag.flags
  writer.pos = writer.buffer.writeUInt32LE(flags >>> 0, writer.pos)
}

export function writeTextField(writer: Writer, fieldTag: number, text: string | undefined): void {
  if (!text) return
  reserve(writer, 1)
  writer.buffer[writer.pos++] = fieldTag
  writeText(writer, text)
}

/** Puts tag and length before the record that was written since `begin`. */
export function finish(writer: Writer, context: EncodedContext): Encoded {
  const end = writer.pos
  const length = end - roomBytes
  const start = roomBytes - 1 - varintBytes(length)
  writer.buffer[start] = 0x12
  writer.pos = start + 1
  writeVarint(writer, length)
  writer.pos = end
  return { buffer: writer.buffer, start, end, context }
}

export interface ContextInput {
  attributes: Attributes
  schemaUrl?: string | undefined
  scope: {
    name: string
    version?: string | undefined
    attributes?: Attributes | undefined
    schemaUrl?: string | undefined
  }
}

/**
 * Resource and scope, as they stand in a request around its records:
 *
 *     [u32 length of the resource's part][ResourceLogs: fields 1, 3][ScopeLogs: fields 1, 3]
 */
export function encodeContext(writer: Writer, input: ContextInput): EncodedContext {
  begin(writer)
  const from = writer.pos
  writer.pos += 4
  writer.buffer[writer.pos++] = 0x0a
  const resource = openMessage(writer)
  for (const [key, value] of Object.entries(input.attributes))
    if (value !== undefined) writeKeyValue(writer, 0x0a, key, value as AnyValue)
  closeMessage(writer, resource)
  writeTextField(writer, 0x1a, input.schemaUrl)
  writer.buffer.writeUInt32LE(writer.pos - from - 4, from)
  const { scope } = input
  reserve(writer, 8)
  writer.buffer[writer.pos++] = 0x0a
  const start = openMessage(writer)
  writeTextField(writer, 0x0a, scope.name)
  writeTextField(writer, 0x12, scope.version)
  for (const [key, value] of Object.entries(scope.attributes ?? {}))
    if (value !== undefined) writeKeyValue(writer, 0x1a, key, value as AnyValue)
  closeMessage(writer, start)
  writeTextField(writer, 0x1a, scope.schemaUrl)
  return { bytes: Buffer.from(writer.buffer.subarray(from, writer.pos)) }
}
