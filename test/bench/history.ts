// Does a page of /events, /health and an export cost the same a event in a history of a million events as in one of ten thousand?
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { microsToTimestamp } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { residentBytesOf } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents } from '../support/workload.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'

type Sheet = Report & ReturnType<typeof createReport>

/** A database of so many events, a millisecond apart. */
interface History {
  url: string
  databaseName: string
  events: number
  scanBare(): Promise<number>
}

const batchEvents = 2000
const startMicros = Date.UTC(2026, 0, 1) * 1000
const main = join(import.meta.dirname, '../../receiver/src/main.ts')

async function fill(store: EventStore, count: number): Promise<void> {
  const writing: Promise<unknown>[] = []
  for (let at = 0; at < count; at += batchEvents) {
    const events = makeEvents(Math.min(batchEvents, count - at), at)
    for (const [i, event] of events.entries())
      event.event_timestamp = microsToTimestamp(startMicros + (at + i) * 1000)
    writing.push(store.write(events))
    if (writing.length >= store.writeConcurrency) await writing.shift()
  }
  await Promise.all(writing)
  await store.close()
}

/** Pages, by name: the newest ones, filters that are often met and seldom, in the middle of the time. */
function pagesOf(events: number): [name: string, path: string][] {
  const at = (share: number) => microsToTimestamp(startMicros + Math.floor(events * share) * 1000)
  return [
    ['no filter', 'events?number=100'],
    ['level', 'events?number=100&level=error'],
    ['time', `events?number=100&start_time=${at(0.2)}&end_time=${at(0.6)}`],
    ['level and time', `events?number=100&level=error&start_time=${at(0.2)}&end_time=${at(0.6)}`],
    ['health', 'health'],
  ]
}

async function measurePages(history: History): Promise<Map<string, number>> {
  const { url, databaseName, events } = history
  const flags = {
    server_url: 'http://127.0.0.1:0/',
    document_db_url: url,
    database_name: databaseName,
    log_level: 'fatal',
    otlp_port: 'none',
  }
  const receiver = await spawnReceiver({ flags })
  const costs = new Map<string, number>()
  try {
    for (const [name, path] of pagesOf(events)) {
      const times: number[] = []
      for (let round = 0; round < 40; round++) {
        const startedMs = performance.now()
        const answer = (await (await fetch(receiver.url + path)).json()) as { total_events?: number }
        times.push(performance.now() - startedMs)
        const found = name === 'health' ? answer.total_events : Object.keys(answer).length
        const expected = name === 'health' ? events : 100
        if (found !== expected) throw new Error(`${name}: ${found} instead of ${expected}`)
      }
      costs.set(name, median(times.slice(10)))
    }
  } finally {
    receiver.kill('SIGTERM')
    await receiver.exited
  }
  return costs
}

/** `madsci-events export` to nowhere: how long the whole process took, and its greatest resident memory in each half of that. */
async function runExport({
  url,
  databaseName,
}: History): Promise<{ ms: number; peakBytes: [number, number] }> {
  const startedMs = performance.now()
  const args = ['--conditions=madsci-events-source', main, 'export', '/dev/null']
  const child = spawn(
    process.execPath,
    [...args, `--document_db_url=${url}`, `--database_name=${databaseName}`],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const samples: number[] = []
  const sampler = setInterval(() => samples.push(residentBytesOf(child.pid!) ?? 0), 10)
  const code = await new Promise((resolve) => child.once('exit', resolve))
  clearInterval(sampler)
  if (code !== 0) throw new Error(`the export ended with ${code}`)
  const middle = Math.ceil(samples.length / 2)
  const peakBytes: [number, number] = [
    Math.max(...samples.slice(0, middle)),
    Math.max(...samples.slice(middle)),
  ]
  return { ms: performance.now() - startedMs, peakBytes }
}

async function timed(work: () => Promise<number>, expected: number): Promise<number> {
  const startedMs = performance.now()
  const count = await work()
  if (count !== expected) throw new Error(`${count} rows instead of ${expected}`)
  return performance.now() - startedMs
}

async function measure(
  report: Sheet,
  name: string,
  make: (events: number) => Promise<History>,
  scale: number,
) {
  const small = await make(10_000)
  const large = await make(Math.max(20_000, Math.round(1_000_000 * scale)))
  const before = await measurePages(small)
  const after = await measurePages(large)
  for (const [page, ms] of after) {
    report.note(`${name}, ${large.events} events, ${page}`, ms, 'ms')
    report.judge({
      what: `${name}: ${page}, beside ${small.events} events`,
      ratio: ms / before.get(page)!,
      kind: 'most',
      bound: 3,
    })
  }
  // A small one tells what the process costs that exports nothing.
  const start = await runExport(small)
  const bareMs = await timed(large.scanBare, large.events)
  const whole = await runExport(large)
  report.note(`${name}: bare scan by the driver`, (large.events / bareMs) * 1000, 'events/s')
  report.note(`${name}: export, its start included`, (large.events / whole.ms) * 1000, 'events/s')
  report.note(`${name}: export, resident in its first half`, whole.peakBytes[0] / 2 ** 20, 'MiB')
  report.note(`${name}: export, resident in its second half`, whole.peakBytes[1] / 2 ** 20, 'MiB')
  report.judge({
    what: `${name}: export beside a bare scan`,
    ratio: bareMs / Math.max(1, whole.ms - start.ms),
    kind: 'least',
    bound: 0.5,
  })
  report.judge({
    what: `${name}: memory of the export, second half beside first`,
    ratio: whole.peakBytes[1] / whole.peakBytes[0],
    kind: 'most',
    bound: 1.25,
  })
}

export const historyBench: Bench = {
  question: 'A page, /health and an export: a million events beside ten thousand',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const source = await findMongo()
    const mongod = 'skip' in source ? undefined : await startMongod()
    if ('skip' in source) report.skipped.push(source.skip)
    try {
      await measure(
        report,
        'SQLite',
        async (events) => {
          const path = join(folder, `${events}.db`)
          await fill(await openSqliteStore({ path, synchronous: 'off', log: silentLog }), events)
          return {
            url: `sqlite:${path}`,
            databaseName: 'unused',
            events,
            async scanBare() {
              const database = new DatabaseSync(path, { readOnly: true })
              let count = 0
              for (const row of database.prepare('SELECT * FROM events ORDER BY seq').iterate())
                if (row.document !== '') count++
              database.close()
              return count
            },
          }
        },
        scale,
      )
      if (!mongod) return report
      const client = await MongoClient.connect(mongod.url)
      try {
        await measure(
          report,
          'MongoDB',
          async (events) => {
            const databaseName = freshDatabaseName()
            const log = silentLog
            const store = { url: mongod.url, databaseName, collectionName: 'events', log }
            await fill(await openMongoStore(store), events)
            return {
              url: mongod.url,
              databaseName,
              events,
              async scanBare() {
                let count = 0
                const cursor = client.db(databaseName).collection('events').find({}, { batchSize: 1000 })
                for await (const document of cursor) if (document._id !== null) count++
                return count
              },
            }
          },
          scale,
        )
      } finally {
        await client.close()
      }
      return report
    } finally {
      await mongod?.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
}
