/** Bytes, and the same as a view: four of them are read at once. */
export interface Bytes {
  readonly bytes: Uint8Array
  readonly view: DataView
}

export function toBytes(bytes: Uint8Array): Bytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) }
}

/** So many bytes from there on are the same in both. */
export function isEqual(
  one: Bytes,
  oneStart: number,
  other: Bytes,
  otherStart: number,
  length: number,
): boolean {
  let i = 0
  for (; i <= length - 4; i += 4)
    if (one.view.getInt32(oneStart + i, true) !== other.view.getInt32(otherStart + i, true)) return false
  for (; i < length; i++) if (one.bytes[oneStart + i] !== other.bytes[otherStart + i]) return false
  return true
}

/** A word that comes again and again in records: a key, a type, a severity. Made once, so that it can be told by its identity. */
export class Word implements Bytes {
  readonly text: string
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The same for the same text, and another for most others. */
  readonly hash: number
  /** For whoever asks about the word again and again: what it found out. */
  role = -1
  /** The word as a key in the form of a writer, and which writer's form it is. */
  key: Key | undefined
  keyForm = ''

  constructor(text: string, hash = 0) {
    const { bytes, view } = toBytes(new TextEncoder().encode(text))
    this.text = text
    this.bytes = bytes
    this.view = view
    this.hash = hash
    this.key = undefined
  }
}

/** A key as it is written: `length` bytes, in fours; behind the last there may be zeros. */
export interface Key {
  readonly fours: Int32Array
  readonly length: number
}

export function toKey(bytes: Uint8Array): Key {
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4)
  padded.set(bytes)
  const view = new DataView(padded.buffer)
  return {
    fours: Int32Array.from({ length: padded.length / 4 }, (_, i) => view.getInt32(i * 4, true)),
    length: bytes.length,
  }
}
