import type { Encoded, EncodedContext } from '../otlp/encode.ts'
import {
  contextKind,
  encodeHeader,
  frameBytes,
  headerBytes,
  headFrame,
  readFrame,
  recordKind,
  sealFrame,
} from './frame.ts'
import type { Store } from './store.ts'

const maxContexts = 65_535

/** A piece of the queue: written from its start to its end, read behind that. */
export interface Segment {
  /** On the clock of this process, which nobody sets. */
  readonly createdMs: number
  /** The bytes as they lie there; see frame.ts. */
  store: Store
  /** Its records that are neither delivered nor dropped. */
  count: number
  /** What lies before this offset is delivered. */
  done: number
  /** Its contexts by number. */
  readonly contexts: Uint8Array[]
  isSealed: boolean
  /** Whether a frame of so many bytes finds room; one that is larger than a whole segment has one for itself. */
  fits(bytes: number): boolean
  /** Adds a record: all of it or, if it throws, nothing. */
  append(encoded: Encoded): void
  /** Moves it from memory to a file. */
  moveTo(file: Store): void
}

/** Throws when its header cannot be written; then nothing is left of it. */
export function createSegment(store: Store, maxBytes: number): Segment {
  const createdMs = performance.now()
  const contexts: Uint8Array[] = []
  const numbers = new Map<EncodedContext, number>()
  let last: EncodedContext | undefined
  let lastNumber = 0
  try {
    store.write(encodeHeader(Date.now()), 0, headerBytes)
  } catch (error) {
    store.remove()
    throw error
  }

  function numberOf(context: EncodedContext): number {
    const known = numbers.get(context)
    if (known !== undefined) return known
    const frame = Buffer.allocUnsafe(frameBytes + context.bytes.length)
    context.bytes.copy(frame, frameBytes)
    headFrame(frame, frameBytes, frame.length, contextKind, contexts.length)
    write(frame, frameBytes, frame.length)
    numbers.set(context, contexts.length)
    return contexts.push(context.bytes) - 1
  }

  function write(buffer: Buffer, start: number, end: number): void {
    if (segment.store.isFile) sealFrame(buffer, start, end)
    segment.store.write(buffer, start - frameBytes, end)
  }

  const segment: Segment = {
    createdMs,
    store,
    count: 0,
    done: headerBytes,
    contexts,
    isSealed: false,
    fits(bytes) {
      if (segment.isSealed || contexts.length >= maxContexts) return false
      const { size } = segment.store
      return size + bytes <= maxBytes || size === headerBytes
    },
    append(encoded) {
      if (encoded.context !== last) {
        lastNumber = numberOf(encoded.context)
        last = encoded.context
      }
      const { buffer, start, end } = encoded
      headFrame(buffer, start, end, recordKind, lastNumber)
      write(buffer, start, end)
      segment.count++
    },
    moveTo(file) {
      const bytes = segment.store.bytes!
      for (let pos = headerBytes; pos < bytes.length; ) {
        const frame = readFrame(bytes, pos, false)
        if (typeof frame !== 'object') throw new Error('BUG: no frame in memory')
        sealFrame(bytes, frame.start, frame.end)
        pos = frame.end
      }
      file.write(bytes, 0, bytes.length)
      file.note(segment.done)
      segment.store.remove()
      segment.store = file
    },
  }
  return segment
}
