import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Event, Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore, FindQuery, StoredEvent } from '../../../../receiver/src/store/event-store.ts'
import { createMatcher, toMatchDocument } from '../../../../receiver/src/store/matcher.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { blockEvents, decodePlaces, encodePlaces } from '../../../../receiver/src/store/sqlite/posting.ts'
import { toHeaderSql } from '../../../../receiver/src/store/sqlite/posting-reader.ts'
import { indexedSeqSql } from '../../../../receiver/src/store/sqlite/posting-task.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'
import { waitUntil } from '../../../support/wait.ts'
import { createRandom } from '../../../support/workload.ts'

const ids = ['01ARZ3NDEKTSV4RRFFQ69G5FA0', '01ARZ3NDEKTSV4RRFFQ69G5FA1', '01ARZ3NDEKTSV4RRFFQ69G5FA2']
const names = ['robot-arm', 'oven', 'é"\\']
const blocks = 3
const tail = 200

function makeEvents(from: number, count: number): Event[] {
  const random = createRandom(from)
  const one = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!
  return Array.from({ length: count }, (_, index) => {
    const second = Math.floor(random() * 60)
    // Mostly in the order of time; some come hours late, and some times are the same.
    const minute = random() < 0.1 ? Math.floor(random() * 60) : Math.floor(((from + index) / 4000) * 60)
    const time = `2026-01-01T10:${String(minute).padStart(2, '0')}:${String(second).padStart(2, '0')}.000000`
    const data: Value[] = [
      { workflow_id: one(ids) },
      { workflow_id: [one(ids), 'x'] },
      [{ workflow_id: one(ids) }],
      { node_info: { node_name: one(names) } },
      { 'node_info.node_name': one(names), big: 2n ** 60n },
      { name: one(names), node_id: Number.NaN },
      'text',
    ]
    return makeEvent(`p${from + index}`, {
      event_timestamp: random() < 0.5 ? time : `${time}Z`,
      source: random() < 0.3 ? {} : { workflow_id: one(ids), node_id: one(ids) },
      event_data: one(data),
      log_level: random() < 0.5 ? 20 : 40,
      trace_id: random() < 0.1 ? `${from + index}`.padStart(32, '0') : null,
      ...(random() < 0.3 && {
        otel: {
          resource: random() < 0.5 ? { 'service.name': one(names) } : { service: { name: one(names) } },
        },
      }),
    })
  })
}

const path = fc.constantFrom(
  'source.workflow_id',
  'source.node_id',
  'event_data.workflow_id',
  'event_data.node_info.node_name',
  'event_data.name',
  'trace_id',
  'otel.resource.service.name',
)
const value = fc.constantFrom<Value[]>(...ids, ...names, 'x', '1'.padStart(32, '0'), null)
const field: fc.Arbitrary<Value> = fc.oneof(
  fc.tuple(path, value).map(([name, one]) => ({ [name]: one })),
  fc.tuple(path, fc.array(value, { maxLength: 3 })).map(([name, list]) => ({ [name]: { $in: list } })),
)
const selector: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: field },
  fc.array(field, { minLength: 1, maxLength: 3 }).map(($or) => ({ $or })),
  fc.array(field, { minLength: 1, maxLength: 3 }).map(($and) => ({ $and })),
  fc.tuple(field, field).map(([one, other]) => ({ $and: [one], $nor: [other] })),
)
const time = fc.option(
  fc
    .integer({ min: 0, max: 59 })
    .map((minute) => `2026-01-01T10:${String(minute).padStart(2, '0')}:30.000000`),
  { nil: undefined },
)
const query = fc.record({
  selector,
  order: fc.constantFrom('newest', 'oldest'),
  startTime: time,
  upTo: time,
  minLevel: fc.constantFrom(0, 30),
  limit: fc.constantFrom(0, 7),
  offset: fc.constantFrom(0, 3),
  archived: fc.constantFrom('include', 'exclude', 'only'),
})

