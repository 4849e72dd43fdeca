import { contextKind, type Frame, findFrame, readFrame } from './frame.ts'

/** A record in the bytes of a segment. */
export interface Found {
  /** Of the record, in the bytes that were parsed. */
  start: number
  end: number
  /** Undefined when the frame that defined it could not be read. */
  context: Uint8Array | undefined
}

export interface Parsed {
  records: Found[]
  /** How far it was read. */
  end: number
  /** Places at which something lay that is no frame. */
  damages: number
  /** It ends in the middle of a frame: what a process that was killed while it wrote leaves. */
  isTorn: boolean
}

export interface ParseOptions {
  from: number
  /** Contexts known by number; those that are met are added. */
  contexts: (Uint8Array | undefined)[]
  /** The bytes are all that there is: what is no frame is damage, and passed over. Otherwise parsing stops there. */
  isWhole: boolean
  /** False for bytes that never left the memory. */
  isSealed?: boolean
}

/** Never throws, and never goes back: any bytes end. */
export function parseFrames(bytes: Buffer, { from, contexts, isWhole, isSealed }: ParseOptions): Parsed {
  const records: Found[] = []
  let pos = from
  let damages = 0
  let isTorn = false
  while (pos < bytes.length) {
    const frame: Frame | 'short' | 'bad' = readFrame(bytes, pos, isSealed)
    if (typeof frame === 'object') {
      const { kind, context, start, end } = frame
      if (kind === contextKind) contexts[context] = bytes.subarray(start, end)
      else records.push({ start, end, context: contexts[context] })
      pos = end
      continue
    }
    if (!isWhole) break
    const next = findFrame(bytes, pos + 1)
    // A length that leads beyond the end may be a torn frame, or a damaged one with good ones behind it.
    if (next < 0 && frame === 'short') isTorn = true
    else damages++
    if (next < 0) {
      pos = bytes.length
      break
    }
    pos = next
  }
  return { records, end: pos, damages, isTorn }
}
