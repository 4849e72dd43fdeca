import type { Encoded } from '../otlp/encode.ts'
import type { Run } from '../otlp/request.ts'
import { countOf } from '../plural.ts'
import type { Batch, Queue, QueueListener } from '../queue.ts'
import type { Tally } from '../tally.ts'
import { setAside } from './folder.ts'
import type { Home } from './home.ts'
import { type Leftover, openLeftover } from './leftover.ts'
import { heartbeatMs } from './owner.ts'
import { isRest, readWindow, toBatch, type Window } from './reader.ts'
import type { Segment } from './segment.ts'
import { createTrail } from './trail.ts'

// How long what another process left is tried before its age counts.
const triedMs = 3_600_000

export interface SpoolOptions {
  /** Where files go; without it, everything is in memory. */
  home: Home | undefined
  maxBytes: number
  maxAgeMs: number
  /** The same for what is in memory, because there is no home or it cannot be written. */
  maxMemoryBytes: number
  maxMemoryEvents: number
  whenFull: 'reject' | 'drop-oldest'
  tally: Tally
}

const maxFileSegmentBytes = 4 * 1024 * 1024
const maxMemorySegmentBytes = 256 * 1024
const recoverBytes = 4 * 1024 * 1024
const claimBeats = 3
const adoptBeats = 120

/**
 * The queue on disk: a record is in a file before `push` returns, so it outlives the process however that ends. While no
 * file can be written, it is a queue in memory; each segment is one or the other, their bytes and their order are the same.
 *
 *     delivered, removed ◀─ [ file ][ file ][ memory ][ file ] ◀─ push
 *     and, in turns with it, [ file ][ file ] of each home that others left behind
 *
 * Promises (each has a test of the same name):
 *  1. What push took outlives a SIGKILL.
 *  2. Order is kept, whatever is in a file and whatever in memory.
 *  3. Bytes and age are bounded; what that costs is counted, and told once.
 *  4. What cannot be read is set aside and counted, and stops nothing else.
 *  5. A disk that cannot be written costs nothing while there is room in memory, and is used again when it can.
 */
