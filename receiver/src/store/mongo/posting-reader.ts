import type { ClientSession, Collection, Db, Document, FindCursor } from 'mongodb'
import { createTimeTest, toGreatestText, toLeastText, unusualKey } from '../id-key.ts'
import { commitsName, metaName, postingsName } from './collection-name.ts'
import { decodeCursor } from './cursor.ts'
import { type EntryDocument, floorId } from './journal.ts'
import { noteId } from './note.ts'
import { decodeTimes, type IndexState, indexNote, type PostingDocument, toPostingRange } from './posting.ts'

/** What the index of ids can narrow of a query. */
export interface IdQuestion {
  /** Of each condition the keys of which an event has one. */
  lists: number[][]
  order: 'newest' | 'oldest'
  isWithin: Parameters<typeof createTimeTest>[0]
}

export interface IdSource {
  /** Reads from the primary. */
  db: Db
  collectionName: string
  session: ClientSession
  /** The events that the query asks for, given a condition beside its own. */
  find(beside: Document, sort: 1 | -1): FindCursor<Uint8Array>
  /** Their times; undefined when one has none that is text. */
  times(beside: Document): Promise<string[] | undefined>
}

// With more events behind the index a walk along the time is as good.
const mostBehind = 10_000
const mostEntries = 10_000
const mostHeaders = 50_000
const fewHeaders = 500
const mostTimes = 1000
const mostPostings = 64
const attempts = 3

interface Header {
  id: string
  oldest: number
  newest: number
}

/** What is stored and not in the index yet, and what MongoDB counts. */
export interface Behind {
  ids: string[]
  /** Events that lie in the order of commits. */
  ordered: number
  /** Events are on their way. */
  isBusy: boolean
  count: number
}

interface Sources {
  entries: Collection<EntryDocument>
  events: Collection
  meta: Collection<{ _id: string; first?: number; text?: string }>
}

const toSources = (db: Db, collectionName: string): Sources => ({
  entries: db.collection(commitsName(collectionName)),
  events: db.collection(collectionName),
  meta: db.collection(metaName(collectionName)),
})

/** Undefined when that cannot be told, or is much. Entries on their way are read first: they only move on into the order. */
export async function readBehind(
  db: Db,
  collectionName: string,
  cursor: string,
  session?: ClientSession,
): Promise<Behind | undefined> {
  const { entries, events, meta } = toSources(db, collectionName)
  const options = { projection: { ids: 1, out: 1, n: 1 }, ...(session && { session }) }
  const position = decodeCursor(cursor)
  if (!position) return undefined
  const openEntries = () =>
    entries
      .find({ open: true }, options)
      .limit(mostEntries + 1)
      .toArray()
  const before = await openEntries()
  const from = position.taken === 0 ? { $gt: position.n } : { $gte: position.n }
  const ordered = await entries
    .find({ n: from }, options)
    .sort({ n: 1 })
    .limit(mostEntries + 1)
    .toArray()
  const floor = await meta.findOne({ _id: floorId }, session ? { session } : {})
  if (before.length > mostEntries || ordered.length > mostEntries || (floor?.first ?? 1) > position.n + 1)
    return undefined
  const count = await events.estimatedDocumentCount(session ? { session } : {})
  const isBusy = before.length > 0 || (await openEntries()).length > 0
  const ids = [...before, ...ordered].flatMap((entry) => entry.ids)
  if (ids.length > mostBehind) return undefined
  let stored = 0
  for (const { n, ids: listed, out = [] } of ordered) {
    stored += listed.length - (n === position.n ? position.taken : 0)
    for (let at = 0; at + 1 < out.length; at += 2) stored -= out[at + 1]! - out[at]!
  }
  return { ids, ordered: stored, isBusy, count }
}

/** What MongoDB counts beside the events that came by commits. */
export const toBase = ({ taken }: IndexState, { count, ordered }: Behind): number => count - taken - ordered

/**
 * The ids behind the index, or undefined where the index cannot be used: it is not made yet, much is behind it, or there are events
 * that came by no commit, which another program stored.
 */
async function openIndex(source: IdSource): Promise<{ epoch: string; ids: string[] } | undefined> {
  const { db, collectionName, session } = source
  let last = -1
  for (let attempt = 0; attempt < attempts; attempt++) {
    const note = await toSources(db, collectionName).meta.findOne({ _id: noteId(indexNote) }, { session })
    const state = note?.text === undefined ? undefined : (JSON.parse(note.text) as IndexState)
    if (!state || state.after !== undefined || state.isUseless) return undefined
    const behind = await readBehind(db, collectionName, state.cursor, session)
    if (!behind) return undefined
    const isKnown = state.base === undefined || toBase(state, behind) <= state.base
    if (behind.isBusy || isKnown) return { epoch: state.epoch, ids: behind.ids }
    // Something was stored between two readings: they are told apart by another look.
    if (behind.ordered === last) return undefined
    last = behind.ordered
  }
  return undefined
}

