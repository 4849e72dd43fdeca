import type { Encoded } from '../otlp/encode.ts'
import type { Tally } from '../tally.ts'
import { frameBytes } from './frame.ts'
import type { Home } from './home.ts'
import { createSegment, type Segment } from './segment.ts'
import { createMemoryStore } from './store.ts'

/**
 * The segments of one client, oldest first: files and, while none can be written, pieces of memory.
 *
 *     [ file ][ file ][ memory ][ file ] ◀─ append
 */
export interface Trail {
  readonly segments: readonly Segment[]
  /** Records that wait, and those of them that are in memory. */
  readonly count: number
  readonly memoryCount: number
  readonly fileBytes: number
  readonly memoryBytes: number
  /** False when there is no room. */
  append(encoded: Encoded): boolean
  /** The newest segment takes nothing more. */
  seal(): void
  /** So many of its records wait no longer. */
  forget(segment: Segment, count: number): void
  /** Removes a segment; gives how many records went with it. */
  drop(segment: Segment): number
  /** After trouble with the disk: moves memory to files, some at a time. */
  recover(maxMovedBytes: number): void
}

export interface TrailOptions {
  home: Home | undefined
  fileSegmentBytes: number
  memorySegmentBytes: number
  tally: Tally
  /** Whether so many bytes may be added; may drop what is older. */
  makeRoom(bytes: number, isFile: boolean): boolean
  /** The segment that is being read: it must stay what it is. */
  isRead(segment: Segment): boolean
}

const probeBytes = 64 * 1024

export function createTrail(options: TrailOptions): Trail {
  const { home, tally, makeRoom, isRead, fileSegmentBytes, memorySegmentBytes } = options
  const segments: Segment[] = []
  let active: Segment | undefined
  let count = 0
  let memoryCount = 0
  let fileBytes = 0
  let memoryBytes = 0
  let recovery: NodeJS.Immediate | undefined

  function use(segment: Segment, bytes: number): void {
    if (segment.store.isFile) fileBytes += bytes
    else memoryBytes += bytes
  }

  function append(encoded: Encoded): boolean {
    const bytes = encoded.end - encoded.start + frameBytes
    const segment = active?.fits(bytes) ? active : rotate(bytes)
    if (segment === undefined) return false
    const { store } = segment
    if (!store.isFile && !makeRoom(bytes, false)) return false
    const before = store.size
    try {
      segment.append(encoded)
    } catch (error) {
      if (!store.isFile) throw error
      fail(error)
      return append(encoded)
    }
    use(segment, store.size - before)
    count++
    if (!store.isFile) memoryCount++
    return true
  }

  /** A new segment at the end; undefined when there is no room for one. */
  function rotate(bytes: number): Segment | undefined {
    seal()
    if (home !== undefined && home.trouble === undefined) {
      // As much as it may become, so that the bound holds whatever is written to it.
      if (!makeRoom(Math.max(bytes, fileSegmentBytes), true)) return undefined
      try {
        return add(createSegment(home.createStore(), fileSegmentBytes))
      } catch (error) {
        fail(error)
      }
    }
    return add(createSegment(createMemoryStore(memorySegmentBytes), memorySegmentBytes))
  }

  function add(segment: Segment): Segment {
    segments.push(segment)
    use(segment, segment.store.size)
    active = segment
    return segment
  }

  function seal(): void {
    const segment = active
    if (segment === undefined) return
    active = undefined
    segment.isSealed = true
    if (isRead(segment)) return
    if (segment.count === 0) drop(segment)
    else segment.store.seal()
  }

  function drop(segment: Segment): number {
    const index = segments.indexOf(segment)
    if (index < 0) return 0
    segments.splice(index, 1)
    if (segment === active) active = undefined
    const lost = segment.count
    forget(segment, lost)
    use(segment, -segment.store.size)
    segment.store.remove()
    return lost
  }

  function forget(segment: Segment, number: number): void {
    segment.count -= number
    count -= number
    if (!segment.store.isFile) memoryCount -= number
  }

  function fail(error: unknown): void {
    home!.fail(error)
    seal()
    tally.tell('spool', `the spool cannot be written, events wait in memory: ${home!.trouble!.message}`)
  }

  function recover(maxMovedBytes: number): void {
    clearImmediate(recovery)
    if (home?.trouble === undefined) return
    let left = maxMovedBytes
    try {
      probe(home)
      for (const segment of segments) {
        if (segment.store.isFile || segment.count === 0 || isRead(segment)) continue
        if (left <= 0) {
          // What is pushed meanwhile goes to memory, too, behind the others.
          recovery = setImmediate(() => recover(maxMovedBytes))
          return
        }
        if (!makeRoom(segment.store.size, true)) return
        left -= segment.store.size
        moveToFile(segment)
      }
      home.heal()
      if (active && !active.store.isFile) seal()
      tally.clear('spool', 'the spool can be written again')
    } catch (error) {
      home.fail(error)
    }
  }

  function moveToFile(segment: Segment): void {
    const file = home!.createStore()
    const { size } = segment.store
    try {
      segment.moveTo(file)
    } catch (error) {
      file.remove()
      throw error
    }
    memoryBytes -= size
    fileBytes += size
    memoryCount -= segment.count
    if (segment === active) seal()
    else file.seal()
  }

  return {
    segments,
    get count() {
      return count
    },
    get memoryCount() {
      return memoryCount
    },
    get fileBytes() {
      return fileBytes
    },
    get memoryBytes() {
      return memoryBytes
    },
    append,
    seal,
    forget,
    drop,
    recover,
  }
}

/** A file can be made, and filled: an empty one would find room on a full disk. */
function probe(home: Home): void {
  const store = home.createStore()
  try {
    store.write(Buffer.alloc(probeBytes), 0, probeBytes)
  } finally {
    store.remove()
  }
}
