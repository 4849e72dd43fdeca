import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, fromDocument } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createCommitWatch } from '../../../receiver/src/conservation/commit-watch.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'

const makeEvent = () =>
  fromDocument({ _id: createEventId(), event_type: 'log_info', event_data: { message: 'hello' } })

const nothing = { lost: [], late: [], doubled: [], unexpected: [] }

describe('commits of a MongoDB that receivers share', () => {
  let mongod: Mongod
  let skipReason = ''
  beforeAll(async () => {
    const source = await findMongo()
    if ('skip' in source) skipReason = source.skip
    else mongod = await startMongod()
  })
  beforeEach((context) => context.skip(skipReason !== '', skipReason))
  afterAll(() => mongod?.stop())

  async function open() {
    const databaseName = freshDatabaseName()
    const openStore = () => openMongoStore({ url: mongod.url, databaseName, log: silentLog })
    const store = await openStore()
    const client = await MongoClient.connect(mongod.url)
    const entries = client
      .db(databaseName)
      .collection<{ _id: string; n: number; ids: string[] }>('events_commits')
    const watch = createCommitWatch({ store, lateMs: 0, maxCommits: 1000 })
    await watch.look()
    return {
      store,
      openStore,
      watch,
      entries,
      events: client.db(databaseName).collection<{ _id: string }>('events'),
      async close() {
        await client.close()
        await store.close()
      },
    }
  }

  async function write(
    store: EventStore,
    watch: ReturnType<typeof createCommitWatch> | undefined,
    count = 1,
  ) {
    const events = Array.from({ length: count }, makeEvent)
    const end = watch?.begin(events)
    end?.(await store.write(events))
    return events.map(({ event_id }) => event_id)
  }

  it('finds its own among those of other receivers, each once', async () => {
    const { store, openStore, watch, close } = await open()
    const other = await openStore()
    for (let i = 0; i < 10; i++) {
      await write(store, watch, 30)
      await write(other, undefined, 30)
    }
    expect(await watch.look()).toEqual({ found: 300, ...nothing })
    for (let i = 0; i < 3; i++) expect(await watch.look()).toEqual({ found: 0, ...nothing })
    await other.close()
    await close()
  })

  it('an event whose document is gone is lost; one whose place in the order is gone is late', async () => {
    const { store, watch, entries, events, close } = await open()
    const [gone] = await write(store, watch, 2)
    const [hidden] = await write(store, watch)
    await store.commitCursor()
    await events.deleteOne({ _id: gone! })
    expect((await entries.deleteOne({ ids: hidden! })).deletedCount).toBe(1)
    await sleep(5)
    const finding = await watch.look()
    expect(finding).toMatchObject({ found: 1, lost: [gone], late: [hidden], doubled: [] })
    expect(watch.lateCount).toBe(1)
    expect(await watch.look()).toEqual({ found: 0, ...nothing })
    await close()
  })

  it('an event that has two places in the order is doubled', async () => {
    const { store, watch, entries, close } = await open()
    const [id] = await write(store, watch)
    await store.commitCursor()
    const { _id, ...entry } = (await entries.findOne({ ids: id! }))!
    await entries.insertOne({ ...entry, _id: `${_id}.1`, n: entry.n + 1 })
    expect(await watch.look()).toEqual({ ...nothing, found: 1, doubled: [id] })
    await close()
  })

  it('beyond its bound it judges what it noted, and begins anew', async () => {
    const { store, watch, close } = await open()
    for (let i = 0; i < 15; i++) await write(store, watch, 100)
    const first = await watch.look()
    expect(first).toEqual({ found: 1000, ...nothing })
    await write(store, watch, 100)
    expect(await watch.look()).toEqual({ found: 100, ...nothing })
    await close()
  })

  it('a store that is away is no loss: the next look goes on from there', async () => {
    const { store, watch, close } = await open()
    await write(store, watch, 10)
    await store.commitCursor()
    await mongod.kill()
    await expect(watch.look()).rejects.toThrow()
    await mongod.restart()
    const deadline = Date.now() + 20_000
    while (!(await store.health()).connected && Date.now() < deadline) await sleep(50)
    expect(await watch.look()).toEqual({ found: 10, ...nothing })
    await close()
  })
})
