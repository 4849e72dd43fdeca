import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventError, microsToTimestamp, type Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PageFind, readFirst, readPage } from '../../../receiver/src/http/page-answer.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { textCondition } from '../../../receiver/src/search/condition.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const events = 12_000
const startMicros = Date.UTC(2026, 0, 1) * 1000
const folder = await mkdtemp(join(tmpdir(), 'madsci-page-cut-'))

/** Up to seven have the same time. One in ten is about tea, one in 500 about rum. */
const eventAt = (index: number) =>
  makeEvent(String(index), {
    event_timestamp: microsToTimestamp(startMicros + Math.floor(index / (1 + (index % 7))) * 1_000_000),
    event_data: { message: `a cup of ${index % 500 === 7 ? 'rum' : index % 10 === 3 ? 'tea' : 'air'}` },
    source: { workflow_id: `w${index % 5}` },
    archived: false,
    archived_at: null,
  })

// Each is what SQLite finds by itself, what only a matcher finds, or what the index of ids finds.
const selectors: Value[] = [
  textCondition('rum') as Value,
  textCondition('tea') as Value,
  textCondition('coffee') as Value,
  { 'event_data.message': { $regex: '(r|t)(u|e)(m|a)$' } },
  { 'source.workflow_id': 'w3', 'event_data.message': { $regex: 'ea$' } },
  { $nor: [{ 'event_data.message': 'a cup of air' }] },
]

interface Asked {
  store: EventStore
  selector: Value
  order: 'newest' | 'oldest'
  timeoutMs: number
}

const findOf = ({ store, selector, order, timeoutMs }: Asked): PageFind => ({
  store,
  query: { selector: parseSelector(selector), archived: 'exclude', order, timeoutMs },
  options: {},
})

async function askAll(asked: Asked, number: number): Promise<{ ids: string[]; cuts: number }> {
  const ids: string[] = []
  let cuts = 0
  let cursor: string | undefined
  let limitMs = asked.timeoutMs
  for (;;) {
    try {
      const find = findOf({ ...asked, timeoutMs: limitMs })
      const page =
        cursor === undefined ? await readFirst(find, number) : await readPage(find, { cursor, number })
      // Beyond a million characters the limit is an error in the middle of an answer.
      const own: string[] = []
      for await (const chunk of page.events) own.push(...chunk.map(({ id }) => id))
      ids.push(...own)
      if (page.scannedTo !== undefined) cuts++
      if (page.next !== undefined) expect(page.next).not.toBe(cursor)
      // The first page of all is as long as is asked for, and says nothing of a next one.
      if (cursor === undefined && page.next === undefined && own.length === number) {
        cursor = ''
        ids.length = 0
      } else if (page.next === undefined) return { ids, cuts }
      else cursor = page.next
      limitMs = asked.timeoutMs
    } catch (error) {
      // Nothing was looked at in so little time.
      const { code } = error as EventError
      if (!(error instanceof EventError && ['EVT_QUERY_TIMEOUT', 'EVT_QUERY_BUSY'].includes(code)))
        throw error
      limitMs *= 2
    }
  }
}

afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(['sqlite', 'mongodb'] as const)('pages of %s', (kind) => {
  let store: EventStore
  let stop = async () => {}
  let skip: string | undefined

  beforeAll(async () => {
    if (kind === 'sqlite') store = await openSqliteStore({ path: join(folder, 'e.db'), log: silentLog })
    else {
      const found = await findMongo()
      if ('skip' in found) {
        skip = found.skip
        return
      }
      const mongod = await startMongod()
      stop = () => mongod.stop()
      store = await openMongoStore({
        url: mongod.url,
        databaseName: freshDatabaseName(),
        collectionName: 'events',
        log: silentLog,
      })
    }
    for (let at = 0; at < events; at += 2000)
      await store.write(Array.from({ length: 2000 }, (_, i) => eventAt(at + i)))
  }, 60_000)
  afterAll(async () => {
    await store?.close()
    await stop()
  })

  it('that the time limit ends give the same events as one search, each once', async (context) => {
    if (skip !== undefined) return context.skip(skip)
    let cuts = 0
    const expected = new Map<string, string[]>()
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...selectors),
        fc.constantFrom('newest' as const, 'oldest' as const),
        fc.integer({ min: 2, max: 12 }),
        fc.constantFrom(1, 7, 100, 5000),
        async (selector, order, timeoutMs, number) => {
          const key = JSON.stringify([selector, order])
          const whole =
            expected.get(key) ?? (await askAll({ store, selector, order, timeoutMs: 0 }, 20_000)).ids
          expected.set(key, whole)
          // Of what there is much of, more at once.
          const least = Math.ceil(whole.length / 50)
          const found = await askAll({ store, selector, order, timeoutMs }, Math.max(number, least))
          cuts += found.cuts
          expect(found.ids).toEqual(whole)
        },
      ),
      { numRuns: 8, endOnFailure: true },
    )
    expect(cuts).toBeGreaterThan(0)
  }, 120_000)
})

/** As a program does that follows the links, and gives more time to what failed. */
async function readPages(first: URL, init: RequestInit, firstMs: number) {
  const ids: string[] = []
  let cuts = 0
  let limitMs = firstMs
  let url: URL | undefined = first
  while (url) {
    url.searchParams.set('timeout_ms', String(limitMs))
    const headers = { 'content-type': 'application/json' }
    // An answer of more than a million characters breaks off in the middle.
    const answer: Response | undefined = await fetch(url, { ...init, headers }).catch(() => undefined)
    const text = await answer?.text().catch(() => undefined)
    if (!answer?.ok || text === undefined) {
      if (answer) expect([200, 400, 503]).toContain(answer.status)
      limitMs *= 2
      continue
    }
    ids.push(...Object.keys(JSON.parse(text) as object))
    const scannedTo = answer.headers.get('x-scanned-to')
    if (scannedTo !== null) {
      cuts++
      expect(scannedTo).toMatch(/^2026-01-01T/)
      expect(answer.headers.get('x-next-cursor')).not.toBeNull()
    }
    const link: string | undefined = /^<(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
    url = link === undefined ? undefined : new URL(link, first)
  }
  return { ids, cuts }
}

describe('a search that the time limit ends', () => {
  it('says by REST how far it came, and where it goes on', async () => {
    const flags = { document_db_url: `sqlite:${join(folder, 'e.db')}`, rate_limit_enabled: 'false' }
    const receiver = await startTestReceiver({ flags })
    const tea = JSON.stringify(textCondition('tea'))
    const asked: [path: string, init: RequestInit][] = [
      ['events?search=tea&number=0', {}],
      ['events?search=tea&number=500&cursor=', {}],
      ['events/query?order=newest', { method: 'POST', body: tea }],
    ]
    try {
      for (const [path, init] of asked) {
        let cuts = 0
        // A machine that is busy answers at once or not at all, now and then.
        for (let firstMs = 1; cuts === 0; firstMs++) {
          const found = await readPages(new URL(path, receiver.url), init, firstMs)
          expect(new Set(found.ids).size).toBe(found.ids.length)
          expect(found.ids.length).toBe(1200)
          cuts = found.cuts
        }
      }
    } finally {
      await receiver.close()
    }
  }, 60_000)
})
