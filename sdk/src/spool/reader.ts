import type { Run } from '../otlp/request.ts'
import type { Batch } from '../queue.ts'
import { type Found, parseFrames } from './parse.ts'
import type { Segment } from './segment.ts'

/** What is read of a segment and not delivered: enough for some requests, so that memory stays flat. */
export interface Window {
  readonly segment: Segment
  bytes: Buffer
  /** Offset of the bytes in the segment. */
  base: number
  records: Found[]
  /** Index of the first record that is not delivered. */
  next: number
  /** Something in it could not be read; the segment is sealed then, and read to its end. */
  isDamaged: boolean
}

// Two full requests or so: more would hold the loop up, with the memory that it takes.
const readBytes = 256 * 1024

/** Reads on where the segment is delivered up to. Rejects when its file cannot be read. */
export async function readWindow(segment: Segment): Promise<Window> {
  const base = segment.done
  const window: Window = { segment, bytes: Buffer.alloc(0), base, records: [], next: 0, isDamaged: false }
  const parse = async (maxBytes: number, isWhole: boolean) => {
    window.bytes = await segment.store.read(base, maxBytes)
    const options = { from: 0, contexts: [...segment.contexts], isWhole, isSealed: segment.store.isFile }
    window.records = parseFrames(window.bytes, options).records
  }
  await parse(readBytes, false)
  // One record may be larger than what we read at a time.
  if (window.records.length === 0) await parse(segment.store.size, false)
  if (window.records.length === 0) {
    segment.isSealed = true
    window.isDamaged = true
    await parse(segment.store.size, true)
  }
  return window
}

export interface BatchLimit {
  maxCount: number
  maxBytes: number
  isOwn: boolean
}

/**
 * Whether reading on gives more for a request of so many records: a rest that is sent alone costs a round trip as a full
 * request does.
 */
export function isRest({ segment, base, records, next, isDamaged }: Window, maxCount: number): boolean {
  if (next === 0 || isDamaged || records.length - next >= maxCount) return false
  const { end } = records.at(-1)!
  return base + end < segment.store.size && end - records[next - 1]!.end < readBytes / 2
}

/** The records from `next` on that fit: at least one. */
export function toBatch(
  { bytes, records, next }: { bytes: Buffer; records: readonly Found[]; next: number },
  { maxCount, maxBytes, isOwn }: BatchLimit,
): Batch {
  const runs: Run[] = []
  let count = 0
  let size = 0
  for (let i = next; i < records.length && count < maxCount; i++) {
    const { start, end, context = noContext } = records[i]!
    size += end - start
    if (count > 0 && size > maxBytes) break
    let run = runs.at(-1)
    if (run?.context !== context) {
      run = { context, records: [], bytes: 0 }
      runs.push(run)
    }
    run.records.push(bytes.subarray(start, end))
    run.bytes += end - start
    count++
  }
  return { isOwn, count, runs }
}

// Neither resource nor scope: a record whose context was damaged is sent all the same.
const noContext = new Uint8Array(4)
