import type { StoredEvent } from '../event-store.ts'
import { toDateText } from '../time-text.ts'
import { entryField } from './encode.ts'

/** BSON document → the JSON that REST shows, straight from the bytes: no objects are made on the way. */
export function decodeStoredEvent(document: Uint8Array): StoredEvent {
  source = document
  view = new DataView(document.buffer, document.byteOffset, document.byteLength)
  const json = toText('plain')
  const id = storedId()
  if (isPlain) return { id, json }
  return { id, json, exact: toText('exact') }
}

// One decode runs at a time (nothing here waits), so its state lives in the module.
let source: Uint8Array = new Uint8Array(0)
let view: DataView = new DataView(new ArrayBuffer(0))
let output = Buffer.allocUnsafeSlow(64 * 1024)
let end = 0
let isAscii = true
let isPlain = true
let mode: 'plain' | 'exact' = 'plain'

const type = {
  double: 1,
  text: 2,
  object: 3,
  array: 4,
  bytes: 5,
  undefined: 6,
  objectId: 7,
  boolean: 8,
  date: 9,
  null: 10,
  regex: 11,
  pointer: 12,
  code: 13,
  symbol: 14,
  scopedCode: 15,
  int32: 16,
  timestamp: 17,
  int64: 18,
  decimal: 19,
  minKey: 255,
  maxKey: 127,
} as const

const entryName = Buffer.from(entryField)
const quote = 34
const backslash = 92
// JSON.stringify's escapes, by byte; undefined for bytes that stand for themselves.
const escapes: (string | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === quote || byte === backslash
    ? JSON.stringify(String.fromCharCode(byte)).slice(1, -1)
    : undefined,
)

function toText(form: 'plain' | 'exact'): string {
  mode = form
  end = 0
  isAscii = true
  isPlain = true
  writeDocument(0, false)
  const text = isAscii ? output.toString('latin1', 0, end) : output.toString('utf8', 0, end)
  if (output.length > 4 * 1024 * 1024) output = Buffer.allocUnsafeSlow(64 * 1024)
  return text
}

function reserve(bytes: number): void {
  if (end + bytes <= output.length) return
  const grown = Buffer.allocUnsafeSlow(Math.max(end + bytes, output.length * 2))
  output.copy(grown, 0, 0, end)
  output = grown
}

function writeAscii(text: string): void {
  reserve(text.length)
  for (let i = 0; i < text.length; i++) output[end++] = text.charCodeAt(i)
}

/** Bytes [from, to) of the source as a JSON string. */
function writeText(from: number, to: number): void {
  // The worst byte becomes six.
  reserve((to - from) * 6 + 2)
  output[end++] = quote
  for (let i = from; i < to; i++) {
    const byte = source[i]!
    if (byte > 127) isAscii = false
    else if (byte < 32 || byte === quote || byte === backslash) {
      const escaped = escapes[byte]!
      for (let k = 0; k < escaped.length; k++) output[end++] = escaped.charCodeAt(k)
      continue
    }
    output[end++] = byte
  }
  output[end++] = quote
}

function findNul(from: number): number {
  let position = from
  while (source[position] !== 0) position++
  return position
}

/** A document or array that starts at `start`; its position after. */
function writeDocument(start: number, isArray: boolean): number {
  const size = view.getInt32(start, true)
  const last = start + size - 1
  const wrapped = mode === 'exact' && !isArray && isMarkShaped(start, last)
  if (wrapped) writeAscii('{"$madsci.object":')
  reserve(2)
  output[end++] = isArray ? 91 : 123
  let position = start + 4
  let first = true
  while (position < last) {
    const kind = source[position]!
    const keyEnd = findNul(position + 1)
    if (start === 0 && isEntryField(position + 1, keyEnd)) {
      position = skipValue(kind, keyEnd + 1)
      continue
    }
    if (!first) {
      reserve(1)
      output[end++] = 44
    }
    first = false
    if (!isArray) {
      writeText(position + 1, keyEnd)
      output[end - 1] = quote
      reserve(1)
      output[end++] = 58
    }
    position = writeValue(kind, keyEnd + 1)
  }
  reserve(2)
  output[end++] = isArray ? 93 : 125
  if (wrapped) output[end++] = 125
  return last + 1
}

/** `_entry`, which belongs to the journal. */
function isEntryField(from: number, to: number): boolean {
  if (to - from !== entryName.length || source[from] !== entryName[0] || source[from + 1] !== entryName[1])
    return false
  return entryName.every((byte, k) => source[from + k] === byte)
}

