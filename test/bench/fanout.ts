// What does fan-out cost intake, and OTLP/gRPC beside OTLP/HTTP?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@madsci-events/sdk/event'
import { callAll } from '../support/grpc-load.ts'
import { type PreparedRequest, prepareRequest, sendAll } from '../support/load.ts'
import { encodeLogs } from '../support/otlp.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'
import { startSink, toSingles } from './sink.ts'

const toMessages = (events: Event[]) => toBatches(events, 500).map((batch) => encodeLogs(batch))

/** Without a fan-out there is nothing to wait for. */
async function waitForFanout({ url }: ReceiverProcess): Promise<void> {
  await waitUntil(
    async () => {
      const { fanout = [] } = (await (await fetch(`${url}health`)).json()) as {
        fanout?: { lag_seconds: number; state: string }[]
      }
      return fanout.every(({ lag_seconds, state }) => lag_seconds === 0 && state === 'forwarding')
    },
    'an end of the fan-out',
    120_000,
  )
}

export const fanoutBench: Bench = {
  question: 'intake with fan-out beside intake without, and OTLP/gRPC beside OTLP/HTTP, on SQLite',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const sink = await startSink('application/x-protobuf')
    const spawn = (name: string, fanout: object[]) =>
      spawnReceiver({
        flags: {
          server_url: 'http://127.0.0.1:0/',
          grpc_port: '0',
          document_db_url: `sqlite:${join(folder, `${name}.db`)}`,
          log_level: 'error',
          fanout: JSON.stringify(fanout),
        },
      })
    const receivers = {
      without: await spawn('without', []),
      rest: await spawn('rest', [{ name: 'sink', url: sink.url }]),
      all: await spawn('all', [{ name: 'sink', url: sink.url, include: 'all' }]),
    }
    try {
      const send = async ({ url }: ReceiverProcess, requests: PreparedRequest[], connections: number) => {
        const { elapsedMs, statuses } = await sendAll({
          port: Number(new URL(url).port),
          requests,
          connections,
        })
        if (statuses.get(200) !== requests.length)
          throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        return elapsedMs
      }
      const singleCount = Math.max(200, Math.round(10_000 * scale))
      const batchCount = Math.max(2000, Math.round(40_000 * scale))
      const measure = {
        rest: async (receiver: ReceiverProcess) =>
          (singleCount / (await send(receiver, toSingles(makeEvents(singleCount)), 10))) * 1000,
        http: async (receiver: ReceiverProcess) => {
          const requests = toMessages(makeEvents(batchCount)).map((message) =>
            prepareRequest(message, { path: '/v1/logs', contentType: 'application/x-protobuf' }),
          )
          return (batchCount / (await send(receiver, requests, 4))) * 1000
        },
        grpc: async ({ grpcUrl }: ReceiverProcess) => {
          const messages = toMessages(makeEvents(batchCount))
          const { elapsedMs } = await callAll({ url: grpcUrl, messages, connections: 4 })
          return (batchCount / elapsedMs) * 1000
        },
      }
      const cases = [
        ['POST /event, no fan-out', 'rest', receivers.without],
        ['POST /event, fan-out of what came by REST', 'rest', receivers.rest],
        ['OTLP/HTTP, no fan-out', 'http', receivers.without],
        ['OTLP/HTTP, fan-out of what came by REST', 'http', receivers.rest],
        ['OTLP/HTTP, fan-out of everything', 'http', receivers.all],
        ['OTLP/gRPC, no fan-out', 'grpc', receivers.without],
      ] as const
      const rates = cases.map((): number[] => [])
      // The first round warms up.
      for (let round = 0; round < 6; round++) {
        for (const [index, [, kind, receiver]] of cases.entries()) {
          const rate = await measure[kind](receiver)
          // What waits to be sent would be counted against the next.
          await waitForFanout(receiver)
          if (round > 0) rates[index]!.push(rate)
        }
      }
      for (const [index, [name]] of cases.entries()) report.note(name, median(rates[index]!), 'events/s')
      const ratio = (one: number, other: number) =>
        median(rates[one]!.map((rate, round) => rate / rates[other]![round]!))
      const judge = (what: string, one: number, other: number, bound: number) =>
        report.judge({ what, ratio: ratio(one, other), kind: 'least', bound })
      judge('POST /event, with fan-out / without', 1, 0, 0.85)
      judge('OTLP/HTTP, with fan-out of REST / without', 3, 2, 0.85)
      judge('OTLP/HTTP, with fan-out of everything / without', 4, 2, 0.85)
      judge('OTLP/gRPC / OTLP/HTTP', 5, 2, 0.8)
      return report
    } finally {
      for (const receiver of Object.values(receivers)) {
        receiver.kill('SIGTERM')
        await receiver.exited
      }
      sink.close()
      await rm(folder, { recursive: true, force: true })
    }
  },
}