describe('the index of ids', () => {
  let folder: string
  let file: string
  let store: EventStore
  const open = () => openSqliteStore({ path: file, log: silentLog })
  const read = <Result>(work: (database: DatabaseSync) => Result): Result => {
    const database = new DatabaseSync(file, { readOnly: true })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  const indexedSeq = () =>
    read((database) => (database.prepare(indexedSeqSql).get() as { value: number }).value)
  const built = (count: number) =>
    waitUntil(async () => indexedSeq() === count * blockEvents, 'the index of ids')

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-posting-'))
    file = join(folder, 'a.db')
    store = await open()
    await store.write(makeEvents(0, blocks * blockEvents))
    await built(blocks)
    await store.write(makeEvents(blocks * blockEvents, tail))
  })
  afterAll(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })

  /** The same by a walk over all events. */
  async function expected(asked: Partial<FindQuery>, all: readonly StoredEvent[]): Promise<string[]> {
    const matches = createMatcher(asked.selector!)
    const documents = new Map(
      all.map((event) => [event.id, JSON.parse(event.json) as { event_timestamp: string }]),
    )
    const seqOf = await store.locate(all.map(({ id }) => id))
    const { limit = 0, offset = 0 } = asked
    const found = all
      .filter((event) => matches(toMatchDocument(event)))
      .map(({ id }) => ({ id, time: documents.get(id)!.event_timestamp, seq: Number(seqOf.get(id)) }))
      .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.seq - b.seq))
    if (asked.order === 'newest') found.reverse()
    return found.slice(offset, limit === 0 ? undefined : offset + limit).map(({ id }) => id)
  }

  async function compare(): Promise<void> {
    await fc.assert(
      fc.asyncProperty(query, async ({ selector: source, ...rest }) => {
        const { limit, offset, ...filters } = rest
        const asked = { ...rest, selector: parseSelector(source) } as Partial<FindQuery>
        // The archived are in another order when the newest of them are asked for alone.
        if (asked.archived === 'only' && asked.order === 'newest') asked.order = 'oldest'
        const all = await collect(store, { ...filters, order: 'none' } as Partial<FindQuery>)
        const found = await collect(store, asked)
        expect(found.map(({ id }) => id)).toEqual(await expected(asked, all))
      }),
      { numRuns: 60 },
    )
  }

  it('gives what a walk over all events gives', compare, 60_000)

  it('gives the same when events were archived, deleted and added, after a restart and from a backup', async () => {
    for await (const _ of store.archive({ before: '2026-01-01T10:20:00.000000' }, { batchSize: 500 })) {
    }
    for await (const _ of store.purge(Date.now() + 1000, { batchSize: 300 })) {
    }
    await store.write(makeEvents(blocks * blockEvents + tail, blockEvents))
    await store.close()
    store = await open()
    await built(blocks + 1)
    await compare()
    const copy = await store.copyTo(folder)
    await store.close()
    file = join(folder, copy.files[0]!)
    store = await open()
    expect(indexedSeq()).toBe((blocks + 1) * blockEvents)
    await compare()
  }, 120_000)

  it('is made anew for a file of a release that has none, which can open the file as well', async () => {
    await store.close()
    const database = new DatabaseSync(file)
    const version = database.prepare('PRAGMA user_version').get()
    database.exec("DROP TABLE event_postings; DELETE FROM tally WHERE name LIKE 'indexed_seq%'")
    database.close()
    store = await open()
    await built(blocks + 1)
    await compare()
    expect(read((one) => one.prepare('PRAGMA user_version').get())).toEqual(version)
  }, 60_000)

  it('is what a question by id reads: without its rows nothing is found but what lies behind it', async () => {
    const selector = parseSelector({ 'source.workflow_id': ids[0]! })
    const before = await collect(store, { selector, order: 'newest' })
    const database = new DatabaseSync(file)
    database.exec('DELETE FROM event_postings')
    database.close()
    const found = await collect(store, { selector, order: 'newest' })
    const seqOf = await store.locate(before.map(({ id }) => id))
    const behind = before.filter(({ id }) => Number(seqOf.get(id)) > indexedSeq())
    expect(found).toEqual(behind)
    expect(behind.length).toBeLessThan(before.length)
  })

  it('is searched by its primary key', () => {
    const plan = read((database) => database.prepare(`EXPLAIN QUERY PLAN ${toHeaderSql(2)}`).all(1, 2))
    const details = plan.map((row) => String(row.detail))
    expect(details).toContain('SEARCH event_postings USING PRIMARY KEY (part=? AND key=?)')
  })

  it('keeps the places of a block in few bytes', () => {
    const places = fc.uniqueArray(fc.nat(blockEvents - 1), { maxLength: blockEvents })
    fc.assert(
      fc.property(places, (list) => {
        const sorted = list.sort((a, b) => a - b)
        const bytes = encodePlaces(sorted)
        expect(bytes.length).toBeLessThanOrEqual(blockEvents / 8)
        expect(decodePlaces(bytes)).toEqual(sorted)
      }),
    )
  })
})
