import { crc32 } from 'node:zlib'
import { createRangeSum, type RangeSum } from './range-sum.ts'

/**
 * What lies in a segment, numbers little-endian:
 *
 *     header (32 bytes)                                      frames, one after another
 *     ┌──────────┬─────────┬─────────────┬────────┬────────┐┌───────┬────────┬──────┬───┬─────────┬─────────┐
 *     │ MADSPL01 │ created │ done offset │ crc of │ crc of ││ crc32 │ length │ kind │ 0 │ context │ payload │ …
 *     │ 8        │ ms, f64 │ f64         │ 16–23  │ 0–15   ││ u32   │ u32    │ u8   │u8 │ u16     │ length  │
 *     └──────────┴─────────┴─────────────┴────────┴────────┘└───────┴────────┴──────┴───┴─────────┴─────────┘
 *
 * A frame's crc32 is over all that follows it in the frame. Kind 1 is a record (`Encoded` of the otlp room), of the
 * context with that number; kind 2 defines the context (`EncodedContext`), before its first record and in each segment
 * anew. What lies before the done offset has been delivered.
 */
export const headerBytes = 32
export const frameBytes = 12
export const recordKind = 1
export const contextKind = 2
/** No frame is larger. */
export const maxPayloadBytes = 64 * 1024 * 1024
const magic = Buffer.from('MADSPL01')

export function encodeHeader(createdMs: number): Buffer {
  const header = Buffer.alloc(headerBytes)
  magic.copy(header)
  header.writeDoubleLE(createdMs, 8)
  header.writeUInt32LE(crc32(header.subarray(0, 16)), 28)
  encodeDone(headerBytes).copy(header, 16)
  return header
}

/** Bytes 16–27 of the header. */
export function encodeDone(offset: number): Buffer {
  const done = Buffer.allocUnsafe(12)
  done.writeDoubleLE(offset, 0)
  done.writeUInt32LE(crc32(done.subarray(0, 8)), 8)
  return done
}

export interface Header {
  createdMs: number
  /** Where the first undelivered frame starts; the first frame of all if that cannot be read. */
  doneOffset: number
}

/** Undefined when these bytes do not start a segment that this version can read. */
export function decodeHeader(bytes: Buffer): Header | undefined {
  if (bytes.length < headerBytes || !bytes.subarray(0, 8).equals(magic)) return undefined
  if (crc32(bytes.subarray(0, 16)) !== bytes.readUInt32LE(28)) return undefined
  const doneOffset = bytes.readDoubleLE(16)
  const isDone = crc32(bytes.subarray(16, 24)) === bytes.readUInt32LE(24)
  const isOffset = isDone && Number.isSafeInteger(doneOffset) && doneOffset >= headerBytes
  return { createdMs: bytes.readDoubleLE(8), doneOffset: isOffset ? doneOffset : headerBytes }
}

/** Writes the head of a frame into the 12 bytes before `start`, but for its sum; its payload lies from there to `end`. */
export function headFrame(buffer: Buffer, start: number, end: number, kind: number, context: number): void {
  const length = end - start
  const head = start - frameBytes
  buffer[head + 4] = length
  buffer[head + 5] = length >>> 8
  buffer[head + 6] = length >>> 16
  buffer[head + 7] = length >>> 24
  buffer[head + 8] = kind
  buffer[head + 9] = 0
  buffer[head + 10] = context
  buffer[head + 11] = context >>> 8
}

/** Adds the sum: what is in memory needs none. */
export function sealFrame(buffer: Buffer, start: number, end: number): void {
  const head = start - frameBytes
  const crc = crc32(buffer.subarray(head + 4, end))
  buffer[head] = crc
  buffer[head + 1] = crc >>> 8
  buffer[head + 2] = crc >>> 16
  buffer[head + 3] = crc >>> 24
}

export interface Frame {
  kind: number
  context: number
  /** Of its payload. */
  start: number
  end: number
}

/**
 * The frame that starts at `pos`; 'short' when it would reach beyond the bytes; 'bad' when it is none. `isSealed`: its sum
 * is there, and must be right.
 */
export function readFrame(bytes: Buffer, pos: number, isSealed = true): Frame | 'short' | 'bad' {
  if (pos + frameBytes > bytes.length) return 'short'
  const length = bytes.readUInt32LE(pos + 4)
  const kind = bytes[pos + 8]!
  const isHead = length <= maxPayloadBytes && (kind === recordKind || kind === contextKind)
  if (!isHead || bytes[pos + 9] !== 0) return 'bad'
  const start = pos + frameBytes
  const end = start + length
  if (end > bytes.length) return 'short'
  if (isSealed && crc32(bytes.subarray(pos + 4, end)) !== bytes.readUInt32LE(pos)) return 'bad'
  return { kind, context: bytes.readUInt16LE(pos + 10), start, end }
}

/**
 * The next place from `pos` on where a whole frame starts; -1 when there is none. For bytes that are damaged: whatever they
 * are, it takes time in proportion to them.
 */
export function findFrame(bytes: Buffer, pos: number): number {
  let sumOf: RangeSum | undefined
  for (let at = pos; at + frameBytes <= bytes.length; at++) {
    const kind = bytes[at + 8]
    if ((kind !== recordKind && kind !== contextKind) || bytes[at + 9] !== 0) continue
    const length = bytes.readUInt32LE(at + 4)
    const end = at + frameBytes + length
    if (length > maxPayloadBytes || end > bytes.length) continue
    sumOf ??= createRangeSum(bytes)
    const sum = length <= shortBytes ? crc32(bytes.subarray(at + 4, end)) : sumOf(at + 4, end)
    if (sum === bytes.readUInt32LE(at)) return at
  }
  return -1
}

// Summed up as they are: quicker than by the sums of ranges.
const shortBytes = 4096
