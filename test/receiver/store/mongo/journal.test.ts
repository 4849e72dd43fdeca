import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import type { JournalEntry } from '../../../../receiver/src/store/mongo/journal.ts'
import { isWithin, toRanges } from '../../../../receiver/src/store/range.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''
const events = (...ids: string[]): Event[] => ids.map((_id) => fromDocument({ _id }))

/** Pages of `limit` until one is empty. */
async function readAll(
  store: EventStore,
  cursor = '',
  limit = 1000,
): Promise<{ ids: string[]; cursor: string }> {
  const ids: string[] = []
  for (;;) {
    const page = await store.commitsSince(cursor, limit)
    ids.push(...page.ids)
    cursor = page.cursor
    if (page.ids.length === 0) return { ids, cursor }
  }
}

describe('journal', () => {
  let mongod: Mongod
  let client: MongoClient
  const stores: EventStore[] = []
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    client = await new MongoClient(mongod.url).connect()
  })
  afterAll(async () => {
    for (const store of stores) await store.close()
    await client?.close()
    await mongod?.stop()
  })
  async function open(databaseName: string, graceMs = 60_000): Promise<EventStore> {
    const store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, graceMs })
    stores.push(store)
    return store
  }
  const journalOf = (name: string) => client.db(name).collection<JournalEntry>('events_journal')
  const insert = (name: string, ...ids: string[]) =>
    client
      .db(name)
      .collection<{ _id: string }>('events')
      .insertMany(ids.map((_id) => ({ _id })))

  it('gives every stored event once, in an order that later commits only extend, whatever the page size', async () => {
    const store = await open(freshDatabaseName())
    expect(await store.commitsSince('', 10)).toMatchObject({ ids: [] })
    const written: string[] = []
    for (let i = 0; i < 50; i++) {
      const ids = Array.from({ length: 1 + (i % 7) }, (_, k) => `e${i}-${k}`)
      await store.write(events(...ids))
      written.push(...ids)
    }
    const first = await readAll(store)
    expect(first.ids).toEqual(written)
    for (const limit of [1, 3, 100]) expect((await readAll(store, '', limit)).ids).toEqual(written)
    const now = await store.commitCursor()
    await store.write(events('late1', 'late2'))
    expect((await readAll(store, now)).ids).toEqual(['late1', 'late2'])
    expect((await readAll(store, first.cursor, 1)).ids).toEqual(['late1', 'late2'])
    expect((await readAll(store)).ids).toEqual([...written, 'late1', 'late2'])
  })

  it('leaves out duplicates and refused events, at once and in a later reading by another process', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    const refused = { ...events('huge')[0]!, event_data: 'x'.repeat(17_000_000) }
    await store.write(events('a', 'b'))
    await store.write([...events('b', 'c'), refused, ...events('a')])
    await store.write(events('a', 'b'))
    await store.write(events('d', 'd'))
    expect((await readAll(store)).ids).toEqual(['a', 'b', 'c', 'd'])
    expect((await readAll(await open(name))).ids).toEqual(['a', 'b', 'c', 'd'])
  })

  it('two stores on one database see the commits of both, and cursors go on in either', async () => {
    const name = freshDatabaseName()
    const [one, two] = [await open(name), await open(name)]
    await one.write(events('a'))
    await two.write(events('b'))
    const begun = await readAll(one)
    expect(begun.ids).toEqual(['a', 'b'])
    await one.write(events('c'))
    await two.write(events('d'))
    expect((await readAll(two, begun.cursor)).ids.sort()).toEqual(['c', 'd'])
  })

  it('a page ends before events that are on their way, and they come when they are there', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    await journalOf(name).insertMany([
      { _id: { r: 'R', n: 1 }, at: new Date(), ids: ['a', 'b'] },
      { _id: { r: 'R', n: 3 }, at: new Date(), ids: ['d'] },
    ])
    await insert(name, 'a', 'd')
    const held = await readAll(store)
    expect(held.ids).toEqual([])
    await insert(name, 'b')
    const some = await readAll(store, held.cursor)
    expect(some.ids).toEqual(['a', 'b'])
    await journalOf(name).insertOne({ _id: { r: 'R', n: 2 }, at: new Date(), ids: ['c'] })
    await insert(name, 'c')
    expect((await readAll(store, some.cursor)).ids).toEqual(['c', 'd'])
  })

  it('ids and numbers that do not come are passed over after the grace time, and given should they come later', async () => {
    const name = freshDatabaseName()
    const store = await open(name, 150)
    await journalOf(name).insertMany([
      { _id: { r: 'R', n: 1 }, at: new Date(), ids: ['a', 'b'] },
      { _id: { r: 'R', n: 3 }, at: new Date(), ids: ['d'] },
    ])
    await insert(name, 'a', 'd')
    expect((await readAll(store)).ids).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 200))
    const begun = await store.commitsSince('', 100)
    expect(begun.ids).toEqual(['a'])
    await new Promise((resolve) => setTimeout(resolve, 200))
    const passed = await readAll(store, begun.cursor)
    expect(passed.ids).toEqual(['d'])
    await insert(name, 'b', 'c')
    await journalOf(name).insertOne({ _id: { r: 'R', n: 2 }, at: new Date(), ids: ['c'] })
    const late = await readAll(store, passed.cursor)
    expect(late.ids.sort()).toEqual(['b', 'c'])
    expect((await readAll(store, late.cursor)).ids).toEqual([])
  })

  it('a doubtful entry holds nobody up, and what was sent again comes once, also after a restart', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    const at = new Date()
    await journalOf(name).insertMany([
      { _id: { r: 'R', n: 1 }, at, ids: ['a', 'b', 'c'], doubtful: true },
      { _id: { r: 'R', n: 2 }, at, ids: ['d'] },
    ])
    await insert(name, 'a', 'd')
    const first = await readAll(store)
    expect(first.ids).toEqual(['a', 'd'])
    await journalOf(name).insertOne({ _id: { r: 'R', n: 3 }, at, ids: ['b', 'a'], out: [1, 2] })
    await insert(name, 'b')
    const second = await readAll(store, first.cursor)
    expect(second.ids).toEqual(['b'])
    const restarted = await open(name)
    expect((await readAll(restarted, second.cursor)).ids).toEqual([])
    await insert(name, 'c')
    expect((await readAll(restarted, second.cursor)).ids).toEqual(['c'])
  })

  it('the cursor of now comes before what is under way at that moment', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    await journalOf(name).insertMany([
      { _id: { r: 'R', n: 1 }, at: new Date(), ids: ['a', 'b'] },
      { _id: { r: 'R', n: 3 }, at: new Date(), ids: ['d'] },
    ])
    await insert(name, 'a', 'd')
    const now = await store.commitCursor()
    await insert(name, 'b', 'c')
    await journalOf(name).insertOne({ _id: { r: 'R', n: 2 }, at: new Date(), ids: ['c'] })
    expect((await readAll(store, now)).ids.sort()).toEqual(['b', 'c'])
  })

  it('concurrent writes, followed while they run, come once each', async () => {
    const store = await open(freshDatabaseName())
    const seen: string[] = []
    let cursor = ''
    let isWriting = true
    const follow = (async () => {
      while (isWriting) {
        const page = await store.commitsSince(cursor, 37)
        cursor = page.cursor
        seen.push(...page.ids)
      }
    })()
    let next = 0
    const writers = Array.from({ length: 4 }, async () => {
      for (let i = 0; i < 30; i++) {
        // Every tenth batch repeats ids that another writer has just used.
        const from = i % 10 === 9 ? Math.max(0, next - 15) : next
        next = Math.max(next, from + 10)
        await store.write(events(...Array.from({ length: 10 }, (_, k) => `n${from + k}`)))
      }
    })
    await Promise.all(writers)
    isWriting = false
    await follow
    seen.push(...(await readAll(store, cursor)).ids)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.length).toBe((await store.health()).totalEvents)
  })

  it('ranges hold exactly the positions they were made of', () => {
    const positions = [0, 1, 2, 5, 7, 8]
    expect(toRanges(positions)).toEqual([0, 3, 5, 6, 7, 9])
    for (let i = 0; i < 10; i++) expect(isWithin(toRanges(positions), i)).toBe(positions.includes(i))
  })
})