/** The times at which an event may lie, in their order. Undefined where the index does not help. */
async function openTimes(
  source: IdSource,
  { lists, order, isWithin }: IdQuestion,
): Promise<AsyncGenerator<string> | undefined> {
  const index = await openIndex(source)
  if (!index) return undefined
  const { db, collectionName, session } = source
  const postings = db.collection<PostingDocument>(postingsName(collectionName))
  const headers = await readHeaders(postings, index.epoch, lists, session)
  if (!headers) return undefined
  const sort = order === 'newest' ? -1 : 1
  const isTimely = createTimeTest(isWithin)
  const wanted = headers.filter(({ oldest, newest }) => isTimely(oldest, newest))
  wanted.sort((a, b) => (sort === -1 ? b.newest - a.newest : a.oldest - b.oldest))
  const behind = index.ids.length === 0 ? [] : await source.times({ _id: { $in: index.ids } })
  if (!behind) return undefined
  return walk(postings, wanted, { sort, behind, session })
}

/** Of the condition with the fewest. */
async function readHeaders(
  postings: Collection<PostingDocument>,
  epoch: string,
  lists: readonly number[][],
  session: ClientSession,
): Promise<Header[] | undefined> {
  for (const most of [fewHeaders, mostHeaders]) {
    let least: Header[] | undefined
    for (const list of lists) {
      const ranges = [unusualKey, ...list].map((key) => ({ _id: toPostingRange(epoch, key) }))
      const found = await postings
        .find(ranges.length === 1 ? ranges[0]! : { $or: ranges }, {
          projection: { oldest: 1, newest: 1 },
          batchSize: mostHeaders,
          session,
        })
        .limit(most)
        .toArray()
      if (found.length === most || (least && least.length <= found.length)) continue
      least = found.map(({ _id: id, oldest, newest }) => ({ id, oldest, newest }))
    }
    if (least) return least
  }
  return undefined
}

interface WalkOptions {
  sort: 1 | -1
  /** Times behind the index. */
  behind: readonly string[]
  session: ClientSession
}

async function* walk(
  postings: Collection<PostingDocument>,
  headers: readonly Header[],
  { sort, behind, session }: WalkOptions,
): AsyncGenerator<string> {
  const isBefore = (a: string, b: string) => (sort === -1 ? a > b : a < b)
  // Popped from the end: the next one is the last.
  let pending = [...new Set(behind)]
  let last: string | undefined
  for (let at = 0, size = 2; ; size = Math.min(size * 2, mostPostings)) {
    pending.sort((a, b) => (a === b ? 0 : isBefore(a, b) ? 1 : -1))
    const header = headers[at]
    const bound = header && (sort === -1 ? toGreatestText(header.newest) : toLeastText(header.oldest))
    for (let next = pending.at(-1); next !== undefined; next = pending.at(-1)) {
      if (bound !== undefined && !isBefore(next, bound)) break
      pending.pop()
      if (next === last) continue
      last = next
      yield next
    }
    if (header === undefined) return
    const ids = headers.slice(at, at + size).map(({ id }) => id)
    at += size
    const found = await postings
      .find({ _id: { $in: ids } }, { projection: { times: 1 }, promoteBuffers: true, session })
      .toArray()
    pending = pending.concat(found.flatMap(({ times }) => decodeTimes(Buffer.from(times))))
  }
}

/** A cursor of events, as far as the thread of the queries needs one. */
export interface EventCursor {
  hasNext(): Promise<boolean>
  readBufferedDocuments(): Uint8Array[]
  close(): Promise<void>
}

export interface IdCursorOptions {
  question: IdQuestion
  source: IdSource
  /** Where the index does not help. */
  plain: () => EventCursor
  offset: number
  /** 0: all. */
  limit: number
}

/** The events of a query by the index of ids, in the order of time; those of one time lie as without it. */
export function createIdCursor({ question, source, plain, offset, limit }: IdCursorOptions): EventCursor {
  const sort = question.order === 'newest' ? -1 : 1
  let toSkip = offset
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY
  let size = limit > 0 ? Math.min(Math.max(limit + offset, 64), mostTimes) : 256
  let times: AsyncGenerator<string> | undefined
  let isOpen = false
  let isClosed = false
  let without: EventCursor | undefined
  let current: FindCursor<Uint8Array> | undefined

  async function nextGroup(): Promise<string[]> {
    const group: string[] = []
    while (group.length < size) {
      const { value, done } = await times!.next()
      if (done) break
      group.push(value)
    }
    size = Math.min(size * 2, mostTimes)
    return group
  }

  return {
    async hasNext() {
      if (!isOpen) {
        isOpen = true
        times = await openTimes(source, question)
        if (!times) without = plain()
      }
      if (without) return without.hasNext()
      while (!isClosed && left > 0) {
        if (current && (await current.hasNext())) return true
        await current?.close()
        const group = await nextGroup()
        if (group.length === 0) return false
        current = source.find({ event_timestamp: { $in: group } }, sort)
      }
      return false
    },
    readBufferedDocuments() {
      if (without) return without.readBufferedDocuments()
      const found = current!.readBufferedDocuments() as Uint8Array[]
      const skipped = Math.min(toSkip, found.length)
      toSkip -= skipped
      const given = found.slice(skipped, Number.isFinite(left) ? skipped + left : undefined)
      left -= given.length
      return given
    },
    async close() {
      isClosed = true
      await Promise.all([without?.close(), current?.close()])
    },
  }
}
