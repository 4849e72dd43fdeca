// Does memory stay flat at twice the load that the receiver can take, and does a lone request stay fast under a heavy query?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  openConnection,
  percentile,
  prepareGet,
  prepareRequest,
  residentBytesOf,
  sendAll,
} from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport } from './figure.ts'

const inFlightBytes = 8 * 1024 * 1024
const warmRounds = 4
const judgedRounds = 4

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
        const ids: string[] = []
        const toRequests = (total: number) => {
          const events = makeEvents(total)
          ids.push(...events.filter((_, index) => index % 50 === 0).map((event) => event.event_id))
          return toBatches(events, 1000).map((batch) =>
            prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
          )
        }
        // One request under way on each connection, and twice as many bytes offered as the gate lets in.
        const connections = Math.ceil((2 * inFlightBytes) / toRequests(1000)[0]!.length)
        ids.length = 0
        // A heap grows until its full collections have found their size: the first rounds are shown and not judged.
        const rounds: number[][] = []
        let refused = 0
        for (let round = 0; round < warmRounds + judgedRounds; round++) {
          const requests = toRequests(count)
          const bytes: number[] = []
          const sampler = setInterval(() => bytes.push(residentBytesOf(receiver.pid) ?? Number.NaN), 50)
          const { statuses } = await sendAll({ port, requests, connections, retryLimit: 1000 })
          clearInterval(sampler)
          bytes.push(residentBytesOf(receiver.pid) ?? Number.NaN)
          if (statuses.get(200) !== requests.length)
            throw new Error(`answers: ${JSON.stringify([...statuses])}`)
          refused += (statuses.get(429) ?? 0) + (statuses.get(503) ?? 0)
          rounds.push(bytes)
        }
        const judged = rounds.slice(warmRounds)
        const early = percentile(judged.slice(0, judgedRounds / 2).flat(), 0.9)
        const late = percentile(judged.slice(judgedRounds / 2).flat(), 0.9)
        report.note(`${name}: requests refused with 429`, refused, '')
        for (const [round, bytes] of rounds.entries()) {
          const what = `after ${(round + 1) * count} events${round < warmRounds ? ', warming up' : ''}`
          report.note(`${name}: resident memory ${what}`, percentile(bytes, 0.9) / 2 ** 20, 'MiB')
        }
        report.judge({
          what: `${name}: memory, second half / first half`,
          ratio: late / early,
          kind: 'most',
          bound: 1.15,
        })

        // Bytes on a socket: an HTTP client in this process would add its own collections to what is measured.
        const [small, heavy] = [await openConnection(port), await openConnection(port)]
        const sampleCount = Math.max(20, Math.round(300 * scale))
        const series = async () => {
          const latencies: number[] = []
          for (let i = 0; i < sampleCount; i++) {
            const request = prepareGet(`/event/${ids[(i * 7919) % ids.length]}`)
            const startedMs = performance.now()
            const { status } = await small.send(request)
            latencies.push(performance.now() - startedMs)
            if (status !== 200) throw new Error(`GET /event/{id} answered ${status}`)
            await sleep(5)
          }
          return latencies
        }
        // A selector that no index helps, over everything that was stored, again and again.
        const query = prepareRequest(
          JSON.stringify({ 'event_data.message': { $regex: 'to B7$' }, 'event_data.well': { $gt: 10 } }),
          { path: '/events/query', contentType: 'application/json' },
        )
        await series()
        const idle: number[] = []
        const busy: number[] = []
        const queryMs: number[] = []
        // In turns, so that neither has the quieter minute of the machine.
        for (let turn = 0; turn < 3; turn++) {
          idle.push(...(await series()))
          let stopping = false
          const querying = (async () => {
            while (!stopping) {
              const startedMs = performance.now()
              await heavy.send(query)
              queryMs.push(performance.now() - startedMs)
            }
          })()
          await sleep(200)
          busy.push(...(await series()))
          stopping = true
          await querying
        }
        small.close()
        heavy.close()
        report.note(`${name}: heavy queries answered meanwhile`, queryMs.length, '')
        report.note(`${name}: median of a heavy query`, percentile(queryMs, 0.5), 'ms')
        for (const share of [0.5, 0.9, 0.99]) {
          const what = `${name}: p${share * 100} of a lone GET /event/{id}`
          report.note(`${what}, idle`, percentile(idle, share), 'ms')
          report.note(`${what}, under the heavy query`, percentile(busy, share), 'ms')
        }
        report.judge({
          what: `${name}: p99 under a heavy query / idle`,
          ratio: percentile(busy, 0.99) / percentile(idle, 0.99),
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
