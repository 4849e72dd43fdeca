import type { Db } from 'mongodb'
import { commitsName, metaName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { durable } from './insert.ts'
import { type EntryDocument, floorId } from './journal.ts'
import type { ServerClock } from './server-clock.ts'

export interface ExpireOptions {
  db: Db
  collectionName: string
  clock: ServerClock
  journalDays: number
}

const pageEntries = 1000
const dayMs = 86_400_000
// What alert rules have not seen yet is kept for longer, and not for ever: nobody may ever run them again.
const unseenDays = 30

/**
 * Forgets the oldest entries, from the first number on and never the last: first the number from which on they are kept is
 * noted, then they are deleted. Entries that never got a number go by their age.
 */
export async function expireEntries({
  db,
  collectionName,
  clock,
  journalDays,
}: ExpireOptions): Promise<void> {
  const entries = db.collection<EntryDocument>(commitsName(collectionName))
  const meta = db.collection<{ _id: string; first?: number; n?: number }>(metaName(collectionName))
  const w = { writeConcern: durable }
  const nowMs = await clock.now()
  const old = new Date(nowMs - journalDays * dayMs)
  const ancient = new Date(nowMs - Math.max(journalDays, unseenDays) * dayMs)
  const seen = (await meta.findOne({ _id: 'alert_state' }, callLimit()))?.n ?? Number.POSITIVE_INFINITY
  await entries.deleteMany({ open: true, n: { $exists: false }, at: { $lt: old } }, w)
  for (;;) {
    const page = await entries
      .find({ n: { $gt: 0 } }, { projection: { n: 1, at: 1 }, ...callLimit() })
      .sort({ n: 1 })
      .limit(pageEntries)
      .toArray()
    const isOld = ({ n, at }: EntryDocument) => at < (n! > seen ? ancient : old)
    const kept = page.findIndex((entry, k) => k === page.length - 1 || !isOld(entry))
    if (kept <= 0) return
    const first = page[kept]!.n!
    await meta.updateOne({ _id: floorId }, { $max: { first } }, { upsert: true, ...w })
    await entries.deleteMany({ n: { $lt: first } }, w)
  }
}
