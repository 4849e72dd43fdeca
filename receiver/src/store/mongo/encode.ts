import { type Event, findDefect, maxDepth, type Value } from '@madsci-events/sdk/event'
import { EventDocument, eventOf, type NewEvent } from '../../document/event-document.ts'
import { toDateMs } from '../time-text.ts'

/**
 * Events → BSON documents of MADSci's form, one after the other in one buffer that is used again and again.
 * Integers that fit become int32, other safe integers and bigints int64, the rest double, as MADSci's own driver does.
 */
export interface EventEncoder {
  /**
   * Appends one document, with the elements of `tail` behind its own. Undefined, or the reason why no document can hold
   * the event; then nothing was appended.
   */
  add(event: NewEvent, maxBytes: number, tail?: Buffer): string | undefined
  /** All documents so far; valid until the next `add` or `reset`. Before them, `room` bytes of the same memory are free. */
  bytes(): Buffer
  readonly byteCount: number
  reset(): void
  /** Takes back what `add` wrote after this byte count. */
  truncate(byteCount: number): void
}

export const bsonType = {
  double: 1,
  text: 2,
  object: 3,
  array: 4,
  bytes: 5,
  boolean: 8,
  date: 9,
  null: 10,
  int32: 16,
  int64: 18,
} as const

const asciiKey = (type: number, key: string) => Buffer.from(`${String.fromCharCode(type)}${key}\0`, 'latin1')
const field = {
  id: asciiKey(bsonType.text, '_id'),
  type: asciiKey(bsonType.text, 'event_type'),
  level: asciiKey(bsonType.int32, 'log_level'),
  alert: asciiKey(bsonType.boolean, 'alert'),
  timestamp: asciiKey(bsonType.text, 'event_timestamp'),
  source: asciiKey(bsonType.object, 'source'),
  traceId: asciiKey(bsonType.text, 'trace_id'),
  noTraceId: asciiKey(bsonType.null, 'trace_id'),
  spanId: asciiKey(bsonType.text, 'span_id'),
  noSpanId: asciiKey(bsonType.null, 'span_id'),
  archived: asciiKey(bsonType.boolean, 'archived'),
  noArchivedAt: asciiKey(bsonType.null, 'archived_at'),
}
/** Not shown: decode.ts leaves it out. */
export const entryField = '_entry'
const indexKeys = Array.from({ length: 256 }, (_, index) => String(index))

// Below this length a loop is quicker than the call into native code.
const loopLength = 40
const maxKeptBytes = 64 * 1024 * 1024
/** For what a command writes before its documents. */
export const room = 32

/** Why a value cannot be stored; never leaves this file. */
class Defect extends Error {}

class Writer {
  buffer: Buffer
  position = room

  constructor(bytes: number) {
    this.buffer = Buffer.allocUnsafeSlow(room + bytes)
  }

  reserve(bytes: number): void {
    const needed = this.position + bytes
    if (needed <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.position)
    this.buffer = grown
  }

  raw(bytes: Buffer): void {
    this.reserve(bytes.length + 16)
    const { buffer } = this
    let position = this.position
    for (let i = 0; i < bytes.length; i++) buffer[position++] = bytes[i]!
    this.position = position
  }

  /** Type byte and key. Reserves room for a number after it. */
  key(type: number, key: string): void {
    const { length } = key
    this.reserve(length * 3 + 16)
    const { buffer } = this
    let position = this.position
    buffer[position++] = type
    for (let i = 0; i < length; i++) {
      const code = key.charCodeAt(i)
      if (code === 0) throw new Defect('a key with a NUL character')
      if (code > 127) {
        if (key.includes('\0', i) || !key.isWellFormed()) throw new Defect('a key that is no text')
        position = this.position + 1
        position += buffer.write(key, position, 'utf8')
        break
      }
      buffer[position++] = code
    }
    buffer[position++] = 0
    this.position = position
  }

  copy(bytes: Buffer, start: number, end: number): void {
    this.reserve(end - start)
    this.position += bytes.copy(this.buffer, this.position, start, end)
  }

  int32(value: number): void {
    this.setInt32(this.position, value)
    this.position += 4
  }

  setInt32(position: number, value: number): void {
    const { buffer } = this
    buffer[position] = value
    buffer[position + 1] = value >>> 8
    buffer[position + 2] = value >>> 16
    buffer[position + 3] = value >>> 24
  }

