import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event, Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import { parseSearch } from '../../../receiver/src/search/search.ts'
import { type ColumnBuilder, createColumnBuilder } from '../../../receiver/src/store/column/builder.ts'
import { openColumnSource } from '../../../receiver/src/store/column/open-source.ts'
import type { ArchiveSelection, EventStore, SummaryQuery } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { Summary } from '../../../receiver/src/store/summary.ts'
import { addEvent } from '../../../receiver/src/store/summary-fold.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'

const ids = ['01JJ4S0WNGEF5FQAZG5KDGJRB0', '01JJ4S0WNGEF5FQAZG5KDGJRB1']
const id = fc.constantFrom(null, ...ids)
const name = fc.constantFrom<Value[]>('arm', 'reader', 'a b', '', 'x'.repeat(301), 5, ['arm'], { a: 'arm' })
const optional = { requiredKeys: [] as never[] }
const data = fc.oneof(
  fc.constantFrom<Value[]>('text', 3, null, ['arm']),
  fc.record(
    {
      event_type: fc.constantFrom<Value[]>('workflow_start', 'log_info', 'none', 'unknown', 7),
      node_id: fc.constantFrom(...ids),
      node_name: name,
      node_info: fc.constantFrom<Value[]>({ node_name: 'inner' }, 'text'),
      component_name: name,
      name,
      workflow_name: name,
      'step.name': name,
      workflow_author: name,
    },
    optional,
  ),
)
const event: fc.Arbitrary<Partial<Event>> = fc.record({
  event_type: fc.constantFrom(
    'log_info',
    'log',
    'node_error',
    'workflow_start',
    'unknown',
    'workflow_step_start',
  ),
  log_level: fc.constantFrom(0, 10, 20, 30, 40, 50),
  event_timestamp: fc.constantFrom(
    '2026-01-01T00:00:00.000000Z',
    '2026-01-01T00:00:00.999999',
    '2026-01-01T00:00:01.000000Z',
    '2026-03-01T12:00:00.000000Z',
    '1999-12-31T23:59:59.123456Z',
    '0001-01-01T00:00:00.000000Z',
    '9999-12-31T23:59:59.999999Z',
  ),
  source: fc.record({ node_id: id, workflow_id: id, experiment_id: id, workcell_id: id, user_id: id }),
  event_data: data,
  archived: fc.boolean(),
  otel: fc.constantFrom(
    undefined,
    { resource: { 'service.name': 'pump' } },
    { resource: { service: { name: 'x' } } },
  ),
}) as fc.Arbitrary<Partial<Event>>

const filter: fc.Arbitrary<Omit<SummaryQuery, 'timeoutMs'>> = fc
  .record(
    {
      archived: fc.constantFrom('include', 'exclude', 'only'),
      minLevel: fc.constantFrom(0, 20, 30, 40),
      startTime: fc.constantFrom('2000-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.999999Z'),
      endTime: fc.constantFrom('2026-01-01T00:00:00.999999Z', '2026-02-01T00:00:00.000000'),
      selector: fc.constantFrom<Value[]>(
        { 'source.node_id': ids[0]! },
        { 'otel.resource.service.name': 'pump' },
        { 'event_data.node_name': { $regex: 'r' } },
      ),
    },
    { requiredKeys: ['archived'] },
  )
  .map(({ selector, ...rest }) => ({
    ...rest,
    ...(selector !== undefined && { selector: parseSelector(selector) }),
  })) as fc.Arbitrary<Omit<SummaryQuery, 'timeoutMs'>>

/** Without lists, and at more times. */
const plainEvent = fc.tuple(event, fc.nat(40)).map(([one, second]): Partial<Event> => {
  const { event_data: data, event_timestamp: time } = one
  const isPlain = typeof data === 'object' && data !== null && !Array.isArray(data)
  const members = isPlain ? Object.entries(data).filter(([, value]) => !Array.isArray(value)) : []
  const isLong = (value: unknown) => typeof value === 'string' && value.length > 300
  return {
    ...one,
    event_data: isPlain ? Object.fromEntries(members.filter(([, value]) => !isLong(value))) : 'text',
    ...(second > 9 && time!.startsWith('2026') && { event_timestamp: `2026-01-01T00:00:${second}.123456Z` }),
  } as Partial<Event>
})

