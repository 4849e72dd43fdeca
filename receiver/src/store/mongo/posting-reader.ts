import { EventError } from '@madsci-events/sdk/event'
import type { ClientSession, Collection, Db, Document, FindCursor } from 'mongodb'
import { createTimeTest, toGreatestText, toLeastText, unusualKey } from '../id-key.ts'
import { commitsName, metaName, postingsName } from './collection-name.ts'
import { type CommitPosition, decodeCursor } from './cursor.ts'
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
/** Of postings at one time: with more of them a walk along the time is better, and takes less memory. */
const mostAtOnce = 100
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
  for (const entry of ordered) stored += postingCount(entry, position)
  return { ids, ordered: stored, isBusy, count }
}

/** The events that entries list between two cursors, as `Behind` counts them. */
export async function countBetween(
  db: Db,
  collectionName: string,
  from: string,
  to: string,
): Promise<number> {
  const [first, last] = [decodeCursor(from), decodeCursor(to)]
  if (!first || !last) return 0
  const found = toSources(db, collectionName)
    .entries.find({ n: { $gte: first.n, $lte: last.n } }, { projection: { ids: 1, out: 1, n: 1 } })
    .sort({ n: 1 })
  let count = 0
  for await (const entry of found)
    if (entry.n !== first.n || first.taken > 0) count += postingCount(entry, first, last)
  return count
}

/** Of one entry, those behind `from` and up to `to`. */
function postingCount(
  { n, ids, out = [] }: Pick<EntryDocument, 'n' | 'ids' | 'out'>,
  from: CommitPosition,
  to?: CommitPosition,
): number {
  const start = n === from.n ? from.taken : 0
  const end = to !== undefined && n === to.n && to.taken > 0 ? to.taken : ids.length
  let count = Math.max(0, end - start)
  for (let at = 0; at + 1 < out.length; at += 2)
    count -= Math.max(0, Math.min(end, out[at + 1]!) - Math.max(start, out[at]!))
  return count
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
    const isKnown = state.base !== undefined && toBase(state, behind) <= state.base
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
  if (!headers || !(await isOfNow(source, index.epoch))) return undefined
  const sort = order === 'newest' ? -1 : 1
  const isTimely = createTimeTest(isWithin)
  const wanted = headers.filter(({ oldest, newest }) => isTimely(oldest, newest))
  wanted.sort((a, b) => (sort === -1 ? b.newest - a.newest : a.oldest - b.oldest))
  if (countAtOnce(wanted, sort) > mostAtOnce) return undefined
  const behind = index.ids.length === 0 ? [] : await source.times({ _id: { $in: index.ids } })
  if (!behind) return undefined
  return walk(postings, wanted, { sort, behind, session, isOfNow: () => isOfNow(source, index.epoch) })
}

/** False when the index was made anew since: then its postings are being deleted. */
async function isOfNow({ db, collectionName, session }: IdSource, epoch: string): Promise<boolean> {
  const note = await toSources(db, collectionName).meta.findOne({ _id: noteId(indexNote) }, { session })
  return note?.text !== undefined && (JSON.parse(note.text) as IndexState).epoch === epoch
}

/** How many of them, in the order of the walk, have times beyond the beginning of the next one, at most. */
function countAtOnce(headers: readonly Header[], sort: 1 | -1): number {
  const [begins, ends] = sort === -1 ? (['newest', 'oldest'] as const) : (['oldest', 'newest'] as const)
  const over = headers.map((header) => header[ends]).sort((a, b) => sort * (a - b))
  let ended = 0
  let most = 0
  for (const [begun, header] of headers.entries()) {
    while (ended < begun && sort * (over[ended]! - header[begins]) < 0) ended++
    most = Math.max(most, begun + 1 - ended)
  }
  return most
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
  isOfNow: () => Promise<boolean>
}

async function* walk(
  postings: Collection<PostingDocument>,
  headers: readonly Header[],
  { sort, behind, session, isOfNow }: WalkOptions,
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
    // What was begun cannot be gone on with another way.
    const assertNow = async () => {
      if (!(await isOfNow()))
        throw new EventError('EVT_STORE_UNAVAILABLE', 'the index of ids is made anew: ask again')
    }
    const ids = headers.slice(at, at + size).map(({ id }) => id)
    at += size
    const found = await postings
      .find({ _id: { $in: ids } }, { projection: { times: 1 }, promoteBuffers: true, session })
      .toArray()
    // Cleaning takes some away as well; else it is another index.
    if (found.length < ids.length) await assertNow()
    pending = pending.concat(found.flatMap(({ times }) => decodeTimes(Buffer.from(times))))
  }
}

/** A cursor of events, as far as the thread of the queries needs one. */
export interface EventCursor {
  hasNext(): Promise<boolean>
  /** May be none, when it is only the turn of others. */
  readBufferedDocuments(): Uint8Array[]
  /** As in ScanProgress. */
  readonly scannedTo?: string | undefined
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
  /** Of `current`, and of those before it. */
  let last: string | undefined
  let scannedTo: string | undefined

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
        scannedTo = last
        const group = await nextGroup()
        if (group.length === 0) return false
        last = group.at(-1)
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
    get scannedTo() {
      return without ? without.scannedTo : scannedTo
    },
    async close() {
      isClosed = true
      await Promise.all([without?.close(), current?.close()])
    },
  }
}
