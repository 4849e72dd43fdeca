import { timeOfUlid } from '@madsci-events/sdk/event'
import { type Collection, type Db, MaxKey } from 'mongodb'
import type { Log } from '../../log.ts'
import type { CommitPage } from '../event-store.ts'
import { isWithin, toPositions, toRanges } from '../range.ts'
import { type CommitPosition, decodeCursor, encodeCursor, type LateEntry } from './cursor.ts'
import { type JournalEntry, journalName } from './journal.ts'

export interface FollowerOptions {
  db: Db
  collectionName: string
  graceMs: number
  log: Log
  /** Gives only what came by REST. */
  restOnly?: boolean
}

/**
 * Reads the journal in the order of each receiver's numbers:
 *
 *     number   4         5                6 (missing)   7
 *     ids      a b c     d e              ?             f
 *     stored   a b c     d –              ?             f
 *              given     page ends here: e is on its way, or never comes
 *
 *  - A page ends before the first id or number that is not there yet: its write may still be under way.
 *  - After the grace time it is passed over, and kept in the cursor as late for an hour: if it comes, it is given then.
 *  - An id in several entries (sent twice at the same moment) is given with the first one that this process saw.
 *  - Receivers are merged by the time of their entries. One receiver's order never changes; two on one database may
 *    be interleaved otherwise by a later reading from the beginning, never by a cursor that goes on.
 */
export interface Follower {
  commitsSince(cursor: string, limit: number): Promise<FollowedPage>
  commitCursor(): Promise<string>
  locate(ids: readonly string[]): Promise<Map<string, string>>
}

export interface FollowedPage extends CommitPage {
  /** There is more to be had at once. */
  hasMore: boolean
  /** Commits that expired before this cursor came to them, as far as they can be counted. */
  expiredCommits: number
}

// What is older than that is settled, whatever clocks say.
const settledMs = 3_600_000
const locateTimeMs = 2000
const maxLate = 200
const maxRemembered = 50_000
// Entries read at once, for each receiver.
const entriesAhead = 32
// A reading ends after so many entries, also when it found nothing: its reader then knows how far it came.
const maxRounds = 100
const newestEntries = 16

