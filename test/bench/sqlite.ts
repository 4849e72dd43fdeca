// How fast do OTLP events reach SQLite, beside a bare node:sqlite loop of the same rows, and beside Loki's OTLP door?
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMsOf, prepareRequest, sendAll } from '../support/load.ts'
import { encodeLogs } from '../support/otlp.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort, spawnReceiver } from '../support/process.ts'
import { makeEvents, toBatches } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const batchEvents = 1000

export const sqliteBench: Bench = {
  question:
    'OTLP/HTTP protobuf into SQLite (synchronous=FULL), beside a bare node:sqlite loop of the same rows, and Loki',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const path = join(folder, 'events.db')
    const receiver = await spawnReceiver({
      flags: { server_url: 'http://127.0.0.1:0/', document_db_url: `sqlite:${path}`, log_level: 'error' },
    })
    const loki = await startLoki(folder)
    if ('skip' in loki) report.skipped.push(loki.skip)
    try {
      const count = Math.max(2000, Math.round(60_000 * scale))
      const port = Number(new URL(receiver.url).port)
      await sendAll({ port, requests: toRequests(makeEvents(2000), '/v1/logs'), connections: 2 })
      const bareRates: number[] = []
      const ourRates: number[] = []
      const lokiRates: number[] = []
      const ourCpu: number[] = []
      for (let round = 0; round < 3; round++) {
        const requests = toRequests(makeEvents(count), '/v1/logs')
        const cpuBefore = cpuMsOf(receiver.pid)
        const { elapsedMs, statuses } = await sendAll({ port, requests, connections: 4 })
        if (statuses.get(200) !== requests.length)
          throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        ourRates.push((count / elapsedMs) * 1000)
        if (cpuBefore !== undefined) ourCpu.push(((cpuMsOf(receiver.pid)! - cpuBefore) * 1000) / count)
        bareRates.push(insertBare(path, join(folder, `bare-${round}.db`), count))
        if ('port' in loki) {
          const lokiRequests = toRequests(makeEvents(count), '/otlp/v1/logs')
          const answer = await sendAll({ port: loki.port, requests: lokiRequests, connections: 4 })
          if (answer.statuses.get(204) !== lokiRequests.length)
            throw new Error(`Loki: ${JSON.stringify([...answer.statuses])}`)
          lokiRates.push((count / answer.elapsedMs) * 1000)
        }
      }
      report.note('bare node:sqlite loop, the same rows, 1,000 a commit', median(bareRates), 'events/s')
      report.note('OTLP into the receiver, requests of 1,000, 4 in flight', median(ourRates), 'events/s')
      if (ourCpu.length > 0) report.note('CPU of the receiver', median(ourCpu), 'µs an event')
      report.judge({
        what: 'OTLP into SQLite / bare loop',
        ratio: median(ourRates.map((rate, round) => rate / bareRates[round]!)),
        kind: 'least',
        bound: 0.5,
        aim: 0.8,
      })
      if (lokiRates.length > 0) {
        report.note("Loki's OTLP door, the same requests", median(lokiRates), 'events/s')
        report.judge({
          what: 'OTLP into SQLite / OTLP into Loki',
          ratio: median(ourRates.map((rate, round) => rate / lokiRates[round]!)),
          kind: 'least',
          bound: 1.5,
        })
      }
      return report
    } finally {
      receiver.kill('SIGTERM')
      await receiver.exited
      if ('stop' in loki) await loki.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
}

/** Copies the newest rows of the receiver's file into a new one with the same schema: read first, then timed. */
function insertBare(source: string, target: string, count: number): number {
  const from = new DatabaseSync(source, { readOnly: true })
  const schema = from
    .prepare(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
    )
    .all() as { sql: string }[]
  const columns = (
    from.prepare("SELECT name FROM pragma_table_info('events')").all() as { name: string }[]
  ).map(({ name }) => name)
  const rows = from.prepare(`SELECT * FROM events ORDER BY rowid DESC LIMIT ${count}`).all().reverse()
  from.close()
  if (rows.length !== count) throw new Error(`the receiver stored ${rows.length} of ${count}`)
  const to = new DatabaseSync(target)
  to.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL')
  for (const { sql } of schema) to.exec(sql)
  const insert = to.prepare(`INSERT INTO events VALUES (${columns.map(() => '?').join(',')})`)
  const values = rows.map((row) => columns.map((name) => row[name]!))
  const startedMs = performance.now()
  for (const batch of toBatches(values, batchEvents)) {
    to.exec('BEGIN IMMEDIATE')
    for (const row of batch) insert.run(...row)
    to.exec('COMMIT')
  }
  const elapsedMs = performance.now() - startedMs
  to.close()
  return (count / elapsedMs) * 1000
}

function toRequests(events: ReturnType<typeof makeEvents>, path: string) {
  const options = { path, contentType: 'application/x-protobuf' }
  return toBatches(events, batchEvents).map((batch) => prepareRequest(encodeLogs(batch), options))
}

async function startLoki(
  folder: string,
): Promise<{ skip: string } | { port: number; stop(): Promise<void> }> {
  const binary = findPeer('LOKI_BINARY')
  if ('skip' in binary) return binary
  const port = await findFreePort()
  const grpcPort = await findFreePort()
  const file = join(folder, 'loki.yaml')
  const config = {
    auth_enabled: false,
    server: {
      http_listen_address: '127.0.0.1',
      http_listen_port: port,
      grpc_listen_address: '127.0.0.1',
      grpc_listen_port: grpcPort,
      log_level: 'error',
      http_server_read_timeout: '60s',
    },
    common: {
      instance_addr: '127.0.0.1',
      path_prefix: join(folder, 'loki'),
      storage: {
        filesystem: {
          chunks_directory: join(folder, 'loki/chunks'),
          rules_directory: join(folder, 'loki/rules'),
        },
      },
      replication_factor: 1,
      ring: { kvstore: { store: 'inmemory' } },
    },
    schema_config: {
      configs: [
        {
          from: '2024-01-01',
          store: 'tsdb',
          object_store: 'filesystem',
          schema: 'v13',
          index: { prefix: 'index_', period: '24h' },
        },
      ],
    },
    limits_config: {
      ingestion_rate_mb: 10000,
      ingestion_burst_size_mb: 10000,
      per_stream_rate_limit: '10GB',
      per_stream_rate_limit_burst: '10GB',
      max_global_streams_per_user: 0,
      allow_structured_metadata: true,
    },
    analytics: { reporting_enabled: false },
  }
  await writeFile(file, JSON.stringify(config))
  const peer = spawnPeer(binary.path, ['-config.file', file], { cwd: folder })
  await waitForPort(port, peer)
  const deadline = Date.now() + 90_000
  while ((await fetch(`http://127.0.0.1:${port}/ready`)).status !== 200) {
    if (Date.now() > deadline) throw new Error(`Loki is not ready:\n${peer.output.slice(-2000)}`)
    await sleep(500)
  }
  return { port, stop: () => peer.stop() }
}
