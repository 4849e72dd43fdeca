// How long does each store take for the first page of a question by id or text, and for a summary?
import { rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { microsToTimestamp, type Value } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import { textCondition, typeCondition } from '../../receiver/src/search/condition.ts'
import type { EventStore, FindQuery, SummaryQuery } from '../../receiver/src/store/event-store.ts'
import { type MongoStoreOptions, openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { type IndexState, indexNote } from '../../receiver/src/store/mongo/posting.ts'
import { parseSelector } from '../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { blockEvents } from '../../receiver/src/store/sqlite/posting.ts'
import { indexedSeqSql } from '../../receiver/src/store/sqlite/posting-task.ts'
import { Summary } from '../../receiver/src/store/summary.ts'
import { subjectCondition } from '../../receiver/src/subject.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { waitUntil } from '../support/wait.ts'
import { makeEvents } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const batchEvents = 2000
const pageEvents = 100
const rounds = 3
/** What takes longer is asked once. */
const enoughMs = 2000
const startMicros = Date.UTC(2026, 0, 1) * 1000
/** Generated files of at least so many events stay, for the next run. */
const keptEvents = 1_000_000
const longMs = 600_000
/** Room for ten million events. */
const columnBytes = 2 ** 29

const sourceId = (kind: string, number: number) => `${kind}${String(number).padStart(26 - kind.length, '0')}`

/** A workflow lasts 5,000 events, an experiment 50,000; there is one workcell, and twelve nodes. */
function makeHistory(at: number, count: number) {
  return makeEvents(count, at).map((event, i) => {
    const index = at + i
    return {
      ...event,
      event_timestamp: microsToTimestamp(startMicros + index * 1000),
      source: {
        node_id: sourceId('N', index % 12),
        workflow_id: sourceId('W', Math.floor(index / 5000)),
        experiment_id: sourceId('E', Math.floor(index / 50_000)),
        workcell_id: sourceId('C', 0),
      },
      trace_id: Math.floor(index / 20)
        .toString(16)
        .padStart(32, '0'),
    }
  })
}

async function fill(store: EventStore, events: number): Promise<void> {
  const writing: Promise<unknown>[] = []
  const stored = (await store.health()).totalEvents ?? 0
  for (let at = stored; at < events; at += batchEvents) {
    writing.push(store.write(makeHistory(at, Math.min(batchEvents, events - at))))
    if (writing.length >= store.writeConcurrency) await writing.shift()
  }
  await Promise.all(writing)
}

/** Each with the number of events of its first page, where that is known. */
function questionsOf(events: number): [name: string, query: Partial<FindQuery>, expected?: number][] {
  const selector = (source: Value) => ({ selector: parseSelector(source) })
  const of = (count: number) => Math.min(pageEvents, count)
  const middle = Math.floor(events / 2)
  return [
    ['first workflow', selector({ 'source.workflow_id': sourceId('W', 0) }), of(events)],
    [
      'experiment',
      selector({ 'source.experiment_id': sourceId('E', Math.floor(middle / 50_000)) }),
      pageEvents,
    ],
    [
      'node, from the middle on',
      {
        ...selector({ 'source.node_id': sourceId('N', 3) }),
        upTo: microsToTimestamp(startMicros + middle * 1000),
      },
      pageEvents,
    ],
    ['workcell', selector({ 'source.workcell_id': sourceId('C', 0) }), pageEvents],
    ['trace', selector({ trace_id: '3'.padStart(32, '0') }), 20],
    ['unknown user', selector({ 'source.user_id': sourceId('U', 0) }), 0],
    ['common word', selector(textCondition('transferred'))],
    ['word of no event', selector(textCondition('xylophone')), 0],
  ]
}

async function ask(store: EventStore, query: Partial<FindQuery>): Promise<number> {
  const whole: FindQuery = {
    archived: 'exclude',
    order: 'newest',
    limit: pageEvents,
    offset: 0,
    timeoutMs: 0,
  }
  let count = 0
  for await (const chunk of store.find({ ...whole, ...query })) count += chunk.length
  return count
}

async function measure(
  store: EventStore,
  events: number,
  note: (what: string, value: number, unit?: string) => void,
): Promise<void> {
  const time = async (what: string, run: () => Promise<void>) => {
    const times: number[] = []
    const firstMs = performance.now()
    for (let round = 0; round < rounds && performance.now() - firstMs < enoughMs; round++) {
      const startedMs = performance.now()
      await run()
      times.push(performance.now() - startedMs)
    }
    note(what, median(times))
  }
  for (const [name, query, expected] of questionsOf(events)) {
    await time(name, async () => {
      const found = await ask(store, query)
      if (expected !== undefined && found !== expected)
        throw new Error(`${name}: ${found} events instead of ${expected}`)
    })
  }
  note('until columns tell', await untilColumnsTell(store, events))
  note('columns', store.columnState!().bytes / events, 'bytes an event')
  for (const [name, query, expected] of summariesOf(events)) {
    await time(`summary with facets, ${name}`, async () => {
      const whole = { archived: 'exclude', timeoutMs: 0, ...query } as const
      const summary = new Summary({ buckets: 120 })
      for await (const part of store.summarize(whole, { buckets: 120 })) summary.addPart(part)
      if (expected !== undefined && summary.total !== expected)
        throw new Error(`the summary of ${name} counts ${summary.total} of ${expected}`)
      const nodes = [...summary.facets.get('node')!.counts.values()].reduce((sum, count) => sum + count, 0)
      if (nodes !== summary.total) throw new Error(`its facet of nodes counts ${nodes}`)
    })
  }
}

/** Since the store was opened, or since the index of ids was whole. */
async function untilColumnsTell(store: EventStore, events: number): Promise<number> {
  const startedMs = performance.now()
  const isWhole = async () => {
    const state = store.columnState!()
    return state.phase === 'ready' && state.events === events
  }
  await waitUntil(isWhole, 'the columns', longMs)
  return performance.now() - startedMs
}

/** As many events as a day of a laboratory that makes a million a month. */
const dayEvents = 33_000

function summariesOf(events: number): [name: string, query: Partial<SummaryQuery>, expected?: number][] {
  const after = (index: number) => microsToTimestamp(startMicros + index * 1000)
  const day = Math.min(events, dayEvents)
  return [
    ['everything', {}, events],
    [`the last ${day}`, { startTime: after(events - day) }, day],
    ['warnings and errors', { minLevel: 30 }],
    [
      'one workflow',
      { selector: parseSelector({ 'source.workflow_id': sourceId('W', 0) }) },
      Math.min(events, 5000),
    ],
    [
      'a node, but not one type',
      {
        selector: parseSelector({
          $and: [subjectCondition('node', [sourceId('N', 3)], []), { $nor: [typeCondition(['log_info'])] }],
        }),
      },
    ],
  ]
}

async function openFilledSqlite(path: string, events: number): Promise<EventStore> {
  const store = await openSqliteStore({ path, columnBytes, log: silentLog })
  await fill(store, events)
  const reading = new DatabaseSync(path, { readOnly: true })
  const indexed = reading.prepare(indexedSeqSql)
  const whole = Math.floor(events / blockEvents) * blockEvents
  await waitUntil(
    async () => (indexed.get() as { value: number }).value === whole,
    'the index of ids',
    longMs * 6,
  )
  reading.close()
  return store
}

/** Filled and with its index of ids, as far as that holds whole blocks. */
async function openFilledMongo(options: MongoStoreOptions, client: MongoClient, events: number) {
  const store = await openMongoStore(options)
  await fill(store, events)
  const meta = client.db(options.databaseName).collection<{ _id: string; text: string }>('events_meta')
  await waitUntil(
    async () => {
      const note = await meta.findOne({ _id: `note:${indexNote}` })
      const state = note && (JSON.parse(note.text) as IndexState)
      return state !== null && state.after === undefined && state.base !== undefined
    },
    'the index of ids',
    longMs * 6,
  )
  return store
}

export const questionsBench: Bench = {
  question: 'the first 100 events of a question, and a summary, on both stores',
  async run(scale, print) {
    const report = createReport(this.question, print)
    const events = Math.max(5000, Math.round(1_000_000 * scale))
    const folder = join(tmpdir(), `madsci-questions-${events}`)
    const isKept = events >= keptEvents
    try {
      const path = join(folder, 'events.db')
      const sqlite = await openFilledSqlite(path, events)
      try {
        await measure(sqlite, events, (what, value, unit = 'ms') =>
          report.note(`SQLite, ${events}: ${what}`, value, unit),
        )
      } finally {
        await sqlite.close()
      }
      report.note(`SQLite, ${events}: file`, (await stat(path)).size / events, 'bytes an event')
      const source = await findMongo()
      if ('skip' in source) {
        report.skipped.push(source.skip)
        return report
      }
      const isOurs = source.kind === 'binary'
      const mongod = await startMongod(isOurs && isKept ? { folder: join(folder, 'mongodb') } : {})
      const client = await new MongoClient(mongod.url).connect()
      try {
        const databaseName = isOurs ? 'questions' : freshDatabaseName()
        const options = {
          url: mongod.url,
          databaseName,
          collectionName: 'events',
          columnBytes,
          log: silentLog,
        }
        const mongo = await openFilledMongo(options, client, events)
        try {
          await measure(mongo, events, (what, value, unit = 'ms') =>
            report.note(`MongoDB, ${events}: ${what}`, value, unit),
          )
        } finally {
          await mongo.close()
        }
        const { storageSize, indexSize } = await client.db(databaseName).stats()
        report.note(`MongoDB, ${events}: documents`, storageSize / events, 'bytes an event')
        report.note(`MongoDB, ${events}: indexes`, indexSize / events, 'bytes an event')
      } finally {
        await client.close()
        await mongod.stop()
      }
      report.note('memory of both stores, in one process', process.memoryUsage().rss / 2 ** 20, 'MiB')
      return report
    } finally {
      if (!isKept) await rm(folder, { recursive: true, force: true })
    }
  },
}
