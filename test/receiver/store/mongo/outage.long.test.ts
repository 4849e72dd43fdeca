import { type Event, type EventError, fromDocument } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Log, silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import {
  findMongo,
  freshDatabaseName,
  type Mongod,
  type MongodOptions,
  startMongod,
} from '../../../support/mongod.ts'

const source = await findMongo()
const reason =
  'skip' in source
    ? source.skip
    : source.kind === 'binary'
      ? ''
      : 'only a mongod binary can be killed and stopped'
const events = (...ids: string[]): Event[] =>
  ids.map((_id) => fromDocument({ _id, event_data: { message: _id } }))
const secondsOf = async (call: () => Promise<unknown>) => {
  const start = performance.now()
  await call()
  return (performance.now() - start) / 1000
}
const unavailable = { code: 'EVT_STORE_UNAVAILABLE', retry: true }

describe('trouble with MongoDB', () => {
  const closing: (() => Promise<unknown>)[] = []
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  async function start(options: MongodOptions = {}): Promise<Mongod> {
    const mongod = await startMongod(options)
    closing.push(() => mongod.stop())
    return mongod
  }
  async function open(url: string, log: Log = silentLog): Promise<EventStore> {
    const store = await openMongoStore({ url, databaseName: freshDatabaseName(), log })
    closing.push(() => store.close())
    return store
  }
  const heal = (store: EventStore, id: string) =>
    expect
      .poll(() => store.write(events(id)).catch((error: EventError) => error.code), {
        timeout: 15_000,
        interval: 100,
      })
      .toEqual(['stored'])

  it('after SIGKILL of mongod in the middle of writes every stored event is there, and the store heals', async () => {
    const mongod = await start()
    const store = await open(mongod.url)
    const acknowledged = new Set<string>()
    for (let cycle = 0; cycle < 3; cycle++) {
      let isWriting = true
      let failures = 0
      const writers = [0, 1, 2, 3].map(async (writer) => {
        for (let i = 0; isWriting; i++) {
          const ids = Array.from({ length: 50 }, (_, k) => `${cycle}-${writer}-${i}-${k}`)
          try {
            const outcomes = await store.write(events(...ids))
            for (const [k, outcome] of outcomes.entries()) if (outcome === 'stored') acknowledged.add(ids[k]!)
          } catch (error) {
            expect(error).toMatchObject(unavailable)
            failures++
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
      })
      await new Promise((resolve) => setTimeout(resolve, 200 + cycle * 70))
      await mongod.kill()
      await new Promise((resolve) => setTimeout(resolve, 300))
      isWriting = false
      await Promise.all(writers)
      expect(failures).toBeGreaterThan(0)
      await mongod.restart()
      await heal(store, `healed-${cycle}`)
      acknowledged.add(`healed-${cycle}`)
      const stored = new Set<string>()
      for await (const chunk of store.find({
        archived: 'include',
        order: 'none',
        limit: 0,
        offset: 0,
        timeoutMs: 0,
      }))
        for (const one of chunk) stored.add(one.id)
      expect([...acknowledged].filter((id) => !stored.has(id))).toEqual([])
      expect(acknowledged.size).toBeGreaterThan(200 * cycle)
    }
  })

  it('a store opened before its database is unavailable, says so at once, and heals when it comes', async () => {
    const mongod = await start()
    await mongod.kill()
    const store = await open(mongod.url)
    expect(
      await secondsOf(() => expect(store.write(events('a'))).rejects.toMatchObject(unavailable)),
    ).toBeLessThan(0.1)
    await expect(store.get('a')).rejects.toMatchObject(unavailable)
    await expect(store.commitsSince('', 10)).rejects.toMatchObject(unavailable)
    let health = await store.health()
    expect(health).toMatchObject({ connected: false, totalEvents: null, reason: expect.any(String) })
    await mongod.restart()
    await heal(store, 'a')
    health = await store.health()
    expect(health).toEqual({ connected: true, totalEvents: 1 })
    expect((await store.commitsSince('', 10)).ids).toEqual(['a'])
  })

  it('a database that hangs costs seconds, not minutes: writes end, health answers within two, later calls fail at once', async () => {
    const mongod = await start()
    const store = await open(mongod.url)
    await store.write(events('a'))
    process.kill(mongod.pid!, 'SIGSTOP')
    const hanging = secondsOf(() => expect(store.write(events('b'))).rejects.toMatchObject(unavailable))
    expect(await secondsOf(() => store.health())).toBeLessThan(2)
    expect(await store.health()).toMatchObject({ connected: false })
    expect(await hanging).toBeLessThan(12)
    expect(
      await secondsOf(() => expect(store.write(events('c'))).rejects.toMatchObject(unavailable)),
    ).toBeLessThan(0.1)
    process.kill(mongod.pid!, 'SIGCONT')
    await heal(store, 'd')
  })

  it('a lost reply is asked for again: the events are stored once, and followers see them once', async () => {
    const mongod = await start({ testCommands: true })
    const store = await open(mongod.url)
    const fail = await failer(mongod.url)
    await fail({ times: 1 }, { failCommands: ['insert'], closeConnection: true })
    expect(await store.write(events('a', 'b'))).toEqual(['stored', 'stored'])
    expect((await store.commitsSince('', 10)).ids).toEqual(['a', 'b'])
  })

  it('what is stored but not durable is unavailable, not stored; so is a duplicate of it', async () => {
    const mongod = await start({ testCommands: true })
    const store = await open(mongod.url)
    const fail = await failer(mongod.url)
    const writeConcernError = {
      code: 64,
      codeName: 'WriteConcernFailed',
      errmsg: 'waiting for replication timed out',
    }
    await fail({ times: 4 }, { failCommands: ['insert'], writeConcernError })
    await expect(store.write(events('a'))).rejects.toMatchObject(unavailable)
    await fail('off', {})
    await expect
      .poll(() => store.write(events('a')).catch(() => {}), { timeout: 5000 })
      .toEqual(['duplicate'])
    expect((await store.commitsSince('', 10)).ids).toEqual(['a'])
  })

  it.each([
    ['a primary that steps down', 10107],
    ['a full disk', 14031],
    ['a fault that this release does not know', 99999],
  ])('%s is unavailable, and heals', async (_, errorCode) => {
    const mongod = await start({ testCommands: true })
    const store = await open(mongod.url)
    const fail = await failer(mongod.url)
    await fail('alwaysOn', { failCommands: ['insert'], errorCode })
    await expect(store.write(events('a'))).rejects.toMatchObject(unavailable)
    await fail('off', {})
    await heal(store, 'a')
  })

  it('works on a replica set, through an election', async () => {
    const mongod = await start({ replicaSet: true })
    const store = await open(mongod.url)
    expect(await store.write(events('a', 'b', 'a'))).toEqual(['stored', 'stored', 'duplicate'])
    const client = await new MongoClient(mongod.url).connect()
    closing.push(() => client.close())
    await client.db('admin').command({ replSetStepDown: 1, force: true })
    await heal(store, 'c')
    const { ids } = await store.commitsSince('', 10)
    expect(ids).toEqual(['a', 'b', 'c'])
  })

  async function failer(url: string) {
    const client = await new MongoClient(url).connect()
    closing.push(() => client.close())
    return (mode: unknown, data: object) =>
      client.db('admin').command({ configureFailPoint: 'failCommand', mode, ...(mode !== 'off' && { data }) })
  }
})
