/** Bytes of protobuf messages for short replies; long messages are written by encode-protobuf.ts. */
export function varint(number: number): Uint8Array {
  const bytes: number[] = []
  let rest = number
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

/** A field of bytes: its tag, their number, themselves. */
export function framed(tag: number, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(tag), varint(bytes.length), bytes])
}
