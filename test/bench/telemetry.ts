// What does the receiver's own OpenTelemetry cost intake, and what does it cost while it is off?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@madsci-events/sdk/event'
import { type PreparedRequest, prepareRequest, sendAll } from '../support/load.ts'
import { encodeLogs } from '../support/otlp.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'
import { startSink, toSingles } from './sink.ts'

const toMessages = (events: Event[]) =>
  toBatches(events, 500).map((batch) =>
    prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
  )

export const telemetryBench: Bench = {
  question: "intake with the receiver's own traces, metrics and log by OTLP beside intake without, on SQLite",
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const sink = await startSink('application/json', '{}')
    const spawn = (name: string, flags: { [name: string]: string } = {}) =>
      spawnReceiver({
        flags: {
          server_url: 'http://127.0.0.1:0/',
          document_db_url: `sqlite:${join(folder, `${name}.db`)}`,
          log_level: 'error',
          ...flags,
        },
      })
    const on = { otel_enabled: 'true', otel_exporter: 'otlp', otel_endpoint: sink.url }
    const receivers = {
      off: await spawn('off'),
      // A second one that is off: how far two equal receivers are apart is what no figure is better than.
      none: await spawn('none', { otel_enabled: 'true', otel_exporter: 'none' }),
      http: await spawn('http', { ...on, otel_protocol: 'http' }),
    }
    try {
      const rate = async ({ url }: ReceiverProcess, requests: PreparedRequest[], eventCount: number) => {
        const { elapsedMs, statuses } = await sendAll({
          port: Number(new URL(url).port),
          requests,
          connections: requests.length === eventCount ? 10 : 4,
        })
        if (statuses.get(200) !== requests.length)
          throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        return (eventCount / elapsedMs) * 1000
      }
      const singleCount = Math.max(200, Math.round(10_000 * scale))
      const batchCount = Math.max(2000, Math.round(100_000 * scale))
      const loads = {
        'POST /event': [singleCount, toSingles],
        'OTLP/HTTP': [batchCount, toMessages],
      } as const
      const names = Object.keys(receivers) as (keyof typeof receivers)[]
      for (const [load, [count, prepare]] of Object.entries(loads)) {
        const rates = { off: [] as number[], none: [] as number[], http: [] as number[] }
        // The first round warms up; each begins with another one.
        for (let round = 0; round < 10; round++)
          for (let turn = 0; turn < names.length; turn++) {
            const name = names[(round + turn) % names.length]!
            const found = await rate(receivers[name], prepare(makeEvents(count)), count)
            if (round > 0) rates[name].push(found)
          }
        for (const name of names) report.note(`${load}, telemetry ${name}`, median(rates[name]), 'events/s')
        const ratio = (name: 'none' | 'http') =>
          median(rates[name].map((one, round) => one / rates.off[round]!))
        report.judge({ what: `${load}, by OTLP/HTTP / off`, ratio: ratio('http'), kind: 'least', bound: 0.9 })
        report.judge({
          what: `${load}, exporter none / off`,
          ratio: ratio('none'),
          kind: 'least',
          bound: 0.97,
        })
      }
      // A receiver that sent nothing would have cost nothing.
      await waitUntil(async () => (sink.seen.get('/v1/traces') ?? 0) > 0, 'traces of the receiver', 30_000)
      report.note('requests with spans', sink.seen.get('/v1/traces')!, 'requests')
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
