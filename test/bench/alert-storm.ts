// What does a storm of matching events cost intake, and does it make one alert with the right count?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startHttpSink } from '../support/alert-sink.ts'
import { cpuMsOf, prepareRequest, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { encodeLogs } from '../support/otlp.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const batchEvents = 1000
const rounds = 20

export const alertStormBench: Bench = {
  question: 'OTLP into each store while every event raises an alert, beside the same without rules',
  async run(scale) {
    const report = createReport(this.question)
    const count = Math.max(2000, Math.round(100_000 * scale))
    const mongo = await findMongo()
    for (const store of ['sqlite', 'mongodb'] as const) {
      if (store === 'mongodb' && 'skip' in mongo) {
        report.skipped.push(mongo.skip)
        continue
      }
      const { plain, alerting, cpuPlain, cpuAlerting, messages } = await measure(store, count)
      const name = store === 'sqlite' ? 'SQLite' : 'MongoDB'
      report.note(`${name}, without rules`, median(plain), 'events/s')
      report.note(`${name}, every event raises an alert`, median(alerting), 'events/s')
      report.note(`${name}, messages about ${count} events`, messages, 'messages')
      if (cpuPlain.length > 0) {
        report.note(`${name}, CPU without rules`, median(cpuPlain), 'µs an event')
        report.note(`${name}, CPU with alerts`, median(cpuAlerting), 'µs an event')
      }
      report.judge({
        what: `${name}: with a storm of alerts / without rules`,
        ratio: median(alerting) / median(plain),
        kind: 'least',
        bound: 0.9,
      })
    }
    return report
  },
}

async function measure(store: 'sqlite' | 'mongodb', count: number) {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
  const mongod = store === 'mongodb' ? await startMongod() : undefined
  const sink = await startHttpSink()
  const start = (name: string, flags: { [name: string]: string }) =>
    spawnReceiver({
      flags: {
        server_url: 'http://127.0.0.1:0/',
        document_db_url: mongod ? mongod.url : `sqlite:${join(folder, `${name}.db`)}`,
        database_name: freshDatabaseName(),
        enable_registry_resolution: 'false',
        log_level: 'error',
        ...flags,
      },
    })
  const receivers: ReceiverProcess[] = []
  try {
    const without = await start('without', {})
    receivers.push(without)
    const withRules = await start('with', {
      alert_private_hosts: '["127.0.0.1"]',
      alert_channels: JSON.stringify({ hook: { kind: 'webhook', url: sink.url } }),
      alert_rules: JSON.stringify([{ name: 'alert_level', group_by: ['log_level'] }]),
    })
    receivers.push(withRules)
    const share = Math.ceil(count / rounds / batchEvents) * batchEvents
    const warm = toRequests(makeStorm(batchEvents))
    const result = {
      plain: [] as number[],
      alerting: [] as number[],
      cpuPlain: [] as number[],
      cpuAlerting: [] as number[],
    }
    for (const receiver of receivers)
      await sendAll({ port: portOf(receiver), requests: warm, connections: 1 })
    for (let round = 0; round < rounds; round++) {
      // Whoever goes first has the colder caches: they take turns.
      for (const isAlerting of round % 2 === 0 ? [false, true] : [true, false]) {
        const receiver = isAlerting ? withRules : without
        const requests = toRequests(makeStorm(share))
        const cpuBefore = cpuMsOf(receiver.pid)
        const { elapsedMs, statuses } = await sendAll({ port: portOf(receiver), requests, connections: 4 })
        if (statuses.get(200) !== requests.length)
          throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        const [rates, cpu] = isAlerting
          ? [result.alerting, result.cpuAlerting]
          : [result.plain, result.cpuPlain]
        rates.push((share / elapsedMs) * 1000)
        if (cpuBefore !== undefined) cpu.push(((cpuMsOf(receiver.pid)! - cpuBefore) * 1000) / share)
      }
    }
    await expectOneAlert(withRules.url, share * rounds + batchEvents)
    return { ...result, messages: sink.requests.length }
  } finally {
    for (const receiver of receivers) receiver.kill('SIGTERM')
    await Promise.all(receivers.map(({ exited }) => exited))
    await sink.stop()
    await mongod?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function expectOneAlert(url: string, count: number): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const alerts = (await (await fetch(`${url}alerts`)).json()) as { count: number }[]
    if (alerts.length === 1 && alerts[0]!.count === count) return
    if (Date.now() > deadline)
      throw new Error(`${count} events made ${JSON.stringify(alerts.map((one) => one.count))}`)
    await sleep(200)
  }
}

const portOf = ({ url }: ReceiverProcess) => Number(new URL(url).port)

const makeStorm = (count: number) =>
  makeEvents(count).map((event) => ({ ...event, event_type: 'node_error' as const, log_level: 40 as const }))

const toRequests = (events: ReturnType<typeof makeStorm>) =>
  toBatches(events, batchEvents).map((batch) =>
    prepareRequest(encodeLogs(batch), { path: '/v1/logs', contentType: 'application/x-protobuf' }),
  )