  text(text: string): void {
    const { length } = text
    this.reserve(length * 3 + 16)
    const { buffer } = this
    const start = this.position + 4
    let position = start
    if (length <= loopLength) {
      for (let i = 0; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) {
          position = start
          break
        }
        buffer[position++] = code
      }
    }
    if (position - start !== length) {
      position = start + buffer.write(text, start, 'utf8')
      if (position - start !== length && !text.isWellFormed()) throw new Defect('a lone surrogate')
    }
    buffer[position++] = 0
    this.setInt32(start - 4, position - start)
    this.position = position
  }

  /** Puts elements at the end of the document that was written last. */
  append(start: number, elements: Buffer): void {
    this.position--
    this.raw(elements)
    this.close(start)
  }

  value(key: string, value: Value | undefined, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.key(bsonType.text, key)
        this.text(value)
        return
      case 'number':
        this.number(key, value)
        return
      case 'boolean':
        this.key(bsonType.boolean, key)
        this.buffer[this.position++] = value ? 1 : 0
        return
      case 'bigint':
        if (BigInt.asIntN(64, value) !== value) throw new Defect('an integer beyond 64 bits')
        this.key(bsonType.int64, key)
        this.position = this.buffer.writeBigInt64LE(value, this.position)
        return
      case 'object':
        break
      default:
        return
    }
    if (value === null) this.key(bsonType.null, key)
    else if (value instanceof Uint8Array) {
      this.key(bsonType.bytes, key)
      this.reserve(value.length + 8)
      this.int32(value.length)
      this.buffer[this.position++] = 0
      this.buffer.set(value, this.position)
      this.position += value.length
    } else if (Array.isArray(value)) {
      this.key(bsonType.array, key)
      this.array(value, depth)
    } else {
      this.key(bsonType.object, key)
      this.object(value, depth)
    }
  }

  number(key: string, value: number): void {
    if ((value | 0) === value && !Object.is(value, -0)) {
      this.key(bsonType.int32, key)
      this.int32(value)
    } else if (Number.isSafeInteger(value) && value !== 0) {
      this.key(bsonType.int64, key)
      this.int32(value | 0)
      this.int32(Math.floor(value / 2 ** 32))
    } else {
      this.key(bsonType.double, key)
      this.position = this.buffer.writeDoubleLE(value, this.position)
    }
  }

  array(values: Value[], depth: number): void {
    if (depth === 0) throw new Defect('nesting')
    const start = this.open()
    for (let i = 0; i < values.length; i++) this.value(indexKeys[i] ?? String(i), values[i], depth - 1)
    this.close(start)
  }

  object(object: { [key: string]: Value | undefined }, depth: number): void {
    if (depth === 0) throw new Defect('nesting')
    const start = this.open()
    for (const key in object) this.value(key, object[key], depth - 1)
    this.close(start)
  }

  open(): number {
    this.reserve(16)
    this.position += 4
    return this.position - 4
  }

  close(start: number): void {
    this.reserve(1)
    this.buffer[this.position++] = 0
    this.setInt32(start, this.position - start)
  }

  event(event: Event): void {
    const start = this.open()
    this.raw(field.id)
    this.text(event.event_id)
    this.raw(field.type)
    this.text(event.event_type)
    this.raw(field.level)
    this.int32(event.log_level)
    this.raw(field.alert)
    this.buffer[this.position++] = event.alert ? 1 : 0
    this.raw(field.timestamp)
    this.text(event.event_timestamp)
    this.raw(field.source)
    this.object(event.source, 2)
    this.value('event_data', event.event_data, maxDepth + 1)
    this.optionalText(field.traceId, field.noTraceId, event.trace_id)
    this.optionalText(field.spanId, field.noSpanId, event.span_id)
    this.raw(field.archived)
    this.buffer[this.position++] = event.archived ? 1 : 0
    this.archivedAt(event.archived_at)
    if (event.otel) this.value('otel', event.otel as { [key: string]: Value }, maxDepth + 1)
    this.close(start)
  }

  optionalText(present: Buffer, absent: Buffer, text: string | null): void {
    if (text === null) this.raw(absent)
    else {
      this.raw(present)
      this.text(text)
    }
  }

  /** A BSON date, as the original's server writes it; text that is no canonical time stays text. */
  archivedAt(text: string | null): void {
    if (text === null) {
      this.raw(field.noArchivedAt)
      return
    }
    const ms = toDateMs(text)
    if (ms === undefined) this.value('archived_at', text, 1)
    else {
      this.key(bsonType.date, 'archived_at')
      this.position = this.buffer.writeBigInt64LE(ms, this.position)
    }
  }
}

/** The elements of a document, without what is around them; undefined for what no document can hold. */
export function encodeMembers(object: { [key: string]: Value }): Uint8Array | undefined {
  const writer = new Writer(1024)
  try {
    writer.object(object, maxDepth + 1)
  } catch (error) {
    if (error instanceof Defect) return undefined
    throw error
  }
  return writer.buffer.subarray(room + 4, writer.position - 1)
}

/** The element by which an event names the entry of the journal with which it was stored. */
export function toEntryElement(entry: string): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32LE(entry.length + 1)
  return Buffer.concat([asciiKey(bsonType.text, entryField), length, Buffer.from(`${entry}\0`, 'latin1')])
}

const noTail = Buffer.alloc(0)

export function createEventEncoder(startBytes = 1024 * 1024): EventEncoder {
  let writer = new Writer(startBytes)
  return {
    add(event, maxBytes, tail = noTail) {
      const start = writer.position
      if (event instanceof EventDocument && event.run.writer.form === 'bson') {
        const { run, start: from, end } = event
        if (end - from + tail.length > maxBytes) return `the event is larger than ${maxBytes} bytes`
        writer.copy(run.bytes, from, end)
        if (tail.length > 0) writer.append(start, tail)
        return undefined
      }
      const whole = eventOf(event)
      try {
        writer.event(whole)
        if (tail.length > 0) writer.append(start, tail)
      } catch (error) {
        writer.position = start
        if (!(error instanceof Defect)) throw error
        return findDefect(whole) ?? `the event holds ${error.message}`
      }
      if (writer.position - start <= maxBytes) return undefined
      writer.position = start
      return `the event is larger than ${maxBytes} bytes`
    },
    bytes: () => writer.buffer.subarray(room, writer.position),
    get byteCount() {
      return writer.position - room
    },
    reset() {
      // One huge write should not hold its memory for ever.
      if (writer.buffer.length > maxKeptBytes) writer = new Writer(startBytes)
      writer.position = room
    },
    truncate(byteCount) {
      writer.position = room + byteCount
    },
  }
}