/** True for an object that exact JSON would take for one of its own marks (sdk event/json.ts). */
function isMarkShaped(start: number, last: number): boolean {
  const keyEnd = start + 5 < last ? findNul(start + 5) : last
  const key = Buffer.from(source.buffer, source.byteOffset + start + 5, Math.max(0, keyEnd - start - 5))
  const name = key.toString('latin1')
  if (name !== '$madsci.bytes' && name !== '$madsci.number' && name !== '$madsci.object') return false
  return skipValue(source[start + 4]!, keyEnd + 1) === last
}

function writeValue(kind: number, position: number): number {
  switch (kind) {
    case type.text:
    case type.symbol:
    case type.code: {
      const bytes = view.getInt32(position, true)
      writeText(position + 4, position + 3 + bytes)
      return position + 4 + bytes
    }
    case type.object:
      return writeDocument(position, false)
    case type.array:
      return writeDocument(position, true)
    case type.int32:
      writeAscii(String(view.getInt32(position, true)))
      return position + 4
    case type.double:
      writeDouble(view.getFloat64(position, true))
      return position + 8
    case type.int64:
      writeAscii(view.getBigInt64(position, true).toString())
      return position + 8
    case type.boolean:
      writeAscii(source[position] === 0 ? 'false' : 'true')
      return position + 1
    case type.date:
      writeAscii(`"${toDateText(Number(view.getBigInt64(position, true)))}"`)
      return position + 8
    case type.bytes:
      return writeBytes(position)
    case type.objectId:
      writeAscii(`"${Buffer.from(source.subarray(position, position + 12)).toString('hex')}"`)
      return position + 12
    case type.timestamp:
      writeAscii(view.getBigUint64(position, true).toString())
      return position + 8
    case type.null:
    case type.undefined:
    case type.minKey:
    case type.maxKey:
      writeAscii('null')
      return position
    case type.regex: {
      const patternEnd = findNul(position)
      writeText(position, patternEnd)
      return findNul(patternEnd + 1) + 1
    }
    default:
      // Decimals, pointers and code with scope: no program of a laboratory writes them.
      writeAscii('null')
      return skipValue(kind, position)
  }
}

function writeDouble(value: number): void {
  if (!Number.isFinite(value)) {
    isPlain = false
    writeAscii(mode === 'exact' ? `{"$madsci.number":"${value}"}` : 'null')
  } else if (Number.isInteger(value) && (!Number.isSafeInteger(value) || Object.is(value, -0))) {
    isPlain = false
    if (mode === 'plain') writeAscii(String(value))
    else writeAscii(value === 0 ? '-0' : value.toExponential())
  } else writeAscii(String(value))
}

function writeBytes(position: number): number {
  isPlain = false
  let bytes = view.getInt32(position, true)
  let from = position + 5
  const next = from + bytes
  // Subtype 2, the old binary, repeats its length.
  if (source[position + 4] === 2) {
    bytes -= 4
    from += 4
  }
  const base64 = Buffer.from(source.buffer, source.byteOffset + from, bytes).toString('base64')
  writeAscii(mode === 'exact' ? `{"$madsci.bytes":"${base64}"}` : `"${base64}"`)
  return next
}

function skipValue(kind: number, position: number): number {
  switch (kind) {
    case type.text:
    case type.symbol:
    case type.code:
      return position + 4 + view.getInt32(position, true)
    case type.object:
    case type.array:
    case type.scopedCode:
      return position + view.getInt32(position, true)
    case type.bytes:
      return position + 5 + view.getInt32(position, true)
    case type.double:
    case type.date:
    case type.int64:
    case type.timestamp:
      return position + 8
    case type.int32:
      return position + 4
    case type.boolean:
      return position + 1
    case type.objectId:
      return position + 12
    case type.decimal:
      return position + 16
    case type.pointer:
      return position + 4 + view.getInt32(position, true) + 12
    case type.regex:
      return findNul(findNul(position) + 1) + 1
    default:
      return position
  }
}

/** `_id` as text: MADSci's are strings; others as JSON shows them. */
function storedId(): string {
  const last = view.getInt32(0, true) - 1
  let position = 4
  while (position < last) {
    const kind = source[position]!
    const keyEnd = findNul(position + 1)
    const isId =
      keyEnd - position === 4 &&
      source[position + 1] === 95 &&
      source[position + 2] === 105 &&
      source[position + 3] === 100
    if (isId) return readId(kind, keyEnd + 1)
    position = skipValue(kind, keyEnd + 1)
  }
  return ''
}

function readId(kind: number, position: number): string {
  if (kind !== type.text) {
    end = 0
    isAscii = true
    const plain = isPlain
    writeValue(kind, position)
    isPlain = plain
    const text = output.toString('utf8', 0, end)
    return text.startsWith('"') ? (JSON.parse(text) as string) : text
  }
  const length = view.getInt32(position, true) - 1
  const bytes = Buffer.from(source.buffer, source.byteOffset + position + 4, length)
  return bytes.toString()
}
