// What does intake feel of a cold report, on either store?
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import type { EventStore } from '../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { makeLabHistory } from '../support/lab-history.ts'
import { percentile, prepareRequest, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'
import { forget, startReceiver } from './report-receiver.ts'

type Sheet = Report & ReturnType<typeof createReport>

const days = 20

interface Place {
  name: string
  /** For the receiver's flags. */
  url: string
  databaseName: string
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const startedMs = performance.now()
  const result = await work()
  return [performance.now() - startedMs, result]
}

function check(text: string): void {
  const report = JSON.parse(text)
  const { total_sessions, nodes_tracked } = report.overall_summary
  if (total_sessions !== days || nodes_tracked !== 12)
    throw new Error(`${total_sessions} sessions and ${nodes_tracked} nodes`)
}

/** The latency of small OTLP requests while a receiver answers cold reports, beside that of an idle one, in turns. */
async function measureIntake(sheet: Sheet, place: Place, scale: number): Promise<void> {
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
    const rounds: { idle: number; busy: number; report: number; ratio: number }[] = []
    const requests = Math.max(60, Math.round(400 * scale))
    while (rounds.length < Math.max(3, Math.round(5 * scale))) {
      const before = await send(requests)
      if (rounds.length > 0) await forget(receiver.url)
      await sleep(200)
      const busy: number[] = []
      let isDone = false
      const asking = timed(async () => (await fetch(`${receiver.url}utilization/sessions`)).text())
      const done = asking.finally(() => {
        isDone = true
      })
      while (!isDone) busy.push(...(await send(20)))
      const [report, text] = await done
      check(text)
      // Idle before and after it: what else the machine does meanwhile comes and goes.
      const idle = percentile([...before, ...(await send(requests))], 0.99)
      const p99 = percentile(busy, 0.99)
      rounds.push({ idle, busy: p99, report, ratio: p99 / idle })
    }
    const middle = (key: 'idle' | 'busy' | 'report' | 'ratio') => median(rounds.map((round) => round[key]))
    sheet.note(`${place.name}: a cold report under intake`, middle('report'), 'ms')
    sheet.note(`${place.name}: p99 of 10 events by OTLP, idle`, middle('idle'), 'ms')
    sheet.note(`${place.name}: the same while the report runs`, middle('busy'), 'ms')
    const what = `${place.name}: intake p99, report / idle, median of ${rounds.length} rounds`
    sheet.judge({ what, ratio: middle('ratio'), kind: 'most', bound: 3 })
  } finally {
    receiver.kill('SIGTERM')
    await receiver.exited
  }
}

async function fill(store: EventStore, count: number): Promise<void> {
  for (const batch of makeLabHistory({ events: count, days })) await store.write(batch)
  await store.close()
}

export const reportIntakeBench: Bench = {
  question: 'What does intake feel while a receiver answers cold reports over 150,000 events?',
  async run(scale) {
    const sheet = createReport(this.question) as Sheet
    const count = Math.max(4000, Math.round(150_000 * scale))
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    try {
      const path = join(folder, 'events.db')
      await fill(await openSqliteStore({ path, synchronous: 'off', log: silentLog }), count)
      // Writing it back is no part of what is measured.
      const file = await open(path, 'r+')
      await file.sync()
      await file.close()
      await measureIntake(sheet, { name: 'SQLite', url: `sqlite:${path}`, databaseName: 'none' }, scale)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    const source = await findMongo()
    if ('skip' in source) {
      sheet.skipped.push(source.skip)
      return sheet
    }
    const mongod = await startMongod()
    try {
      const place = { name: 'MongoDB', url: mongod.url, databaseName: freshDatabaseName() }
      await fill(await openMongoStore({ ...place, log: silentLog }), count)
      const client = new MongoClient(mongod.url)
      await client.db('admin').command({ fsync: 1 })
      await client.close()
      await measureIntake(sheet, place, scale)
    } finally {
      await mongod.stop()
    }
    return sheet
  },
}
