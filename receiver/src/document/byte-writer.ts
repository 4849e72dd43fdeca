import { createMemoryPool, leastPooledBytes } from './memory-pool.ts'
import type { Bytes, Key } from './word.ts'

const startBytes = 1024 * 1024
const maxKeptBytes = 16 * 1024 * 1024
const highBits = 0x80808080 | 0

/** Bytes one behind the other, in memory that is used again. What writes has reserved its room before. */
export class ByteWriter {
  buffer: Buffer
  position: number
  private view: DataView
  private readonly first: number
  private readonly pool = createMemoryPool()

  /** So many bytes stay free before all others. */
  constructor(room: number) {
    this.first = this.position = room
    this.buffer = Buffer.allocUnsafeSlow(startBytes)
    this.view = viewOf(this.buffer)
  }

  reserve(bytes: number): void {
    if (this.position + bytes > this.buffer.length) this.grow(bytes)
  }

  byte(byte: number): void {
    this.buffer[this.position++] = byte
  }

  int32(value: number): void {
    this.view.setInt32(this.position, value, true)
    this.position += 4
  }

  setInt32(position: number, value: number): void {
    this.view.setInt32(position, value, true)
  }

  double(value: number): void {
    this.view.setFloat64(this.position, value, true)
    this.position += 8
  }

  /** Takes up to three bytes more than the key has, for a moment. */
  key({ fours, length }: Key): void {
    const { view } = this
    let position = this.position
    this.position = position + length
    for (let i = 0; i < fours.length; i++, position += 4) view.setInt32(position, fours[i]!, true)
  }

  /** Gives whether all of them are ASCII. */
  copy({ bytes, view: from }: Bytes, start: number, stop: number): boolean {
    const { view, buffer } = this
    let position = this.position
    let seen = 0
    let i = start
    for (const last = stop - 4; i <= last; i += 4, position += 4) {
      const four = from.getInt32(i, true)
      seen |= four
      view.setInt32(position, four, true)
    }
    for (; i < stop; i++) {
      const byte = bytes[i]!
      seen |= byte
      buffer[position++] = byte
    }
    this.position = position
    return (seen & highBits) === 0
  }

  bytes(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.position)
    this.position += bytes.length
  }

  /** Begins anew; gives where. One huge request does not hold its memory for ever. */
  reset(): number {
    if (this.buffer.length > maxKeptBytes) {
      this.buffer = Buffer.allocUnsafeSlow(startBytes)
      this.view = viewOf(this.buffer)
    }
    this.position = this.first
    return this.first
  }

  take(): Buffer {
    const bytes =
      this.position < leastPooledBytes ? Buffer.allocUnsafeSlow(this.position) : this.pool.take(this.position)
    this.buffer.copy(bytes, 0, 0, this.position)
    this.reset()
    return bytes
  }

  /** Memory that `take` gave, when nobody looks at it any more. */
  giveBack(bytes: Uint8Array): void {
    this.pool.giveBack(bytes)
  }

  private grow(bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(this.position + bytes, this.buffer.length * 2))
    this.buffer.copy(grown, 0, 0, this.position)
    this.buffer = grown
    this.view = viewOf(grown)
  }
}

const viewOf = ({ buffer, byteOffset, byteLength }: Buffer) => new DataView(buffer, byteOffset, byteLength)
