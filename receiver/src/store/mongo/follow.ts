import type { Db } from 'mongodb'
import type { CommitPage } from '../event-store.ts'
import { isWithin } from '../range.ts'
import { commitsName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import {
  beginningCursor,
  type CommitPosition,
  decodeCursor,
  encodeCursor,
  type PositionPage,
  unknownCursor,
} from './cursor.ts'
import { createJournal, type EntryDocument, type Journal } from './journal.ts'
import { createOldJournal } from './old-journal.ts'
import { type JournalEntry, readEntries, type Step, type Steps } from './protocol.ts'

export interface FollowerOptions {
  db: Db
  collectionName: string
  journal?: Journal
  /** Gives only what came by REST. */
  restOnly?: boolean
}

/**
 * Reads the entries in the order of their numbers. Those are without gaps and durable, so a cursor is a number and a
 * position within its entry, and every follower sees the same order. Of an entry it gives what is stored with it: events
 * that were purged are left out, and one that was stored again under the same id comes with its later entry.
 */
export interface Follower {
  /** Throws EVT_INVALID for a cursor that no follower of this database gave. */
  commitsSince(cursor: string, limit: number): Promise<FollowedPage>
  commitCursor(): Promise<string>
  locate(ids: readonly string[]): Promise<Map<string, string>>
}

export interface FollowedPage extends CommitPage {
  /** There is more to be had at once. */
  hasMore: boolean
  /** Commits that expired before this cursor came to them. */
  expiredCommits: number
}

const firstEntries = 8
const maxEntries = 128
// A reading ends after so many readings that found nothing: its reader then knows how far it came.
const maxRounds = 100
const maxKnown = 10_000

/** With which entry an event is stored that a part of it gives. */
const entryOf = (id: string) => id.split('.')[0]!

export function createFollower(options: FollowerOptions): Follower {
  const { db, collectionName, restOnly = false } = options
  const journal = options.journal ?? createJournal(db, collectionName)
  const entries = db.collection<EntryDocument>(commitsName(collectionName))
  const events = db.collection<{ _id: string; _entry?: string }>(collectionName)
  const oldJournal = createOldJournal(db, collectionName, restOnly)
  /** Cursors that were given or looked up. */
  const known = new Set<string>()

  function remember(cursor: string): string {
    if (known.size >= maxKnown) known.clear()
    known.add(cursor)
    return cursor
  }

  /** The entry of a position, where it is needed. Counts its rest as expired when it is gone. */
  async function ownEntry(
    cursor: string,
    position: CommitPosition,
  ): Promise<{ own?: JournalEntry; expired: number }> {
    const { n, taken, entry } = position
    if (n === 0 || (taken === 0 && known.has(cursor))) return { expired: 0 }
    const projection = taken === 0 ? { n: 1 } : { n: 1, ids: 1, out: 1, rest: 1 }
    const own = await entries.findOne({ n }, { projection, ...callLimit() })
    if (own) {
      if (own._id !== entry || taken > own.ids?.length) throw unknownCursor()
      remember(cursor)
      return { own: { ...own, id: own._id, isPending: false }, expired: 0 }
    }
    if (n >= (await journal.run(firstNumber()))) throw unknownCursor()
    return { expired: taken === 0 ? 0 : 1 }
  }

  async function positionsSince(cursor: string, limit: number): Promise<PositionPage> {
    const position = decodeCursor(cursor)
    if (!position || (cursor === '' && (await oldJournal.isThere())))
      return oldJournal.positionsSince(cursor, limit)
    const page: PositionPage = { items: [], cursor, hasMore: false, expiredCommits: 0 }
    const { own, expired } = await ownEntry(cursor, position)
    page.expiredCommits = expired
    let { n } = position
    if (own && position.taken > 0) take(page, own, position.taken, limit)
    for (let round = 0, count = firstEntries; page.items.length < limit && round < maxRounds; round++) {
      const read = await journal.run(readEntries(n, count), { projection: { facts: 0 } })
      page.expiredCommits += read.expired
      for (const entry of read.entries) {
        if (page.items.length >= limit) break
        take(page, entry, 0, limit)
        n = entry.n!
      }
      page.hasMore = read.hasMore
      if (!page.hasMore) break
      count = Math.min(count * 2, maxEntries)
    }
    page.hasMore ||= page.items.length >= limit
    remember(page.cursor)
    return page
  }

  function take(
    page: PositionPage,
    { id, n, ids, out = [], rest = [] }: JournalEntry,
    from: number,
    limit: number,
  ) {
    for (let k = from; k < ids.length; k++) {
      if (isWithin(out, k) || (restOnly && !isWithin(rest, k))) continue
      if (page.items.length >= limit) return
      const taken = k + 1 === ids.length ? 0 : k + 1
      page.cursor = encodeCursor({ n: n!, taken, entry: id })
      page.items.push({ id: ids[k]!, entry: id, cursor: page.cursor })
    }
    page.cursor = encodeCursor({ n: n!, taken: 0, entry: id })
    const last = page.items.at(-1)
    if (last?.entry === id) last.cursor = page.cursor
  }

  async function commitsSince(cursor: string, limit: number): Promise<FollowedPage> {
    for (let expired = 0; ; ) {
      const { items, ...page } = await positionsSince(cursor, limit)
      expired += page.expiredCommits
      const stored = await storedOf(items)
      const given = items.filter(({ id, entry }) => stored.get(id) === entryOf(entry))
      if (given.length > 0 || !page.hasMore)
        return {
          ...page,
          expiredCommits: expired,
          ids: given.map(({ id }) => id),
          cursors: given.map((one) => one.cursor),
        }
      cursor = page.cursor
    }
  }

  /** Id → entry; '' for events of an earlier release, which name none. */
  async function storedOf(items: PositionPage['items']): Promise<Map<string, string>> {
    if (items.length === 0) return new Map()
    const filter = { _id: { $in: items.map(({ id }) => id) } }
    const found = await events
      .find(filter, { projection: { _entry: 1 }, batchSize: 10_000, ...callLimit() })
      .toArray()
    return new Map(found.map(({ _id, _entry = '' }) => [_id, _entry]))
  }

  async function commitCursor(): Promise<string> {
    const [newest] = await journal.durability.read((concern) =>
      entries
        .find({ n: { $gt: 0 } }, { projection: { n: 1 }, ...concern, ...callLimit() })
        .sort({ n: -1 })
        .limit(1)
        .toArray(),
    )
    return newest ? encodeCursor({ n: newest.n!, taken: 0, entry: newest._id }) : beginningCursor
  }

  async function locate(ids: readonly string[]): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    if (ids.length === 0) return found
    const stored = await events
      .find({ _id: { $in: [...ids] } }, { projection: { _entry: 1 }, batchSize: 10_000, ...callLimit() })
      .toArray()
    for (const { _id } of stored) found.set(_id, '')
    const names = [...new Set(stored.flatMap(({ _entry }) => _entry ?? []))]
    if (names.length === 0) return found
    const projection = { n: 1, ids: 1, out: 1, parts: 1 }
    const look = (wanted: string[]) =>
      entries.find({ _id: { $in: wanted } }, { projection, ...callLimit() }).toArray()
    const own = await look(names)
    const parts = own
      .filter(({ out = [] }) => out.length > 0)
      .flatMap(({ _id, parts = 0 }) =>
        // One may be there already that its entry does not name yet.
        Array.from({ length: parts + 1 }, (_, k) => `${_id}.${k + 1}`),
      )
    const all = parts.length > 0 ? [...own, ...(await look(parts))] : own
    const entryById = new Map(stored.map(({ _id, _entry }) => [_id, _entry]))
    for (const { _id, n, ids: listed, out = [] } of all) {
      if (n === undefined) continue
      listed.forEach((id, k) => {
        if (found.get(id) === '' && entryById.get(id) === entryOf(_id) && !isWithin(out, k))
          found.set(id, `${pad(n, 15)}:${pad(k, 5)}`)
      })
    }
    return found
  }

  return { commitsSince, commitCursor, locate }
}

function* firstNumber(): Steps<number> {
  return (yield { do: 'first' } satisfies Step) as number
}

const pad = (value: number, digits: number) => String(value).padStart(digits, '0')
