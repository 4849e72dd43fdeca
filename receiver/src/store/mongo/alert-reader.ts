import type { Db } from 'mongodb'
import type { Intent } from '../alert-store.ts'
import { commitsName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { type EntryDocument, type Journal, toEntry } from './journal.ts'
import { factsOf, readEntries } from './protocol.ts'

/** Reads what rules saw, in the order of commits. */
export interface AlertReader {
  /** After this number; their ids are the numbers of their entries. */
  intentsAfter(n: number, limit: number): Promise<Intent[]>
}

const pageEntries = 2000
const maxPages = 20

export function createAlertReader(db: Db, collectionName: string, journal: Journal): AlertReader {
  const entries = db.collection<EntryDocument>(commitsName(collectionName))
  /** After `from` nothing that concerns rules lies up to `to`. */
  let empty = { from: 0, to: 0 }

  async function intentsAfter(n: number, limit: number): Promise<Intent[]> {
    let from = n >= empty.from && n <= empty.to ? empty.to : n
    for (let page = 0; page < maxPages; page++) {
      const read = await journal.run(readEntries(from, pageEntries), { projection: { _id: 0, n: 1 } })
      const to = read.entries.at(-1)?.n ?? from + read.expired
      const intents = await intentsBetween(from + 1, to, limit)
      if (intents.length > 0) {
        empty = { from: n, to: Number(intents[0]!.id) - 1 }
        return intents
      }
      from = to
      empty = { from: n, to }
      if (!read.hasMore) break
    }
    return []
  }

  async function intentsBetween(from: number, to: number, limit: number): Promise<Intent[]> {
    const concerns = { $or: [{ facts: { $exists: true } }, { action: { $exists: true } }] }
    const intents: Intent[] = []
    for (let next = from; next <= to; ) {
      const found = await entries
        .find({ n: { $gte: next, $lte: to }, ...concerns }, callLimit())
        .sort({ n: 1 })
        .limit(limit)
        .toArray()
      for (const { n, at, action, ...entry } of found) {
        const facts = factsOf(toEntry({ ...entry, at }))
        if (facts.length > 0 || action)
          intents.push({ id: String(n), atMs: at.getTime(), facts, ...(action && { action }) })
      }
      if (intents.length > 0 || found.length < limit) return intents
      next = found.at(-1)!.n! + 1
    }
    return intents
  }

  return { intentsAfter }
}
