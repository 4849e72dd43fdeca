// How many single events does POST /event take over 10 connections, beside the Python event manager on the same MongoDB?
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toEventJson } from '@madsci-events/sdk/event'
import { percentile, prepareRequest, sendAll } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort, spawnReceiver } from '../support/process.ts'
import { makeEvents } from '../support/workload.ts'
import { type Bench, createReport, median } from './figure.ts'

const connections = 10

export const postEventBench: Bench = {
  question: 'POST /event, 10 connections, one event a request, beside the Python event manager',
  async run(scale) {
    const report = createReport(this.question)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-bench-'))
    const source = await findMongo()
    const mongod = 'skip' in source ? undefined : await startMongod()
    if ('skip' in source) report.skipped.push(source.skip)
    const python = mongod ? await startPython(mongod.url) : { skip: 'the Python event manager needs MongoDB' }
    if ('skip' in python) report.skipped.push(python.skip)
    const serverUrl = 'http://127.0.0.1:0/'
    const sqlite = await spawnReceiver({
      flags: {
        server_url: serverUrl,
        document_db_url: `sqlite:${join(folder, 'events.db')}`,
        log_level: 'error',
      },
    })
    const mongo = mongod
      ? await spawnReceiver({
          flags: {
            server_url: serverUrl,
            document_db_url: mongod.url,
            database_name: freshDatabaseName(),
            log_level: 'error',
          },
        })
      : undefined
    try {
      const measure = async (port: number, count: number) => {
        const requests = makeEvents(count).map((event) =>
          prepareRequest(toEventJson(event).replace('"_id"', '"event_id"'), {
            path: '/event',
            contentType: 'application/json',
          }),
        )
        const { elapsedMs, statuses, latenciesMs } = await sendAll({ port, requests, connections })
        if (statuses.get(200) !== count) throw new Error(`answers: ${JSON.stringify([...statuses])}`)
        return { rate: (count / elapsedMs) * 1000, p99: percentile(latenciesMs, 0.99) }
      }
      const portOf = (url: string) => Number(new URL(url).port)
      const peers = [
        { name: 'receiver on SQLite', port: portOf(sqlite.url), count: 30_000, bound: 25, aim: 40 },
        ...(mongo
          ? [
              {
                name: 'receiver on MongoDB',
                port: portOf(mongo.url),
                count: 15_000,
                bound: 12,
                aim: undefined,
              },
            ]
          : []),
      ].map((peer) => ({ ...peer, rates: [] as number[], p99s: [] as number[] }))
      for (const { port } of peers) await measure(port, Math.max(200, 3000 * scale))
      const pythonRates: number[] = []
      if ('port' in python) await measure(python.port, 100)
      for (let round = 0; round < 3; round++) {
        if ('port' in python) {
          const { rate } = await measure(python.port, Math.max(100, Math.round(1500 * scale)))
          pythonRates.push(rate)
        }
        for (const peer of peers) {
          const { rate, p99 } = await measure(peer.port, Math.max(300, Math.round(peer.count * scale)))
          peer.rates.push(rate)
          peer.p99s.push(p99)
        }
      }
      if (pythonRates.length > 0) report.note('Python event manager', median(pythonRates), 'events/s')
      for (const { name, rates, p99s, bound, aim } of peers) {
        report.note(name, median(rates), 'events/s')
        report.note(`${name}, p99 of a request`, median(p99s), 'ms')
        if (pythonRates.length === 0) continue
        report.judge({
          what: `${name} / Python`,
          ratio: median(rates.map((rate, round) => rate / pythonRates[round]!)),
          kind: 'least',
          bound,
          ...(aim !== undefined && { aim }),
        })
      }
      return report
    } finally {
      for (const receiver of [sqlite, mongo]) {
        receiver?.kill('SIGTERM')
        await receiver?.exited
      }
      if ('stop' in python) await python.stop()
      await mongod?.stop()
      await rm(folder, { recursive: true, force: true })
    }
  },
}

async function startPython(url: string): Promise<{ skip: string } | { port: number; stop(): Promise<void> }> {
  const command = findPeer('MADSCI_PEER')
  if ('skip' in command) return command
  const port = await findFreePort()
  const peer = spawnPeer(command.path, ['serve', String(port), url])
  await waitForPort(port, peer, 120_000)
  return { port, stop: () => peer.stop() }
}
