import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { Match } from '../../../../receiver/src/store/alert-store.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import type { IntentDocument } from '../../../../receiver/src/store/mongo/alert-intent.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { describeAlertStore } from '../../../contract/alert-store.contract.ts'
import { makeEvent } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

describeAlertStore(
  'MongoDB',
  async () => {
    const mongod = await startMongod()
    const databaseName = freshDatabaseName()
    const client = await new MongoClient(mongod.url).connect()
    const db = client.db(databaseName)
    return {
      open: () => openMongoStore({ url: mongod.url, databaseName, log: silentLog, graceMs: 500 }),
      async makeOlder() {
        for (const name of ['alert_intents', 'alerts', 'alert_deliveries'])
          await db.collection(`events_${name}`).drop()
        await db
          .collection<{ _id: string }>('events_meta')
          .updateOne({ _id: 'schema' }, { $set: { version: 1 } })
      },
      async stop() {
        await client.close()
        await mongod.stop()
      },
    }
  },
  reason,
)

describe('alerts in MongoDB after a receiver died', () => {
  let mongod: Mongod
  let client: MongoClient
  let store: EventStore
  let intents: ReturnType<typeof collection>
  const databaseName = freshDatabaseName()
  const collection = () => client.db(databaseName).collection<IntentDocument>('events_alert_intents')
  const match: Match = { rule: 'r', kind: 'match', key: '[]', labels: {}, level: 40, positions: [0] }
  const fact = (ids: string[]) => ({
    rule: 'r',
    kind: 'match' as const,
    key: '[]',
    labels: {},
    level: 40,
    ids,
    count: ids.length,
  })
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    client = await new MongoClient(mongod.url).connect()
    intents = collection()
    // As earlier releases made it.
    await intents.createIndex({ at: 1 }, { expireAfterSeconds: 604_800 })
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, graceMs: 300 })
  })
  afterAll(async () => {
    await store?.close()
    await client?.close()
    await mongod?.stop()
  })
  const leaveOpen = (id: string, ids: string[]) =>
    intents.insertOne({ _id: id, at: new Date(), next: new Date(), state: 'open', facts: [fact(ids)] })
  const readyIds = async () =>
    (await store.alerts!.intents(100)).flatMap(({ facts }) => facts.flatMap(({ ids }) => ids)).sort()

  it('an intent whose events were stored is taken up, once for two of the same event', async () => {
    await store.write([makeEvent('k1'), makeEvent('k2')])
    await leaveOpen('i1', ['k1', 'k2'])
    await leaveOpen('i2', ['k1'])
    await expect.poll(readyIds, { timeout: 5000, interval: 300 }).toEqual(['k1', 'k2'])
    await expect
      .poll(() => intents.countDocuments({ state: 'open' }), { timeout: 5000, interval: 300 })
      .toBe(0)
  })

  it('what another intent holds is not told again, and what never came is dropped after an hour', async () => {
    await store.write([makeEvent('k3')], [match])
    await leaveOpen('i3', ['k3', 'never'])
    await expect.poll(readyIds, { timeout: 5000, interval: 300 }).toEqual(['k1', 'k2', 'k3'])
    await expect
      .poll(async () => (await readyIds()) && (await intents.findOne({ _id: 'i3' }))?.facts[0]?.ids, {
        timeout: 5000,
        interval: 300,
      })
      .toEqual(['never'])
    await intents.updateOne(
      { _id: 'i3' },
      { $set: { at: new Date(Date.now() - 3_700_000), next: new Date() } },
    )
    await expect
      .poll(() => readyIds().then(() => intents.countDocuments({ _id: 'i3' })), {
        timeout: 5000,
        interval: 300,
      })
      .toBe(0)
    expect(await readyIds()).toEqual(['k1', 'k2', 'k3'])
  })

  it('an intent that cannot be recovered holds up no other, and is tried again later', async () => {
    await intents.insertOne({
      _id: 'bad',
      at: new Date(),
      next: new Date(),
      state: 'open',
      facts: null as never,
    })
    const isTried = async () => {
      expect(await readyIds()).toEqual(['k1', 'k2', 'k3'])
      return (await intents.findOne({ _id: 'bad' }))!.recovering
    }
    const endMs = performance.now() + 5000
    while (!(await isTried())) {
      if (performance.now() > endMs) throw new Error('it was not tried')
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    const { next } = (await intents.findOne({ _id: 'bad' }))!
    expect(next!.getTime()).toBeGreaterThan(Date.now() + 30_000)
    await intents.deleteOne({ _id: 'bad' })
  })

  it('only intents that the rules have seen expire, also where an earlier release let all expire', async () => {
    const expiring = async () =>
      (await intents.indexes())
        .filter(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)
        .map(({ partialFilterExpression }) => partialFilterExpression)
    await expect.poll(expiring, { timeout: 10_000 }).toEqual([{ state: 'folded' }])
  })

  it('a step that was cut after its state is finished by the next to load', async () => {
    const meta = client.db(databaseName).collection<{ _id: string }>('events_meta')
    const { version } = await store.alerts!.load()
    const [intent] = await store.alerts!.intents(1)
    const outbox = {
      folded: [intent!.id],
      alerts: [{ id: 'a', rule: 'r', key: '[]', state: 'firing', openedMs: 1, updatedMs: 1, json: '{}' }],
      deliveries: [
        { id: 'd', alertId: 'a', channel: 'c', target: '', createdMs: 1, nextMs: 0, notice: '{}' },
      ],
    }
    await meta.updateOne(
      { _id: 'alert_state' },
      { $set: { version: version + 1, document: 'cut', outbox } },
      { upsert: true },
    )
    const late = { version: version + 1, state: 'rash', folded: [], alerts: [], deliveries: [] }
    expect(await store.alerts!.commit(late)).toBe(false)
    expect(await store.alerts!.load()).toEqual({ version: version + 1, state: 'cut' })
    expect(await store.alerts!.get('a')).toBeDefined()
    expect(await store.alerts!.deliveriesOf(['a'])).toHaveLength(1)
    expect((await store.alerts!.intents(100)).map(({ id }) => id)).not.toContain(intent!.id)
    expect(await store.alerts!.commit(late)).toBe(true)
  })

  it('a step that is finished late leaves what a newer one wrote', async () => {
    const meta = client.db(databaseName).collection<{ _id: string }>('events_meta')
    const { version } = await store.alerts!.load()
    const alert = { id: '$b', rule: 'r', key: '$x', openedMs: 1, updatedMs: 1, json: '{}' }
    const step = { version, state: 's', folded: [], deliveries: [] }
    expect(await store.alerts!.commit({ ...step, alerts: [{ ...alert, state: 'resolved' }] })).toBe(true)
    const outbox = { folded: [], deliveries: [], alerts: [{ ...alert, state: 'firing' }] }
    await meta.updateOne({ _id: 'alert_state' }, { $set: { version, outbox } })
    await store.alerts!.load()
    expect(await store.alerts!.get('$b')).toEqual({ ...alert, state: 'resolved' })
  })

  it('a step of the local clock takes no lease early', async () => {
    const { alerts } = store
    await expect.poll(() => alerts!.lead('x', 5000), { timeout: 3000 }).toBe(true)
    const now = Date.now
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    try {
      expect(await alerts!.lead('y', 500)).toBe(false)
    } finally {
      vi.restoreAllMocks()
    }
    expect(await alerts!.lead('x', 1)).toBe(true)
  })

  it('one of two receivers leads', async () => {
    const { alerts } = store
    await expect.poll(() => alerts!.lead('x', 500)).toBe(true)
    expect(await alerts!.lead('y', 500)).toBe(false)
    expect(await alerts!.lead('x', 300)).toBe(true)
    await expect.poll(() => alerts!.lead('y', 500), { timeout: 3000 }).toBe(true)
  })
})
