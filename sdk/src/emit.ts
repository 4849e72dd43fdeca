import type { Context } from '@opentelemetry/api'
import { isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api'
import { type Event, isObject, type Source, sourceKeys, type Value } from './event/event.ts'
import { toExactJson } from './event/json.ts'
import { type EventLevel, toSeverity } from './event/level.ts'
import { logType, toRecord } from './event/record.ts'
import {
  type Encoded,
  type EncodedContext,
  finish,
  putFixed64,
  tag,
  writeFixed64,
  writeKey,
  writeKeyValue,
  writeNumber,
  writeTextField,
  writeTrace,
  writeValue,
} from './otlp/encode.ts'
import {
  begin,
  closeMessage,
  createWriter,
  openMessage,
  reserve,
  roomBytes,
  type Writer,
  writeAnyText,
  writeAscii,
  writeBytes,
} from './otlp/writer.ts'

/** What a logging library says more exactly than MADSci's levels can. */
export interface Severity {
  /** OpenTelemetry's, 1 to 24. */
  number: number
  text: string
}

/** Event → log record, in OTLP's bytes. Total. */
export function encodeEvent(
  writer: Writer,
  event: Event,
  context: EncodedContext,
  span: SpanContext | undefined,
  severity?: Severity,
): Encoded {
  const record = toRecord(event)
  begin(writer)
  const seconds = Number(record.timeUnixNano / 1_000_000_000n)
  const nanos = Number(record.timeUnixNano % 1_000_000_000n)
  writeFixed64(writer, tag.time, seconds, nanos)
  writeFixed64(writer, tag.observedTime, seconds, nanos)
  writeSeverity(writer, severity?.number ?? record.severityNumber, severity?.text ?? record.severityText)
  writeTextField(writer, tag.eventName, record.eventName)
  reserve(writer, 8)
  writer.buffer[writer.pos++] = tag.body
  const start = openMessage(writer)
  writeValue(writer, record.body as string)
  closeMessage(writer, start)
  for (let i = 0; i < record.keys.length; i++) {
    const key = record.keys[i]!
    const value = record.values[i]!
    if (key === 'madsci.event.data' && !isKept(value))
      writeKeyValue(writer, tag.attribute, 'madsci.event.json', toExactJson(value))
    else writeKeyValue(writer, tag.attribute, key, value as string)
  }
  if (span) writeTrace(writer, span.traceId, span.spanId, span.traceFlags)
  return finish(writer, context)
}

function writeSeverity(writer: Writer, number: number, text: string): void {
  reserve(writer, 2)
  if (number !== 0) {
    writer.buffer[writer.pos++] = tag.severityNumber
    writer.buffer[writer.pos++] = number
  }
  writeTextField(writer, tag.severityText, text)
}

/**
 * Whether an OpenTelemetry SDK on the way keeps this as an attribute. That of JavaScript takes an object with a
 * `constructor` of its own for an instance of a class, and drops the whole attribute for that, or for a bigint in it.
 */
export function isKept(value: Value): boolean {
  if (typeof value === 'bigint') return false
  if (Array.isArray(value)) return value.every(isKept)
  if (!isObject(value)) return true
  for (const key in value) {
    if (key === 'constructor' || !isKept(value[key]!)) return false
  }
  return true
}

export interface Plain {
  eventId: string
  micros: number
  level: EventLevel
  alert: boolean
  source: Source
  message: string
  data: object | undefined
}

const maxPlainDepth = 12
const maxPlainBytes = 512 * 1024

/**
 * The same for the call that programs make most, a text with plain data: in one pass, without an Event in between.
 * Undefined when there is anything in it that is not plain; then `encodeEvent` knows what to do. May throw what a getter
 * throws.
 */
export function encodePlain(
  writer: Writer,
  plain: Plain,
  context: EncodedContext,
  span: SpanContext | undefined,
): Encoded | undefined {
  const { message, data, micros, eventId } = plain
  const head = headOf(plain)
  if (writer.head === head) writer.pos = roomBytes + head.length
  else {
    begin(writer)
    writeBytes(writer, head)
    writer.head = head
  }
  const { buffer } = writer
  const seconds = Math.floor(micros / 1e6)
  putFixed64(buffer, roomBytes + 1, seconds, (micros - seconds * 1e6) * 1000)
  // Both times are one.
  for (let i = roomBytes + 1; i < roomBytes + 9; i++) buffer[i + 9] = buffer[i]!
  for (let i = 0, at = writer.pos - idLength; i < idLength; i++) buffer[at++] = eventId.charCodeAt(i)
  reserve(writer, 16)
  writer.buffer[writer.pos++] = tag.body
  const body = openMessage(writer)
  if (!writePlainText(writer, message)) return undefined
  closeMessage(writer, body)
  if (data !== undefined && !writeData(writer, message, data)) return undefined
  if (span) writeTrace(writer, span.traceId, span.spanId, span.traceFlags)
  return finish(writer, context)
}

/** Attribute `madsci.event.data` = {message, …data}; none when data has nothing to say. */
function writeData(writer: Writer, message: string, data: object): boolean {
  if (!isPlainObject(data) || Object.hasOwn(data, 'message')) return false
  reserve(writer, 32)
  const from = writer.pos
  writer.buffer[writer.pos++] = tag.attribute
  const attribute = openMessage(writer)
  writeKey(writer, 'madsci.event.data')
  reserve(writer, 16)
  writer.buffer[writer.pos++] = 0x12
  const value = openMessage(writer)
  writer.buffer[writer.pos++] = 0x32
  const list = openMessage(writer)
  writer.buffer[writer.pos++] = 0x0a
  const member = openMessage(writer)
  writeKey(writer, 'message')
  reserve(writer, 16)
  writer.buffer[writer.pos++] = 0x12
  const text = openMessage(writer)
  writePlainText(writer, message)
  closeMessage(writer, text)
  closeMessage(writer, member)
  const before = writer.pos
  if (!writeMembers(writer, data as { [key: string]: unknown }, 0)) return false
  if (writer.pos === before) {
    writer.pos = from
    return true
  }
  closeMessage(writer, list)
  closeMessage(writer, value)
  closeMessage(writer, attribute)
  return true
}

function writeMembers(writer: Writer, members: { [key: string]: unknown }, depth: number): boolean {
  for (const key of Object.keys(members)) {
    if (writer.pos > maxPlainBytes) return false
    const value = members[key]
    if (value === undefined) continue
    if (!isPlainKey(key)) return false
    reserve(writer, 8)
    writer.buffer[writer.pos++] = 0x0a
    const start = openMessage(writer)
    writeKey(writer, key)
    reserve(writer, 8)
    writer.buffer[writer.pos++] = 0x12
    const inner = openMessage(writer)
    if (!writePlain(writer, value, depth)) return false
    closeMessage(writer, inner)
    closeMessage(writer, start)
  }
  return true
}

function writePlain(writer: Writer, value: unknown, depth: number): boolean {
  reserve(writer, 16)
  switch (typeof value) {
    case 'string':
      return writePlainText(writer, value)
    case 'number': {
      const isPlain = Number.isInteger(value)
        ? Number.isSafeInteger(value) && !Object.is(value, -0)
        : Number.isFinite(value)
      if (isPlain) writeNumber(writer, value)
      return isPlain
    }
    case 'boolean':
      writer.buffer[writer.pos++] = 0x10
      writer.buffer[writer.pos++] = value ? 1 : 0
      return true
    case 'object':
      if (value === null) return true
      if (depth >= maxPlainDepth) return false
      return Array.isArray(value)
        ? writeItems(writer, value, depth + 1)
        : writeNested(writer, value, depth + 1)
    default:
      return false
  }
}

function writeNested(writer: Writer, value: object, depth: number): boolean {
  if (!isPlainObject(value)) return false
  writer.buffer[writer.pos++] = 0x32
  const start = openMessage(writer)
  if (!writeMembers(writer, value as { [key: string]: unknown }, depth)) return false
  closeMessage(writer, start)
  return true
}

function writeItems(writer: Writer, items: readonly unknown[], depth: number): boolean {
  writer.buffer[writer.pos++] = 0x2a
  const start = openMessage(writer)
  for (const item of items) {
    if (writer.pos > maxPlainBytes) return false
    reserve(writer, 8)
    writer.buffer[writer.pos++] = 0x0a
    const inner = openMessage(writer)
    if (item !== undefined && !writePlain(writer, item, depth)) return false
    closeMessage(writer, inner)
  }
  closeMessage(writer, start)
  return true
}

function writePlainText(writer: Writer, text: string): boolean {
  writer.buffer[writer.pos++] = 0x0a
  if (writeAscii(writer, text)) return true
  if (text.length >= maxPlainBytes || !text.isWellFormed()) return false
  writeAnyText(writer, text)
  return true
}

function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value)
}

