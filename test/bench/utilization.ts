// What does /utilization/sessions cost over a million events, beside a bare scan of the same documents, the original, and intake?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { toDocument } from '@madsci-events/sdk/event'
import { type Document, MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openScan } from '../../receiver/src/store/scan.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { createReportEngine } from '../../receiver/src/utilization/report-engine.ts'
import { historyMix, makeLabHistory } from '../support/lab-history.ts'
import { percentile, prepareRequest, sendAll } from '../support/load.ts'
import { startMadsci } from '../support/madsci.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { findPeer } from '../support/peer.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'

type Sheet = Report & ReturnType<typeof createReport>

const days = 20

interface Place {
  name: string
  /** For the receiver's flags. */
  url: string
  databaseName: string
  open(): Promise<EventStore>
  /** Reads every document as the driver gives it; their number. */
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
  const ratio = median(cold.map((ms, round) => ms / bare[round]!))
  sheet.judge({ what: `${name}: cold / bare scan`, ratio, kind: 'most', bound: 1.5 })
  sheet.judge({ what: `${name}: warm / cold`, ratio: median(warm) / median(cold), kind: 'most', bound: 0.01 })
}

function check(text: string): void {
  const report = JSON.parse(text)
  const { total_sessions, nodes_tracked } = report.overall_summary
  if (total_sessions !== days || nodes_tracked !== 12)
    throw new Error(`${total_sessions} sessions and ${nodes_tracked} nodes`)
}

/** The latency of small OTLP requests while a receiver answers a cold report, beside that of an idle one. */
async function measureIntake(sheet: Sheet, place: Place, scale: number): Promise<void> {
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: place.url,
      database_name: place.databaseName,
      log_level: 'fatal',
    },
  })
  try {
    const port = Number(new URL(receiver.url).port)
    const send = async (requests: number) => {
      const bodies = toBatches(makeEvents(requests * 10), 10).map((batch) =>
        prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
      )
      return (await sendAll({ port, requests: bodies, connections: 2, pauseMs: 4 })).latenciesMs
    }
    const seconds = Math.max(0.3, 3 * scale)
    await send(Math.round(100 * scale) + 10)
    const idle = await send(Math.round(seconds * 300))
    const busy: number[] = []
    let isDone = false
    const asking = timed(async () => (await fetch(`${receiver.url}utilization/sessions`)).text())
    const done = asking.finally(() => {
      isDone = true
    })
    while (!isDone) busy.push(...(await send(20)))
    const [ms, text] = await done
    check(text)
    sheet.note(`${place.name}: the cold report under intake, with the start of its thread`, ms, 'ms')
    sheet.note(`${place.name}: p99 of 10 events by OTLP, idle`, percentile(idle, 0.99), 'ms')
    sheet.note(`${place.name}: the same while the report runs`, percentile(busy, 0.99), 'ms')
    const ratio = percentile(busy, 0.99) / percentile(idle, 0.99)
    sheet.judge({ what: `${place.name}: intake p99, report / idle`, ratio, kind: 'most', bound: 3 })
  } finally {
    receiver.kill('SIGTERM')
    await receiver.exited
  }
}

export const utilizationBench: Bench = {
  question: `Reports over a million events (${historyMix}): sessions, cold and warm, beside a bare scan by the driver; intake meanwhile; the original at 5,000`,
  async run(scale) {
    const sheet = createReport(this.question) as Sheet
    const count = Math.max(4000, Math.round(1_000_000 * scale))
    const wanted = process.env.MADSCI_BENCH_STORE
    if (wanted !== 'mongodb') await runSqlite(sheet, count, scale)
    if (wanted === 'sqlite') return sheet
    const source = await findMongo()
    if ('skip' in source) sheet.skipped.push(source.skip)
    else await runMongo(sheet, count, scale)
    return sheet
  },
}

async function runSqlite(sheet: Sheet, count: number, scale: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
  const path = join(folder, 'events.db')
  const place: Place = {
    name: 'SQLite',
    url: `sqlite:${path}`,
    databaseName: 'none',
    open: () => openSqliteStore({ path, synchronous: 'off', log: silentLog }),
    async scanBare() {
      const database = new DatabaseSync(path, { readOnly: true })
      let seen = 0
      for (const row of database.prepare('SELECT id, document FROM events').iterate())
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
    await measureIntake(sheet, place, scale)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runMongo(sheet: Sheet, count: number, scale: number): Promise<void> {
  const mongod = await startMongod()
  const client = new MongoClient(mongod.url)
  const databaseName = freshDatabaseName()
  const place: Place = {
    name: 'MongoDB',
    url: mongod.url,
    databaseName,
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
    await measureIntake(sheet, place, scale)
    await measureOriginal(sheet, { url: mongod.url, client, scale })
  } finally {
    await client.close()
    await mongod.stop()
  }
}

interface OriginalPlace {
  url: string
  client: MongoClient
  scale: number
}

/** The same 5,000 events in one database that both open. */
async function measureOriginal(sheet: Sheet, { url, client, scale }: OriginalPlace): Promise<void> {
  const peer = findPeer('MADSCI_PEER')
  if ('skip' in peer) {
    sheet.skipped.push(peer.skip)
    return
  }
  const databaseName = freshDatabaseName()
  const madsci = await startMadsci(peer.path, url, databaseName)
  try {
    const count = Math.max(400, Math.round(5000 * Math.min(1, scale * 4)))
    const events = client.db(databaseName).collection<Document>('events')
    for (const batch of makeLabHistory({ events: count, days: 2 }))
      await events.insertMany(batch.map((event) => toDocument(event) as Document))
    const store = await openMongoStore({ url, databaseName, log: silentLog })
    const cold: number[] = []
    let ours = ''
    for (let round = 0; round < 5; round++) {
      await sleep(20)
      const scan = openScan(store.scanSource)
      const engine = createReportEngine(scan, { timeoutMs: 0 })
      const [ms, text] = await timed(async () => readAll((await engine.answer(request)).pieces))
      cold.push(ms)
      ours = text
      await scan.close()
    }
    await store.close()
    const [originalMs, theirs] = await timed(() => madsci.report('sessions'))
    const summaryOf = (text: string) => JSON.stringify(JSON.parse(text).overall_summary)
    if (summaryOf(ours) !== summaryOf(theirs)) throw new Error('the original reports something else')
    sheet.note(`the original: sessions over ${count.toLocaleString('en-US')} events`, originalMs, 'ms')
    sheet.note('ours, cold, in the same database', median(cold), 'ms')
    sheet.judge({ what: 'the original / ours', ratio: originalMs / median(cold), kind: 'least', bound: 300 })
  } finally {
    await madsci.stop()
  }
}
