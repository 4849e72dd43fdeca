import { createEventId } from '@madsci-events/sdk/event'
import { type Collection, type Db, type Document, MongoServerError } from 'mongodb'
import { createThrottle, type Log } from '../../log.ts'
import type { AlertAction, Fact, Intent } from '../alert-store.ts'
import { intentName } from './alert-name.ts'
import { callLimit } from './connection.ts'
import { duplicateKey, durable } from './insert.ts'

/**
 * Intents: one small document for each command that inserts events of which some match a rule.
 *
 *     open ──events stored──▶ ready ──a commit of the rules──▶ folded (kept for days)
 *      │  └─none stored──▶ gone
 *      └─ its receiver died ──▶ recover: what is stored, and in no other intent, becomes ready
 *
 *  - It is executed before its events are sent, and lies in the same log, as the journal's entries do.
 *  - That an event is 'stored' happens in one command alone, so a ready intent needs no look at other intents.
 *  - An open one whose events never came is dropped after an hour: who sends them again makes another.
 */
export interface IntentDocument {
  _id: string
  at: Date
  state: 'open' | 'ready' | 'folded'
  facts: Fact[]
  action?: AlertAction
  /** open: when to look at it. */
  next?: Date
  /** A recovery has begun, and what its receiver may still say of it comes too late. */
  recovering?: true
}

interface Settling {
  update: Document
  /** The intent as it should be. */
  document: IntentDocument
}

export interface IntentLog {
  /** Settles when it is executed. With an id: once more, for a primary that may not have it. */
  open(db: Db, facts: Fact[], again?: { id: string; isDurable: true }): Promise<string>
  /** Which of its events were stored, in the background: what is lost here is found by `recover`. */
  settle(db: Db, id: string, facts: Fact[], stored: ReadonlySet<string>): void
  act(db: Db, action: AlertAction): Promise<void>
  /** Makes ready what receivers left open that died, for seconds at most; what fails waits. */
  recover(db: Db): Promise<void>
  ready(db: Db, limit: number): Promise<Intent[]>
  /** Waits for what settles. */
  drain(): Promise<void>
}

const expireMs = 3_600_000
const recoverCount = 50
const recoverMs = 2000
const claimMs = 10_000
const scanMs = 2000
const lookBackMs = 86_400_000
const failedMs = 60_000
const settleMs = 20
const retryMs = 500
const maxSettling = 1000

