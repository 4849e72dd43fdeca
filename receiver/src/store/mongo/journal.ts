import { randomBytes } from 'node:crypto'
import { EventError } from '@madsci-events/sdk/event'
import { type Db, type Document, MongoServerError } from 'mongodb'
import { commitsName, metaName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { createDurability, type Durability } from './durability.ts'
import { duplicateKey, durable, mayRetry } from './insert.ts'
import type { Entry, JournalEntry, Numbering, Step, Steps, StoreReply } from './protocol.ts'
import { createServerClock, type ServerClock } from './server-clock.ts'

/**
 * The order of commits, in `<collection>_commits`:
 *
 *     {_id, ids: [a, b, c], at, open: true}        its events are on their way, or stored
 *     {_id, ids: [a, b, c], at, n: 7, out: [1, 2]} they are stored, and lie here in the order; b is none of them
 *
 * Events carry the `_id` of their entry as `_entry`. protocol.ts has the steps, protocol.md what each is for. What another
 * program inserts into the collection of events by itself is in no journal, and followers do not see it.
 */
export interface EntryDocument extends Omit<JournalEntry, 'id' | 'isPending'> {
  _id: string
  /** By the clock of the database. */
  at: Date
  /** Somebody has to look at it again. */
  open?: true
}

export const floorId = 'commits'

export interface RunOptions {
  /** What the step 'store' does. */
  store?: () => Promise<StoreReply>
  /** Members of the entries that are read; all if not given. */
  projection?: Document
}

/** Executes the steps of the protocol. */
export interface Journal {
  run<T>(steps: Steps<T>, options?: RunOptions): Promise<T>
  readonly clock: ServerClock
  readonly durability: Durability
}

/** Text, so that every program can read the events, and short, as each event carries it. */
export const createEntryId = (): string => randomBytes(8).toString('base64url')

export function createJournal(db: Db, collectionName: string): Journal {
  const name = commitsName(collectionName)
  const entries = db.collection<EntryDocument>(name)
  const events = db.collection<{ _id: string; _entry?: string }>(collectionName)
  const meta = db.collection<{ _id: string; first: number }>(metaName(collectionName))
  const durability = createDurability(db, collectionName)
  const clock = createServerClock(db)
  /** Numbers up to this one are known to be durable. */
  let durableUpTo = 0

  /** `there`: as another made it; `sent twice`: perhaps by our own first attempt. */
  async function insert(document: EntryDocument): Promise<'made' | 'there' | 'sent twice'> {
    let clash: 'there' | 'sent twice' = 'there'
    const command = { insert: name, documents: [document], writeConcern: durable }
    const send = () => db.command(command, callLimit())
    const reply: Document = await send().catch((error) => {
      if (!mayRetry(error)) throw error
      clash = 'sent twice'
      return send()
    })
    if (reply.writeConcernError) throw new MongoServerError(reply.writeConcernError)
    const error = reply.writeErrors?.[0]
    if (error && error.code !== duplicateKey) throw new MongoServerError(error)
    return error === undefined ? 'made' : clash
  }

  async function update(updates: Document[]): Promise<{ n: number; isClash: boolean }> {
    // A lone mongod flushes when somebody reads: numbers need not be durable.
    const writeConcern = (await durability.isAlone()) ? { w: 1 } : durable
    const reply: Document = await db.command({ update: name, updates, writeConcern }, callLimit())
    const error = reply.writeErrors?.[0] ?? reply.writeConcernError
    if (error && error.code !== duplicateKey) throw new MongoServerError(error)
    return { n: reply.n, isClash: error !== undefined }
  }

  async function begin({ id, ...entry }: Entry): Promise<void> {
    const outcome = await insert({ _id: id, ...entry, at: new Date(await clock.now()), open: true })
    if (outcome === 'there') throw new EventError('EVT_STORE_UNAVAILABLE', 'another entry has this id')
  }

  async function number(changes: readonly Numbering[]): Promise<boolean> {
    const [first] = changes
    if (first?.entry) {
      const { id, ...entry } = first.entry
      const part = { _id: id, ...entry, at: new Date(await clock.now()), n: first.n }
      return (await insert(part)) === 'made'
    }
    const { n, isClash } = await update(
      changes.map(({ id, n, out, missing }) => ({
        q: { _id: id, n: { $exists: false } },
        u: {
          $set: { n, ...(out.length > 0 && { out }), ...(missing.length > 0 && { missing }) },
          ...(missing.length === 0 && { $unset: { open: '' } }),
        },
      })),
    )
    return n === changes.length && !isClash
  }

  async function shrink({ id, parts, missing }: Extract<Step, { do: 'shrink' }>): Promise<void> {
    const isDone = missing.length === 0
    await update([
      {
        q: { _id: id, n: { $exists: true }, parts: parts === 0 ? { $exists: false } : parts },
        u: { $set: { parts: parts + 1, missing }, ...(isDone && { $unset: { open: '' } }) },
      },
    ])
  }

  const first = async () => (await meta.findOne({ _id: floorId }, callLimit()))?.first ?? 1

  async function last(): Promise<number> {
    const newest = await entries.findOne(
      { n: { $gt: 0 } },
      { sort: { n: -1 }, projection: { n: 1 }, ...callLimit() },
    )
    return newest?.n ?? (await first()) - 1
  }

  async function read(
    from: number,
    limit: number,
    projection: Document | undefined,
  ): Promise<JournalEntry[]> {
    const found = await durability.read(
      (concern) =>
        entries
          .find({ n: { $gte: from } }, { ...concern, ...(projection && { projection }), ...callLimit() })
          .sort({ n: 1 })
          .limit(limit)
          .toArray(),
      (page) => (page.at(-1)?.n ?? 0) <= durableUpTo,
    )
    durableUpTo = Math.max(durableUpTo, found.at(-1)?.n ?? 0)
    return found.map(toEntry)
  }

  async function owned(entry: string, ids: readonly string[]): Promise<Set<string>> {
    const filter = { _id: { $in: [...ids] }, _entry: entry }
    const found = await durability.read((concern) =>
      events
        .find(filter, { projection: { _id: 1 }, batchSize: 10_000, ...concern, ...callLimit() })
        .toArray(),
    )
    return new Set(found.map(({ _id }) => _id))
  }

  async function execute(step: Step, { store, projection }: RunOptions): Promise<unknown> {
    switch (step.do) {
      case 'begin':
        return begin(step.entry)
      case 'store':
        return store!()
      case 'owned':
        return owned(step.entry, step.ids)
      case 'last':
        return last()
      case 'number':
        return number(step.changes)
      case 'entries': {
        const filter = { _id: { $in: [...step.ids] } }
        return (
          await durability.read((concern) => entries.find(filter, { ...concern, ...callLimit() }).toArray())
        ).map(toEntry)
      }
      case 'drop':
        await entries.deleteMany({ _id: { $in: [...step.ids] }, n: { $exists: false } })
        return
      case 'shrink':
        return shrink(step)
      case 'look':
        return
      case 'read':
        return read(step.from, step.limit, projection)
      case 'first':
        return first()
      case 'fill':
        await insert({ _id: `free.${step.n}`, ids: [], n: step.n, at: new Date(await clock.now()) })
        return
    }
  }

  return {
    clock,
    durability,
    async run(steps, options = {}) {
      let next = steps.next()
      while (!next.done) next = steps.next(await execute(next.value, options))
      return next.value
    },
  }
}

export const toEntry = ({ _id: id, open, ...entry }: EntryDocument): JournalEntry & { at: Date } => ({
  id,
  ...entry,
  isPending: open === true,
})
