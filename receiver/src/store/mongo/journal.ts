import { createEventId } from '@madsci-events/sdk/event'
import { type Db, type Document, MongoServerError } from 'mongodb'
import type { Log } from '../../log.ts'
import type { Ranges } from '../range.ts'
import { callLimit } from './connection.ts'
import { duplicateKey, durable, mayRetry } from './insert.ts'

/**
 * The order of commits. Before each command that inserts events, its ids go as one small document to the journal:
 *
 *     {_id: {r: receiver, n: 1, 2, 3 …}, at, ids: [a, b, c], rest: [0, 2], out: [1, 2]}
 *
 *  - The entry is executed before its events are sent, and is in the same log: when the events are durable, so is it.
 *    It needs no flush of its own. (A failover between the two shows in electionId: then it is written again.)
 *  - `out` holds ranges [from, to) of ids that this write did not store: duplicates, whose first entry counts, and
 *    refused events. It is set only when there are some.
 *  - `rest` holds ranges of ids that came by REST, when there are any: whoever forwards those need not read the others.
 *  - Each receiver counts for itself from its start, so receivers need not agree on anything.
 *  - After trouble the next write first mends what is open: a number whose entry failed gets an empty one (which also
 *    keeps a late one out), an entry whose events are in doubt is marked so. Followers then need not wait for either.
 *
 * What another program inserts into the collection by itself is in no journal, and followers do not see it.
 */
export interface JournalEntry {
  _id: { r: string; n: number }
  at: Date
  ids: string[]
  rest?: number[]
  out?: number[]
  /** The write of these events failed; they may have been stored, now or later, or not. */
  doubtful?: boolean
}

export const journalName = (collectionName: string) => `${collectionName}_journal`

export interface Journal {
  readonly receiverId: string
  /** Settles when the entry is executed. */
  begin(db: Db, ids: string[], rest: Ranges): Promise<Begun>
  /** Nothing can be told of the events of this entry. */
  doubt(begun: Begun): void
  /** Notes the positions that were not stored. Failure costs followers a wait, so it is only logged. */
  settle(db: Db, begun: Begun, out: number[]): Promise<void>
  /** Writes the entry once more, durably, under a new number. */
  repeat(db: Db, ids: string[], rest: Ranges): Promise<void>
}

export interface Begun {
  n: number
  electionId: string | undefined
}

export function createJournal(collectionName: string, log: Log): Journal {
  const name = journalName(collectionName)
  // ULIDs ascend with time: a receiver's later life sorts after its earlier ones.
  const receiverId = createEventId()
  let last = 0
  let absent: number[] = []
  let doubtful: number[] = []

  async function insert(db: Db, ids: string[], rest: Ranges, writeConcern: object): Promise<Begun> {
    if (absent.length > 0 || doubtful.length > 0) await mend(db)
    const n = ++last
    const entry = { _id: { r: receiverId, n }, at: new Date(), ids, ...(rest.length > 0 && { rest }) }
    const send = () => db.command({ insert: name, documents: [entry], writeConcern }, callLimit())
    try {
      const reply: Document = await send().catch((error) => {
        if (mayRetry(error)) return send()
        throw error
      })
      const error = reply.writeErrors?.[0] ?? reply.writeConcernError
      // The first attempt got through after all.
      if (error && error.code !== duplicateKey) throw new MongoServerError(error)
      return { n, electionId: reply.electionId?.toString() }
    } catch (error) {
      absent.push(n)
      throw error
    }
  }

  async function update(
    db: Db,
    changes: { n: number; $set: Partial<JournalEntry>; upsert?: boolean }[],
  ): Promise<void> {
    const updates = changes.map(({ n, $set, upsert = false }) => ({
      q: { _id: { r: receiverId, n } },
      u: { $set },
      upsert,
    }))
    const reply: Document = await db.command({ update: name, updates, writeConcern: { w: 1 } }, callLimit())
    const error = reply.writeErrors?.[0] ?? reply.writeConcernError
    if (error) throw new MongoServerError(error)
  }

  async function mend(db: Db): Promise<void> {
    const [empty, open] = [absent, doubtful]
    absent = []
    doubtful = []
    try {
      await update(db, [
        ...empty.map((n) => ({ n, $set: { at: new Date(), ids: [] }, upsert: true })),
        ...open.map((n) => ({ n, $set: { doubtful: true } })),
      ])
    } catch (error) {
      absent.push(...empty)
      doubtful.push(...open)
      throw error
    }
  }

  return {
    receiverId,
    begin: (db, ids, rest) => insert(db, ids, rest, { w: 1 }),
    doubt({ n }) {
      doubtful.push(n)
    },
    async settle(db, { n }, out) {
      try {
        await update(db, [{ n, $set: { out } }])
      } catch (error) {
        log.warn({ reason: (error as Error).message }, 'a journal entry could not be settled')
      }
    },
    async repeat(db, ids, rest) {
      await insert(db, ids, rest, durable)
    },
  }
}