/** What columns can tell, and some of what they cannot. */
const line = fc.constantFrom(
  '',
  'node:arm',
  `node:${ids[0]} -level:info`,
  `workflow:arm,${ids[1]}`,
  'user:reader',
  '-experiment:arm',
  'type:workflow_start',
  '-type:log_info',
  'service:pump',
  'level>=warning -service:arm',
  'since:2026-01-01T00:00:00.999999Z',
  'until:2026-01-01T00:00:00.999999Z -node:reader',
  'alert:false',
  '{"source.node_id": {"$exists": false}}',
  '{"event_data.name": {"$ne": "arm"}}',
  '{"$nor": [{"event_data.name": {"$gt": "a"}}, {"event_data.node_name": 5}]}',
  '{"$expr": {"$eq": ["$log_level", 20]}}',
)
const toQuery = (text: string): Pick<SummaryQuery, 'selector'> => {
  const search = parseSearch(text, { now: new Date() })
  if ('problem' in search) throw new Error(search.problem.message)
  const selector = search.toSelector(({ kind }) => (kind === 'node' ? [ids[1]!] : []))
  return selector === undefined ? {} : { selector: parseSelector(selector) }
}

type Json = { [name: string]: unknown }
const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const text = (value: unknown) =>
  typeof value === 'string' && value !== '' && value.length <= 300 ? value : undefined

/** The rules of receiver/docs/routes.md, "Summaries", in plain words over the documents that the store finds. */
function sumUp(documents: Json[], buckets: number, bounds: number[]) {
  const count = (map: { [key: string]: number }, key: string | undefined) => {
    if (key !== undefined) map[key] = (map[key] ?? 0) + 1
  }
  const facets: { [name: string]: { [key: string]: number } } = {}
  const at = (facet: string) => (facets[facet] ??= {})
  const times: [number, number][] = []
  for (const { event_type, log_level, event_timestamp, event_data, source, otel } of documents) {
    const data: Json = isRecord(event_data) ? event_data : {}
    const time = String(event_timestamp)
    times.push([Date.parse(time.endsWith('Z') ? time : `${time}Z`), log_level as number])
    count(at('level'), String(log_level))
    const isLog = /^log(_|$)/.test(String(event_type))
    const type = isLog && data.event_type === 'workflow_start' ? 'workflow_start' : String(event_type)
    count(at('type'), type)
    const resource = (isRecord(otel) ? otel.resource : undefined) as Json | undefined
    const service = resource?.['service.name'] ?? (resource?.service as Json | undefined)?.name
    count(at('service'), text(service) ?? text(data.component_name))
    for (const kind of ['node', 'workcell', 'workflow', 'experiment', 'user']) {
      const known = text((source as Json)[`${kind}_id`]) ?? text(data[`${kind}_id`])
      const info = isRecord(data.node_info) ? data.node_info : {}
      const called =
        text(data[`${kind}_name`]) ??
        (kind === 'node' ? text(info.node_name) : undefined) ??
        (kind === 'user' ? text(data.workflow_author) : undefined) ??
        (kind === 'workflow' && type === 'workflow_start' ? text(data.name) : undefined) ??
        (kind === 'node' && type === 'node_error' ? text(data.name) : undefined)
      count(at(kind), known !== undefined ? `i${known}` : called !== undefined ? `n${called}` : undefined)
    }
  }
  const all = [...times.map(([ms]) => ms), ...bounds]
  const widths = [1, 10, 100, 1e3, 5e3, 15e3, 3e4, 6e4, 3e5, 9e5, 18e5, 36e5, 108e5, 216e5, 432e5, 864e5]
  widths.push(...[7, 28, 364, 3640, 36_400, 364_000, 3_640_000, 36_400_000].map((days) => days * 864e5))
  const origin = Date.parse('0001-01-01T00:00:00Z')
  const piece = (ms: number, width: number) => Math.floor((ms - origin) / width)
  const width = widths.find(
    (one) => all.length === 0 || piece(Math.max(...all), one) - piece(Math.min(...all), one) < buckets,
  )!
  const histogram: { [key: string]: number } = {}
  for (const [ms, level] of times) count(histogram, `${piece(ms, width) * width + origin} ${level}`)
  for (const facet of Object.keys(facets)) if (Object.keys(facets[facet]!).length === 0) delete facets[facet]
  return { total: documents.length, width: all.length === 0 ? 1 : width, histogram, facets }
}

