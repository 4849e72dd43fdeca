// What does /utilization/sessions cost over a million events, beside a bare scan of the same documents, the original, and intake?
import { mkdtemp, open as openFile, rm } from 'node:fs/promises'
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
  /** What was filled in is on the disk: writing it back is no part of what is measured. */
  sync(): Promise<unknown>
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

/** A receiver whose thread of reports has started. */
async function startReceiver({ url, databaseName }: Pick<Place, 'url' | 'databaseName'>) {
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: url,
      database_name: databaseName,
      log_level: 'fatal',
    },
  })
  await sleep(2000)
  return receiver
}

/** After an event was deleted, the next report reads everything. */
async function forget(url: string): Promise<void> {
  const call = async (method: string, path: string, body?: object) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url + path, { method, ...(body && { headers, body: JSON.stringify(body) }) })
    return (await answer.json()) as { [key: string]: unknown }
  }
  const [id] = Object.keys(await call('GET', 'events?number=1'))
  await call('POST', 'events/archive', { event_ids: [id] })
  const { deleted_count } = await call('DELETE', 'events/archived?older_than_days=0')
  if (deleted_count !== 1) throw new Error('no event was deleted')
}

/** The latency of small OTLP requests while a receiver answers cold reports, beside that of an idle one, in turns. */
async function measureIntake(sheet: Sheet, place: Place, scale: number): Promise<void> {
  await place.sync()
  const receiver = await startReceiver(place)
  try {
    const port = Number(new URL(receiver.url).port)
    const send = async (requests: number) => {
      const bodies = toBatches(makeEvents(requests * 10), 10).map((batch) =>
        prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
      )
      return (await sendAll({ port, requests: bodies, connections: 2, pauseMs: 4 })).latenciesMs
    }
    await send(Math.round(300 * scale) + 10)
    const idle: number[] = []
    const busy: number[] = []
    const reports: number[] = []
    // Two hundred at least, or a 99th percentile is the worst of all.
    const least = Math.max(200, Math.round(1000 * Math.min(1, scale * 4)))
    while (reports.length < 12 && (reports.length < 3 || busy.length < least)) {
      idle.push(...(await send(Math.ceil(least / 3))))
      if (reports.length > 0) await forget(receiver.url)
      await sleep(200)
      let isDone = false
      const asking = timed(async () => (await fetch(`${receiver.url}utilization/sessions`)).text())
      const done = asking.finally(() => {
        isDone = true
      })
      while (!isDone) busy.push(...(await send(20)))
      const [ms, text] = await done
      check(text)
      reports.push(ms)
    }
    sheet.note(`${place.name}: a cold report under intake`, median(reports), 'ms')
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
    async sync() {
      const file = await openFile(path, 'r+')
      await file.sync()
      await file.close()
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
    sync: () => client.db('admin').command({ fsync: 1 }),
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

/** The same 5,000 events in one database that both open, and in a file, as a client sees it: by HTTP. */
async function measureOriginal(sheet: Sheet, { url, client, scale }: OriginalPlace): Promise<void> {
  const peer = findPeer('MADSCI_PEER')
  if ('skip' in peer) {
    sheet.skipped.push(peer.skip)
    return
  }
  const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
  const databaseName = freshDatabaseName()
  const madsci = await startMadsci(peer.path, url, databaseName)
  const ours = [
    { name: 'MongoDB', place: { url, databaseName } },
    { name: 'SQLite', place: { url: `sqlite:${join(folder, 'events.db')}`, databaseName } },
  ]
  try {
    const count = Math.max(400, Math.round(5000 * Math.min(1, scale * 4)))
    const batches = [...makeLabHistory({ events: count, days: 2 })]
    const events = client.db(databaseName).collection<Document>('events')
    const store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
    for (const batch of batches) {
      await events.insertMany(batch.map((event) => toDocument(event) as Document))
      await store.write(batch)
    }
    await store.close()
    const summaryOf = (text: string) => JSON.stringify(JSON.parse(text).overall_summary)
    // It stores what it logs: without a window, that would be part of the next report.
    const request = 'sessions?start_time=2026-01-05&end_time=2026-01-07'
    await madsci.report('sessions?start_time=2000-01-01')
    const [originalMs, theirs] = await timed(() => madsci.report(request))
    sheet.note(`the original: sessions over ${count.toLocaleString('en-US')} events`, originalMs, 'ms')
    for (const { name, place } of ours) {
      const receiver = await startReceiver(place)
      try {
        const ask = () => timed(async () => (await fetch(`${receiver.url}utilization/${request}`)).text())
        const [firstMs, text] = await ask()
        if (summaryOf(text) !== summaryOf(theirs)) throw new Error('the original reports something else')
        const warm: number[] = []
        for (let round = 0; round < 9; round++) warm.push((await ask())[0])
        const cold: number[] = []
        for (let round = 0; round < 9; round++) {
          await forget(receiver.url)
          await sleep(20)
          cold.push((await ask())[0])
        }
        sheet.note(`ours on ${name}, the first report of its life`, firstMs, 'ms')
        sheet.note(`ours on ${name}, cold`, median(cold), 'ms')
        sheet.note(`ours on ${name}, warm`, median(warm), 'ms')
        const what = `the original / ours on ${name}, cold`
        sheet.judge({ what, ratio: originalMs / median(cold), kind: 'least', bound: 300 })
      } finally {
        receiver.kill('SIGTERM')
        await receiver.exited
      }
    }
  } finally {
    await madsci.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
