/**
 * Protobuf into one buffer that is used again and again: what was written is valid until the next `begin`.
 *
 *     [ room for a frame's header and the record's own length ][ record … ]
 *     0                                                        roomBytes  ▲ pos
 */
export interface Writer {
  buffer: Buffer
  pos: number
  /** What the buffer still begins with from the last record; see `encodePlain`. */
  head: Uint8Array | undefined
}

/** Kept free before a record: a frame's header (12), a tag (1), a length (5). */
export const roomBytes = 24
const maxKeptBytes = 1024 * 1024

export function createWriter(): Writer {
  return { buffer: Buffer.allocUnsafe(64 * 1024), pos: roomBytes, head: undefined }
}

export function begin(writer: Writer): void {
  writer.pos = roomBytes
  writer.head = undefined
  // One giant must not hold its memory for ever.
  if (writer.buffer.length > maxKeptBytes) writer.buffer = Buffer.allocUnsafe(64 * 1024)
}

export function reserve(writer: Writer, bytes: number): void {
  const { buffer, pos } = writer
  if (pos + bytes <= buffer.length) return
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, pos + bytes))
  buffer.copy(larger, 0, 0, pos)
  writer.buffer = larger
}

/** Up to 2^53; the room for 10 bytes must be there. */
export function writeVarint(writer: Writer, number: number): void {
  const { buffer } = writer
  let rest = number
  while (rest >= 128) {
    buffer[writer.pos++] = (rest % 128) | 128
    rest = Math.floor(rest / 128)
  }
  buffer[writer.pos++] = rest
}

/** Two's complement in 64 bits, as protobuf writes an int64. */
export function writeInt64(writer: Writer, number: number | bigint): void {
  if (typeof number === 'number' && number >= 0) {
    writeVarint(writer, number)
    return
  }
  const { buffer } = writer
  let rest = BigInt.asUintN(64, BigInt(number))
  while (rest >= 128n) {
    buffer[writer.pos++] = Number(rest & 127n) | 128
    rest >>= 7n
  }
  buffer[writer.pos++] = Number(rest)
}

export function writeBytes(writer: Writer, bytes: Uint8Array): void {
  reserve(writer, bytes.length)
  const { buffer } = writer
  // A loop beats a native call for what is short.
  if (bytes.length > 64) buffer.set(bytes, writer.pos)
  else for (let i = 0, at = writer.pos; i < bytes.length; i++) buffer[at++] = bytes[i]!
  writer.pos += bytes.length
}

/** The text behind its length. Lone surrogates become U+FFFD. */
export function writeText(writer: Writer, text: string): void {
  if (!writeAscii(writer, text)) writeAnyText(writer, text)
}

/** The same for short ASCII, which is most of it: no native call is needed. False, and nothing written, for others. */
export function writeAscii(writer: Writer, text: string): boolean {
  const { length } = text
  if (length > 48) return false
  reserve(writer, 49)
  const { buffer } = writer
  let at = writer.pos
  buffer[at++] = length
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return false
    buffer[at++] = code
  }
  writer.pos = at
  return true
}

export function writeAnyText(writer: Writer, text: string): void {
  reserve(writer, text.length * 3 + 10)
  const start = openMessage(writer)
  writer.pos += writer.buffer.write(text, writer.pos, 'utf8')
  closeMessage(writer, start)
}

/** Leaves one byte for the length of what follows; `closeMessage` moves it when it takes more. */
export function openMessage(writer: Writer): number {
  return ++writer.pos
}

export function closeMessage(writer: Writer, start: number): void {
  const length = writer.pos - start
  if (length < 128) {
    writer.buffer[start - 1] = length
    return
  }
  const more = length < 1 << 14 ? 1 : length < 1 << 21 ? 2 : length < 1 << 28 ? 3 : 4
  reserve(writer, more)
  writer.buffer.copyWithin(start + more, start, writer.pos)
  const end = writer.pos + more
  writer.pos = start - 1
  writeVarint(writer, length)
  writer.pos = end
}

/** How many bytes a length takes. */
export function varintBytes(length: number): number {
  return length < 128 ? 1 : length < 1 << 14 ? 2 : length < 1 << 21 ? 3 : length < 1 << 28 ? 4 : 5
}
