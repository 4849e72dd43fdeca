import { readFileSync, rmSync, statSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { leaveHome, leaveStream, listSegments, setAside } from './folder.ts'
import { decodeHeader, encodeDone, headerBytes } from './frame.ts'
import { type Found, parseFrames } from './parse.ts'

/** Homes of processes that are gone, read from their oldest segment to their newest. */
export interface Leftover {
  readonly home: string
  /** When this process found it, on its own clock. */
  readonly foundMs: number
  readonly bytes: number
  /** The undelivered records of its oldest segment; undefined when there are no more. Read once, then kept. */
  load(): Promise<Loaded | undefined>
  /** So many of them, the oldest, are delivered. */
  remove(count: number): void
  /** Drops the oldest segment, unless it is loaded; gives how many records that were. */
  dropOldest(): number
  /** Drops the segments that are older; gives how many records that were. */
  dropOlder(ageMs: number): number
  leave(): void
}

export interface Loaded {
  bytes: Buffer
  records: Found[]
  /** Index of the first that is not delivered. */
  next: number
}

export interface LeftoverListener {
  onFind(count: number): void
  onDamage(text: string): void
}

interface Piece {
  path: string
  bytes: number
  /** How old it was when it was found. */
  ageMs: number
}

/** Of an orphan, the folder around it goes with it. */
export function openLeftover(home: string, listener: LeftoverListener, { isOrphan = false } = {}): Leftover {
  const pieces: Piece[] = []
  const foundMs = performance.now()
  for (const path of listSegments(home)) {
    try {
      const { size, mtimeMs } = statSync(path)
      pieces.push({ path, bytes: size, ageMs: ageOf(mtimeMs) })
    } catch {
      // gone meanwhile
    }
  }
  let loaded: (Loaded & { isDamaged: boolean }) | undefined
  let loading: Promise<Loaded | undefined> | undefined
  let isLeft = false

  function finish(): void {
    const piece = pieces.shift()
    if (piece === undefined) return
    try {
      if (loaded?.isDamaged) setAside(piece.path)
      else rmSync(piece.path, { force: true })
    } catch (error) {
      listener.onDamage(`${piece.path} cannot be moved away: ${error}`)
    }
    loaded = undefined
  }

  async function loadNext(): Promise<Loaded | undefined> {
    for (;;) {
      const [piece] = pieces
      if (piece === undefined) return undefined
      let bytes: Buffer
      try {
        bytes = await readFile(piece.path)
        if (isLeft) return undefined
      } catch (error) {
        if (isLeft) return undefined
        listener.onDamage(`${piece.path} cannot be read: ${error}`)
        if ((error as { code?: string }).code === 'ENOENT') {
          // What comes to this place again is another's.
          pieces.shift()
          continue
        }
        loaded = { bytes: Buffer.alloc(0), records: [], next: 0, isDamaged: true }
        finish()
        continue
      }
      const parsed = parseSegment(bytes)
      loaded = { bytes, records: parsed.records, next: 0, isDamaged: parsed.isDamaged }
      if (parsed.isDamaged) {
        const text = `${piece.path} is damaged: what could be read of it is sent, and it is set aside`
        listener.onDamage(text)
      }
      if (parsed.records.length > 0) {
        listener.onFind(parsed.records.length)
        return loaded
      }
      finish()
    }
  }

  return {
    home,
    foundMs,
    get bytes() {
      let sum = 0
      for (const piece of pieces) sum += piece.bytes
      return sum
    },
    async load() {
      if (loaded) return loaded
      loading ??= loadNext().finally(() => {
        loading = undefined
      })
      return loading
    },
    remove(count) {
      if (!loaded) return
      loaded.next += count
      if (loaded.next >= loaded.records.length) finish()
      else void noteDone(pieces[0]!.path, loaded.records[loaded.next - 1]!.end)
    },
    dropOldest() {
      const index = loaded || loading ? 1 : 0
      const [piece] = pieces.splice(index, 1)
      return piece ? discard(piece) : 0
    },
    dropOlder(ageMs) {
      let count = 0
      // By a clock that is not set: what is late by days may be late by seconds, on a clock that was put right.
      const heldMs = performance.now() - foundMs
      for (let i = pieces.length - 1; i >= (loaded || loading ? 1 : 0); i--) {
        if (pieces[i]!.ageMs + heldMs <= ageMs) continue
        count += discard(pieces.splice(i, 1)[0]!)
      }
      return count
    },
    leave() {
      // The place may be another's by now.
      if (isLeft) return
      isLeft = true
      leaveHome(home)
      if (isOrphan) leaveStream(dirname(home))
    },
  }
}

// No program with a clock that is right has written a spool before.
const earliestMs = Date.UTC(2020)

/** By the times of day of then and now; none, where one of them cannot be right. */
function ageOf(timeMs: number): number {
  return timeMs < earliestMs ? 0 : Math.max(Date.now() - timeMs, 0)
}

/** The undelivered records of a whole segment. */
export function parseSegment(bytes: Buffer): { records: Found[]; isDamaged: boolean } {
  const header = decodeHeader(bytes)
  // A process that was killed while it made the file leaves less than a header, and nothing in it.
  if (header === undefined && bytes.length < headerBytes) return { records: [], isDamaged: false }
  const parsed = parseFrames(bytes, { from: header ? headerBytes : 0, contexts: [], isWhole: true })
  const done = header?.doneOffset ?? 0
  const records = parsed.records.filter(({ end }) => end > done)
  return { records, isDamaged: header === undefined || parsed.damages > 0 }
}

function discard({ path }: Piece): number {
  try {
    const { records } = parseSegment(readFileSync(path))
    rmSync(path, { force: true })
    return records.length
  } catch {
    return 0
  }
}

async function noteDone(path: string, offset: number): Promise<void> {
  try {
    const file = await open(path, 'r+')
    try {
      const done = encodeDone(offset)
      await file.write(done, 0, done.length, 16)
    } finally {
      await file.close()
    }
  } catch {
    // It is only a note.
  }
}