export function createSpool(options: SpoolOptions): Queue {
  const { home, tally, whenFull, maxBytes, maxMemoryBytes, maxMemoryEvents } = options
  const leftovers: Leftover[] = []
  let listener: QueueListener = { onDrop() {}, onFind() {}, onWork() {} }
  let foundCount = 0
  let doneCount = 0
  let window: Window | undefined
  /** The segment that is being read, from before its window is there. */
  let reading: Segment | undefined
  let batchOf: Segment | Leftover | undefined
  let isTurnOfOwn = false
  let waiters: (() => void)[] = []
  let beats = 0
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  const trail = createTrail({
    home,
    fileSegmentBytes: Math.max(64 * 1024, Math.min(maxFileSegmentBytes, Math.floor(maxBytes / 8))),
    memorySegmentBytes: Math.max(4096, Math.min(maxMemorySegmentBytes, Math.floor(maxMemoryBytes / 8))),
    tally,
    makeRoom,
    isRead: (segment) => segment === reading,
  })

  tally.watchMemory(() => trail.memoryCount)

  const diskBytes = () => leftovers.reduce((bytes, leftover) => bytes + leftover.bytes, trail.fileBytes)

  // One record that is larger than everything still passes when it is alone.
  function makeRoom(bytes: number, isFile: boolean): boolean {
    const isFull = isFile
      ? () => diskBytes() > 0 && diskBytes() + bytes > maxBytes
      : () =>
          trail.memoryCount >= maxMemoryEvents ||
          (trail.memoryCount > 0 && trail.memoryBytes + bytes > maxMemoryBytes)
    while (isFull()) if (whenFull === 'reject' || !dropOldest(isFile)) return false
    return true
  }

  function dropOldest(isFile: boolean): boolean {
    const why = `${countOf(trail.count, 'waits', 'wait')} already (${diskBytes() + trail.memoryBytes} bytes), the oldest go`
    for (const leftover of isFile ? leftovers : []) {
      const before = leftover.bytes
      loseFound('queue_full', leftover.dropOldest(), why)
      if (leftover.bytes < before) return true
    }
    const oldest = trail.segments.find((one) => one !== reading && one.store.isFile === isFile)
    if (oldest === undefined) return false
    lose('queue_full', trail.drop(oldest), why)
    return true
  }

  function lose(reason: Parameters<QueueListener['onDrop']>[0], count: number, why: string): void {
    if (count > 0) listener.onDrop(reason, { isOwn: true, count, why })
    checkDrained()
  }

  function loseFound(reason: 'queue_full' | 'expired', count: number, why: string): void {
    if (count === 0) return
    listener.onFind(count)
    listener.onDrop(reason, { isOwn: false, count, why })
  }

  const isDrained = () =>
    diskBytes() <= maxBytes / 2 &&
    trail.memoryBytes <= maxMemoryBytes / 2 &&
    trail.memoryCount <= maxMemoryEvents / 2

  function checkDrained(): void {
    if (waiters.length === 0 || !(isClosed || isDrained())) return
    const resolved = waiters
    waiters = []
    for (const resolve of resolved) resolve()
  }

  async function batch(maxCount: number, maxRequestBytes: number): Promise<Batch | undefined> {
    for (;;) {
      const source = batchOf ?? next()
      if (source === undefined) return undefined
      const isOwn = !('home' in source)
      const loaded = isOwn ? await loadOwn(source, maxCount) : await loadFound(source)
      batchOf = loaded && source
      if (loaded) return toBatch(loaded, { maxCount, maxBytes: maxRequestBytes, isOwn })
    }
  }

  /** Own records and those that were found take turns: neither keeps the other waiting. */
  function next(): Segment | Leftover | undefined {
    const own = trail.count > 0 ? trail.segments.find((segment) => segment.count > 0) : undefined
    isTurnOfOwn = !isTurnOfOwn
    return isTurnOfOwn ? (own ?? leftovers[0]) : (leftovers[0] ?? own)
  }

  async function loadFound(source: Leftover) {
    const loaded = await source.load()
    if (loaded) return loaded
    const index = leftovers.indexOf(source)
    if (index >= 0) leftovers.splice(index, 1)
    source.leave()
    doneCount++
    return undefined
  }

  async function loadOwn(segment: Segment, maxCount: number): Promise<Window | undefined> {
    const isLoaded = window?.segment === segment && window.next < window.records.length
    if (isLoaded && !isRest(window!, maxCount)) return window
    reading = segment
    window = undefined
    try {
      window = await readWindow(segment)
    } catch (error) {
      segment.isSealed = true
      tally.damage(`a segment of the spool cannot be read: ${error}`)
    }
    if (window?.isDamaged) tally.damage('a segment of the spool is damaged: what can be read of it is sent')
    const found = window?.records.length ?? 0
    const lost = window?.isDamaged || found === 0 ? segment.count - found : 0
    if (lost > 0) {
      trail.forget(segment, lost)
      lose('corrupt', lost, 'a segment of the spool could not be read')
    }
    if (found === 0) finish(segment)
    return window
  }

  function remove({ count, isOwn }: Batch): void {
    const source = batchOf
    batchOf = undefined
    if (source === undefined) return
    if (isOwn) removeOwn(source as Segment, count)
    else (source as Leftover).remove(count)
    checkDrained()
  }

  function removeOwn(segment: Segment, count: number): void {
    if (window?.segment !== segment) return
    segment.done = window.base + window.records[window.next + count - 1]!.end
    segment.store.note(segment.done)
    window.next += count
    trail.forget(segment, count)
    if (segment.count === 0) finish(segment)
  }

  /** Nothing is left to read in it, for now. */
  function finish(segment: Segment): void {
    const { path } = segment.store
    if (path !== undefined && (window === undefined || window.isDamaged)) keepAside(path)
    window = undefined
    reading = undefined
    if (segment.isSealed) trail.drop(segment)
  }

  function keepAside(path: string): void {
    try {
      setAside(path)
    } catch {
      // It cannot even be moved: then it goes.
    }
  }

  function keepRefused(runs: readonly Run[]): string | undefined {
    try {
      return home?.setAside(runs)
    } catch (error) {
      tally.tell('refused folder', `events that were refused cannot be kept: ${(error as Error).message}`)
      return undefined
    }
  }

  function beat(): void {
    try {
      if (!home!.beat()) loseHome()
      trail.recover(recoverBytes)
      const isNew = beats % claimBeats === 0 && claim()
      beats++
      expire()
      if (isNew) listener.onWork()
    } catch (error) {
      tally.tell(
        'spool',
        `the spool cannot be used, events that it does not take wait in memory: ${(error as Error).message}`,
      )
    }
  }

  /** Another process took us for dead: we did not run for a while, or another machine's clock is wrong. */
  function loseHome(): void {
    trail.seal()
    for (const segment of [...trail.segments]) {
      if (segment === reading || !segment.store.isFile || segment.store.isOpen) continue
      lose('taken_over', trail.drop(segment), 'another process took the spool over, and sends them')
    }
  }

  function expire(): void {
    const beforeMs = performance.now() - options.maxAgeMs
    const why = `they are older than ${options.maxAgeMs} ms`
    for (const segment of [...trail.segments]) {
      if (segment.createdMs >= beforeMs) break
      if (segment !== reading && segment.count > 0) lose('expired', trail.drop(segment), why)
    }
    for (const leftover of leftovers) {
      // Of another process only the time of day is known, which may be wrong: first it is tried for a while.
      if (leftover.foundMs > performance.now() - Math.min(options.maxAgeMs, triedMs)) continue
      loseFound('expired', leftover.dropOlder(options.maxAgeMs), why)
    }
    // Else one segment would be as old as its oldest record and as young as its newest.
    const newest = trail.segments.at(-1)
    if (newest && newest.count > 0 && newest.createdMs < performance.now() - options.maxAgeMs / 16)
      trail.seal()
  }

  function claim(): boolean {
    const homes = home!.claim()
    const orphans = beats % adoptBeats === 0 ? home!.adopt() : { homes: [], warnings: [] }
    if (home!.trouble === undefined) tally.clear('spool', 'the spool can be used again')
    for (const text of orphans.warnings) tally.say(text)
    const to = { onFind: (count: number) => listener.onFind(count), onDamage: tally.damage }
    leftovers.push(
      ...homes.map((path) => openLeftover(path, to)),
      ...orphans.homes.map((path) => openLeftover(path, to, { isOrphan: true })),
    )
    const count = homes.length + orphans.homes.length
    foundCount += count
    return count > 0
  }

  function appendLast(encoded: Encoded): boolean {
    const before = trail.memoryCount
    return trail.append(encoded) && trail.memoryCount === before
  }

  function close(): number {
    if (isClosed) return 0
    clearInterval(timer)
    reading = undefined
    window = undefined
    trail.recover(Number.POSITIVE_INFINITY)
    isClosed = true
    trail.seal() // what exit handlers emit goes to a file of its own
    let kept = 0
    for (const segment of [...trail.segments]) {
      if (segment.store.isFile && segment.count > 0) {
        kept += segment.count
        segment.store.seal()
      } else trail.drop(segment)
    }
    for (const leftover of leftovers) leftover.leave()
    home?.leave()
    checkDrained()
    return kept
  }

  return {
    get count() {
      return trail.count
    },
    get bytes() {
      return diskBytes() + trail.memoryBytes
    },
    get foundCount() {
      return foundCount
    },
    get doneCount() {
      return doneCount
    },
    push: trail.append,
    pushLast: (encoded) => home !== undefined && home.trouble === undefined && appendLast(encoded),
    batch,
    remove,
    setAside: keepRefused,
    drained: () => (isDrained() ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    start(to) {
      listener = to
      if (home === undefined) return
      beat()
      timer = setInterval(beat, heartbeatMs)
      timer.unref()
    },
    close,
  }
}
