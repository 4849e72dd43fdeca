import { type Event, fromDocument } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { expireEntries } from '../../../../receiver/src/store/mongo/expire.ts'
import { createEntryId, type EntryDocument } from '../../../../receiver/src/store/mongo/journal.ts'
import { isWithin, toRanges } from '../../../../receiver/src/store/range.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'
import { waitUntil } from '../../../support/wait.ts'

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
  async function open(databaseName: string, leaseMs = 60_000): Promise<EventStore> {
    const store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog, leaseMs })
    stores.push(store)
    return store
  }
  const entriesOf = (name: string) => client.db(name).collection<EntryDocument>('events_commits')
  const eventsOf = (name: string) => client.db(name).collection<{ _id: string; _entry?: string }>('events')
  /** What a receiver leaves behind that died after it had stored these of the ids. */
  async function leave(name: string, ids: string[], stored: string[]): Promise<string> {
    const _id = createEntryId()
    await entriesOf(name).insertOne({ _id, ids, at: new Date(), open: true })
    if (stored.length > 0) await eventsOf(name).insertMany(stored.map((id) => ({ _id: id, _entry: _id })))
    return _id
  }
  it('an entry whose number a crash of the database took has it again before the lease', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    await store.write(events('a'))
    expect(await idsOf(store)).toEqual(['a'])
    const { matchedCount } = await entriesOf(name).updateOne(
      { ids: 'a' },
      { $unset: { n: '' }, $set: { open: true } },
    )
    expect(matchedCount).toBe(1)
    const numbered = async () => (await entriesOf(name).findOne({ ids: 'a' }))?.n === 1
    await waitUntil(numbered, 'its number', 10_000)
    expect(await idsOf(store)).toEqual(['a'])
  })
  const idsOf = async (store: EventStore, cursor = '') => (await readAll(store, cursor)).ids

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

  it('two stores on one database give one order, and cursors go on in either', async () => {
    const name = freshDatabaseName()
    const [one, two] = [await open(name), await open(name)]
    await one.write(events('a'))
    const begun = await readAll(one)
    await Promise.all([one.write(events('b', 'c')), two.write(events('d')), two.write(events('e', 'c'))])
    await expect.poll(() => idsOf(one)).toHaveLength(5)
    const order = await idsOf(one)
    expect(await idsOf(two)).toEqual(order)
    expect(await idsOf(two, begun.cursor)).toEqual(order.slice(1))
    expect([...order].sort()).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('each id has a cursor of its own, from which reading goes on with the next', async () => {
    const store = await open(freshDatabaseName())
    await store.write(events('a', 'b', 'c', 'a'))
    await store.write(events('c', 'd', 'b'))
    const page = await store.commitsSince('', 100)
    expect(page.ids).toEqual(['a', 'b', 'c', 'd'])
    for (const [k, cursor] of page.cursors!.entries())
      expect(await idsOf(store, cursor)).toEqual(page.ids.slice(k + 1))
  })

  it('what a receiver left behind delays nobody, and is given after the lease, behind what was given', async () => {
    const name = freshDatabaseName()
    const store = await open(name, 700)
    await store.write(events('a'))
    await leave(name, ['x', 'never', 'y', 'a'], ['x', 'y'])
    await leave(name, ['nothing'], [])
    await store.write(events('b'))
    expect(await idsOf(store)).toEqual(['a', 'b'])
    await expect.poll(() => idsOf(store), { timeout: 8000 }).toEqual(['a', 'b', 'x', 'y'])
    expect(await idsOf(await open(name))).toEqual(['a', 'b', 'x', 'y'])
  })

  it('what comes after the repair is given once, behind the rest', async () => {
    const name = freshDatabaseName()
    const [store, other] = [await open(name, 300), await open(name, 350)]
    const entry = await leave(name, ['x', 'late', 'later'], ['x'])
    await expect.poll(() => idsOf(store), { timeout: 8000 }).toEqual(['x'])
    await store.write(events('b'))
    await eventsOf(name).insertOne({ _id: 'late', _entry: entry })
    await expect.poll(() => idsOf(store), { timeout: 8000 }).toEqual(['x', 'b', 'late'])
    await eventsOf(name).insertOne({ _id: 'later', _entry: entry })
    await expect.poll(() => idsOf(other), { timeout: 8000 }).toEqual(['x', 'b', 'late', 'later'])
    expect(
      [...(await store.locate(['x', 'b', 'late', 'later'])).entries()].sort((a, b) => (a[1] < b[1] ? -1 : 1)),
    ).toMatchObject(['x', 'b', 'late', 'later'].map((id) => [id, expect.stringMatching(/^\d+:\d+$/)]))
  })

  it('a duplicate while the first write is on its way is given with the first alone', async () => {
    const name = freshDatabaseName()
    const store = await open(name, 500)
    await leave(name, ['x'], ['x'])
    expect(await store.write(events('x', 'b'))).toEqual(['duplicate', 'stored'])
    expect(await idsOf(store)).toEqual(['b'])
    await expect.poll(() => idsOf(store), { timeout: 8000 }).toEqual(['b', 'x'])
  })

  it('purged ids delay nobody, and one that was stored again comes with its later entry, once', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    await store.write(events('a', 'b'))
    await store.write(events('c'))
    await eventsOf(name).deleteMany({ _id: { $in: ['a', 'c'] } })
    await store.write(events('d', 'a'))
    expect(await idsOf(store)).toEqual(['b', 'd', 'a'])
    for (const limit of [1, 2]) expect((await readAll(store, '', limit)).ids).toEqual(['b', 'd', 'a'])
  })

  it('a number that is free for good holds nobody up', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    await store.write(events('a'))
    expect(await idsOf(store)).toEqual(['a'])
    const at = new Date()
    await eventsOf(name).insertOne({ _id: 'z', _entry: 'E' })
    await entriesOf(name).insertOne({ _id: 'E', ids: ['z'], at, n: 4 })
    await expect.poll(() => idsOf(store)).toEqual(['a', 'z'])
    await store.write(events('b'))
    expect(await idsOf(store)).toEqual(['a', 'z', 'b'])
  })

  it('a cursor that no follower of this database gave is refused', async () => {
    const store = await open(freshDatabaseName())
    await store.write(events('a', 'b'))
    const { cursor } = await readAll(store)
    const [n, , entry] = cursor.split(':')
    const strange = [
      `${Number(n) + 3}:0:${entry}`,
      `${n}:0:${createEntryId()}`,
      `${n}:9:${entry}`,
      '7',
      'x',
      `${n}:0:`,
    ]
    for (const one of strange)
      await expect(store.commitsSince(one, 1)).rejects.toMatchObject({ code: 'EVT_INVALID' })
    expect((await store.commitsSince(cursor, 1)).ids).toEqual([])
  })

  it('the oldest entries expire, and a cursor before them tells how many it missed', async () => {
    const name = freshDatabaseName()
    const store = await open(name)
    for (const id of ['a', 'b', 'c', 'd']) await store.write(events(id))
    await readAll(store)
    const { cursor } = await store.commitsSince('', 1)
    const old = new Date(Date.now() - 8 * 86_400_000)
    await entriesOf(name).updateMany({ n: { $in: [1, 2, 3, 4] } }, { $set: { at: old } })
    await entriesOf(name).updateMany({ n: 3 }, { $set: { at: new Date() } })
    const clock = { now: async () => Date.now() }
    await expireEntries({ db: client.db(name), collectionName: 'events', clock, journalDays: 7 })
    expect(await entriesOf(name).distinct('n')).toEqual([3, 4])
    expect(await store.commitsSince(cursor, 9)).toMatchObject({ ids: ['c', 'd'], expiredCommits: 1 })
    await entriesOf(name).updateMany({}, { $set: { at: old } })
    await expireEntries({ db: client.db(name), collectionName: 'events', clock, journalDays: 7 })
    expect(await entriesOf(name).distinct('n')).toEqual([4])
    await store.write(events('e'))
    expect(await idsOf(store)).toEqual(['d', 'e'])
  })

  it('the journal of an earlier release is read to its end, from its cursors too, then ours', async () => {
    const name = freshDatabaseName()
    const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second))
    await client
      .db(name)
      .collection('events_journal')
      .insertMany([
        { _id: { r: 'R', n: 1 }, at: at(1), ids: ['a', 'b'] },
        { _id: { r: 'S', n: 1 }, at: at(2), ids: ['c', 'a'], out: [1, 2] },
        { _id: { r: 'R', n: 2 }, at: at(3), ids: ['gone', 'd'] },
        { _id: { r: 'R', n: 3 }, at: at(0), ids: ['e'] },
      ] as never[])
    await eventsOf(name).insertMany(['a', 'b', 'c', 'd', 'e'].map((_id) => ({ _id })))
    const store = await open(name)
    await store.write(events('new'))
    for (const limit of [1, 2, 100])
      expect((await readAll(store, '', limit)).ids).toEqual(['a', 'b', 'c', 'd', 'e', 'new'])
    const old = {
      r: [
        ['R', 1, 0],
        ['S', 0, 1],
      ],
      l: [['R', 1, 0, [1, 2]]],
    }
    const cursor = Buffer.from(JSON.stringify(old)).toString('base64url')
    expect(await idsOf(store, cursor)).toEqual(['b', 'd', 'e', 'new'])
    expect(await idsOf(store, await store.commitCursor())).toEqual([])
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
