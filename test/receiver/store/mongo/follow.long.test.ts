import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { Match } from '../../../../receiver/src/store/alert-store.ts'
import { openCommitReader } from '../../../../receiver/src/store/commit-reader.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'
import { startReplicaSet } from '../../../support/replica-set.ts'

const source = await findMongo()
const reason =
  'skip' in source ? source.skip : source.kind === 'binary' ? '' : 'only a mongod of our own can be killed'
const events = (...ids: string[]): Event[] => ids.map((_id) => fromDocument({ _id }))
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, k) => `e${from + k}`)
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const match: Match = { rule: 'r', kind: 'match', key: '[]', labels: {}, level: 40, positions: [0] }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function begin(): Promise<{ mongod: Mongod; client: MongoClient; name: string }> {
  const mongod = await startMongod({ testCommands: true })
  cleanups.push(() => mongod.stop())
  const client = await new MongoClient(mongod.url).connect()
  cleanups.push(() => client.close())
  return { mongod, client, name: freshDatabaseName() }
}

async function open(url: string, databaseName: string, leaseMs = 1500): Promise<EventStore> {
  const store = await openMongoStore({ url, databaseName, log: silentLog, leaseMs })
  cleanups.push(() => store.close())
  return store
}

/** The next command of that name for that collection waits before it is executed. */
const hold = (client: MongoClient, command: string, namespace: string, blockTimeMS: number) =>
  client.db('admin').command({
    configureFailPoint: 'failCommand',
    mode: { times: 1 },
    data: { failCommands: [command], namespace, blockConnection: true, blockTimeMS },
  })

/** Follows until it is told to end, by pages of any size; then to the end. */
function follow(store: EventStore): { ids: string[]; end(): Promise<string[]> } {
  const ids: string[] = []
  let cursor = ''
  let isEnding = false
  let page = 0
  const running = (async () => {
    for (;;) {
      const isLast = isEnding
      try {
        const found = await store.commitsSince(cursor, 1 + (page++ % 40))
        ids.push(...found.ids)
        cursor = found.cursor
        if (found.ids.length > 0) continue
        if (isLast) return ids
      } catch (error) {
        if ((error as { code?: string }).code !== 'EVT_STORE_UNAVAILABLE') throw error
      }
      await sleep(20)
    }
  })()
  return {
    ids,
    end() {
      isEnding = true
      return running
    },
  }
}

async function readAll(store: EventStore): Promise<string[]> {
  const reader = openCommitReader({ source: store.scanSource, restOnly: false })
  cleanups.push(() => reader.close())
  const ids: string[] = []
  for (let cursor = ''; ; ) {
    const page = await reader.read(cursor, { limit: 500, characters: 10_000_000 })
    ids.push(...page.events.map(({ id }) => id))
    cursor = page.cursor
    if (!page.hasMore) return ids
  }
}

/** Writes until it is stored, as a client does that sends again. */
async function insist(store: EventStore, list: Event[], matches: Match[] = []): Promise<void> {
  for (;;) {
    try {
      await store.write(list, matches)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== 'EVT_STORE_UNAVAILABLE') throw error
      await sleep(50)
    }
  }
}

/** Steps of the rules until nothing is left: what they were given. */
async function foldAll(store: EventStore): Promise<string[]> {
  const alerts = store.alerts!
  const told: string[] = []
  for (;;) {
    const { version } = await alerts.load()
    const intents = await alerts.intents(1000)
    if (intents.length === 0) return told
    const folded = intents.map(({ id }) => id)
    expect(await alerts.commit({ version, state: 's', folded, alerts: [], deliveries: [] })).toBe(true)
    told.push(...intents.flatMap(({ facts }) => facts.flatMap(({ ids }) => ids)))
  }
}

