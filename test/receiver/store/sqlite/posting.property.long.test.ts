import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
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
import { collect } from '../../../contract/event-store.contract.ts'
import { idQuery, ids, makeIdEvents } from '../../../support/id-event.ts'
import { waitUntil } from '../../../support/wait.ts'

const blocks = 3
const tail = 200

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
    await store.write(makeIdEvents(0, blocks * blockEvents))
    await built(blocks)
    await store.write(makeIdEvents(blocks * blockEvents, tail))
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
      fc.asyncProperty(idQuery, async ({ selector: source, ...rest }) => {
        const { limit, offset, ...filters } = rest
        const asked = { ...rest, selector: parseSelector(source) } as Partial<FindQuery>
        // The archived are in another order when the newest of them are asked for alone.
        if (asked.archived === 'only' && asked.order === 'newest') asked.order = 'oldest'
        const all = await collect(store, { ...filters, order: 'none' } as Partial<FindQuery>)
        const found = await collect(store, asked)
        const wanted = await expected(asked, all)
        const shown = found.map(({ id }) => id)
        if (asked.order !== 'none') expect(shown).toEqual(wanted)
        else {
          // Any of them, where no order is asked for.
          const matching = await expected({ ...asked, limit: 0, offset: 0 }, all)
          expect(new Set(shown).size).toBe(wanted.length)
          expect(shown.filter((id) => !matching.includes(id))).toEqual([])
        }
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
    await store.write(makeIdEvents(blocks * blockEvents + tail, blockEvents))
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
