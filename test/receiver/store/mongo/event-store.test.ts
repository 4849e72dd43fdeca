import { toDocument, type Value } from '@madsci-events/sdk/event'
import { Binary, Double, Int32, Long, MongoClient, ObjectId } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore, FindQuery } from '../../../../receiver/src/store/event-store.ts'
import { findMadsciDatabase } from '../../../../receiver/src/store/mongo/detect.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { schemaVersion } from '../../../../receiver/src/store/mongo/schema.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { collect, everything, makeEvent, readDocument } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''

describe('MongoDB store', () => {
  let mongod: Mongod
  let client: MongoClient
  let store: EventStore
  const databaseName = freshDatabaseName()
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    client = await new MongoClient(mongod.url).connect()
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
  })
  afterAll(async () => {
    await store?.close()
    await client?.db(databaseName).dropDatabase()
    await client?.close()
    await mongod?.stop()
  })

  it('writes documents as MADSci does: types, key order, integers by their size', async () => {
    const data = {
      a: 1,
      b: 2 ** 31,
      c: 2n ** 62n,
      d: 1.5,
      e: -0,
      f: new Uint8Array([1, 2]),
      g: Number.NaN,
      h: 2 ** 53,
    }
    const one = makeEvent('types', {
      event_data: data,
      archived: true,
      archived_at: '2026-11-23T19:29:12.877000Z',
    })
    expect(await store.write([one])).toEqual(['stored'])
    const raw = await client
      .db(databaseName)
      .collection<{ _id: string }>('events')
      .findOne({ _id: 'types' }, { promoteValues: false })
    expect(Object.keys(raw!)).toEqual([...Object.keys(toDocument(one)), '_entry'])
    expect(raw).toMatchObject({
      log_level: new Int32(20),
      archived_at: new Date('2026-11-23T19:29:12.877Z'),
      event_data: {
        a: new Int32(1),
        b: Long.fromNumber(2 ** 31),
        c: Long.fromBigInt(2n ** 62n),
        d: new Double(1.5),
        e: new Double(-0),
        f: new Binary(new Uint8Array([1, 2])),
        g: new Double(Number.NaN),
        h: new Double(2 ** 53),
      },
    })
    const stored = (await store.get('types'))!
    expect(stored.json).toContain('"archived_at":"2026-11-23T19:29:12.877000"')
    expect((readDocument(stored) as { event_data: Value }).event_data).toEqual(data)
  })

  it('reads documents of the original as they are, without filling in what is not there', async () => {
    const _id = '01M84XRCB04R2X0EN07MZFKJQ0'
    const data = {
      a: new Double(1),
      b: new ObjectId('0123456789abcdef01234567'),
      c: new Date(1000),
      'é"\n': '\u0001x',
    }
    await client
      .db(databaseName)
      .collection<{ _id: string }>('events')
      .insertOne({ _id, event_type: 'experiment_stop', log_level: 25, event_data: data } as never)
    expect(await store.get(_id)).toEqual({
      id: _id,
      json: `{"_id":"${_id}","event_type":"experiment_stop","log_level":25,"event_data":{"a":1,"b":"0123456789abcdef01234567","c":"1970-01-01T00:00:01","é\\"\\n":"\\u0001x"}}`,
    })
  })

  it('tells duplicates, refusals and stored events of one write apart', async () => {
    const huge = makeEvent('huge', { event_data: 'x'.repeat(17 * 1024 * 1024) })
    const nul = makeEvent('nul', { event_data: { 'a\0b': 1 } })
    const outcomes = await store.write([
      makeEvent('o1'),
      huge,
      makeEvent('o1', { log_level: 50 }),
      nul,
      makeEvent('o2'),
    ])
    expect(outcomes).toEqual([
      'stored',
      { refused: expect.stringContaining('the event is larger') },
      'duplicate',
      { refused: expect.stringContaining('NUL') },
      'stored',
    ])
    expect(await store.write([makeEvent('o2'), makeEvent('o3')])).toEqual(['duplicate', 'stored'])
    expect((await store.get('o1'))?.json).toContain('"log_level":20')
  })

  it('splits what no single message can carry', async () => {
    const events = Array.from({ length: 8 }, (_, i) =>
      makeEvent(`big${i}`, { event_data: 'y'.repeat(9_000_000) }),
    )
    expect(await store.write(events)).toEqual(events.map(() => 'stored'))
    const many = Array.from({ length: 12_000 }, (_, i) => makeEvent(`many${i}`))
    expect((await store.write(many)).every((one) => one === 'stored')).toBe(true)
    await client
      .db(databaseName)
      .collection<{ _id: string }>('events')
      .deleteMany({ _id: /^(big|many)/ })
  })

  it('finds by level, time, archive and selector, in order, with limit and offset', async () => {
    const base = { event_type: 'test' } as const
    await store.write([
      makeEvent('f1', { ...base, event_timestamp: '2020-01-01T00:00:00.000000', log_level: 10 }),
      makeEvent('f2', { ...base, event_timestamp: '2020-01-01T00:00:00.000000Z', log_level: 20 }),
      makeEvent('f3', { ...base, event_timestamp: '2020-01-01T00:00:01.000000Z', log_level: 30 }),
      makeEvent('f4', { ...base, event_timestamp: '2020-01-01T00:00:02.000000', archived: true }),
    ])
    const of = async (query: Partial<FindQuery>) =>
      (await collect(store, { selector: parseSelector({ event_type: 'test' }), ...query })).map(
        (one) => one.id,
      )
    expect(await of({ order: 'newest' })).toEqual(['f4', 'f3', 'f2', 'f1'])
    expect(await of({ order: 'oldest', archived: 'exclude' })).toEqual(['f1', 'f2', 'f3'])
    expect(await of({ archived: 'only' })).toEqual(['f4'])
    expect(await of({ order: 'oldest', limit: 2, offset: 1 })).toEqual(['f2', 'f3'])
    expect(await of({ order: 'oldest', minLevel: 20, archived: 'exclude' })).toEqual(['f2', 'f3'])
    const second = '2020-01-01T00:00:00.000000'
    for (const [startTime, endTime] of [
      [second, second],
      [`${second}Z`, `${second}Z`],
    ] as const)
      expect(await of({ order: 'oldest', startTime, endTime })).toEqual(['f1', 'f2'])
  })

  it('ends a query after its time limit with the right error', async () => {
    await store.write(
      Array.from({ length: 3000 }, (_, i) => makeEvent(`t${i}`, { event_data: 'a'.repeat(400) })),
    )
    const slow = { event_data: { $regex: '(a+)+b$' } }
    await expect(collect(store, { selector: parseSelector(slow), timeoutMs: 1 })).rejects.toMatchObject({
      code: 'EVT_QUERY_TIMEOUT',
    })
  })

  it('a query left early ends on the server, also the first, for whose end another connection must be made', async () => {
    const name = freshDatabaseName()
    const fresh = await openMongoStore({ url: mongod.url, databaseName: name, log: silentLog })
    try {
      await fresh.write(Array.from({ length: 1000 }, (_, i) => makeEvent(`early${i}`)))
      for (let query = 0; query < 3; query++) {
        for await (const chunk of fresh.find(everything)) {
          expect(chunk.length).toBeGreaterThan(0)
          break
        }
      }
      const countIdle = async () => {
        const cursors = client
          .db('admin')
          .aggregate([
            { $currentOp: { idleCursors: true } },
            { $match: { type: 'idleCursor', ns: `${name}.events` } },
          ])
        return (await cursors.toArray()).length
      }
      await expect.poll(countIdle, { timeout: 10_000 }).toBe(0)
    } finally {
      await fresh.close()
      await client.db(name).dropDatabase()
    }
  })

  it('makes the indexes it needs beside those of the original', async () => {
    const names = (await client.db(databaseName).collection('events').indexes()).map((one) => one.name)
    expect(names.sort()).toEqual([
      '_id_',
      'archived_at_-1',
      'event_timestamp_1',
      'log_level_1_event_timestamp_1',
    ])
    expect(await client.db(databaseName).collection('schema_versions').findOne()).toMatchObject({
      version: '1.0.0',
    })
  })

  it('refuses a schema of a newer release and of another MADSci, and opens one of MADSci 1.0.0', async () => {
    const open = (name: string) => openMongoStore({ url: mongod.url, databaseName: name, log: silentLog })
    const name = freshDatabaseName()
    const db = client.db(name)
    await db.collection('schema_versions').insertOne({ version: '1.0.0', applied_at: new Date() })
    await (await open(name)).close()
    expect(await db.collection('schema_versions').countDocuments()).toBe(1)
    await db
      .collection<{ _id: string }>('events_meta')
      .updateOne({ _id: 'schema' }, { $set: { version: schemaVersion + 1 } })
    await expect(open(name)).rejects.toMatchObject({ code: 'EVT_SCHEMA_VERSION' })
    await db.collection<{ _id: string }>('events_meta').deleteOne({ _id: 'schema' })
    await db
      .collection('schema_versions')
      .insertOne({ version: '2.0.0', applied_at: new Date(Date.now() + 1000) })
    await expect(open(name)).rejects.toMatchObject({ code: 'EVT_SCHEMA_VERSION' })
    await db.dropDatabase()
  })

  it('finds a MADSci database at an address, and none where there is none', async () => {
    const name = freshDatabaseName()
    expect(await findMadsciDatabase(mongod.url, name)).toBeUndefined()
    await client.db(name).collection('events').insertOne({})
    expect(await findMadsciDatabase(mongod.url, name)).toBe(mongod.url)
    await client.db(name).dropDatabase()
    expect(await findMadsciDatabase('mongodb://127.0.0.1:1')).toBeUndefined()
  })

  it('never shows the password of its URL', async () => {
    const lines: string[] = []
    const note = (fields: object, message: string) => lines.push(JSON.stringify(fields) + message)
    const url = 'mongodb://user:geheim@127.0.0.1:1/x'
    const away = await openMongoStore({ url, log: { info: note, warn: note, error: note } })
    const error = await away.write([makeEvent('a')]).catch((cause: Error) => cause)
    expect(error).toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    expect(lines.length).toBeGreaterThan(0)
    await away.close()
    const wrong = await openMongoStore({ url: 'mongodb://user:geheim@', log: silentLog }).catch(
      (cause: Error) => cause,
    )
    expect(wrong).toMatchObject({ code: 'EVT_CONFIG' })
    expect(`${lines.join()}${error}${(wrong as Error).stack}`).not.toContain('geheim')
  })

  it("takes MADSci's TTL index away when its caller deletes, else leaves it and says so", async () => {
    const name = freshDatabaseName()
    const events = client.db(name).collection('events')
    const lines: { level: string; days: unknown; text: string }[] = []
    const note = (level: string) => (fields: object, text: string) =>
      void lines.push({ level, days: (fields as { days?: unknown }).days, text })
    const log = { ...silentLog, info: note('info'), warn: note('warn') } as typeof silentLog
    const reopen = async (ownsDeletion: boolean) => {
      lines.length = 0
      await (await openMongoStore({ url: mongod.url, databaseName: name, ownsDeletion, log })).close()
      const ttl = (await events.indexes()).find((index) => index.expireAfterSeconds !== undefined)
      return { seconds: ttl?.expireAfterSeconds, about: lines.filter(({ text }) => text.includes('TTL')) }
    }
    const options = { expireAfterSeconds: 30 * 86_400, partialFilterExpression: { archived: true } }
    await events.createIndex({ archived_at: 1 }, options)
    expect(await reopen(false)).toEqual({
      seconds: 30 * 86_400,
      about: [{ level: 'warn', days: 30, text: expect.stringContaining('retention_enabled') }],
    })
    expect(await reopen(true)).toEqual({
      seconds: undefined,
      about: [{ level: 'info', days: 30, text: expect.stringContaining('removed') }],
    })
    expect(await reopen(true)).toEqual({ seconds: undefined, about: [] })
    // What served for the page of archived events is there all the same, and the original can make its own again.
    expect((await events.indexes()).map((index) => JSON.stringify(index.key))).toContain('{"archived_at":-1}')
    await events.createIndex({ archived_at: 1 }, options)
    await client.db(name).dropDatabase()
  })
})
