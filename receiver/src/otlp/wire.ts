import { isUtf8 } from 'node:buffer'
import { EventError, type Value } from '@madsci-events/sdk/event'
import { isEqual, Word } from '../document/word.ts'

/**
 * A place in protobuf bytes. The functions of this file move `pos` and never read at or beyond the `end` they are
 * given, which is the end of the message they are in:
 *
 *     bytes  [ …  tag len ( message … ) … ]
 *                            ▲pos     ▲end
 */
export interface Reader {
  readonly bytes: Buffer
  readonly view: DataView
  pos: number
  /** Why the record under way cannot be taken though its frame is sound, so that its neighbours can; '' when it can. */
  defect: string
  /** So far nothing was met that a store may refuse though OTLP allows it: such events are looked at one by one. */
  isPlain: boolean
  /** Duplicate attribute keys met so far. */
  duplicateKeyCount: number
  /** Ids of a length that they cannot have, met so far. */
  unreadableIdCount: number
  /** How many more values this request may hold. */
  valuesLeft: number
  /** What was read since somebody took it away holds whole doubles. */
  hasWholeDoubles: boolean
}

/** From `start` to `stop` in the bytes; both are equal for what is not there. */
export interface Span {
  start: number
  stop: number
}

// `utf8Slice` is what Buffer.toString('utf8') comes to after looking at its arguments; a request has thousands of texts.
export type Slicer = {
  utf8Slice(start: number, end: number): string
  hexSlice(start: number, end: number): string
  latin1Slice(start: number, end: number): string
}

export function createReader(bytes: Uint8Array, maxValues: number): Reader {
  return {
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    pos: 0,
    defect: '',
    isPlain: true,
    duplicateKeyCount: 0,
    unreadableIdCount: 0,
    valuesLeft: maxValues,
    hasWholeDoubles: false,
  }
}

export function malformed(what: string): EventError {
  return new EventError('EVT_OTLP', `The body is no OTLP ExportLogsServiceRequest: ${what}`)
}

/** What `malformed` makes. */
export const isMalformed = (error: unknown): boolean =>
  error instanceof EventError && error.code === 'EVT_OTLP'

/** Tags, lengths and enums: exact up to 32 bits, higher bits are lost. */
export function readVarint(r: Reader, end: number): number {
  const bytes = r.bytes
  let pos = r.pos
  if (pos >= end) throw malformed('it ends within a field')
  let byte = bytes[pos++]!
  if (byte < 128) {
    r.pos = pos
    return byte
  }
  let value = byte & 127
  for (let shift = 7; shift < 70; shift += 7) {
    if (pos >= end) throw malformed('it ends within a field')
    byte = bytes[pos++]!
    if (shift < 32) value |= (byte & 127) << shift
    if (byte < 128) {
      r.pos = pos
      return value >>> 0
    }
  }
  throw malformed('a varint has more than ten bytes')
}

/** A 64-bit integer: a number when a double holds it exactly, else a bigint. */
export function readInt64(r: Reader, end: number): Value {
  const bytes = r.bytes
  let pos = r.pos
  let low = 0
  let high = 0
  for (let shift = 0; shift < 70; shift += 7) {
    if (pos >= end) throw malformed('it ends within a field')
    const byte = bytes[pos++]!
    const bits = byte & 127
    if (shift < 28) low |= bits << shift
    else if (shift === 28) {
      low |= bits << 28
      high = bits >>> 4
    } else high |= bits << (shift - 32)
    if (byte < 128) {
      r.pos = pos
      const value = high * 4294967296 + (low >>> 0)
      if (Number.isSafeInteger(value)) return value
      return (BigInt(high) << 32n) | BigInt(low >>> 0)
    }
  }
  throw malformed('a varint has more than ten bytes')
}

export function readDouble(r: Reader, end: number): number {
  const pos = advance(r, 8, end)
  return r.view.getFloat64(pos, true)
}

export function readFixed64(r: Reader, end: number): bigint {
  const pos = advance(r, 8, end)
  return r.view.getBigUint64(pos, true)
}

export function readFixed32(r: Reader, end: number): number {
  const pos = advance(r, 4, end)
  return r.view.getUint32(pos, true)
}

/** Reads a length and gives the end of what it frames; `pos` is then at its beginning. */
export function readFrame(r: Reader, end: number): number {
  const length = readVarint(r, end)
  if (length > end - r.pos) throw malformed('it ends within a field')
  return r.pos + length
}

/** Text that is no UTF-8 is a defect of the record, not of the request. */
export function readText(r: Reader, end: number): string {
  const stop = readFrame(r, end)
  const start = r.pos
  r.pos = stop
  return start === stop ? '' : sliceText(r, start, stop)
}