describe('followers on MongoDB', { timeout: 120_000 }, () => {
  it('a duplicate through another receiver, while one write is slow, takes nothing from anybody', async (context) => {
    if (reason) return context.skip(reason)
    const { mongod, client, name } = await begin()
    const [one, two] = [await open(mongod.url, name, 15_000), await open(mongod.url, name, 15_000)]
    const tails = [follow(one), follow(two)]
    await one.write(events(...numbered(0, 60)))
    await hold(client, 'insert', `${name}.events`, 2000)
    const slow = one.write(events('slow'))
    await sleep(200)
    expect(await two.write(events('e7', 'new'))).toEqual(['duplicate', 'stored'])
    await expect.poll(() => tails[1]!.ids.length, { timeout: 1500 }).toBe(61)
    await slow
    await expect.poll(() => tails.map(({ ids }) => ids.length)).toEqual([62, 62])
    const [left, right] = [await tails[0]!.end(), await tails[1]!.end()]
    expect(left).toEqual([...numbered(0, 60), 'new', 'slow'])
    expect(right).toEqual(left)
    expect(await readAll(one)).toEqual(left)
  })

  it.for([0, 1, 2, 3])(
    'mongod killed between the entry and its events, and back at once (%i)',
    async (round, context) => {
      if (reason) return context.skip(reason)
      const { mongod, client, name } = await begin()
      const store = await open(`${mongod.url}?serverSelectionTimeoutMS=10000`, name)
      const tail = follow(store)
      await store.write(events('before'))
      await hold(client, 'insert', `${name}.events`, 20_000)
      const writing = insist(store, events('a', 'b'), [match])
      // Sooner than mongod flushes of itself.
      await sleep(10 + round * 10)
      await mongod.restart()
      await writing
      await insist(store, events('a', 'c'), [match])
      const stored = ['before', 'a', 'b', 'c']
      await expect.poll(() => [...tail.ids].sort(), { timeout: 10_000 }).toEqual([...stored].sort())
      expect(await readAll(store)).toEqual(await tail.end())
      expect(await foldAll(store)).toEqual(['a'])
    },
  )

  it('mongod killed again and again under the load of two receivers, with duplicates: all followers get all, once, in one order', async (context) => {
    if (reason) return context.skip(reason)
    const { mongod, name } = await begin()
    const stores = [await open(mongod.url, name), await open(mongod.url, name)]
    const tails = stores.map(follow)
    let isWriting = true
    let next = 0
    const sent: string[] = []
    const writers = Array.from({ length: 6 }, async (_, k) => {
      while (isWriting) {
        const from = next
        next += 7
        const fresh = numbered(from, from + 7)
        const again = sent.slice(-20, -15)
        await insist(stores[k % 2]!, events(...fresh, ...again), [match])
        sent.push(...fresh)
      }
    })
    for (let kill = 0; kill < 6; kill++) {
      await sleep(1500 + kill * 130)
      await mongod.restart()
    }
    await sleep(1000)
    isWriting = false
    await Promise.all(writers)
    await expect.poll(() => tails[0]!.ids.length, { timeout: 30_000 }).toBe(sent.length)
    await sleep(3000)
    const orders = [await tails[0]!.end(), await tails[1]!.end(), await readAll(stores[0]!)]
    expect([...orders[0]!].sort()).toEqual([...sent].sort())
    expect(orders[1]).toEqual(orders[0])
    expect(orders[2]).toEqual(orders[0])
    const first = sent.filter((_, k) => k % 7 === 0)
    expect((await foldAll(stores[0]!)).sort()).toEqual(first.sort())
    console.log(`${sent.length} events, ${first.length} of them for a rule`)
  })

  it('clocks that jump by days change nothing', async (context) => {
    if (reason) return context.skip(reason)
    const { mongod, name } = await begin()
    const stores = [await open(mongod.url, name), await open(mongod.url, name)]
    const tails = stores.map(follow)
    vi.useFakeTimers({ toFake: ['Date'] })
    const sent: string[] = []
    for (let i = 0; i < 300; i++) {
      vi.setSystemTime(Date.UTC(2026, 0, 1) + ((i * 7919) % 40) * 86_400_000)
      const ids = numbered(i * 3, i * 3 + 3)
      await stores[i % 2]!.write(events(...ids))
      sent.push(...ids)
    }
    vi.useRealTimers()
    await expect.poll(() => tails[1]!.ids.length, { timeout: 5000 }).toBe(sent.length)
    const left = await tails[0]!.end()
    expect([...left].sort()).toEqual([...sent].sort())
    expect(await tails[1]!.end()).toEqual(left)
  })

  it('whatever the URL prefers: what was acknowledged is read, and followers skip nothing', async (context) => {
    if (reason) return context.skip(reason)
    const set = await startReplicaSet()
    cleanups.push(() => set.stop())
    const name = freshDatabaseName()
    const store = await open(`${set.url}&readPreference=secondaryPreferred&readConcernLevel=local`, name)
    const tail = follow(store)
    for (let i = 0; i < 400; i++) {
      await store.write(events(`e${i}`))
      expect(await store.get(`e${i}`)).toBeDefined()
    }
    await expect.poll(() => tail.ids.length, { timeout: 5000 }).toBe(400)
    expect(await tail.end()).toEqual(numbered(0, 400))
    expect(await readAll(store)).toEqual(numbered(0, 400))
  })
})
