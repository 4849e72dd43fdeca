import type { Collection, Db } from 'mongodb'
import {
  type AlertAction,
  type AlertRecord,
  type AlertStep,
  type AlertStore,
  clockSlackMs,
  type Delivery,
  furthestRetryMs,
  longestLeaseMs,
  type NewDelivery,
  parseAlertCursor,
} from '../alert-store.ts'
import { createAlertReader } from './alert-reader.ts'
import { alertName, deliveryName, metaName } from './collection-name.ts'
import { duplicateKey, durable } from './insert.ts'
import type { Journal } from './journal.ts'
import { createOldIntents, isOldIntent } from './old-intent.ts'

/** What a step brings with it: done again until it is noted as done, each part harmless when done twice. */
type Outbox = Pick<AlertStep, 'folded' | 'alerts' | 'deliveries'>

interface StateDocument {
  _id: string
  version: number
  document: string
  outbox: Outbox | null
  /** What rules saw in entries up to this number is in `document`. */
  n?: number
}

interface LeadDocument {
  _id: string
  holder: string
  until: Date
}

export type DeliveryDocument = Omit<Delivery, 'id'> & { _id: string; heldBy: string | null; heldUntil: Date }

/** `step`: the version of the state that it came with; earlier releases wrote none. */
type AlertDocument = Omit<AlertRecord, 'id'> & { _id: string; step?: number }

export interface AlertStoreOptions {
  journal: Journal
  /** Puts an action into the order of commits. */
  act: (action: AlertAction) => Promise<void>
  guard: <T>(call: () => Promise<T>) => Promise<T>
}

/**
 * Alerts in MongoDB, without transactions: one document, `alert_state` of `<collection>_meta`, holds what the rules know
 * and the outbox of their last step, and is replaced only at the version that it had. So a step is there whole or not at
 * all; whoever comes next finishes the outbox before anything else. It also names the last number of the journal that the
 * rules have seen, so each event comes to them once.
 */
