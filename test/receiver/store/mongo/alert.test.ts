import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { Match } from '../../../../receiver/src/store/alert-store.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { createEntryId, type EntryDocument } from '../../../../receiver/src/store/mongo/journal.ts'
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
      open: () => openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs: 500 }),
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
  const databaseName = freshDatabaseName()
  const collection = <T extends { _id: string }>(name: string) => client.db(databaseName).collection<T>(name)
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
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs: 300 })
  })
  afterAll(async () => {
    await store?.close()
    await client?.close()
    await mongod?.stop()
  })
  /** What a receiver leaves behind that died after it had stored these of the events. */
  async function leave(ids: string[], stored: string[]): Promise<string> {
    const _id = createEntryId()
    await collection<EntryDocument>('events_commits').insertOne({
      _id,
      ids,
      facts: [fact([...new Set(ids)])],
      at: new Date(),
      open: true,
    })
    for (const id of stored)
      await collection<{ _id: string; _entry: string }>('events').insertOne({ _id: id, _entry: _id })
    return _id
  }
  const readyIds = async () =>
    (await store.alerts!.intents(100)).flatMap(({ facts }) => facts.flatMap(({ ids }) => ids))

  it('what it stored is taken up, once, whoever sends it again before', async () => {
    const entry = await leave(['k1', 'k2', 'late', 'k1'], ['k1', 'k2'])
    expect(await store.write([makeEvent('k2'), makeEvent('k3')], [{ ...match, positions: [0, 1] }])).toEqual([
      'duplicate',
      'stored',
    ])
    await expect.poll(readyIds, { timeout: 5000 }).toEqual(['k3', 'k1', 'k2'])
    await collection<{ _id: string; _entry: string }>('events').insertOne({ _id: 'late', _entry: entry })
    await expect.poll(readyIds, { timeout: 5000 }).toEqual(['k3', 'k1', 'k2', 'late'])
  })

  it('what an earlier release left for the rules is taken up first, and once', async () => {
    const old = collection<{ _id: string; at: Date; state: string; facts: unknown[] }>('events_alert_intents')
    const at = new Date()
    await store.write([makeEvent('there')])
    await old.insertMany([
      { _id: 'i1', at, state: 'ready', facts: [fact(['told'])] },
      { _id: 'i2', at, state: 'open', facts: [fact(['there', 'absent'])] },
      { _id: 'i3', at, state: 'folded', facts: [fact(['before'])] },
    ])
    await store.close()
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs: 300 })
    expect(await readyIds()).toEqual(['told', 'there'])
    const { version } = await store.alerts!.load()
    const folded = (await store.alerts!.intents(100)).map(({ id }) => id)
    expect(await store.alerts!.commit({ version, state: 's', folded, alerts: [], deliveries: [] })).toBe(true)
    expect(await readyIds()).toEqual(['k3', 'k1', 'k2', 'late'])
    expect(await old.countDocuments({ state: { $ne: 'folded' } })).toBe(0)
  })

  it('what the rules have seen is not given again, nor by a store that is opened later', async () => {
    const [first] = await store.alerts!.intents(1)
    const { version } = await store.alerts!.load()
    const step = { version, state: 's', folded: [first!.id], alerts: [], deliveries: [] }
    expect(await store.alerts!.commit(step)).toBe(true)
    expect(await readyIds()).toEqual(['k1', 'k2', 'late'])
    await store.close()
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs: 300 })
    expect(await readyIds()).toEqual(['k1', 'k2', 'late'])
  })

  it('a step that was cut after its state is finished by the next to load', async () => {
    const meta = client.db(databaseName).collection<{ _id: string }>('events_meta')
    const { version } = await store.alerts!.load()
    const [intent] = await store.alerts!.intents(1)
    const outbox = {
      folded: [],
      alerts: [{ id: 'a', rule: 'r', key: '[]', state: 'firing', openedMs: 1, updatedMs: 1, json: '{}' }],
      deliveries: [
        { id: 'd', alertId: 'a', channel: 'c', target: '', createdMs: 1, nextMs: 0, notice: '{}' },
      ],
    }
    await meta.updateOne(
      { _id: 'alert_state' },
      { $set: { version: version + 1, document: 'cut', outbox, n: Number(intent!.id) } },
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
