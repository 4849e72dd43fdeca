import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createEventId,
  type Event,
  fromDocument,
  fromExactJson,
  parseJson,
  toDocument,
  type Value,
} from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { canaryType, createCanaryId } from '../../receiver/src/store/canary.ts'
import { openCommitReader } from '../../receiver/src/store/commit-reader.ts'
import type { EventStore, FindQuery, StoredEvent } from '../../receiver/src/store/event-store.ts'
import { parseSelector } from '../../receiver/src/store/selector.ts'
import { eventArbitrary } from '../support/arbitrary.ts'

/** A backend under the contract. */
export interface Backend {
  open(): Promise<EventStore>
  /** Stops the database, or makes its disk refuse; `heal` undoes it. Without these, promise 8 is not asked here. */
  harm?(): Promise<void>
  heal?(): Promise<void>
  /** Makes the closed store one of an older schema; one of a newer schema. */
  makeOlder(): Promise<void>
  makeNewer(): Promise<void>
  /** Undoes makeNewer. */
  makeCurrent(): Promise<void>
  stop(): Promise<void>
}

export const everything: FindQuery = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs: 0 }

export const makeEvent = (id: string, fields: Partial<Event> = {}): Event => ({
  ...fromDocument({ _id: id, event_timestamp: '2026-11-23T19:25:51.286773Z', event_data: { message: id } }),
  ...fields,
})

export async function collect(store: EventStore, query: Partial<FindQuery> = {}): Promise<StoredEvent[]> {
  const events: StoredEvent[] = []
  for await (const chunk of store.find({ ...everything, ...query })) events.push(...chunk)
  return events
}

export const readDocument = (stored: StoredEvent): Value =>
  stored.exact === undefined ? parseJson(stored.json) : fromExactJson(stored.exact)

async function allCommits(store: EventStore, from = '', limit = 100): Promise<string[]> {
  const ids: string[] = []
  for (let cursor = from; ; ) {
    const page = await store.commitsSince(cursor, limit)
    ids.push(...page.ids)
    if (page.ids.length === 0) return ids
    cursor = page.cursor
  }
}

