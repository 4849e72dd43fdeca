import { setImmediate } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import { type Db, MongoClient } from 'mongodb'
import type { EventScan, ScanPosition, ScanSource } from '../event-scan.ts'
import { createIdSet, type IdSet } from '../id-set.ts'
import { metaName } from './collection-name.ts'
import { primaryOf, redact, toClientOptions } from './connection.ts'
import { createFollower, type Follower } from './follow.ts'
import { purgedMark } from './keep.ts'
import { createMongoEvent } from './scan-document.ts'

interface Position extends ScanPosition {
  atMs: number
  cursor: string
  purged: number
  /** Events taken so far. */
  taken: number
  /** Ids that the reading from the beginning gave: the journal gives again those that were stored meanwhile. */
  seen: IdSet | undefined
  begunMs: number
  /** MongoDB's own count less the events taken, when nothing new came for the first time. */
  drift: number | undefined
  /** Since when the count says that another program stored or deleted events. */
  strangeSinceMs: number | undefined
}

// Within that time after a reading from the beginning the journal may give what was stored during it.
const overlapMs = 120_000
// The journal must reach back to the last read.
const maxAgeMs = 24 * 3_600_000
// Commits under way are in the count, and not yet in the journal's order.
const strangeMs = 30_000
const pageIds = 2000

/**
 * From the beginning: the collection in its natural order. Then by the journal. What the journal does not tell is
 * noticed, and answered with 'lost': deletions by receivers, by a mark that each purge leaves; events that other programs
 * stored or deleted, by MongoDB's count once it has differed for 30 s.
 */
export function openMongoScan(source: Extract<ScanSource, { kind: 'mongodb' }>): EventScan {
  const { url, databaseName, collectionName } = source
  const event = createMongoEvent()
  let opened: Promise<{ client: MongoClient; db: Db; follower: Follower }> | undefined

  function open() {
    opened ??= (async () => {
      const client = new MongoClient(url, toClientOptions(url, { maxPoolSize: 3, socketTimeoutMS: 0 }))
      await client.connect()
      const db = primaryOf(client, databaseName)
      return { client, db, follower: createFollower({ db, collectionName }) }
    })()
    // A failed connect leaves a closed client behind: the next read makes another.
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }

  const read: EventScan['read'] = async (from, types, take) => {
    try {
      const { db, follower } = await open()
      const events = db.collection<{ _id: string }>(collectionName)
      const purged = await readPurged(db, collectionName)
      const position = from ? { ...(from as Position) } : undefined
      if (position && (position.purged !== purged || performance.now() - position.atMs > maxAgeMs))
        return 'lost'

      async function takeAll(): Promise<Position> {
        const cursor = await follower.commitCursor()
        const seen = createIdSet()
        const begunMs = performance.now()
        const found = events.find({}, { raw: true, batchSize: 10_000 }).sort({ $natural: 1 })
        try {
          while (await found.hasNext()) {
            for (const document of found.readBufferedDocuments() as unknown as Uint8Array[]) {
              event.place(document, types)
              if (seen.add(event.id)) take(event)
            }
            await setImmediate()
          }
        } finally {
          await found.close()
        }
        const taken = seen.size
        const atMs = begunMs
        return {
          atMs,
          cursor,
          purged,
          taken,
          seen,
          begunMs,
          drift: undefined,
          strangeSinceMs: undefined,
        }
      }

      /** Undefined when the journal has forgotten some. */
      async function takeNew(next: Position): Promise<number | undefined> {
        let count = 0
        for (;;) {
          const page = await follower.commitsSince(next.cursor, pageIds)
          if (page.expiredCommits > 0) return undefined
          next.cursor = page.cursor
          if (page.ids.length === 0) return count
          const ids = next.seen ? page.ids.filter((id) => next.seen!.add(id)) : page.ids
          if (ids.length === 0) continue
          const found = events.find({ _id: { $in: ids } }, { raw: true, batchSize: pageIds })
          const byId = new Map<string, Uint8Array>()
          for (const document of (await found.toArray()) as unknown as Uint8Array[]) {
            event.place(document, types)
            byId.set(event.id, document)
          }
          for (const id of ids) {
            const document = byId.get(id)
            if (!document) continue
            event.place(document, types)
            take(event)
            count++
          }
        }
      }

      const next = position ?? (await takeAll())
      const count = await takeNew(next)
      if (count === undefined) return 'lost'
      next.taken += count
      next.atMs = performance.now()
      if (next.seen && next.atMs - next.begunMs > overlapMs) next.seen = undefined
      return count === 0 && (await isStrange(next)) ? 'lost' : next

      async function isStrange(now: Position): Promise<boolean> {
        const drift = (await events.estimatedDocumentCount()) - now.taken
        now.drift ??= drift
        if (drift === now.drift) {
          now.strangeSinceMs = undefined
          return false
        }
        now.strangeSinceMs ??= now.atMs
        return now.atMs - now.strangeSinceMs > strangeMs
      }
    } catch (cause) {
      if (from && cause instanceof EventError && cause.code === 'EVT_INVALID') return 'lost'
      const text = redact(cause instanceof Error ? cause.message : String(cause))
      throw cause instanceof EventError
        ? cause
        : new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`, { cause })
    }
  }

  return {
    read,
    async close() {
      const closing = opened
      opened = undefined
      await closing?.then(({ client }) => client.close()).catch(() => {})
    },
  }
}

async function readPurged(db: Db, collectionName: string): Promise<number> {
  const meta = db.collection<{ _id: string; commits: number }>(metaName(collectionName))
  return (await meta.findOne({ _id: purgedMark }))?.commits ?? 0
}
