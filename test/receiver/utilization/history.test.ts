import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventId, type Event, EventError } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { openScan } from '../../../receiver/src/store/scan.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { createHistory, type EventFold } from '../../../receiver/src/utilization/history.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { makeEvents } from '../../support/workload.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Seen {
  type: string
  micros: number
  node: string | undefined
  data: unknown
}

/** Remembers all it gets; throws when an event comes twice. */
function createTestFold(types: string[]): EventFold & { seen: Map<string, Seen>; resets: number } {
  const seen = new Map<string, Seen>()
  const fold = {
    seen,
    resets: 0,
    types: new Set(types),
    reset() {
      fold.resets++
      seen.clear()
    },
    add(event: Parameters<EventFold['add']>[0]) {
      if (seen.has(event.id)) throw new Error(`${event.id} came twice`)
      const { type, micros } = event
      seen.set(event.id, { type, micros, node: event.source('node_id'), data: event.data() })
    },
  }
  return fold
}

function makeEvent(fields: Partial<Event>): Event {
  return { ...makeEvents(1)[0]!, event_id: createEventId(), ...fields }
}

for (const backend of ['sqlite', 'mongodb'] as const) {
  describe(`the history of reports on ${backend}`, () => {
    let mongod: Mongod | undefined
    let skip: string | undefined
    beforeAll(async () => {
      if (backend !== 'mongodb') return
      const source = await findMongo()
      if ('skip' in source) skip = source.skip
      else mongod = await startMongod()
      return () => mongod?.stop()
    })

    async function start(): Promise<{ store: EventStore; databaseName: string }> {
      const databaseName = freshDatabaseName()
      if (mongod) {
        const store = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
        cleanups.push(() => store.close())
        return { store, databaseName }
      }
      const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
      cleanups.push(() => rm(folder, { recursive: true, force: true }))
      const store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
      cleanups.push(() => store.close())
      return { store, databaseName }
    }

    it('reads everything once, then only what is new, each event once', async (context) => {
      if (skip) return context.skip(skip)
      const { store } = await start()
      const scan = openScan(store.scanSource)
      cleanups.push(() => scan.close())
      const fold = createTestFold(['action_start'])
      const history = createHistory(scan, fold)
      const first = makeEvents(3000)
      await store.write(first)
      // Writes go on while it reads.
      const others = makeEvents(3000, 2)
      const writing = (async () => {
        for (let i = 0; i < others.length; i += 300) await store.write(others.slice(i, i + 300))
      })()
      await history.refresh()
      expect(fold.seen.size).toBeGreaterThanOrEqual(3000)
      await writing
      // On MongoDB a commit gets its number, by which it is followed, soon after it was stored.
      await store.commitCursor()
      await history.refresh()
      expect(fold.seen.size).toBe(6000)
      const more = [...makeEvents(5, 3), first[0]!]
      await store.write(more)
      await store.commitCursor()
      expect(await history.refresh()).toEqual({ taken: 5, isCold: false })
      expect(await history.refresh()).toEqual({ taken: 0, isCold: false })
      for (const event of [...first, ...others, ...more.slice(0, 5)]) {
        const found = fold.seen.get(event.event_id)!
        expect(found.type).toBe(event.event_type)
        expect(found.micros).toBe(
          Date.parse(`${event.event_timestamp.slice(0, 23)}Z`) * 1000 +
            Number(event.event_timestamp.slice(23, 26)),
        )
        expect(found.node).toBe(event.source.node_id)
        expect(found.data).toEqual(event.event_type === 'action_start' ? event.event_data : undefined)
      }
    })

    it('reads events of a megabyte among small ones', async (context) => {
      if (skip) return context.skip(skip)
      const { store } = await start()
      const scan = openScan(store.scanSource)
      cleanups.push(() => scan.close())
      const fold = createTestFold(['test'])
      const large = Array.from({ length: 12 }, (_, index) =>
        makeEvent({ event_type: 'test', event_data: { text: `${index}`.repeat(1_000_000) } }),
      )
      await store.write([...makeEvents(700), ...large, ...makeEvents(700, 2)])
      await createHistory(scan, fold).refresh()
      expect(fold.seen.size).toBe(1412)
      for (const { event_id, event_data } of large) expect(fold.seen.get(event_id)!.data).toEqual(event_data)
    })

    it('reads a member of the data alone as it stands in the whole, and documents that are unlike ours', async (context) => {
      if (skip) return context.skip(skip)
      const { store } = await start()
      const scan = openScan(store.scanSource)
      cleanups.push(() => scan.close())
      const tricky = {
        a: '"b":{',
        'c"d': '\\',
        '\\': 1,
        e: { f: ['}', { g: '"' }] },
        h: 'ä€"',
        i: '',
        j: null,
        k: -1.5,
        l: [],
      }
      const odd = makeEvent({ event_type: 'say "x\\' as never, event_data: tricky })
      const events = [
        makeEvent({ event_type: 'test', event_data: tricky }),
        makeEvent({ event_type: 'test', event_data: { ...tricky, bytes: NaN } }),
        makeEvent({ event_type: 'test', event_data: tricky, log_level: 0 as never, alert: true, source: {} }),
        odd,
        makeEvent({ event_type: 'test', event_data: tricky, source: { node_id: '}' }, event_id: 'own "id"' }),
        makeEvent({ event_type: 'test', event_data: tricky, event_timestamp: 'never' }),
      ]
      await store.write(events)
      const fields = new Map<string, unknown>()
      const names = [...'lkjiheahabcdefgh', 'missing']
      await createHistory(scan, {
        types: new Set(['test', odd.event_type]),
        reset: () => fields.clear(),
        add(event) {
          const found = names.map((name) => event.field(name))
          fields.set(event.id, {
            type: event.type,
            node: event.source('node_id'),
            found,
            micros: event.micros,
          })
        },
      }).refresh()
      for (const event of events) {
        const data = event.event_data as { [name: string]: unknown }
        expect(fields.get(event.event_id)).toEqual({
          type: event.event_type,
          node: event.source.node_id,
          found: names.map((name) => data[name]),
          micros:
            event.event_timestamp === 'never'
              ? Number.NaN
              : Date.parse(`${event.event_timestamp.slice(0, 23)}Z`) * 1000 +
                Number(event.event_timestamp.slice(23, 26)),
        })
      }
    })

    it('shows data of any kind, with and without what OTel adds, naive times, and a source that is empty', async (context) => {
      if (skip) return context.skip(skip)
      const { store } = await start()
      const scan = openScan(store.scanSource)
      cleanups.push(() => scan.close())
      const fold = createTestFold(['test'])
      const tricky = { a: '"event_data":{', b: ',"trace_id":null', trace_id: 'x', n: { o: [1, { p: '}' }] } }
      const datas = ['text', 7, null, [1, 'two'], {}, tricky, { bytes: NaN }]
      const events = datas.flatMap((event_data) =>
        [undefined, { scope: '}', trace_id: ',"trace_id":' }].map((otel) =>
          makeEvent({
            event_type: 'test',
            source: {},
            event_timestamp: '2001-05-07T00:00:00.000001',
            event_data,
            ...(otel && { otel: { scope: otel } as never }),
          }),
        ),
      )
      await store.write(events)
      await createHistory(scan, fold).refresh()
      for (const event of events) {
        expect(fold.seen.get(event.event_id)).toEqual({
          type: 'test',
          micros: Date.UTC(2001, 4, 7) * 1000 + 1,
          node: undefined,
          data: event.event_data,
        })
      }
    })

    it('archived events stay; after a purge everything is read anew', async (context) => {
      if (skip) return context.skip(skip)
      const { store } = await start()
      const scan = openScan(store.scanSource)
      cleanups.push(() => scan.close())
      const fold = createTestFold([])
      const history = createHistory(scan, fold)
      const events = makeEvents(20)
      await store.write(events)
      await history.refresh()
      const ids = events.slice(0, 5).map((event) => event.event_id)
      for await (const _ of store.archive({ ids }, { batchSize: 100 })) void _
      expect(await history.refresh()).toEqual({ taken: 0, isCold: false })
      for await (const _ of store.purge(Date.now() + 1000, { batchSize: 100 })) void _
      expect(await history.refresh()).toEqual({ taken: 15, isCold: true })
      expect([...fold.seen.keys()].sort()).toEqual(
        events
          .slice(5)
          .map((event) => event.event_id)
          .sort(),
      )
    })

    it('trouble of the store is told, and the next refresh is whole again', async (context) => {
      if (skip) return context.skip(skip)
      const { store, databaseName } = await start()
      const real = openScan(store.scanSource)
      cleanups.push(() => real.close())
      let fails = true
      const fold = createTestFold([])
      const history = createHistory(
        {
          ...real,
          read: (from, types, take) =>
            real.read(from, types, (event) => {
              if (fails && fold.seen.size === 3) throw new EventError('EVT_STORE_UNAVAILABLE', 'half way')
              take(event)
            }),
        },
        fold,
      )
      await store.write(makeEvents(10))
      await expect(history.refresh()).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
      fails = false
      expect(await history.refresh()).toEqual({ taken: 10, isCold: true })
      if (!mongod) return
      // What another program writes is in no journal, and in a first reading all the same.
      const client = new MongoClient(mongod.url)
      await client.db(databaseName).collection<{ _id: string }>('events').insertOne({ _id: 'foreign' })
      await client.close()
      history.clear()
      expect(await history.refresh()).toEqual({ taken: 11, isCold: true })
    })
  })
}
