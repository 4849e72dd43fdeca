import { type Db, type Document, MongoServerError } from 'mongodb'
import type { ArchiveSelection, EventMatch } from '../event-store.ts'
import { toLowestText } from '../time-text.ts'
import { metaName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { durable } from './insert.ts'

/** `_id` of the mark in the meta collection that says how many commits deleted events. */
export const purgedMark = 'purged'

/** `_id` of the mark that says how many commits archived events, and up to which time any of them did. */
export const archivedMark = 'archived'

/** Archive and purge, each step one bounded command. */
export interface Keeper {
  archive(selection: ArchiveSelection, batchSize: number): AsyncIterable<number>
  purge(beforeMs: number, batchSize: number): AsyncIterable<number>
}

/** `guard` turns the driver's errors into ours. */
export function createKeeper(
  db: Db,
  collectionName: string,
  guard: <T>(call: () => Promise<T>) => Promise<T>,
): Keeper {
  const events = db.collection<{ _id: string; event_timestamp: string }>(collectionName)

  async function mark(ids: readonly string[], atMs: number, before?: string): Promise<number> {
    const update = {
      q: { _id: { $in: ids }, archived: { $ne: true } },
      u: { $set: { archived: true, archived_at: new Date(atMs) } },
      multi: true,
    }
    const command = { update: collectionName, updates: [update], writeConcern: durable }
    let changed: number | undefined
    try {
      changed = toCount(await db.command(command, callLimit()), 'nModified')
    } finally {
      // Nobody knows what became of a command that failed.
      if (changed !== 0) await noteArchived(before ?? (await newestOf(ids)))
    }
    return changed
  }

  const noteArchived = (before: string) => note(archivedMark, { $inc: { commits: 1 }, $max: { before } })

  /** Behind a change: who has read before it then knows that what it holds may be gone. */
  async function note(_id: string, u: Document): Promise<void> {
    const updates = [{ q: { _id }, u, upsert: true }]
    const command = { update: metaName(collectionName), updates, writeConcern: durable }
    toCount(await db.command(command, callLimit()), 'n')
  }

  async function newestOf(ids: readonly string[]): Promise<string> {
    const [newest] = await events
      .find({ _id: { $in: [...ids] } }, { projection: { event_timestamp: 1 }, ...callLimit() })
      .sort({ event_timestamp: -1 })
      .limit(1)
      .toArray()
    return String(newest?.event_timestamp ?? '')
  }

  async function remove(ids: readonly string[], q: Document): Promise<number> {
    const command = {
      delete: collectionName,
      deletes: [{ q: { ...q, _id: { $in: ids } }, limit: 0 }],
      writeConcern: durable,
    }
    const removed = toCount(await db.command(command, callLimit()), 'n')
    await note(purgedMark, { $inc: { commits: 1 } })
    return removed
  }

  return {
    async *archive(selection, batchSize) {
      const atMs = Date.now()
      if ('ids' in selection) {
        const ids = [...new Set(selection.ids)]
        let sum = 0
        for (let start = 0; start < ids.length; start += batchSize) {
          const changed = await guard(() => mark(ids.slice(start, start + batchSize), atMs))
          sum += changed
          yield changed
        }
        // Somebody may have asked for the same before, and could not note it.
        if (sum === 0) await guard(async () => noteArchived(await newestOf(ids)))
        return
      }
      const { before, match = {}, except = [] } = selection
      const wanted: Document = { archived: { $ne: true }, ...toCondition(match) }
      if (except.length > 0) wanted.$nor = except.map(toCondition)
      // What is archived already is passed over once, not in each batch.
      let from = ''
      for (;;) {
        const filter = { ...wanted, event_timestamp: { $gte: from, $lt: toLowestText(before) } }
        const page = await guard(() =>
          events
            .find(filter as Document, { projection: { event_timestamp: 1 }, ...callLimit() })
            .sort({ event_timestamp: 1 })
            .limit(batchSize)
            .toArray(),
        )
        if (page.length === 0) return
        yield await guard(() =>
          mark(
            page.map(({ _id }) => _id),
            atMs,
            page.at(-1)!.event_timestamp,
          ),
        )
        from = page.at(-1)!.event_timestamp
        if (page.length < batchSize) return
      }
    },
    async *purge(beforeMs, batchSize) {
      const before = new Date(beforeMs)
      const gone = {
        archived: true,
        // A date that came with the event is text where the original stored it.
        $or: [
          { archived_at: { $lt: before } },
          { archived_at: { $type: 'string', $lt: before.toISOString().slice(0, -1) } },
        ],
      }
      for (;;) {
        const page = await guard(() =>
          events
            .find(gone as Document, { projection: { _id: 1 }, ...callLimit() })
            .limit(batchSize)
            .toArray(),
        )
        if (page.length === 0) return
        yield await guard(() =>
          remove(
            page.map(({ _id }) => _id),
            gone,
          ),
        )
        if (page.length < batchSize) return
      }
    },
  }
}

function toCondition({ types, maxLevel }: EventMatch): Document {
  return {
    ...(types && { event_type: { $in: [...types] } }),
    ...(maxLevel !== undefined && { log_level: { $lte: maxLevel } }),
  }
}

/** Throws what the reply says went wrong. */
function toCount(reply: Document, name: 'n' | 'nModified'): number {
  const error = reply.writeErrors?.[0] ?? reply.writeConcernError
  if (error) throw new MongoServerError(error)
  return Number(reply[name])
}
