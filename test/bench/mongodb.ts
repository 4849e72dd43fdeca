// How fast do OTLP events reach MongoDB, beside the driver's own insertMany of the same documents, and what does each index cost?

import { toDocument } from '@madsci-events/sdk/event'
import type { Document } from 'mongodb'
import { Long, MongoClient } from 'mongodb'
import { cpuMsOf, prepareRequest, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const batchEvents = 1000
const writeConcern = { w: 'majority', j: true } as const

export const mongodbBench: Bench = {
  question:
    'OTLP/HTTP protobuf into MongoDB, acknowledged after commit, beside insertMany (same documents, indexes, write concern)',
  async run(scale) {
    const report = createReport(this.question)
    const source = await findMongo()
    if ('skip' in source) {
      report.skipped.push(source.skip)
      return report
    }
    const mongod = await startMongod()
    const client = new MongoClient(mongod.url)
    const databaseName = freshDatabaseName()
    const receiver = await spawnReceiver({
      flags: {
        server_url: 'http://127.0.0.1:0/',
        document_db_url: mongod.url,
        database_name: databaseName,
        log_level: 'error',
      },
    })
    try {
      const database = client.db(databaseName)
      const ours = database.collection('events')
      const count = Math.max(2000, Math.round(60_000 * scale))
      const port = Number(new URL(receiver.url).port)
      await fetch(`${receiver.url}health`)
      await sendAll({
        port,
        requests: toRequests(makeEvents(Math.max(1000, 10_000 * scale))),
        connections: 2,
      })
      const indexes = (await ours.indexes()).filter(({ name }) => name !== '_id_')

      /** insertMany of documents made beforehand, two in flight, into a new collection with these indexes. */
      async function insertBare(keys: Document[]): Promise<number> {
        const name = freshDatabaseName()
        const bare = database.collection<Document>(name)
        for (const { key, v: _, name: __, ...options } of keys) await bare.createIndex(key, options)
        if (keys.length === 0) await database.createCollection(name)
        const batches = toBatches(makeEvents(count).map(toBson), batchEvents)
        const startedMs = performance.now()
        await Promise.all(
          [0, 1].map(async () => {
            for (let batch = batches.pop(); batch; batch = batches.pop()) {
              await bare.insertMany(batch, { ordered: false, writeConcern })
            }
          }),
        )
        const elapsedMs = performance.now() - startedMs
        const stored = await bare.estimatedDocumentCount()
        if (stored !== count) throw new Error(`insertMany stored ${stored} of ${count}`)
        await bare.drop()
        return (count / elapsedMs) * 1000
      }

      const bareRates: number[] = []
      const ourRates: number[] = []
      const ourCpu: number[] = []
      const bareCpu: number[] = []
      const mongodCpu: { bare: number[]; ours: number[] } = { bare: [], ours: [] }
      const mongodMs = () => (mongod.pid === undefined ? Number.NaN : (cpuMsOf(mongod.pid) ?? Number.NaN))
      let before = await ours.estimatedDocumentCount()
      for (let round = 0; round < 3; round++) {
        const cpuBefore = process.cpuUsage()
        let mongodBefore = mongodMs()
        bareRates.push(await insertBare(indexes))
        mongodCpu.bare.push(((mongodMs() - mongodBefore) * 1000) / count)
        const used = process.cpuUsage(cpuBefore)
        bareCpu.push((used.user + used.system) / count)

        const requests = toRequests(makeEvents(count))
        const receiverCpu = cpuMsOf(receiver.pid)
        mongodBefore = mongodMs()
        const { elapsedMs, statuses } = await sendAll({ port, requests, connections: 4 })
        if (statuses.get(200) !== requests.length)
          throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        ourRates.push((count / elapsedMs) * 1000)
        mongodCpu.ours.push(((mongodMs() - mongodBefore) * 1000) / count)
        if (receiverCpu !== undefined) ourCpu.push(((cpuMsOf(receiver.pid)! - receiverCpu) * 1000) / count)
        const after = await ours.estimatedDocumentCount()
        if (after - before !== count) throw new Error(`the receiver stored ${after - before} of ${count}`)
        before = after
      }
      report.note('driver insertMany, batches of 1,000, 2 in flight', median(bareRates), 'events/s')
      report.note('OTLP into the receiver, requests of 1,000, 4 in flight', median(ourRates), 'events/s')
      report.note('client CPU of insertMany (with making the documents)', median(bareCpu), 'µs an event')
      if (ourCpu.length > 0) report.note('CPU of the receiver', median(ourCpu), 'µs an event')
      if (mongod.pid !== undefined) {
        report.note('CPU of mongod, insertMany', median(mongodCpu.bare), 'µs an event')
        report.note('CPU of mongod, receiver', median(mongodCpu.ours), 'µs an event')
      }
      report.judge({
        what: 'OTLP into MongoDB / insertMany',
        ratio: median(ourRates.map((rate, round) => rate / bareRates[round]!)),
        kind: 'least',
        bound: 0.9,
        aim: 1.2,
      })
      const none = median([await insertBare([]), await insertBare([])])
      report.note('insertMany without an index beside _id', none, 'events/s')
      for (const index of indexes) {
        const rate = median([await insertBare([index]), await insertBare([index])])
        report.note(`insertMany with ${JSON.stringify(index.key)}`, rate, 'events/s')
        report.note('  cost of that index, all processes', 1e6 / rate - 1e6 / none, 'µs an event')
      }
      return report
    } finally {
      receiver.kill('SIGTERM')
      await receiver.exited
      await client.close()
      await mongod.stop()
    }
  },
}

function toRequests(events: ReturnType<typeof makeEvents>) {
  const options = { path: '/v1/logs', contentType: 'application/x-protobuf' }
  return toBatches(events, batchEvents).map((batch) => prepareRequest(encodeLogs(batch), options))
}

function toBson(event: ReturnType<typeof makeEvents>[number]): Document {
  const convert = (value: unknown): unknown => {
    if (typeof value === 'bigint') return Long.fromBigInt(value)
    if (Array.isArray(value)) return value.map(convert)
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, convert(member)]))
    }
    return value
  }
  return convert(toDocument(event)) as Document
}