export function createIntentLog(
  collectionName: string,
  { graceMs, log }: { graceMs: number; log: Log },
): IntentLog {
  const name = intentName(collectionName)
  const throttle = createThrottle()
  const intentsOf = (db: Db): Collection<IntentDocument> => db.collection(name)
  let settling: Settling[] = []
  let removing: Document[] = []
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  async function insert(db: Db, document: IntentDocument, writeConcern: Document): Promise<void> {
    const reply = await db.command({ insert: name, documents: [document], writeConcern }, callLimit())
    const error = reply.writeErrors?.[0] ?? reply.writeConcernError
    // That it is there already is what we want.
    if (error && error.code !== duplicateKey) throw new MongoServerError(error)
  }

  async function flush(db: Db): Promise<void> {
    const [ready, gone] = [settling, removing]
    settling = []
    removing = []
    try {
      const writeConcern = { w: 1 }
      if (ready.length > 0) {
        const updates = ready.map(({ update }) => update)
        const { n } = await db.command({ update: name, updates, writeConcern }, callLimit())
        if (n < ready.length) await restore(db, ready)
      }
      if (gone.length > 0) await db.command({ delete: name, deletes: gone, writeConcern }, callLimit())
    } catch (error) {
      if (settling.length < maxSettling) settling.push(...ready)
      log.warn({ reason: (error as Error).message }, 'alert intents could not be settled yet')
      setTimeout(() => flushSoon(db), retryMs).unref()
    }
  }

  /** One that is not there at all went with a mongod that lost what it had not flushed. Others were recovered. */
  async function restore(db: Db, ready: readonly Settling[]): Promise<void> {
    const updates = ready.map(({ document: { _id, ...fields } }) => ({
      q: { _id },
      u: { $setOnInsert: fields },
      upsert: true,
    }))
    await db.command({ update: name, updates, writeConcern: durable }, callLimit())
  }

  function flushSoon(db: Db): void {
    timer ??= setTimeout(() => {
      timer = undefined
      running = running.then(() => flush(db))
    }, settleMs)
  }

  async function recoverOne(db: Db, intent: IntentDocument): Promise<void> {
    const intents = intentsOf(db)
    const ids = [...new Set(intent.facts.flatMap((fact) => fact.ids))]
    const events = db.collection<{ _id: string }>(collectionName)
    const found = await events.find({ _id: { $in: ids } }, { projection: { _id: 1 } }).toArray()
    const stored = new Set(found.map((one) => one._id))
    const ageMs = Date.now() - intent.at.getTime()
    if (stored.size < ids.length && ageMs < expireMs) {
      // What is stored already must not wait an hour for what may never come.
      const missing = intent.facts.map((fact) => withIds(fact, (id) => !stored.has(id)))
      await split(
        db,
        intent,
        stored,
        missing.filter((fact) => fact.ids.length > 0),
        ageMs,
      )
      return
    }
    const facts = await withoutTold(intents, intent, stored)
    if (facts.length === 0) await intents.deleteOne({ _id: intent._id, state: 'open' })
    else
      await intents.updateOne(
        { _id: intent._id, state: 'open' },
        { $set: { state: 'ready', facts }, $unset: { next: '' } },
        { writeConcern: durable },
      )
  }

  /** It is tried again later: what is ready must not wait for it. */
  async function failed(db: Db, { _id }: IntentDocument, error: Error): Promise<void> {
    throttle('recover', (suppressed) =>
      log.warn(
        { intent: _id, reason: error.message, suppressed },
        'an alert intent could not be recovered yet',
      ),
    )
    const next = new Date(Date.now() + failedMs)
    await intentsOf(db).updateOne({ _id, state: 'open' }, { $set: { next } })
  }

  /** The stored part becomes an intent of its own; a second attempt finds it as one that was told. */
  async function split(
    db: Db,
    intent: IntentDocument,
    stored: Set<string>,
    missing: Fact[],
    ageMs: number,
  ): Promise<void> {
    const intents = intentsOf(db)
    if (stored.size > 0) {
      const facts = await withoutTold(intents, intent, stored)
      const part: IntentDocument = { _id: createEventId(), at: intent.at, state: 'ready', facts }
      if (facts.length > 0) await insert(db, part, durable)
    }
    const next = new Date(Date.now() + Math.min(300_000, Math.max(graceMs, ageMs)))
    await intents.updateOne({ _id: intent._id, state: 'open' }, { $set: { facts: missing, next } })
  }

  /**
   * Facts of stored events that no other intent holds. A scan, and rare: only after a receiver died. It looks a day back:
   * who sends an event again later than that, through a receiver that dies then, may have it told twice.
   */
  async function withoutTold(
    intents: Collection<IntentDocument>,
    intent: IntentDocument,
    stored: Set<string>,
  ): Promise<Fact[]> {
    const others = await intents
      .find(
        {
          _id: { $ne: intent._id },
          state: { $in: ['ready', 'folded'] },
          at: { $gte: new Date(intent.at.getTime() - lookBackMs) },
          'facts.ids': { $in: [...stored] },
        },
        { maxTimeMS: scanMs },
      )
      .toArray()
    const told = new Set(
      others.flatMap(({ facts }) =>
        facts.flatMap(({ rule, kind, ids }) => ids.map((id) => `${rule} ${kind} ${id}`)),
      ),
    )
    return intent.facts
      .map((fact) => withIds(fact, (id) => stored.has(id) && !told.has(`${fact.rule} ${fact.kind} ${id}`)))
      .filter((fact) => fact.ids.length > 0)
  }

  return {
    async open(db, facts, again) {
      const _id = again?.id ?? createEventId()
      const at = new Date()
      const next = new Date(at.getTime() + graceMs)
      await insert(db, { _id, at, state: 'open', facts, next }, again ? durable : { w: 1 })
      return _id
    },
    settle(db, id, facts, isStored) {
      const stored = facts
        .map((fact) => withIds(fact, (event) => isStored.has(event)))
        .filter((fact) => fact.ids.length > 0)
      const q = { _id: id, state: 'open', recovering: { $exists: false } }
      if (stored.length === 0) removing.push({ q, limit: 1 })
      else {
        const isWhole =
          stored.length === facts.length && stored.every((one, i) => one.ids.length === facts[i]!.ids.length)
        settling.push({
          update: {
            q,
            u: { $set: { state: 'ready', ...(!isWhole && { facts: stored }) }, $unset: { next: '' } },
          },
          document: { _id: id, at: new Date(), state: 'ready', facts: stored },
        })
      }
      flushSoon(db)
    },
    act: (db, action) =>
      insert(db, { _id: createEventId(), at: new Date(), state: 'ready', facts: [], action }, durable),
    async recover(db) {
      const open = await intentsOf(db)
        .find({ state: 'open', next: { $lte: new Date() } })
        .sort({ next: 1 })
        .limit(recoverCount)
        .toArray()
      const endMs = performance.now() + recoverMs
      for (const intent of open) {
        if (performance.now() > endMs) return
        // Of two receivers that look, one goes on.
        const { _id, next } = intent
        const mark = { $set: { recovering: true, next: new Date(Date.now() + claimMs) } } as const
        const { matchedCount } = await intentsOf(db).updateOne({ _id, state: 'open', next: next! }, mark)
        if (matchedCount === 1) await recoverOne(db, intent).catch((error) => failed(db, intent, error))
      }
    },
    async ready(db, limit) {
      const found = await intentsOf(db)
        .find({ state: 'ready' })
        .sort({ at: 1, _id: 1 })
        .limit(limit)
        .toArray()
      return found.map(({ _id, at, facts, action }) => ({
        id: _id,
        atMs: at.getTime(),
        facts,
        ...(action && { action }),
      }))
    },
    async drain() {
      // A timer that waits keeps its turn; it is short.
      while (timer !== undefined) await new Promise((resolve) => setTimeout(resolve, settleMs))
      await running
    },
  }
}

function withIds(fact: Fact, test: (id: string) => boolean): Fact {
  const ids = fact.ids.filter(test)
  return { ...fact, ids, count: ids.length }
}
