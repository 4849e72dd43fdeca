import { EventError } from '@madsci-events/sdk/event'
import { type Db, MongoClient } from 'mongodb'
import { withDeadline } from '../deadline.ts'
import type { ScanSource } from '../event-scan.ts'
import type { CommitReader, CommittedEvents, StoredEvent } from '../event-store.ts'
import { primaryOf, redact, toClientOptions } from './connection.ts'
import { decodeStoredEvent } from './decode.ts'
import { createFollower, type Follower } from './follow.ts'

interface Open {
  client: MongoClient
  db: Db
  follower: Follower
}

const readTimeoutMs = 30_000

/** Along the journal; the events are fetched by their ids. From the primary, whatever the URL prefers. */
export function openMongoCommitReader(
  source: Extract<ScanSource, { kind: 'mongodb' }>,
  restOnly: boolean,
): CommitReader {
  const { url, databaseName, collectionName } = source
  let opened: Promise<Open> | undefined

  function open(): Promise<Open> {
    opened ??= (async () => {
      const client = new MongoClient(url, toClientOptions(url, { maxPoolSize: 3 }))
      await client.connect()
      const db = primaryOf(client, databaseName)
      return {
        client,
        db,
        follower: createFollower({ db, collectionName, restOnly }),
      }
    })()
    // A failed connect leaves a closed client behind: the next read makes another.
    opened.catch(() => {
      opened = undefined
    })
    return opened
  }

  async function read(cursor: string, limit: number): Promise<CommittedEvents> {
    const { db, follower } = await open()
    const { ids, cursor: next, hasMore, expiredCommits } = await follower.commitsSince(cursor, limit)
    const page = { cursor: next, hasMore, expiredCommits }
    if (ids.length === 0) return { events: [], ...page }
    const found = db
      .collection<{ _id: string }>(collectionName)
      .find({ _id: { $in: ids } }, { raw: true, batchSize: ids.length })
    const byId = new Map<string, StoredEvent>()
    for (const document of (await found.toArray()) as unknown as Uint8Array[]) {
      const event = decodeStoredEvent(document)
      byId.set(event.id, event)
    }
    return { events: ids.flatMap((id) => byId.get(id) ?? []), ...page }
  }

  return {
    async read(cursor, { limit, characters }) {
      try {
        const page = await withDeadline(read(cursor, limit), readTimeoutMs, 'MongoDB: no answer')
        let size = 0
        for (const { json } of page.events) size += json.length
        // A cursor stands between pages: a page that is too large is read again as a smaller one.
        if (size <= characters || page.events.length <= 1) return page
        const fewer = Math.max(1, Math.floor((page.events.length * characters) / size / 2))
        return await withDeadline(read(cursor, fewer), readTimeoutMs, 'MongoDB: no answer')
      } catch (cause) {
        if (cause instanceof EventError) throw cause
        const text = redact(cause instanceof Error ? cause.message : String(cause))
        throw new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`, { cause })
      }
    },
    async close() {
      const closing = opened
      opened = undefined
      await closing?.then(({ client }) => client.close()).catch(() => {})
    },
  }
}
