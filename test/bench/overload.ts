// Does memory stay flat at twice the load that the receiver can take, and does a lone request stay fast under a heavy query?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile, prepareRequest, residentBytesOf, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport } from './figure.ts'

const inFlightBytes = 8 * 1024 * 1024

export const overloadBench: Bench = {
  question: 'Twice the load it can take: resident memory. A heavy query: the latency of a lone small request',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const source = await findMongo()
    const mongod = 'skip' in source ? undefined : await startMongod()
    if ('skip' in source) report.skipped.push(source.skip)
    const stores = [
      { name: 'SQLite', url: `sqlite:${join(folder, 'events.db')}` },
      ...(mongod ? [{ name: 'MongoDB', url: mongod.url }] : []),
    ]
    try {
      for (const store of stores) await measure(store.name, store.url)
      return report
    } finally {
      await mongod?.stop()
      await rm(folder, { recursive: true, force: true })
    }

    async function measure(name: string, url: string): Promise<void> {
      const receiver = await spawnReceiver({
        flags: {
          server_url: 'http://127.0.0.1:0/',
          document_db_url: url,
          database_name: freshDatabaseName(),
          log_level: 'fatal',
          max_in_flight_bytes: String(inFlightBytes),
        },
      })
      try {
        const port = Number(new URL(receiver.url).port)
        const count = Math.max(5000, Math.round(60_000 * scale))
        const toRequests = (total: number) =>
          toBatches(makeEvents(total), 1000).map((batch) =>
            prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
          )
        // One request under way on each connection, and twice as many bytes offered as the gate lets in.
        const requestBytes = toRequests(1000)[0]!.length
        const connections = Math.ceil((2 * inFlightBytes) / requestBytes)
        await sendAll({ port, requests: toRequests(count), connections, retryLimit: 1000 })
        const bytes: number[] = []
        let refused = 0
        for (let round = 0; round < 4; round++) {
          const requests = toRequests(count)
          const sampler = setInterval(() => bytes.push(residentBytesOf(receiver.pid) ?? Number.NaN), 50)
          const { statuses } = await sendAll({ port, requests, connections, retryLimit: 1000 })
          clearInterval(sampler)
          if (statuses.get(200) !== requests.length)
            throw new Error(`answers: ${JSON.stringify([...statuses])}`)
          refused += (statuses.get(429) ?? 0) + (statuses.get(503) ?? 0)
        }
        const half = Math.floor(bytes.length / 2)
        const early = percentile(bytes.slice(0, half), 0.9)
        const late = percentile(bytes.slice(half), 0.9)
        report.note(`${name}: requests refused with 429`, refused, '')
        report.note(`${name}: resident memory in the first half`, early / 2 ** 20, 'MiB')
        report.note(`${name}: resident memory in the second half`, late / 2 ** 20, 'MiB')
        report.judge({
          what: `${name}: memory, second half / first half`,
          ratio: late / early,
          kind: 'most',
          bound: 1.15,
        })

        const lone = async () => {
          const requests = makeEvents(1).map((event) => `${receiver.url}event/${event.event_id}`)
          const startedMs = performance.now()
          await (await fetch(requests[0]!)).text()
          return performance.now() - startedMs
        }
        const sampleCount = Math.max(20, Math.round(300 * scale))
        const series = async () => {
          const latencies: number[] = []
          for (let i = 0; i < sampleCount; i++) {
            latencies.push(await lone())
            await sleep(5)
          }
          return percentile(latencies, 0.99)
        }
        await series()
        const idle = await series()
        // A selector that no index helps, over everything that was stored, again and again.
        let queries = 0
        let stopping = false
        const heavy = (async () => {
          while (!stopping) {
            const answer = await fetch(`${receiver.url}events/query`, {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({
                'event_data.message': { $regex: 'to B7$' },
                'event_data.well': { $gt: 10 },
              }),
            })
            for await (const _ of answer.body!) if (stopping) break
            queries++
          }
        })()
        await sleep(200)
        const busy = await series()
        stopping = true
        await heavy
        report.note(`${name}: heavy queries answered meanwhile`, queries, '')
        report.note(`${name}: p99 of a lone GET /event/{id}, idle`, idle, 'ms')
        report.note(`${name}: the same under the heavy query`, busy, 'ms')
        report.judge({
          what: `${name}: p99 under a heavy query / idle`,
          ratio: busy / idle,
          kind: 'most',
          bound: 3,
        })
      } finally {
        receiver.kill('SIGTERM')
        await receiver.exited
      }
    }
  },
}