/** A copy: the body's memory goes when the request is answered. */
export function readBytes(r: Reader, end: number): Uint8Array {
  const stop = readFrame(r, end)
  const copy = new Uint8Array(stop - r.pos)
  copy.set(r.bytes.subarray(r.pos, stop))
  r.pos = stop
  return copy
}

/** What `findId` gives for an id that has a length of its own. */
export const unreadable = -2

/** Where the id of this many bytes lies; −1 for none, which zeros mean too; `unreadable` for one that is none. */
export function findId({ bytes }: Reader, { start, stop }: Span, byteCount: number): number {
  if (start === stop) return -1
  if (stop - start !== byteCount) return unreadable
  for (let i = start; i < stop; i++) if (bytes[i] !== 0) return start
  return -1
}

/** An id as hex; '' for one that is none. */
export function readHexId(r: Reader, span: Span, byteCount: number): string {
  const at = findId(r, span, byteCount)
  if (at === unreadable) r.unreadableIdCount++
  return at < 0 ? '' : (r.bytes as unknown as Slicer).hexSlice(at, at + byteCount)
}

/**
 * Passes over a field that this release does not know. One that it knows (bit n of `known` is field n) and that comes
 * with another wire type is malformed; so are groups, which OTLP never had.
 */
export function skipField(r: Reader, tag: number, end: number, known: number): void {
  const field = tag >>> 3
  if (field === 0) throw malformed('a field has number 0')
  if (field < 31 && (known & (1 << field)) !== 0) throw malformed(`field ${field} has a wrong wire type`)
  const type = tag & 7
  if (type === 0) readVarint(r, end)
  else if (type === 1) advance(r, 8, end)
  else if (type === 2) r.pos = readFrame(r, end)
  else if (type === 5) advance(r, 4, end)
  else throw malformed(`wire type ${type} is not supported`)
}

/** Passes over so many bytes, and gives where they begin. */
export function advance(r: Reader, count: number, end: number): number {
  const pos = r.pos
  if (end - pos < count) throw malformed('it ends within a field')
  r.pos = pos + count
  return pos
}

function sliceText(r: Reader, start: number, stop: number): string {
  const text = (r.bytes as unknown as Slicer).utf8Slice(start, stop)
  // The decoder writes U+FFFD for what is no UTF-8; only a text that has one needs the second look.
  if (text.includes('\uFFFD') && !isUtf8(r.bytes.subarray(start, stop))) r.defect = 'text that is no UTF-8'
  return text
}

const wordShift = 21
const wordSlots = 2 ** (32 - wordShift)
const maxWordBytes = 64
const words: (Word | undefined)[] = new Array(wordSlots).fill(undefined)

/**
 * readText for words that come again in every record (attribute keys, severities, event names): each is made once and
 * found by its bytes, which also gives V8 the same string object each time, so that it is hashed once.
 *
 *     bytes ─hash─▶ slot ─ same bytes? ─▶ its word;  else decode and take the slot
 */
export function readWord(r: Reader, end: number): string {
  return takeWord(r, readFrame(r, end))
}

/** The same of what lies from `pos` to `stop`. */
export function takeWord(r: Reader, stop: number): string {
  const start = r.pos
  if (start === stop) return ''
  const word = findWord(r, stop)
  if (word !== undefined) return word.text
  r.pos = stop
  return sliceKey(r, start, stop)
}

/** The word from `pos` to `stop`, where `pos` is then; undefined, and nothing is read, for what is none: '', long, no text, with NUL. */
export function findWord(r: Reader, stop: number): Word | undefined {
  const start = r.pos
  const length = stop - start
  if (length === 0 || length > maxWordBytes) return undefined
  const bytes = r.bytes
  const { view } = r
  let hash = length
  if (length < 4) for (let i = start; i < stop; i++) hash = Math.imul(hash, 31) + bytes[i]!
  else {
    for (let i = start; i < stop - 4; i += 4) hash = Math.imul(hash, 0x01000193) ^ view.getInt32(i, true)
    hash = Math.imul(hash, 0x01000193) ^ view.getInt32(stop - 4, true)
  }
  hash = Math.imul(hash, 0x2c1b3c6d)
  const slot = hash >>> wordShift
  const cached = words[slot]
  if (cached !== undefined && cached.bytes.length === length && isEqual(cached, 0, r, start, length)) {
    r.pos = stop
    return cached
  }
  const text = bytes.subarray(start, stop)
  if (!isUtf8(text) || text.includes(0)) return undefined
  const word = new Word((bytes as unknown as Slicer).utf8Slice(start, stop), hash)
  words[slot] = word
  r.pos = stop
  return word
}

function sliceKey(r: Reader, start: number, stop: number): string {
  const text = sliceText(r, start, stop)
  if (text.includes('\0')) r.isPlain = false
  return text
}