async function sumOf(
  store: EventStore,
  query: SummaryQuery,
  buckets: number,
  [from, until]: (number | undefined)[],
) {
  const options = {
    buckets,
    ...(from !== undefined && { fromMs: from }),
    ...(until !== undefined && { untilMs: until }),
  }
  const summary = new Summary(options)
  for await (const part of store.summarize(query, options)) summary.addPart(part)
  expect(summary.isLate).toBe(false)
  return toPlain(summary)
}

function toPlain(summary: Summary) {
  const histogram: { [key: string]: number } = {}
  for (const [ms, levels] of summary.histogram)
    for (const [level, n] of levels) histogram[`${ms} ${level}`] = n
  const facets = Object.fromEntries(
    [...summary.facets].flatMap(([name, { counts }]) =>
      counts.size > 0 ? [[name, Object.fromEntries(counts)]] : [],
    ),
  )
  return { total: summary.total, width: summary.widthMs, histogram, facets }
}

const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

describe('a summary', () => {
  let mongod: Mongod
  let folder: string
  beforeEach((context) => context.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    folder = await mkdtemp(join(tmpdir(), 'madsci-summary-'))
  })
  afterAll(async () => {
    if (reason) return
    await mongod.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('is the same on SQLite and MongoDB, and what a plain sum over the events found says', async () => {
    let run = 0
    const question = fc.record({ query: filter, buckets: fc.constantFrom(1, 2, 60, 1000) })
    const property = fc.asyncProperty(
      fc.array(event, { minLength: 1, maxLength: 300 }),
      fc.array(question, { minLength: 4, maxLength: 4 }),
      async (events, questions) => {
        const stores = [
          await openSqliteStore({ path: join(folder, `${++run}.db`), log: silentLog }),
          await openMongoStore({ url: mongod.url, databaseName: freshDatabaseName(), log: silentLog }),
        ]
        try {
          for (const store of stores) {
            const written = await store.write(events.map((one, index) => makeEvent(String(index), one)))
            expect(new Set(written)).toEqual(new Set(['stored']))
          }
          for (const { query, buckets } of questions) {
            const ms = (time: string | undefined) =>
              time === undefined ? undefined : Date.parse(time.endsWith('Z') ? time : `${time}Z`)
            const bounds = [ms(query.startTime), ms(query.endTime)]
            const documents: Json[] = []
            const all = { ...query, order: 'none', limit: 0, offset: 0, timeoutMs: 0 } as const
            for await (const chunk of stores[0]!.find(all))
              for (const { json } of chunk) documents.push(JSON.parse(json) as Json)
            const expected = sumUp(
              documents,
              buckets,
              bounds.filter((one) => one !== undefined),
            )
            for (const store of stores)
              expect(await sumOf(store, { ...query, timeoutMs: 0 }, buckets, bounds), store.kind).toEqual(
                expected,
              )
          }
        } finally {
          for (const store of stores) await store.close()
        }
      },
    )
    await fc.assert(property, { numRuns: 12 })
  })

  it('is the same from columns that follow the store, at any moment of their making', async () => {
    let run = 0
    let told = 0
    const few = { minLength: 1, maxLength: 60 }
    const act = fc.oneof(
      fc.record({ write: fc.array(plainEvent, { minLength: 1, maxLength: 40 }) }),
      fc.record({ steps: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ archive: fc.array(fc.nat(80), { minLength: 1, maxLength: 3 }) }),
      fc.record({ before: fc.constantFrom('2026-01-01T00:00:00.999999Z', '2026-02-01T00:00:00.000000Z') }),
      fc.record({ ask: fc.array(fc.tuple(filter, line), { minLength: 4, maxLength: 8 }) }),
    )
    const property = fc.asyncProperty(
      // Some shapes the columns leave to the reading.
      fc.oneof(
        { weight: 9, arbitrary: fc.array(plainEvent, few) },
        { weight: 1, arbitrary: fc.array(event, few) },
      ),
      fc.array(act, { minLength: 6, maxLength: 14 }),
      fc.constantFrom(3, 20, 500),
      async (events, acts, eventsAtOnce) => {
        const stores = [
          await openSqliteStore({ path: join(folder, `columns-${++run}.db`), log: silentLog }),
          await openMongoStore({ url: mongod.url, databaseName: freshDatabaseName(), log: silentLog }),
        ]
        for (const store of stores) {
          let count = 0
          const write = async (list: Partial<Event>[]) => {
            const written = await store.write(list.map((one) => makeEvent(String(count++), one)))
            expect(new Set(written)).toEqual(new Set(['stored']))
            // What was written has its place in the order of commits.
            await store.commitCursor()
          }
          const source = (await openColumnSource(store.scanSource, eventsAtOnce))!
          const builder = createColumnBuilder(source, 2 ** 26)
          const archive = async (selection: ArchiveSelection, times: string[]) => {
            for await (const _ of store.archive(selection, { batchSize: 7 })) void _
            // As the store does, which knows of each commit.
            if (store.kind === 'sqlite') for (const time of times) builder.dropArchived(time)
          }
          try {
            await write(events)
            for (const one of acts) {
              if ('write' in one) await write(one.write)
              else if ('steps' in one) for (let step = 0; step < one.steps; step++) await builder.step()
              else if ('archive' in one) {
                const found = await Promise.all(one.archive.map((number) => store.get(String(number))))
                const stored = found.filter((event) => event !== undefined)
                const times = stored.map(({ json }) => JSON.parse(json).event_timestamp as string)
                await archive({ ids: one.archive.map(String) }, times)
              } else if ('before' in one) await archive({ before: one.before }, [one.before])
              else
                for (const [index, [asked, text]] of one.ask.entries()) {
                  const query = { ...asked, archived: 'exclude', ...toQuery(text) } as const
                  if (await agrees(store, builder, query, index % 2 === 0 ? 60 : 1)) told++
                }
            }
            while (!(await builder.step()).isDone) void 0
            expect(builder.state.completeSinceMs === Number.NEGATIVE_INFINITY).toBe(true)
            expect(await agrees(store, builder, { archived: 'exclude' }, 60)).toBe(true)
          } finally {
            await source.close()
            await store.close()
          }
        }
      },
    )
    await fc.assert(property, { numRuns: 12 })
    expect(told).toBeGreaterThan(0)
  })

  /** False: the columns do not tell. */
  async function agrees(
    store: EventStore,
    builder: ColumnBuilder,
    query: Omit<SummaryQuery, 'timeoutMs'>,
    buckets: number,
  ): Promise<boolean> {
    const answer = await builder.answer(query, { buckets })
    if (!answer) return false
    const summary = new Summary({ buckets })
    summary.addPart(answer.part)
    const documents: Json[] = []
    const all = { ...query, order: 'newest', limit: 0, offset: 0, timeoutMs: 0 } as const
    for await (const chunk of store.find(all))
      for (const { json } of chunk) documents.push(JSON.parse(json) as Json)
    if (answer.upTo !== undefined) {
      const rest: Json[] = []
      for await (const chunk of store.find({ ...all, upTo: answer.upTo }))
        for (const { json } of chunk) rest.push(JSON.parse(json) as Json)
      for (const document of rest) addEvent(summary, document as Value)
    }
    expect(toPlain(summary), `${store.kind} ${JSON.stringify(query)}`).toEqual(sumUp(documents, buckets, []))
    return true
  }

  it('comes in parts that join to the same, whatever their borders', () => {
    const times = fc.array(fc.tuple(fc.integer({ min: -6e13, max: 2.5e14 }), fc.constantFrom(10, 20, 40)), {
      maxLength: 50,
    })
    fc.assert(
      fc.property(
        times,
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom(1, 5, 100),
        (list, size, buckets) => {
          const whole = new Summary({ buckets })
          const joined = new Summary({ buckets })
          for (let at = 0; at < list.length; at += size) {
            const part = new Summary({ buckets })
            for (const [ms, level] of list.slice(at, at + size)) {
              part.addTime(ms, level)
              part.addValue('level', String(level))
              whole.addTime(ms, level)
              whole.addValue('level', String(level))
            }
            joined.addPart(part.toPart())
          }
          expect(joined.widthMs).toBe(whole.widthMs)
          expect(joined.histogram).toEqual(whole.histogram)
          expect(joined.facets).toEqual(whole.facets)
          expect(joined.histogram.length).toBeLessThanOrEqual(buckets)
        },
      ),
    )
  })
})
