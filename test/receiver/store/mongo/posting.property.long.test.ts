import { setTimeout as sleep } from 'node:timers/promises'
import type { Event } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { type Document, MongoClient, ObjectId } from 'mongodb'
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore, FindQuery } from '../../../../receiver/src/store/event-store.ts'
import { createMatcher, toMatchDocument } from '../../../../receiver/src/store/matcher.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import {
  decodeTimes,
  encodeTimes,
  type IndexState,
  indexNote,
} from '../../../../receiver/src/store/mongo/posting.ts'
import { blockEvents } from '../../../../receiver/src/store/mongo/posting-builder.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'
import { anyCharacter } from '../../../support/character.ts'
import { idQuery, ids, makeIdEvents } from '../../../support/id-event.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../../support/mongod.ts'
import { waitUntil } from '../../../support/wait.ts'

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''
const blocks = 3
const tail = 200

const sliceOf = <Item>(list: readonly Item[], { limit = 0, offset = 0 }: Partial<FindQuery>): Item[] =>
  list.slice(offset, limit === 0 ? undefined : offset + limit)

describe('the index of ids in MongoDB', () => {
  it('gives what a reading of all events gives, whatever is stored, archived, deleted and added by others', async (context) => {
    if (reason) return context.skip(reason)
    const mongod = await startMongod()
    const client = await new MongoClient(mongod.url).connect()
    const databaseName = freshDatabaseName()
    const db = client.db(databaseName)
    const meta = db.collection<{ _id: string; text: string; version: number }>('events_meta')
    const postings = db.collection<{ _id: string; times: Uint8Array }>('events_postings')
    const events = db.collection<{ _id: string }>('events')
    const open = () => openMongoStore({ url: mongod.url, databaseName, log: silentLog })
    let store: EventStore = await open()

    async function stateOf(): Promise<IndexState | undefined> {
      const note = await meta.findOne({ _id: `note:${indexNote}` })
      return note ? (JSON.parse(note.text) as IndexState) : undefined
    }
    const until = (what: string, holds: (state: IndexState) => boolean) =>
      waitUntil(
        async () => {
          const state = await stateOf()
          return state !== undefined && holds(state)
        },
        what,
        60_000,
      )

    /** The same by the events as they are stored, without the index. */
    async function expected(asked: Partial<FindQuery>): Promise<Map<string, string>> {
      const { limit: _, offset: __, selector, ...filters } = asked
      const all = await collect(store, { ...filters, order: 'none' })
      const matches = createMatcher(selector!)
      return new Map(
        all
          .filter((event) => matches(toMatchDocument(event)))
          .map(({ id, json }) => [id, (JSON.parse(json) as { event_timestamp: string }).event_timestamp]),
      )
    }

    async function compare(): Promise<void> {
      await fc.assert(
        fc.asyncProperty(idQuery, async ({ selector: given, ...rest }) => {
          const asked = { ...rest, selector: parseSelector(given) } as Partial<FindQuery>
          if (asked.archived === 'only' && asked.order === 'newest') asked.order = 'oldest'
          const wanted = await expected(asked)
          const found = await collect(store, asked)
          const { limit = 0, offset = 0 } = asked
          const times = [...wanted.values()].sort()
          if (asked.order === 'newest') times.reverse()
          const shown = found.map(({ id }) => wanted.get(id))
          const isAny = asked.order === 'none'
          if (isAny) expect(shown).toHaveLength(sliceOf(times, asked).length)
          // Events of one time have no order that is promised.
          if (!isAny || (limit === 0 && offset === 0))
            expect(isAny ? shown.sort() : shown).toEqual(sliceOf(times, asked))
          expect(new Set(found.map(({ id }) => id)).size).toBe(found.length)
        }),
        { numRuns: 60 },
      )
    }
    const ofWorkflow = {
      selector: parseSelector({ 'source.workflow_id': ids[0]! }),
      order: 'newest',
    } as const
    const countOf = async () => (await collect(store, ofWorkflow)).length

    try {
      await store.write(makeIdEvents(0, blocks * blockEvents))
      await until('all events', ({ after, base }) => after === undefined && base !== undefined)
      await store.write(makeIdEvents(blocks * blockEvents, blockEvents))
      await until('a block of commits', ({ taken }) => taken >= blockEvents)
      await store.write(makeIdEvents((blocks + 1) * blockEvents, tail))
      await compare()

      // It is what such a question reads: without postings it finds what lies behind the index.
      const all = await countOf()
      const saved = await postings.find().toArray()
      await postings.deleteMany({})
      expect(await countOf()).toBeLessThan(all)
      await postings.insertMany(saved)
      expect(await countOf()).toBe(all)

      const { base } = (await stateOf())!
      for await (const _ of store.archive({ before: '2026-01-01T10:20:00.000000' }, { batchSize: 500 }));
      for await (const _ of store.purge(Date.now() + 1000, { batchSize: 300 }));
      await store.close()
      store = await open()
      await compare()

      // What no receiver stored is found at once, when deletions have been counted.
      await until('the count after the deletions', (state) => state.base! < base!)
      const own = await events.findOne({ 'source.workflow_id': ids[0] } as Document)
      const { _entry: _, ...foreign } = own as Document
      const before = await countOf()
      await events.insertMany([
        { ...foreign, _id: 'foreign1' },
        { ...foreign, _id: 'foreign2' },
      ] as never)
      expect(await countOf()).toBe(before + 2)
      await compare()
    } finally {
      await store.close()
      await client.close()
      await mongod.stop()
    }
  }, 180_000)

  it('reads all events when an event of a release without it has expired from the order of commits, or has no time', async (context) => {
    if (reason) return context.skip(reason)
    const mongod = await startMongod()
    const client = await new MongoClient(mongod.url).connect()
    const databaseName = freshDatabaseName()
    const db = client.db(databaseName)
    const meta = db.collection<{ _id: string; text?: string; first?: number }>('events_meta')
    const store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
    const note = async () => {
      const found = await meta.findOne({ _id: `note:${indexNote}` })
      return found?.text === undefined ? undefined : (JSON.parse(found.text) as IndexState)
    }
    const ofWorkflow = {
      selector: parseSelector({ 'source.workflow_id': ids[0]! }),
      order: 'oldest',
    } as const
    const make = (id: string): Event => makeEvent(id, { source: { workflow_id: ids[0]! } })
    try {
      await store.write([make('a')])
      await waitUntil(async () => (await note())?.base !== undefined, 'the index', 60_000)
      const before = (await note())!.epoch
      await store.write([make('b')])
      await store.write([make('c')])
      await store.commitCursor()
      await db.collection<{ n?: number }>('events_commits').deleteMany({ n: { $lt: 3 } })
      await meta.updateOne({ _id: 'commits' }, { $set: { first: 3 } }, { upsert: true })
      expect((await collect(store, ofWorkflow)).map(({ id }) => id).sort()).toEqual(['a', 'b', 'c'])
      await waitUntil(async () => (await note())!.epoch !== before, 'another index', 60_000)
      await db
        .collection<{ _id: string }>('events')
        .insertOne({ _id: 'd', source: { workflow_id: ids[0] }, event_timestamp: 7 } as never)
      expect(await collect(store, ofWorkflow)).toHaveLength(4)
    } finally {
      await store.close()
      await client.close()
      await mongod.stop()
    }
  }, 120_000)

  it('is not used where the id of an event is no text, and tells one that comes while it is first built', async (context) => {
    if (reason) return context.skip(reason)
    const mongod = await startMongod()
    const client = await new MongoClient(mongod.url).connect()
    const workflow = { source: { workflow_id: ids[0] } }
    const foreign = (_id: unknown) =>
      ({
        ...workflow,
        _id,
        event_type: 'log_info',
        event_data: {},
        event_timestamp: '2026-01-01T00:00:00.000000Z',
      }) as never
    const ofWorkflow = {
      selector: parseSelector({ 'source.workflow_id': ids[0]! }),
      order: 'oldest',
    } as const
    const stateOf = async (name: string): Promise<IndexState | undefined> => {
      const found = await client
        .db(name)
        .collection<{ _id: string; text: string }>('events_meta')
        .findOne({ _id: `note:${indexNote}` })
      return found ? (JSON.parse(found.text) as IndexState) : undefined
    }
    try {
      const strange = freshDatabaseName()
      await client.db(strange).collection('events').insertOne(foreign(new ObjectId()))
      const one = await openMongoStore({ url: mongod.url, databaseName: strange, log: silentLog })
      await one.write([makeEvent('a', { source: { workflow_id: ids[0]! } })])
      await waitUntil(async () => (await stateOf(strange))?.isUseless === true, 'the index', 60_000)
      expect(await collect(one, ofWorkflow)).toHaveLength(2)
      await one.close()

      const late = freshDatabaseName()
      const events = client.db(late).collection('events')
      await events.insertMany(
        Array.from({ length: 3000 }, (_, n) => foreign(`m${String(n).padStart(4, '0')}`)),
      )
      const other = await openMongoStore({ url: mongod.url, databaseName: late, log: silentLog })
      await waitUntil(async () => ((await stateOf(late))?.after ?? '') > 'm', 'the first block', 60_000)
      await events.insertOne(foreign('a'))
      await waitUntil(async () => (await stateOf(late))?.after === undefined, 'the last block', 60_000)
      await sleep(300)
      expect(await collect(other, ofWorkflow)).toHaveLength(3001)
      await other.close()
    } finally {
      await client.close()
      await mongod.stop()
    }
  }, 120_000)

  it('keeps times as they are, in few bytes', () => {
    const time = fc.oneof(
      fc.string({ unit: anyCharacter }),
      fc.nat(59).map((s) => `2026-01-01T10:00:${s}.000000`),
    )
    fc.assert(
      fc.property(fc.array(time), (times) => {
        const texts = times.filter((text) => text.isWellFormed())
        expect(decodeTimes(encodeTimes(texts))).toEqual(texts)
      }),
    )
    const second = Array.from(
      { length: 85 },
      (_, i) => `2026-01-01T10:00:00.${String(i * 12_000).padStart(6, '0')}`,
    )
    expect(encodeTimes(second).length).toBeLessThan(85 * 12)
  })
})