// The same names come again and again: a look into the set is cheaper than a look at each character.
const plainKeys = new Set<string>()
const maxPlainKeys = 2000

function isPlainKey(key: string): boolean {
  if (plainKeys.has(key)) return true
  if (key === '__proto__' || key === 'constructor' || key.length > 64) return false
  if (key.includes('\0') || !key.isWellFormed()) return false
  if (plainKeys.size >= maxPlainKeys) plainKeys.clear()
  plainKeys.add(key)
  return true
}

const scratch = createWriter()

const idLength = 26
const heads = new WeakMap<Source, Uint8Array[]>()

/**
 * What the records of a level and a source begin with: both times, severity, EventName, type, alert, ids, and room for
 * the id's text at its end. A client's source is one object, so this is encoded once.
 */
function headOf({ level, alert, source }: Plain): Uint8Array {
  let known = heads.get(source)
  if (known === undefined) {
    known = []
    heads.set(source, known)
  }
  const key = level * 2 + (alert ? 1 : 0)
  known[key] ??= encodeHead(level, alert, source)
  return known[key]
}

function encodeHead(level: EventLevel, alert: boolean, source: Source): Uint8Array {
  const type = logType(level)
  const severity = toSeverity(level)
  begin(scratch)
  writeFixed64(scratch, tag.time, 0, 0)
  writeFixed64(scratch, tag.observedTime, 0, 0)
  writeSeverity(scratch, severity.number, severity.text)
  writeTextField(scratch, tag.eventName, `madsci.${type}`)
  writeKeyValue(scratch, tag.attribute, 'madsci.event.type', type)
  if (level === 0) writeKeyValue(scratch, tag.attribute, 'madsci.event.log_level', 0)
  if (alert) writeKeyValue(scratch, tag.attribute, 'madsci.event.alert', true)
  for (const key of sourceKeys) {
    const id = source[key]
    if (id !== undefined) writeKeyValue(scratch, tag.attribute, `madsci.source.${key}`, id)
  }
  writeKeyValue(scratch, tag.attribute, 'log.record.uid', '0'.repeat(idLength))
  return new Uint8Array(scratch.buffer.subarray(roomBytes, scratch.pos))
}

/** The span that a context is in, if it is one. */
export function spanOf(context: Context): SpanContext | undefined {
  const span = trace.getSpanContext(context)
  return span && isSpanContextValid(span) ? span : undefined
}