/** The promises of EventStore (receiver/src/store/event-store.ts), one test for each, on an empty database. */
export function describeEventStore(name: string, start: () => Promise<Backend>, skipReason = ''): void {
  describe(`EventStore: ${name}`, () => {
    let backend: Backend
    let store: EventStore
    beforeEach((ctx) => ctx.skip(skipReason !== '', skipReason))
    beforeAll(async () => {
      if (skipReason) return
      backend = await start()
      store = await backend.open()
    })
    afterAll(async () => {
      await store?.close()
      await backend?.stop()
    })

    it('1. write resolves only after a durable commit: a second reader and a later opening find every event', async () => {
      const events = Array.from({ length: 2500 }, (_, i) => makeEvent(`p1-${i}`))
      expect(await store.write(events)).toEqual(events.map(() => 'stored'))
      await store.close()
      store = await backend.open()
      for (const id of ['p1-0', 'p1-1249', 'p1-2499'])
        expect(parseJson((await store.get(id))!.json)).toMatchObject({ _id: id })
      const found = await collect(store, { selector: parseSelector({ _id: { $regex: '^p1-' } }) })
      expect(new Set(found.map(({ id }) => id))).toEqual(new Set(events.map((one) => one.event_id)))
      expect(found).toHaveLength(events.length)
    })

    it('2. an id is stored once: the first event stays, also within one write and between writes at once', async () => {
      const first = makeEvent('p2-a', { log_level: 10 })
      expect(await store.write([first, makeEvent('p2-a', { log_level: 50 }), makeEvent('p2-b')])).toEqual([
        'stored',
        'duplicate',
        'stored',
      ])
      expect(await store.write([makeEvent('p2-a', { log_level: 40 })])).toEqual(['duplicate'])
      expect(readDocument((await store.get('p2-a'))!)).toEqual(toDocument(first))
      const rivals = await Promise.all(
        Array.from({ length: 8 }, (_, n) =>
          store.write(
            Array.from({ length: 50 }, (_, i) => makeEvent(`p2-r${i}`, { event_data: { rival: n } })),
          ),
        ),
      )
      for (let i = 0; i < 50; i++)
        expect(
          rivals.filter((outcomes) => outcomes[i] === 'stored'),
          `p2-r${i}`,
        ).toHaveLength(1)
    })

    it('3. a refused event leaves its neighbours stored', async () => {
      const huge = makeEvent('p3-huge', { event_data: 'x'.repeat(17 * 1024 * 1024) })
      const outcomes = await store.write([makeEvent('p3-a'), huge, makeEvent('p3-b')])
      expect(outcomes).toEqual([
        'stored',
        { refused: expect.stringContaining('the event is larger') },
        'stored',
      ])
      expect(await store.get('p3-huge')).toBeUndefined()
      expect(await store.get('p3-b')).toBeDefined()
    })

    it('4. what was written is read back exactly, by get and by find', async () => {
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(eventArbitrary, { minLength: 1, maxLength: 20 }), async (generated) => {
          const marker = `p4-${run++}`
          const events = generated.map((event, i) => ({ ...event, event_id: `${marker}-${i}` }))
          expect(await store.write(events)).toEqual(events.map(() => 'stored'))
          const ids = events.map((event) => event.event_id)
          const found = await collect(store, { selector: parseSelector({ _id: { $in: ids } }) })
          const byId = new Map(found.map((one) => [one.id, one]))
          for (const event of events) {
            expect(readDocument(byId.get(event.event_id)!)).toEqual(toDocument(event))
            expect(await store.get(event.event_id)).toEqual(byId.get(event.event_id))
          }
        }),
        { numRuns: 60 },
      )
    })

    it('4. archived_at is a date of milliseconds, shown without zone', async () => {
      await store.write([
        makeEvent('p4-archived', { archived: true, archived_at: '2026-11-23T19:29:12.877000Z' }),
        makeEvent('p4-whole', { archived: true, archived_at: '2026-11-23T19:29:12.000000' }),
      ])
      expect((await store.get('p4-archived'))!.json).toContain('"archived_at":"2026-11-23T19:29:12.877000"')
      expect((await store.get('p4-whole'))!.json).toContain('"archived_at":"2026-11-23T19:29:12"')
    })

    it('5. find honours selector, level, times, archived, order, limit and offset', async () => {
      const kind = { event_data: { of: 'five' } }
      await store.write([
        makeEvent('f1', { ...kind, event_timestamp: '2020-01-01T00:00:00.000000', log_level: 10 }),
        makeEvent('f2', { ...kind, event_timestamp: '2020-01-01T00:00:00.000000Z', log_level: 20 }),
        makeEvent('f3', { ...kind, event_timestamp: '2020-01-01T00:00:01.000000Z', log_level: 30 }),
        makeEvent('f4', {
          ...kind,
          event_timestamp: '2020-01-01T00:00:02.000000',
          log_level: 40,
          archived: true,
          archived_at: '2020-02-01T00:00:00.000000Z',
        }),
        makeEvent('f5', {
          ...kind,
          event_timestamp: '2020-01-01T00:00:03.000000',
          archived: true,
          archived_at: '2020-01-15T00:00:00.000000Z',
        }),
      ])
      const of = async (query: Partial<FindQuery>) =>
        (await collect(store, { selector: parseSelector({ 'event_data.of': 'five' }), ...query })).map(
          ({ id }) => id,
        )
      expect(await of({ order: 'newest' })).toEqual(['f5', 'f4', 'f3', 'f2', 'f1'])
      expect(await of({ order: 'oldest', archived: 'exclude' })).toEqual(['f1', 'f2', 'f3'])
      expect(await of({ archived: 'only', order: 'newest' })).toEqual(['f4', 'f5'])
      expect(await of({ archived: 'only', order: 'oldest' })).toEqual(['f4', 'f5'])
      expect((await of({ archived: 'only' })).sort()).toEqual(['f4', 'f5'])
      expect(await of({ order: 'oldest', limit: 2, offset: 1 })).toEqual(['f2', 'f3'])
      expect(await of({ order: 'newest', limit: 1, offset: 4 })).toEqual(['f1'])
      expect(await of({ order: 'oldest', offset: 9 })).toEqual([])
      expect(await of({ order: 'oldest', minLevel: 20, archived: 'exclude' })).toEqual(['f2', 'f3'])
      expect(await of({ order: 'newest', minLevel: 30 })).toEqual(['f4', 'f3'])
      expect((await of({ minLevel: 40 })).sort()).toEqual(['f4'])
      const second = '2020-01-01T00:00:00.000000'
      for (const [startTime, endTime] of [
        [second, second],
        [`${second}Z`, `${second}Z`],
      ] as const) {
        expect(await of({ order: 'oldest', startTime, endTime })).toEqual(['f1', 'f2'])
        expect((await of({ startTime, endTime })).sort()).toEqual(['f1', 'f2'])
        expect(await of({ order: 'newest', startTime, endTime, minLevel: 20 })).toEqual(['f2'])
      }
      const selector = parseSelector({ 'event_data.of': 'five', log_level: { $gte: 30 }, archived: false })
      expect((await collect(store, { selector })).map(({ id }) => id)).toEqual(['f3'])
      for (const id of [{ $in: ['f3', 'f1', 7] }, { $in: ['f3', 'f1', 'none'] }])
        expect(await of({ selector: parseSelector({ _id: id }), order: 'newest' })).toEqual(['f3', 'f1'])
      expect(await of({ selector: parseSelector({ _id: { $in: [] } }) })).toEqual([])
      expect(
        await of({ selector: parseSelector({ event_timestamp: second, 'event_data.of': 'five' }) }),
      ).toHaveLength(2)
    })

    it('5. a path of a selector follows keys that are there, nested or with dots, in any grouping', async () => {
      const data: { [id: string]: Value } = {
        k1: { a: { b: { c: 1 } } },
        k2: { a: { 'b.c': 1 } },
        k3: { 'a.b': { c: 1 } },
        k4: { 'a.b.c': 1 },
        k5: { 'a.b': { c: 2 }, a: { b: { c: 1 } } },
        k6: { 'a.b': [{ c: 1 }, { c: 3 }] },
        k7: { a: [{ 'b.c': 3 }, { 'b.c': 1 }] },
        k8: { 'a.b': 1, a: { b: { d: 1 } } },
        k9: { 'a.b.c': [2, 3] },
        k0: { 'a.b.c': null },
      }
      const otel = {
        resource: { 'service.name': 'pump', 'service.instance.id': 'i' },
        scope: { name: 'a.b', attributes: { 'x.y.z': 1 } },
      }
      await store.write(Object.entries(data).map(([id, event_data]) => makeEvent(id, { event_data, otel })))
      const of = async (selector: Value, query: Partial<FindQuery> = {}) =>
        (
          await collect(store, {
            selector: parseSelector({ $and: [{ _id: { $regex: '^k\\d$' } }, selector] } as Value),
            ...query,
          })
        ).map(({ id }) => id)
      const sorted = async (selector: Value) => (await of(selector)).sort()
      const path = 'event_data.a.b.c'
      const ones = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7']
      const others = ['k0', 'k8', 'k9']
      expect(await sorted({ [path]: 1 })).toEqual(ones)
      expect(await sorted({ [path]: { $ne: 1 } })).toEqual(others)
      expect(await sorted({ [path]: { $not: { $in: [1] } } })).toEqual(others)
      expect(await sorted({ $nor: [{ [path]: 1 }] })).toEqual(others)
      expect(await sorted({ [path]: { $in: [2, 7] } })).toEqual(['k5', 'k9'])
      expect(await sorted({ [path]: { $gt: 2 } })).toEqual(['k6', 'k7', 'k9'])
      expect(await sorted({ [path]: { $exists: false } })).toEqual(['k8'])
      expect(await sorted({ [path]: { $exists: true } })).toEqual(['k0', ...ones, 'k9'])
      expect(await sorted({ [path]: null })).toEqual(['k0', 'k8'])
      expect(await sorted({ [path]: { $type: 'array' } })).toEqual(['k9'])
      expect(await sorted({ [path]: { $size: 2 } })).toEqual(['k9'])
      expect(await sorted({ $or: [{ [path]: 2 }, { 'event_data.a.b': 1 }] })).toEqual(['k5', 'k8', 'k9'])
      expect(await sorted({ 'event_data.a': { $elemMatch: { 'b.c': 3 } } })).toEqual(['k7'])
      expect(await sorted({ 'event_data.a.b': { $elemMatch: { c: { $gt: 2 } } } })).toEqual(['k6'])
      expect(await sorted({ $expr: { $eq: [`$${path}`, 1] } })).toEqual(['k1', 'k2', 'k3', 'k4'])
      // Two values are as an array of them.
      expect(await sorted({ $expr: { $eq: [`$${path}`, { $literal: [1, 2] }] } })).toEqual(['k5'])
      const all = Object.keys(data).sort()
      expect(await sorted({ 'otel.resource.service.name': 'pump' })).toEqual(all)
      expect(await sorted({ 'otel.resource.service.instance.id': { $regex: '^i' } })).toEqual(all)
      expect(await sorted({ 'otel.scope.attributes.x.y.z': { $gte: 1 } })).toEqual(all)
      expect(await sorted({ 'otel.resource.service.name': 'other' })).toEqual([])
      const newest = await of({ [path]: 1 }, { order: 'newest' })
      expect(newest).toHaveLength(7)
      expect(await of({ [path]: 1 }, { order: 'newest', limit: 3 })).toEqual(newest.slice(0, 3))
      expect(await of({ [path]: 1 }, { order: 'newest', limit: 3, offset: 2 })).toEqual(newest.slice(2, 5))
      expect(await of({ [path]: 1 }, { order: 'newest', offset: 6 })).toEqual(newest.slice(6))
      const [deep, tooDeep] = [16, 17].map((count) => Array(count).fill('x').join('.'))
      expect(await of({ [deep!]: 1 })).toEqual([])
      expect(() => parseSelector({ [tooDeep!]: 1 })).toThrow(/more than 16 names/)
      expect(() => parseSelector({ $expr: `$${tooDeep}` })).toThrow(/more than 16 names/)
    })

    it('6. find streams chunks while writes go on, and may be left early', async () => {
      const batch = (n: number) =>
        Array.from({ length: 1000 }, (_, i) => makeEvent(`p6-${n}-${i}`, { event_type: 'node_start' }))
      for (let n = 0; n < 6; n++) await store.write(batch(n))
      const selector = parseSelector({ event_type: 'node_start', _id: { $regex: '^p6-[0-5]-' } })
      const seen = new Set<string>()
      let largest = 0
      for await (const chunk of store.find({ ...everything, order: 'oldest', selector })) {
        largest = Math.max(largest, chunk.length)
        for (const { id } of chunk) {
          expect(seen.has(id)).toBe(false)
          seen.add(id)
        }
        if (seen.size < 1500)
          expect(await store.write([makeEvent(`p6-while-${seen.size}`)])).toEqual(['stored'])
      }
      expect(seen.size).toBe(6000)
      expect(largest).toBeLessThanOrEqual(500)
      for await (const chunk of store.find(everything)) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      const [one, two] = await Promise.all([collect(store, { limit: 700 }), collect(store, { limit: 300 })])
      expect([one!.length, two!.length]).toEqual([700, 300])
    })

    it('7. commitsSince gives every stored event once, in an order that later commits only extend', async () => {
      const before = await store.commitCursor()
      const first = Array.from({ length: 250 }, (_, i) => makeEvent(`p7-a${i}`))
      await store.write([...first, first[0]!])
      const ids = await allCommits(store, before)
      expect(ids).toEqual(first.map((event) => event.event_id))
      await Promise.all([store.write([makeEvent('p7-b'), first[3]!]), store.write([makeEvent('p7-c')])])
      const more = await allCommits(store, before)
      expect(more.slice(0, 250)).toEqual(ids)
      expect(more.slice(250).sort()).toEqual(['p7-b', 'p7-c'])
      const all = await allCommits(store, '', 1000)
      const found = await collect(store)
      expect(all).toHaveLength(new Set(all).size)
      expect(new Set(all)).toEqual(new Set(found.map(({ id }) => id)))
      expect(await store.commitsSince(await store.commitCursor(), 10)).toMatchObject({ ids: [] })
      // Of another file, or of this one before it was put back from a backup.
      await expect(store.commitsSince('999999999', 10)).rejects.toMatchObject({ code: 'EVT_INVALID' })
    })

    it('8. trouble is EVT_STORE_UNAVAILABLE and heals without hands', async (ctx) => {
      if (!backend.harm || !backend.heal) return ctx.skip('this backend stands in another suite')
      await backend.harm()
      await expect(store.write([makeEvent('p8-a')])).rejects.toMatchObject({
        code: 'EVT_STORE_UNAVAILABLE',
        retry: true,
      })
      await backend.heal()
      await expect
        .poll(() => store.write([makeEvent('p8-a')]).catch((error) => error.code), { timeout: 30_000 })
        .toEqual([expect.stringMatching(/stored|duplicate/)])
      expect(await store.get('p8-a')).toBeDefined()
      expect(await store.health()).toMatchObject({ connected: true })
    })

    it('11. archive and purge go in bounded commits while writes go on; the first date stays', async () => {
      const at = (day: number) => `2020-01-${String(day).padStart(2, '0')}T00:00:00.000000Z`
      const events = Array.from({ length: 28 }, (_, i) =>
        makeEvent(`p11-${i}`, {
          event_timestamp: at(i + 1),
          log_level: i % 2 === 0 ? 20 : 40,
          event_type: i % 4 === 0 ? 'node_start' : 'log_info',
          event_data: { n: 2n ** 60n + BigInt(i), archived: false },
        }),
      )
      await store.write(events)
      const sum = async (counts: AsyncIterable<number>) => {
        let total = 0
        let steps = 0
        for await (const count of counts) {
          expect(count).toBeLessThanOrEqual(4)
          total += count
          steps++
        }
        return { total, steps }
      }
      const options = { batchSize: 4 }
      const isArchived = async (id: string) =>
        (readDocument((await store.get(id))!) as { [key: string]: Value }).archived
      const startMs = Date.now()
      expect((await sum(store.archive({ ids: ['p11-1', 'p11-1', 'nobody'] }, options))).total).toBe(1)
      expect((await sum(store.archive({ ids: ['p11-1'] }, options))).total).toBe(0)
      // A write between two commits neither waits nor is lost.
      const writing = store.write([makeEvent('p11-new', { event_timestamp: at(3) })])
      const typed = {
        before: at(9),
        match: { types: ['node_start'] },
        except: [{ types: ['log_info'] }, { maxLevel: 10 }],
      }
      // Other tests' events may be as old.
      expect((await sum(store.archive(typed, options))).total).toBeGreaterThanOrEqual(2)
      expect((await isArchived('p11-0')) && (await isArchived('p11-4'))).toBe(true)
      expect((await isArchived('p11-2')) || (await isArchived('p11-8'))).toBe(false)
      await writing
      const rest = await sum(store.archive({ before: at(15) }, options))
      expect(rest.total).toBeGreaterThanOrEqual(14 - 4 + 1)
      expect(rest.steps).toBeGreaterThan(2)
      const archived = await collect(store, {
        archived: 'only',
        selector: parseSelector({ _id: { $regex: '^p11-' } }),
      })
      expect(archived.map(({ id }) => id).sort()).toEqual(
        [...Array.from({ length: 14 }, (_, i) => `p11-${i}`), 'p11-new'].sort(),
      )
      const one = readDocument((await store.get('p11-0'))!) as { [key: string]: Value }
      expect(one).toMatchObject({ archived: true, event_data: { n: 2n ** 60n, archived: false } })
      const archivedMs = Date.parse(`${one.archived_at}Z`)
      expect(archivedMs).toBeGreaterThanOrEqual(startMs - 1)
      expect(archivedMs).toBeLessThanOrEqual(Date.now())

      const { totalEvents: before } = await store.health()
      await sum(store.purge(startMs - 1000, options))
      expect(await store.get('p11-0')).toBeDefined()
      expect((await sum(store.purge(Date.now() + 1, options))).total).toBeGreaterThanOrEqual(15)
      expect(await store.get('p11-0')).toBeUndefined()
      expect(await store.get('p11-20')).toBeDefined()
      const { totalEvents: after } = await store.health()
      expect(before! - after!).toBeGreaterThanOrEqual(15)
      // An id that was purged is free again, and comes after all others in the order of commit.
      const cursor = await store.commitCursor()
      expect(await store.write([makeEvent('p11-0')])).toEqual(['stored'])
      expect(await allCommits(store, cursor)).toContain('p11-0')
    })

    it('12. locate tells stored ids from others, and places them in the order of commit', async () => {
      const ids = [createEventId(), createEventId(), createEventId()]
      for (const id of ids) await store.write([makeEvent(id)])
      const found = await store.locate([...ids, createEventId()])
      expect([...found.keys()].sort()).toEqual([...ids].sort())
      expect(new Set(found.values()).size).toBe(3)
      for (const place of found.values()) expect(place).not.toBe('')
      expect((await store.locate([])).size).toBe(0)
    })

    it('13. copyTo holds what was committed before, also under load', async () => {
      const { totalEvents } = await store.health()
      const folder = await mkdtemp(join(tmpdir(), 'madsci-copy-'))
      let isCopying = true
      const load = (async () => {
        for (let i = 0; isCopying; i++) await store.write([makeEvent(`p13-${i}`), makeEvent(`p13-x${i}`)])
      })()
      try {
        const copy = await store.copyTo(folder)
        expect(copy.events).toBeGreaterThanOrEqual(totalEvents!)
        expect(copy.files.length).toBeGreaterThan(0)
        for (const file of copy.files) expect((await stat(join(folder, file))).size).toBeGreaterThan(0)
      } finally {
        isCopying = false
        await load
        await rm(folder, { recursive: true })
      }
    })

    it('14. a commit reader gives what commitsSince gives, whole, and can leave out what did not come by REST', async () => {
      const from = await store.commitCursor()
      const events = fc.sample(eventArbitrary, 60).map((event, i) => ({ ...event, event_id: `p14-${i}` }))
      const isRest = (i: number) => (i >= 10 && i < 13) || i === 20 || i >= 55
      await store.write(events.slice(0, 30), [], [10, 13, 20, 21])
      // A duplicate keeps the door by which it came first.
      await store.write([...events.slice(28, 31), ...events.slice(31)], [], [0, 2, 27, 32])
      // Another thread sees them within moments; where this one sees them, it does too.
      expect(await allCommits(store, from)).toHaveLength(60)
      for (const restOnly of [false, true]) {
        const reader = openCommitReader({ source: store.scanSource, restOnly })
        try {
          const read: StoredEvent[] = []
          for (let cursor = from; ; ) {
            const page = await reader.read(cursor, { limit: 7, characters: 1_000_000 })
            expect(page.expiredCommits).toBe(0)
            read.push(...page.events)
            expect(page.events.length).toBeLessThanOrEqual(7)
            cursor = page.cursor
            if (!page.hasMore && page.events.length === 0) break
          }
          const wanted = events.filter((_, i) => !restOnly || isRest(i))
          expect(read.map(readDocument)).toEqual(wanted.map(toDocument))
          const small = await reader.read(from, { limit: 50, characters: 1 })
          expect(small.events).toHaveLength(1)
          expect(small.hasMore).toBe(true)
          await expect(reader.read('no cursor', { limit: 1, characters: 1 })).rejects.toMatchObject({
            code: 'EVT_INVALID',
          })
        } finally {
          await reader.close()
        }
      }
    })

    it('15. of those who write the same version of a note, one succeeds; it is there after a restart', async () => {
      expect(await store.notes.read('a')).toBeUndefined()
      expect(await store.notes.write('a', 'x', 3)).toBe(false)
      const first = await Promise.all(['one', 'two', 'three'].map((text) => store.notes.write('a', text, 0)))
      expect(first.filter(Boolean)).toHaveLength(1)
      const second = await Promise.all(['x', 'é💡'].map((text) => store.notes.write('a', text, 1)))
      expect(second.filter(Boolean)).toHaveLength(1)
      const note = await store.notes.read('a')
      expect(note).toEqual({ text: second[0] ? 'x' : 'é💡', version: 2 })
      expect(await store.notes.write('b', 'other', 0)).toBe(true)
      await store.close()
      store = await backend.open()
      expect(await store.notes.read('a')).toEqual(note)
    })

    it('10. health tells the number of events at once', async () => {
      const { totalEvents, connected } = await store.health()
      expect(connected).toBe(true)
      expect(totalEvents).toBe((await collect(store)).length)
      await store.write([makeEvent('p10'), makeEvent('p10')])
      expect((await store.health()).totalEvents).toBe(totalEvents! + 1)
      // What the receiver stores to try itself is counted nowhere.
      await store.write([
        makeEvent('', { event_id: createCanaryId(), event_type: canaryType, archived: true }),
      ])
      expect((await store.health()).totalEvents).toBe(totalEvents! + 1)
    })

    it('9. an older schema is upgraded in place; a newer one is refused with EVT_SCHEMA_VERSION', async () => {
      const before = (await collect(store)).length
      await store.close()
      await backend.makeOlder()
      store = await backend.open()
      expect((await collect(store)).length).toBe(before)
      expect(await collect(store, { minLevel: 30, limit: 1, order: 'newest' })).toHaveLength(1)
      expect(await store.write([makeEvent('p9')])).toEqual(['stored'])
      await store.close()
      await backend.makeNewer()
      await expect(backend.open()).rejects.toMatchObject({ code: 'EVT_SCHEMA_VERSION' })
      await backend.makeCurrent()
      store = await backend.open()
      expect(await store.get('p9')).toBeDefined()
    })
  })
}