export function createFollower(options: FollowerOptions): Follower {
  const { db, collectionName, graceMs, log, restOnly = false } = options
  const journal: Collection<JournalEntry> = db.collection(journalName(collectionName))
  const events = db.collection<{ _id: string }>(collectionName)
  const firstEntries = new Map<string, string>()
  const waitingSince = new Map<string, number>()

  /** Whether this id of the entry should be there. */
  const isDue = ({ rest = [], out = [] }: JournalEntry, index: number) =>
    !isWithin(out, index) && (!restOnly || isWithin(rest, index))

  const dueIds = (entry: JournalEntry) =>
    restOnly || entry.out ? entry.ids.filter((_, index) => isDue(entry, index)) : entry.ids

  /** The first entries that together hold `limit` ids, at least one. */
  function unreadEntries(queue: JournalEntry[], limit: number): JournalEntry[] {
    let count = 0
    let end = 0
    while (end < queue.length && (end === 0 || count < limit)) count += dueIds(queue[end++]!).length
    return queue.slice(0, end)
  }

  const unread = (queue: JournalEntry[], limit: number) => unreadEntries(queue, limit).flatMap(dueIds)

  /** Receivers with entries in the journal: one step of the index of `_id` for each. */
  async function receiverNames(): Promise<string[]> {
    const names: string[] = []
    for (let after: object = {}; ; ) {
      const next = await journal.findOne(after, { sort: { _id: 1 }, projection: { _id: 1 } })
      if (!next) return names
      names.push(next._id.r)
      after = { _id: { $gt: { r: next._id.r, n: new MaxKey() } } }
    }
  }

  const range = (r: string, n: number) => ({
    _id: { $gt: { r, n }, $lt: { r, n: new MaxKey() } } as unknown as JournalEntry['_id'],
  })

  async function storedOf(ids: string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set()
    const found = await events
      .find({ _id: { $in: ids } }, { projection: { _id: 1 }, batchSize: 10_000 })
      .toArray()
    return new Set(found.map((one) => one._id))
  }

  /** True when this process has waited for it long enough, or when it is old beyond doubt. */
  function isSettled(key: string, atMs: number): boolean {
    const now = Date.now()
    if (now - atMs > settledMs) return true
    const since = waitingSince.get(key)
    if (since === undefined) {
      if (waitingSince.size > 10_000) waitingSince.clear()
      waitingSince.set(key, now)
      return graceMs <= 0
    }
    return now - since >= graceMs
  }

  /** False for an id that an earlier entry has given. */
  function isFirst(id: string, key: string): boolean {
    const first = firstEntries.get(id)
    if (first !== undefined) return first === key
    if (firstEntries.size >= maxRemembered) {
      for (const old of firstEntries.keys()) {
        firstEntries.delete(old)
        if (firstEntries.size < maxRemembered * 0.9) break
      }
    }
    firstEntries.set(id, key)
    return true
  }

  function pass(position: CommitPosition, late: LateEntry, atMs: number): void {
    if (Date.now() - atMs > settledMs) return
    position.late.push(late)
    if (position.late.length > maxLate) {
      position.late.shift()
      log.warn({ limit: maxLate }, 'too many late commits; the oldest is given up')
    }
  }

  /** Entries after the position, merged by time; `taken` may lie within the first of each receiver. */
  async function nextEntries(position: CommitPosition): Promise<JournalEntry[][]> {
    const names = await receiverNames()
    for (const name of position.receivers.keys()) if (!names.includes(name)) position.receivers.delete(name)
    return Promise.all(
      names.map((name) => {
        const n = position.receivers.get(name)?.n ?? 0
        return journal.find(range(name, n)).sort({ _id: 1 }).limit(entriesAhead).toArray()
      }),
    )
  }

  /** Moves the position over commits whose entries have expired, and counts them. */
  async function passExpired(position: CommitPosition, queues: JournalEntry[][]): Promise<number> {
    let count = 0
    for (const [first] of queues) {
      if (!first || Date.now() - first.at.getTime() < settledMs) continue
      const { r, n } = first._id
      const state = position.receivers.get(r)
      if (!state || n === state.n + 1 || state.n === 0) continue
      // Entries expire in their order: as long as the last one that was taken is there, none behind it is gone.
      if (await journal.findOne({ _id: { r, n: state.n } }, { projection: { _id: 1 } })) continue
      count += n - state.n - 1
      position.receivers.set(r, { n: n - 1, taken: 0 })
    }
    return count
  }

  /** Gives what has come since, and tells which ids are still missed. */
  async function takeLate(position: CommitPosition, given: string[]): Promise<Missed> {
    const now = Date.now()
    const missed: Missed = new Map()
    position.late = position.late.filter((one) => now - one.passedMs < settledMs)
    if (position.late.length === 0) return missed
    const keys = position.late.map(({ r, n }) => ({ r, n }))
    const entries = await journal.find({ _id: { $in: keys } }).toArray()
    const entryOf = new Map(entries.map((entry) => [keyOf(entry._id), entry]))
    const stored = await storedOf(entries.flatMap((entry) => entry.ids))
    position.late = position.late.filter((late) => {
      const entry = entryOf.get(keyOf(late))
      if (!entry) return true
      const missing: number[] = []
      entry.ids.forEach((id, index) => {
        if ((late.missing && !isWithin(late.missing, index)) || !isDue(entry, index)) return
        if (!stored.has(id)) missing.push(index)
        else if (isFirst(id, keyOf(late))) given.push(id)
      })
      late.missing = toRanges(missing)
      note(missed, late, missing, entry.ids)
      return missing.length > 0
    })
    return missed
  }

  /** An id that another entry has given since must not be given again as late, not even after a restart. */
  function forget(position: CommitPosition, missed: Missed, given: string[]): void {
    if (missed.size === 0) return
    for (const id of given) {
      for (const { late, index } of missed.get(id) ?? []) {
        if (late.missing) late.missing = toRanges(toPositions(late.missing).filter((one) => one !== index))
      }
    }
    position.late = position.late.filter((late) => late.missing?.length !== 0)
  }

  async function commitsSince(cursor: string, limit: number): Promise<FollowedPage> {
    const position = decodeCursor(cursor)
    const ids: string[] = []
    const missed = await takeLate(position, ids)
    let hasMore = true
    let expiredCommits = 0
    for (let round = 0; hasMore && ids.length < limit && round < maxRounds; round++) {
      const queues = await nextEntries(position)
      expiredCommits += await passExpired(position, queues)
      hasMore = queues.some((queue) => queue.length === entriesAhead)
      const stored = await storedOf(queues.flatMap((queue) => unread(queue, limit - ids.length)))
      const moved = takeEntries({ position, missed, stored, ids, limit }, queues)
      hasMore &&= moved
    }
    forget(position, missed, ids)
    return { ids, cursor: encodeCursor(position), hasMore: hasMore || ids.length >= limit, expiredCommits }
  }

  /** True when any entry was taken whole. */
  function takeEntries(page: Page, queues: JournalEntry[][]): boolean {
    const { ids, limit } = page
    const open = queues
      .map((queue) => unreadEntries(queue, limit - ids.length))
      .filter((queue) => queue.length > 0)
    let moved = false
    while (open.length > 0 && ids.length < limit) {
      let least = open[0]!
      for (const queue of open) if (queue[0]!.at < least[0]!.at) least = queue
      const step = takeEntry(page, least[0]!)
      if (step === 'whole') {
        moved = true
        least.shift()
      }
      if (step !== 'whole' || least.length === 0) open.splice(open.indexOf(least), 1)
    }
    return moved
  }

  function takeEntry(page: Page, entry: JournalEntry): 'whole' | 'wait' | 'full' {
    const { position, missed, stored, ids, limit } = page
    const { r, n } = entry._id
    const key = keyOf(entry._id)
    const atMs = entry.at.getTime()
    let state = position.receivers.get(r)
    if (!state) {
      // A number that is far from the first is the oldest that has not expired.
      state = { n: n > 64 ? n - 1 : 0, taken: 0 }
      position.receivers.set(r, state)
    }
    if (n > state.n + 1) {
      const gapKey = `${key} gap`
      if (!isSettled(gapKey, atMs)) return 'wait'
      waitingSince.delete(gapKey)
      for (let missed = Math.max(state.n + 1, n - maxLate); missed < n; missed++)
        pass(position, { r, n: missed, missing: undefined, passedMs: Date.now() }, atMs)
      state.n = n - 1
      state.taken = 0
    }
    const missing: number[] = []
    for (let index = state.taken; index < entry.ids.length; index++) {
      if (isDue(entry, index) && !stored.has(entry.ids[index]!)) missing.push(index)
    }
    if (missing.length > 0 && !entry.doubtful && !isSettled(key, atMs)) return 'wait'
    const absent = new Set(missing)
    for (let index = state.taken; index < entry.ids.length; index++) {
      if (ids.length >= limit) {
        state.taken = index
        return 'full'
      }
      const id = entry.ids[index]!
      if (!absent.has(index) && isDue(entry, index) && isFirst(id, key)) ids.push(id)
    }
    waitingSince.delete(key)
    if (missing.length > 0) {
      const late = { r, n, missing: toRanges(missing), passedMs: Date.now() }
      pass(position, late, atMs)
      note(missed, late, missing, entry.ids)
    }
    state.n = n
    state.taken = 0
    return 'whole'
  }

  async function commitCursor(): Promise<string> {
    const position: CommitPosition = { receivers: new Map(), late: [] }
    for (const name of await receiverNames()) {
      const newest = await journal.find(range(name, 0)).sort({ _id: -1 }).limit(newestEntries).toArray()
      if (newest.length === 0) continue
      const stored = await storedOf(newest.flatMap((entry) => entry.ids))
      position.receivers.set(name, { n: newest[0]!._id.n, taken: 0 })
      const present = new Map(newest.map((entry) => [entry._id.n, entry]))
      const atMs = newest[0]!.at.getTime()
      for (let n = newest[0]!._id.n; n > 0 && n > newest[0]!._id.n - newestEntries; n--) {
        const entry = present.get(n)
        const missing = entry?.ids.flatMap((id, k) =>
          stored.has(id) || isWithin(entry.out ?? [], k) ? [] : [k],
        )
        // What is under way at this moment comes after the cursor.
        if (missing?.length !== 0)
          pass(position, { r: name, n, missing: missing && toRanges(missing), passedMs: Date.now() }, atMs)
      }
    }
    return encodeCursor(position)
  }

  /** By the journal: entries since the oldest of the ids were made, as far as their ULIDs tell. */
  async function locate(ids: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    for (const id of await storedOf([...ids])) found.set(id, '')
    if (found.size === 0) return found
    const oldestMs = Math.min(...[...found.keys()].map((id) => timeOfUlid(id) ?? 0))
    const since = new Date(Math.max(0, oldestMs - settledMs))
    const entries = journal
      .find({ at: { $gte: since }, ids: { $in: [...found.keys()] } }, { maxTimeMS: locateTimeMs })
      .sort({ at: 1 })
    try {
      for await (const { _id, ids: listed, out = [] } of entries) {
        listed.forEach((id, index) => {
          if (found.get(id) === '' && !isWithin(out, index)) found.set(id, `${_id.r}:${_id.n}:${index}`)
        })
      }
    } catch (error) {
      // Too far back to look it up; that it is stored is known all the same.
      if ((error as { code?: unknown }).code !== 50) throw error
    }
    return found
  }

  return { commitsSince, commitCursor, locate }
}

/** Ids that were passed over, and where. */
type Missed = Map<string, { late: LateEntry; index: number }[]>

/** What one call is about. */
interface Page {
  position: CommitPosition
  missed: Missed
  stored: Set<string>
  ids: string[]
  limit: number
}

function note(missed: Missed, late: LateEntry, positions: number[], ids: string[]): void {
  for (const index of positions) {
    const id = ids[index]!
    const places = missed.get(id)
    if (places) places.push({ late, index })
    else missed.set(id, [{ late, index }])
  }
}

const keyOf = ({ r, n }: { r: string; n: number }) => `${r}:${n}`
