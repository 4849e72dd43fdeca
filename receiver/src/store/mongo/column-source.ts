import { EventError, type Value } from '@madsci-events/sdk/event'
import { BSON, type Db, type FindCursor, MongoClient } from 'mongodb'
import { toColumnRow } from '../column/row.ts'
import { type ColumnSource, maxDocument, NotHeld, type SourceEvent } from '../column/source.ts'
import type { ScanSource } from '../event-scan.ts'
import { isWithin } from '../range.ts'
import { commitsName, metaName } from './collection-name.ts'
import { primaryOf, toClientOptions } from './connection.ts'
import { decodeCursor } from './cursor.ts'
import { createDurability, type Durability } from './durability.ts'
import { createFollower, type Follower } from './follow.ts'
import type { EntryDocument } from './journal.ts'
import { archivedMark } from './keep.ts'

/** Commits under way are in the count, and not yet in the journal's order. */
const strangeMs = 30_000
const countEveryMs = 5000
/** By then somebody has numbered it, or its events were never stored. */
const pendingMs = 30_000

interface Open {
  client: MongoClient
  db: Db
  follower: Follower
  durability: Durability
}

/** Along the journal, and beside it backwards along the index of time, by one cursor of MongoDB. */
export function openMongoColumnSource(
  source: Extract<ScanSource, { kind: 'mongodb' }>,
  eventsAtOnce = 1000,
): ColumnSource {
  const { url, databaseName, collectionName } = source
  let opened: Promise<Open> | undefined
  let place = ''
  let older: FindCursor | undefined
  let marks: { commits: number } | undefined
  /** MongoDB's own count less the events that came along the commits, at least so far. */
  let base: number | undefined
  let taken = 0
  let isQuiet = false
  let strangeSinceMs: number | undefined
  let countedMs = 0
  let pendingSinceMs = new Map<string, number>()

  function open(): Promise<Open> {
    opened ??= (async () => {
      const client = new MongoClient(url, toClientOptions(url, { maxPoolSize: 3, socketTimeoutMS: 0 }))
      await client.connect()
      const db = primaryOf(client, databaseName)
      return {
        client,
        db,
        follower: createFollower({ db, collectionName }),
        durability: createDurability(db, collectionName),
      }
    })()
    // A failed connect leaves a closed client behind: the next read makes another.
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }

  async function closeOlder(): Promise<void> {
    const closing = older
    older = undefined
    await closing?.close().catch(() => {})
  }

  async function readMark(db: Db): Promise<{ commits: number; before: string }> {
    const meta = db.collection<{ _id: string; commits: number; before: string }>(metaName(collectionName))
    const { commits = 0, before = '' } = (await meta.findOne({ _id: archivedMark })) ?? {}
    return { commits, before }
  }

  /** Which of these the journal will still give behind a place. */
  async function findAhead(db: Db, events: readonly { id: string; entry: string }[]): Promise<Set<string>> {
    const { n: read } = decodeCursor(place)!
    const ahead = new Set<string>()
    const names = [...new Set(events.map(({ entry }) => entry))].filter((entry) => entry !== '')
    if (names.length === 0) return ahead
    const entries = db.collection<EntryDocument>(commitsName(collectionName))
    const own = await entries
      .find({ _id: { $in: names } }, { projection: { n: 1, out: 1, parts: 1 } })
      .toArray()
    // Those that are not found have expired.
    const given = new Map(own.map((entry) => [entry._id, entry]))
    const doubtful = own.filter(({ n, out = [] }) => n !== undefined && n <= read && out.length > 0)
    const places = await readPlaces(db, doubtful)
    for (const { id, entry } of events) {
      const own = given.get(entry)
      if (!own) continue
      const n = places.has(entry) ? places.get(entry)!.get(id) : own.n
      if (n === undefined || n > read) ahead.add(id)
    }
    return ahead
  }

  /** Of entries whose parts came apart: with which number each event of them is given. */
  async function readPlaces(
    db: Db,
    own: readonly EntryDocument[],
  ): Promise<Map<string, Map<string, number>>> {
    const found = new Map(own.map(({ _id }) => [_id, new Map<string, number>()]))
    if (own.length === 0) return found
    const names = own.flatMap(({ _id, parts = 0 }) => [
      _id,
      // One may be there already that its entry does not name yet.
      ...Array.from({ length: parts + 1 }, (_, k) => `${_id}.${k + 1}`),
    ])
    const all = await db
      .collection<EntryDocument>(commitsName(collectionName))
      .find({ _id: { $in: names } }, { projection: { n: 1, ids: 1, out: 1 } })
      .toArray()
    for (const { _id, n, ids, out = [] } of all)
      for (const [k, id] of ids.entries())
        if (n !== undefined && !isWithin(out, k)) found.get(_id.split('.')[0]!)?.set(id, n)
    return found
  }

  /** False once the database was replaced by one that never gave this place: who has followed it does not ask each time. */
  async function isOwnPlace(db: Db): Promise<boolean> {
    try {
      await createFollower({ db, collectionName }).commitsSince(place, 1)
      return true
    } catch (error) {
      if (error instanceof EventError && error.code === 'EVT_INVALID') return false
      throw error
    }
  }

  return {
    async begin() {
      const { db, follower } = await open()
      await closeOlder()
      marks = await readMark(db)
      place = await follower.commitCursor()
      ;[base, taken, strangeSinceMs] = [undefined, 0, undefined]
    },
    async readNew(take) {
      const { db, follower } = await open()
      try {
        const page = await follower.commitsSince(place, eventsAtOnce)
        if (page.expiredCommits > 0) return 'lost'
        if (page.ids.length > 0) {
          const found = db
            .collection<{ _id: string }>(collectionName)
            .find({ _id: { $in: page.ids } }, { projection, raw: true, batchSize: eventsAtOnce })
          while (await found.hasNext())
            for (const document of found.readBufferedDocuments() as unknown as Uint8Array[])
              take(toSourceEvent(document))
        }
        place = page.cursor
        taken += page.ids.length
        isQuiet = page.ids.length === 0
        return page.hasMore ? 'more' : 'all'
      } catch (error) {
        if (error instanceof EventError && error.code === 'EVT_INVALID') return 'lost'
        throw error
      }
    },
    async readOlder(take, from) {
      const { db } = await open()
      if (from !== undefined) await closeOlder()
      older ??= db
        .collection(collectionName)
        .find(from === undefined ? {} : { event_timestamp: { $lte: from } }, {
          projection,
          raw: true,
          batchSize: eventsAtOnce,
        })
        .sort({ event_timestamp: -1 })
        // Along the index it sees what is stored as it comes there. Without the index it would be what is stored now, sorted in
        // memory: better none yet.
        .hint({ event_timestamp: 1 })
      if (!(await older.hasNext())) {
        await closeOlder()
        return 'all'
      }
      const events = (older.readBufferedDocuments() as unknown as Uint8Array[]).map(toSourceEvent)
      const ahead = await findAhead(db, events)
      for (const event of events) take(ahead.has(event.id) ? { ...event, row: undefined } : event)
      return 'more'
    },
    async readArchived() {
      const { db } = await open()
      const { commits, before } = await readMark(db)
      const known = marks?.commits
      marks = { commits }
      if (known === undefined || known === commits) return ''
      return before === '' ? '\uffff' : before
    },
    async readPending() {
      const { db, durability } = await open()
      const found = await db
        .collection<EntryDocument>(commitsName(collectionName))
        // As the journal is read: one whose number is not seen there yet is pending here.
        .find(
          { open: true, n: { $exists: false } },
          { projection: { _id: 1 }, ...(await durability.concern()) },
        )
        .toArray()
      const nowMs = performance.now()
      const seen = new Map(found.map(({ _id }) => [_id, pendingSinceMs.get(_id) ?? nowMs]))
      pendingSinceMs = seen
      return [...seen].flatMap(([_id, sinceMs]) => (nowMs - sinceMs > pendingMs ? [] : [_id]))
    },
    async isStrange() {
      const nowMs = performance.now()
      if (nowMs - countedMs < countEveryMs) return false
      countedMs = nowMs
      const { db } = await open()
      if (!(await isOwnPlace(db))) return true
      if (!isQuiet) return false
      const now = (await db.collection(collectionName).estimatedDocumentCount()) - taken
      if (base === undefined || now < base) base = now
      if (now === base) strangeSinceMs = undefined
      else strangeSinceMs ??= nowMs
      return strangeSinceMs !== undefined && nowMs - strangeSinceMs > strangeMs
    },
    async close() {
      const closing = opened
      opened = undefined
      older = undefined
      await closing?.then(({ client }) => client.close()).catch(() => {})
    },
  }
}

const projection = {
  event_timestamp: 1,
  log_level: 1,
  event_type: 1,
  source: 1,
  event_data: 1,
  otel: 1,
  archived: 1,
  _entry: 1,
}

/** The document itself is let go at once. */
function toSourceEvent(bytes: Uint8Array): SourceEvent & { entry: string } {
  if (bytes.byteLength > maxDocument) throw new NotHeld('an event is too large')
  const document = BSON.deserialize(bytes)
  const { _id: id, event_timestamp: time, archived, _entry: entry = '' } = document
  if (typeof id !== 'string' || typeof time !== 'string')
    throw new NotHeld('an event has no text for its id or time')
  return { id, time, entry, row: archived === true ? undefined : toColumnRow(document as Value) }
}
