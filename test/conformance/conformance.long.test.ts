import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startFileCollector } from '../support/collector.ts'
import { startLoki } from '../support/loki.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { type Line, toTable, tryAll } from './kit.ts'
import { type Target, toFind } from './target.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const at = (port: number) => `http://127.0.0.1:${port}`

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-conformance-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function startOurs(): Promise<Target> {
  const receiver = await startTestReceiver({ flags: { grpc_port: '0' } })
  cleanups.push(() => receiver.close())
  return { url: receiver.otlpUrl, grpcUrl: receiver.grpcUrl, find: toFind(`madsci:${receiver.url}`) }
}

const peers: { [name: string]: { variable: string; start: (path: string) => Promise<Target> } } = {
  Collector: {
    variable: 'OTELCOL_BINARY',
    async start(path) {
      const collector = await startFileCollector(path)
      cleanups.push(collector.stop)
      const { url, grpcUrl, file } = collector
      return { url: `${url}/v1/logs`, grpcUrl, find: toFind(`file:${file}`) }
    },
  },
  Loki: {
    variable: 'LOKI_BINARY',
    async start(path) {
      const loki = await startLoki(path)
      cleanups.push(() => loki.stop())
      return { url: `${loki.url}otlp/v1/logs`, grpcUrl: undefined, find: toFind(`loki:${loki.url}`) }
    },
  },
  VictoriaLogs: {
    variable: 'VICTORIA_LOGS_BINARY',
    async start(path) {
      const port = await findFreePort()
      const folder = await makeFolder()
      const peer = spawnPeer(path, [`-storageDataPath=${folder}`, `-httpListenAddr=127.0.0.1:${port}`])
      cleanups.push(() => peer.stop())
      await waitForPort(port, peer)
      const url = `${at(port)}/insert/opentelemetry/v1/logs`
      return { url, grpcUrl: undefined, find: toFind(`victorialogs:${at(port)}/`) }
    },
  },
}

it('every rule holds here, as the documents say; the table of the others is printed', async () => {
  const columns = [{ name: 'madsci-events', lines: await tryAll(await startOurs()) }]
  for (const [name, { variable, start }] of Object.entries(peers)) {
    const found = findPeer(variable)
    if ('skip' in found) console.warn(`without ${name}: ${found.skip}`)
    else columns.push({ name, lines: await tryAll(await start(found.path)) })
  }
  const table = toTable(columns)
  console.log(table)
  const ours = columns[0]!.lines
  expect(ours.filter(({ outcome }) => outcome.state !== 'holds')).toEqual([])
  for (const { lines } of columns) expect(lines.some(({ outcome }) => outcome.state === 'holds')).toBe(true)

  const readme = readFileSync(join(import.meta.dirname, '../../receiver/docs/otlp.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|/gm)].map((match) =>
    match.slice(1, 4),
  )
  const toRow = ({ name, about, outcome }: Line) => [name, about, outcome.state]
  for (const row of ours.map(toRow)) expect(rows).toContainEqual(row)
}, 400_000)
