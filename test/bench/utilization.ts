// What does /utilization/sessions cost over a million events, cold and warm, beside a bare scan of the same documents?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openScan } from '../../receiver/src/store/scan.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { createReportEngine } from '../../receiver/src/utilization/report-engine.ts'
import { createTimelineEngine } from '../../receiver/src/utilization/timeline/timeline-engine.ts'
import { historyMix, makeLabHistory } from '../support/lab-history.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { makeEvents } from '../support/workload.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'

type Sheet = Report & ReturnType<typeof createReport>

const days = 20

interface Place {
  name: string
  open(): Promise<EventStore>
  /** Reads every document as the driver gives it: texts of JSON by node:sqlite, objects by mongodb; their number. */
  scanBare(): Promise<number>
}

async function fill(store: EventStore, count: number): Promise<void> {
  const writing: Promise<unknown>[] = []
  for (const batch of makeLabHistory({ events: count, days })) {
    writing.push(store.write(batch))
    if (writing.length >= store.writeConcurrency) await writing.shift()
  }
  await Promise.all(writing)
}

async function readAll(pieces: Iterable<string> | AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

const request = { report: 'sessions', parameters: {} }

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const startedMs = performance.now()
  const result = await work()
  return [performance.now() - startedMs, result]
}

/** Cold and warm beside the bare scan, each round in the same order, in this thread. */
async function measureReads(sheet: Sheet, place: Place, store: EventStore, count: number): Promise<void> {
  const { name } = place
  const bare: number[] = []
  const cold: number[] = []
  const warm: number[] = []
  const grown: number[] = []
  for (let round = 0; round < 3; round++) {
    const [bareMs, seen] = await timed(() => place.scanBare())
    if (seen < count) throw new Error(`the bare scan saw ${seen} of ${count}`)
    bare.push(bareMs)
    const scan = openScan(store.scanSource)
    const engine = createReportEngine(scan, { timeoutMs: 0 })
    const ask = async () => readAll((await engine.answer(request)).pieces)
    const [coldMs, text] = await timed(ask)
    check(text)
    cold.push(coldMs)
    for (let again = 0; again < 5; again++) warm.push((await timed(ask))[0])
    await store.write(makeEvents(500, round + 10))
    grown.push((await timed(ask))[0])
    await scan.close()
  }
  sheet.note(`${name}: bare scan by the driver`, median(bare), 'ms')
  sheet.note(`${name}: sessions, cold`, median(cold), 'ms')
  sheet.note(`${name}: sessions, warm`, median(warm), 'ms')
  sheet.note(`${name}: sessions, warm, after 500 new events`, median(grown), 'ms')
  sheet.note(`${name}: timeline, cold`, await measureTimeline(store), 'ms')
  const ratio = median(cold.map((ms, round) => ms / bare[round]!))
  sheet.judge({ what: `${name}: cold / bare scan`, ratio, kind: 'most', bound: 1.5 })
  sheet.judge({ what: `${name}: warm / cold`, ratio: median(warm) / median(cold), kind: 'most', bound: 0.01 })
}

/** The exact engine; once, for nothing is promised of it. */
async function measureTimeline(store: EventStore): Promise<number> {
  const scan = openScan(store.scanSource)
  const engine = createTimelineEngine(scan, createReportEngine(scan, { timeoutMs: 0 }))
  const [ms, text] = await timed(async () =>
    readAll((await engine.answer({ report: 'timeline', parameters: {} })).pieces),
  )
  await scan.close()
  if (JSON.parse(text).entities.length === 0) throw new Error('a timeline of nothing')
  return ms
}

function check(text: string): void {
  const report = JSON.parse(text)
  const { total_sessions, nodes_tracked } = report.overall_summary
  if (total_sessions !== days || nodes_tracked !== 12)
    throw new Error(`${total_sessions} sessions and ${nodes_tracked} nodes`)
}

export const utilizationBench: Bench = {
  question: `Reports over a million events (${historyMix}): sessions, cold and warm, beside a bare scan by the driver`,
  async run(scale) {
    const sheet = createReport(this.question) as Sheet
    const count = Math.max(4000, Math.round(1_000_000 * scale))
    const wanted = process.env.MADSCI_BENCH_STORE
    if (wanted !== 'mongodb') await runSqlite(sheet, count)
    if (wanted === 'sqlite') return sheet
    const source = await findMongo()
    if ('skip' in source) sheet.skipped.push(source.skip)
    else await runMongo(sheet, count)
    return sheet
  },
}

async function runSqlite(sheet: Sheet, count: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
  const path = join(folder, 'events.db')
  const place: Place = {
    name: 'SQLite',
    open: () => openSqliteStore({ path, synchronous: 'off', log: silentLog }),
    async scanBare() {
      const database = new DatabaseSync(path, { readOnly: true })
      let seen = 0
      for (const row of database.prepare('SELECT document FROM events').iterate())
        if ((row.document as string).length > 0) seen++
      database.close()
      return seen
    },
  }
  try {
    const store = await place.open()
    await fill(store, count)
    await measureReads(sheet, place, store, count)
    await store.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runMongo(sheet: Sheet, count: number): Promise<void> {
  const mongod = await startMongod()
  const client = new MongoClient(mongod.url)
  const databaseName = freshDatabaseName()
  const place: Place = {
    name: 'MongoDB',
    open: () => openMongoStore({ url: mongod.url, databaseName, log: silentLog }),
    async scanBare() {
      let seen = 0
      for await (const document of client.db(databaseName).collection('events').find())
        if (document._id) seen++
      return seen
    },
  }
  try {
    const store = await place.open()
    await fill(store, count)
    await measureReads(sheet, place, store, count)
    await store.close()
  } finally {
    await client.close()
    await mongod.stop()
  }
}
