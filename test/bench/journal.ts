// What does the order of commits cost on MongoDB: how many events does a receiver store with it, and how many without?
import { join } from 'node:path'
import { prepareRequest, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const rounds = 9

type Events = ReturnType<typeof makeEvents>

const loads = {
  'OTLP, requests of 1,000': {
    connections: 4,
    events: 40_000,
    toRequests: (events: Events) =>
      toBatches(events, 1000).map((batch) =>
        prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
      ),
  },
  'POST /event': {
    connections: 64,
    events: 8000,
    toRequests: (events: Events) =>
      events.map((event) =>
        prepareRequest(JSON.stringify(event), { path: '/event', contentType: 'application/json' }),
      ),
  },
}

export const journalBench: Bench = {
  question: 'The order of commits on MongoDB: events stored with it and without it, in turns',
  async run(scale) {
    const report = createReport(this.question)
    const source = await findMongo()
    if ('skip' in source) {
      report.skipped.push(source.skip)
      return report
    }
    const mongod = await startMongod()
    const start = (nodeFlags: string[]) =>
      spawnReceiver({
        nodeFlags,
        flags: {
          server_url: 'http://127.0.0.1:0/',
          document_db_url: mongod.url,
          database_name: freshDatabaseName(),
          log_level: 'fatal',
          rate_limit_enabled: 'false',
        },
      })
    const receivers = {
      with: await start([]),
      without: await start(['--import', join(import.meta.dirname, '../support/no-journal-preload.ts')]),
    }
    try {
      for (const [what, { connections, toRequests, ...load }] of Object.entries(loads)) {
        const count = Math.max(1000, Math.round(load.events * scale))
        const measure = async (side: keyof typeof receivers) => {
          const requests = toRequests(makeEvents(count))
          const port = Number(new URL(receivers[side].url).port)
          const { elapsedMs, statuses } = await sendAll({ port, requests, connections })
          if (statuses.get(200) !== requests.length)
            throw new Error(`answers: ${JSON.stringify([...statuses])}`)
          return (count / elapsedMs) * 1000
        }
        await measure('with')
        await measure('without')
        const rates = { with: [] as number[], without: [] as number[] }
        for (let round = 0; round < (scale < 0.1 ? 1 : rounds); round++) {
          const order = round % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const)
          for (const side of order) rates[side].push(await measure(side))
        }
        report.note(`${what}, with the order`, median(rates.with), 'events/s')
        report.note(`${what}, without it`, median(rates.without), 'events/s')
        report.judge({
          what: `${what}: with / without`,
          ratio: median(rates.with.map((rate, round) => rate / rates.without[round]!)),
          kind: 'least',
          bound: 0.95,
        })
      }
      return report
    } finally {
      for (const receiver of Object.values(receivers)) {
        receiver.kill('SIGTERM')
        await receiver.exited
      }
      await mongod.stop()
    }
  },
}