export function createAlertStore(
  db: Db,
  collectionName: string,
  { journal, act, guard }: AlertStoreOptions,
): AlertStore {
  const meta = db.collection<StateDocument>(metaName(collectionName))
  const leads = db.collection<LeadDocument>(metaName(collectionName))
  const alerts: Collection<AlertDocument> = db.collection(alertName(collectionName))
  const deliveries = db.collection<DeliveryDocument>(deliveryName(collectionName))
  const reader = createAlertReader(db, collectionName, journal)
  const oldIntents = createOldIntents(db, collectionName)
  const w = { writeConcern: durable }
  // Leases of several receivers must not hang on their clocks, nor on a step of them.
  const serverNow = () => journal.clock.now()

  async function finish(
    version: number,
    { folded, alerts: records, deliveries: added }: Outbox,
  ): Promise<void> {
    if (added.length > 0)
      await deliveries.bulkWrite(
        added.map((one) => ({
          updateOne: { filter: { _id: one.id }, update: { $setOnInsert: toDocument(one) }, upsert: true },
        })),
        w,
      )
    if (records.length > 0)
      await alerts.bulkWrite(
        records.map(({ id, ...record }) => ({
          updateOne: {
            filter: { _id: id },
            update: [{ $replaceWith: unlessNewer(version, { _id: id, ...record, step: version }) }],
            upsert: true,
          },
        })),
        w,
      )
    const old = folded.filter(isOldIntent)
    if (old.length > 0) await oldIntents.forget(old)
    await meta.updateOne({ _id: 'alert_state', version }, { $set: { outbox: null } }, w)
  }

  const readState = () => meta.findOne({ _id: 'alert_state' })

  async function commit({ version, state, ...outbox }: AlertStep): Promise<boolean> {
    const numbers = outbox.folded.filter((id) => !isOldIntent(id)).map(Number)
    const next = {
      version: version + 1,
      document: state,
      outbox,
      ...(numbers.length > 0 && { n: Math.max(...numbers) }),
    }
    if (version === 0) {
      try {
        await meta.insertOne({ _id: 'alert_state', ...next }, w)
      } catch (error) {
        if ((error as { code?: number }).code === duplicateKey) return false
        throw error
      }
    } else {
      const { matchedCount } = await meta.updateOne(
        { _id: 'alert_state', version, outbox: null },
        { $set: next },
        w,
      )
      if (matchedCount === 0) return false
    }
    await finish(version + 1, outbox)
    return true
  }

  return {
    lead: (holder, leaseMs) =>
      guard(async () => {
        const nowMs = await serverNow()
        const until = new Date(nowMs + leaseMs)
        const filter = { _id: 'alert_lead', $or: [{ holder }, { until: { $lte: new Date(nowMs) } }] }
        try {
          await leads.updateOne(filter, { $set: { holder, until } }, { upsert: true, ...w })
          return true
        } catch (error) {
          if ((error as { code?: number }).code === duplicateKey) return false
          throw error
        }
      }),
    load: () =>
      guard(async () => {
        const found = await readState()
        if (found?.outbox) await finish(found.version, found.outbox)
        return { version: found?.version ?? 0, state: found?.document }
      }),
    intents: (limit) =>
      guard(async () => {
        const old = await oldIntents.read(limit)
        return old.length > 0 ? old : reader.intentsAfter((await readState())?.n ?? 0, limit)
      }),
    commit: (step) => guard(() => commit(step)),
    act: (action) => guard(() => act(action)),
    get: (id) =>
      guard(async () => {
        const found = await alerts.findOne({ _id: id })
        return found ? toRecord(found) : undefined
      }),
    find: ({ after, limit, ...filter }) =>
      guard(async () => {
        const cursor = after === undefined ? undefined : parseAlertCursor(after)
        const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
        const page = cursor && {
          $or: [
            { openedMs: { $lt: cursor.openedMs } },
            { openedMs: cursor.openedMs, _id: { $lt: cursor.id } },
          ],
        }
        const found = await alerts
          .find({ ...given, ...page })
          .sort({ openedMs: -1, _id: -1 })
          .limit(limit)
          .toArray()
        return found.map(toRecord)
      }),
    deliveriesOf: (alertIds) =>
      guard(async () => {
        const found = await deliveries
          .find({ alertId: { $in: [...alertIds] } })
          .sort({ createdMs: 1, _id: 1 })
          .toArray()
        return found.map(toDelivery)
      }),
    counts: () =>
      guard(async () => {
        const [pending, retrying, failed] = await Promise.all([
          deliveries.countDocuments({ state: 'pending' }),
          deliveries.countDocuments({ state: 'pending', error: { $ne: null } }),
          deliveries.countDocuments({ state: 'failed' }),
        ])
        return { pending, retrying, failed }
      }),
    claim: (holder, leaseMs, limit, busy = []) =>
      guard(async () => {
        const claimed: Delivery[] = []
        while (claimed.length < limit) {
          const nowMs = await serverNow()
          const found = await deliveries.findOneAndUpdate(
            {
              state: 'pending',
              $and: [
                {
                  $or: [
                    { nextMs: { $lte: nowMs } },
                    { attempts: { $gt: 0 }, nextMs: { $gt: nowMs + furthestRetryMs } },
                    { attempts: 0, createdMs: { $gt: nowMs + clockSlackMs } },
                  ],
                },
                {
                  $or: [
                    { heldUntil: { $lte: new Date(nowMs) } },
                    { heldUntil: { $gt: new Date(nowMs + longestLeaseMs) } },
                  ],
                },
              ],
              ...(busy.length > 0 && { channel: { $nin: [...busy] } }),
            },
            { $set: { heldBy: holder, heldUntil: new Date(nowMs + leaseMs) }, $inc: { attempts: 1 } },
            { sort: { nextMs: 1 }, returnDocument: 'after', ...w },
          )
          if (!found) break
          claimed.push(toDelivery(found))
        }
        return claimed
      }),
    renew: (holder, ids, leaseMs) =>
      guard(async () => {
        const heldUntil = new Date((await serverNow()) + leaseMs)
        await deliveries.updateMany({ _id: { $in: [...ids] }, heldBy: holder }, { $set: { heldUntil } }, w)
      }),
    settle: (holder, id, outcome) =>
      guard(async () => {
        const isPending = outcome.state === 'pending'
        const { matchedCount } = await deliveries.updateOne(
          { _id: id, heldBy: holder, state: 'pending' },
          {
            $set: {
              state: outcome.state,
              error: 'error' in outcome ? outcome.error : null,
              settledMs: isPending ? null : Date.now(),
              heldBy: null,
              heldUntil: new Date(0),
              ...(isPending && { nextMs: outcome.nextMs }),
            },
          },
          w,
        )
        return matchedCount === 1
      }),
    forget: (beforeMs) =>
      guard(async () => {
        const pending = await deliveries.distinct('alertId', { state: 'pending' })
        const old = await alerts
          .find(
            { state: 'resolved', updatedMs: { $lt: beforeMs }, _id: { $nin: pending } },
            { projection: { _id: 1 } },
          )
          .limit(10_000)
          .toArray()
        const ids = old.map((one) => one._id)
        await deliveries.deleteMany({ alertId: { $in: ids } }, w)
        await alerts.deleteMany({ _id: { $in: ids } }, w)
        return ids.length
      }),
  }
}

/** A receiver that was stalled may write its step after the next one was written. */
const unlessNewer = (version: number, document: AlertDocument) => ({
  $cond: [{ $gt: ['$step', version] }, '$$ROOT', { $literal: document }],
})

function toDocument({ id: _id, ...delivery }: NewDelivery): DeliveryDocument {
  const fresh = { state: 'pending', attempts: 0, error: null, settledMs: null } as const
  return { _id, ...delivery, ...fresh, heldBy: null, heldUntil: new Date(0) }
}

const toDelivery = ({
  _id: id,
  heldBy: _by,
  heldUntil: _until,
  ...delivery
}: DeliveryDocument): Delivery => ({
  id,
  ...delivery,
})

const toRecord = ({ _id: id, step: _step, ...record }: AlertDocument): AlertRecord => ({
  id,
  ...record,
})
