import type { Collection, Db } from 'mongodb'
import type { Fact, Intent } from '../alert-store.ts'
import { oldIntentName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { durable } from './insert.ts'

/** What an earlier release (schema 2) kept for the rules beside the events, and they have not seen yet. */
export interface OldIntents {
  read(limit: number): Promise<Intent[]>
  forget(ids: readonly string[]): Promise<void>
}

interface OldIntentDocument {
  _id: string
  at: Date
  state: 'open' | 'ready' | 'folded'
  facts: Fact[]
  action?: Intent['action']
}

/** Ours are numbers. */
export const isOldIntent = (id: string) => !/^\d+$/.test(id)

/** Nobody writes any more of them: once there are none, nobody looks again. */
export function createOldIntents(db: Db, collectionName: string): OldIntents {
  const intents: Collection<OldIntentDocument> = db.collection(oldIntentName(collectionName))
  const events = db.collection<{ _id: string }>(collectionName)
  let isDone = false

  /** Of a receiver that died before it could say what it stored: what is there. */
  async function storedFacts({ state, facts }: OldIntentDocument): Promise<Fact[]> {
    if (state === 'ready') return facts
    const ids = [...new Set(facts.flatMap((fact) => fact.ids))]
    const found = await events
      .find({ _id: { $in: ids } }, { projection: { _id: 1 }, ...callLimit() })
      .toArray()
    const stored = new Set(found.map(({ _id }) => _id))
    return facts.flatMap((fact) => {
      const left = fact.ids.filter((id) => stored.has(id))
      return left.length > 0 ? [{ ...fact, ids: left, count: left.length }] : []
    })
  }

  return {
    async read(limit) {
      if (isDone) return []
      const found = await intents
        .find({ state: { $in: ['ready', 'open'] } }, callLimit())
        .sort({ at: 1, _id: 1 })
        .limit(limit)
        .toArray()
      isDone = found.length === 0
      return Promise.all(
        found.map(async (document) => ({
          id: document._id,
          atMs: document.at.getTime(),
          facts: await storedFacts(document),
          ...(document.action && { action: document.action }),
        })),
      )
    },
    async forget(ids) {
      await intents.deleteMany({ _id: { $in: [...ids] } }, { writeConcern: durable })
    },
  }
}
