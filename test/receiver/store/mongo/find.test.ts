import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore, FindOptions } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { makeEvent } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

const source = await findMongo()
const reason = 'skip' in source ? source.skip : source.kind === 'binary' ? '' : 'fail points need a binary'

describe('queries that hang in MongoDB', () => {
  let mongod: Mongod
  let client: MongoClient
  let store: EventStore
  const databaseName = freshDatabaseName()
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod({ testCommands: true })
    client = await new MongoClient(mongod.url).connect()
    store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
    await store.write([makeEvent('a'), makeEvent('b')])
  })
  afterAll(async () => {
    await store?.close()
    await client?.close()
    await mongod?.stop()
  })

  async function codeOf(timeoutMs: number, options: FindOptions): Promise<string> {
    const query = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs } as const
    try {
      let count = 0
      for await (const chunk of store.find(query, options)) count += chunk.length
      return `${count} events`
    } catch (error) {
      return (error as { code: string }).code
    }
  }

  /** So many of the next finds sleep in the server. What it gives settles when all of them do. */
  async function hang(times: number, blockTimeMS: number): Promise<() => Promise<unknown>> {
    const namespace = `${databaseName}.events`
    const { count } = await client.db('admin').command({
      configureFailPoint: 'failCommand',
      mode: { times },
      data: { failCommands: ['find'], namespace, blockConnection: true, blockTimeMS },
    })
    const reached = { waitForFailPoint: 'failCommand', timesEntered: count + times, maxTimeMS: 20_000 }
    return () => client.db('admin').command(reached)
  }

  it('leave room for the reserve, and end on the server when their client is gone', async () => {
    // The thread is there.
    expect(await codeOf(20_000, {})).toBe('2 events')
    const allHang = await hang(8, 30_000)
    const gone = new AbortController()
    const strangers = Array.from({ length: 110 }, () =>
      codeOf(20_000, { client: 'stranger', signal: gone.signal }),
    )
    await allHang()
    const startedMs = performance.now()
    expect(await codeOf(5000, { client: 'alert', isReserved: true })).toBe('2 events')
    expect(await store.get('a')).toBeDefined()
    expect(await store.health()).toMatchObject({ connected: true })
    expect(await codeOf(500, { client: 'other' })).toBe('EVT_QUERY_BUSY')
    gone.abort()
    for (const code of await Promise.all(strangers)) expect(code).toBe('EVT_CLIENT_GONE')
    expect(await codeOf(10_000, { client: 'other' })).toBe('2 events')
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  }, 40_000)

  it('end at their time limit within 20 %', async () => {
    await hang(1, 30_000)
    const startedMs = performance.now()
    expect(await codeOf(2000, {})).toBe('EVT_QUERY_TIMEOUT')
    const tookMs = performance.now() - startedMs
    expect(tookMs).toBeGreaterThan(1600)
    expect(tookMs).toBeLessThan(2400)
  })
})
