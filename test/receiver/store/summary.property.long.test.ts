import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event, Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore, SummaryQuery } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { parseSelector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { Summary } from '../../../receiver/src/store/summary.ts'
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
  const histogram: { [key: string]: number } = {}
  for (const [ms, levels] of summary.histogram)
    for (const [level, n] of levels) histogram[`${ms} ${level}`] = n
  const facets = Object.fromEntries(
    [...summary.facets].flatMap(([name, { counts }]) =>
      counts.size > 0 ? [[name, Object.fromEntries(counts)]] : [],
    ),
  )
  expect(summary.isLate).toBe(false)
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
              expect(await sumOf(store, { ...query, timeoutMs: 0 }, buckets, bounds), store.kind).toEqual({
                ...expected,
                facets: Object.fromEntries(
                  Object.entries(expected.facets).filter(([, one]) => Object.keys(one).length > 0),
                ),
              })
          }
        } finally {
          for (const store of stores) await store.close()
        }
      },
    )
    await fc.assert(property, { numRuns: 12 })
  })

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
