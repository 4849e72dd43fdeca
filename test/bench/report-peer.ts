// How much faster than the original's are our reports over 5,000 events, as a client sees it?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { toDocument } from '@madsci-events/sdk/event'
import { type Document, MongoClient } from 'mongodb'
import { silentLog } from '../../receiver/src/log.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { makeLabHistory } from '../support/lab-history.ts'
import { startMadsci } from '../support/madsci.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer } from '../support/peer.ts'
import { type Bench, createReport, median, type Report } from './figure.ts'
import { forget, startReceiver } from './report-receiver.ts'

type Sheet = Report & ReturnType<typeof createReport>

interface Place {
  url: string
  client: MongoClient
  scale: number
  /** Of the original. */
  path: string
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const startedMs = performance.now()
  const result = await work()
  return [performance.now() - startedMs, result]
}

/** The same 5,000 events in one database that both open, and in a file, as a client sees it: by HTTP. */
async function measure(sheet: Sheet, { url, client, scale, path }: Place): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
  const databaseName = freshDatabaseName()
  const madsci = await startMadsci(path, url, databaseName)
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

export const reportPeerBench: Bench = {
  question: "How much faster than the original's are reports over 5,000 events, by HTTP?",
  async run(scale) {
    const sheet = createReport(this.question) as Sheet
    const peer = findPeer('MADSCI_PEER')
    const source = await findMongo()
    for (const one of [peer, source]) if ('skip' in one) sheet.skipped.push(one.skip)
    if ('skip' in peer || 'skip' in source) return sheet
    const mongod = await startMongod()
    const client = new MongoClient(mongod.url)
    try {
      await measure(sheet, { url: mongod.url, client, scale, path: peer.path })
    } finally {
      await client.close()
      await mongod.stop()
    }
    return sheet
  },
}
