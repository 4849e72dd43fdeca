import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnPeer } from './peer.ts'
import { findFreePort } from './process.ts'
import { waitUntil } from './wait.ts'

export interface Loki {
  /** Ends with `/`. */
  readonly url: string
  /** What a query of the last hour finds; throws Loki's own text when it is refused. */
  query(expr: string, type?: 'range' | 'instant'): Promise<LokiSeries[]>
  /** `log_record_uid` of every line that the selector finds, lines with the same one once. */
  ids(selector: string): Promise<Set<string>>
  /** SIGKILL, and started again; settles when it is ready. */
  killAndRestart(): Promise<void>
  stop(): Promise<void>
}

export interface LokiSeries {
  /** Of log lines. */
  stream?: { [label: string]: string }
  /** Of numbers. */
  metric?: { [label: string]: string }
  values?: [string, string][]
  value?: [number, string]
}

/** A real Loki with the configuration that docker/ ships, on a free port and a folder of its own. */
export async function startLoki(binary: string): Promise<Loki> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-loki-'))
  const [httpPort, grpcPort] = [await findFreePort(), await findFreePort()]
  const shipped = await readFile(join(import.meta.dirname, '../../docker/loki.yaml'), 'utf8')
  const config = shipped
    .replaceAll(' /loki', ` ${folder}`)
    .replace('http_listen_port: 3100', `http_listen_address: 127.0.0.1\n  http_listen_port: ${httpPort}`)
    .replace('grpc_listen_port: 9095', `grpc_listen_address: 127.0.0.1\n  grpc_listen_port: ${grpcPort}`)
  await writeFile(join(folder, 'loki.yaml'), config)
  const start = () => spawnPeer(binary, [`-config.file=${join(folder, 'loki.yaml')}`])
  let peer = start()
  const url = `http://127.0.0.1:${httpPort}/`
  const stop = async () => {
    await peer.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const isReady = () => waitUntil(async () => (await fetch(`${url}ready`)).ok, 'Loki', 90_000)
  await isReady().catch(async (error) => {
    await stop()
    throw new Error(`${error.message}\n${peer.output.slice(-3000)}`)
  })
  return {
    url,
    stop,
    async killAndRestart() {
      process.kill(-peer.pid, 'SIGKILL')
      await peer.exited
      peer = start()
      await isReady()
    },
    async ids(selector) {
      const ids = new Set<string>()
      let start = BigInt(Date.now() - 6 * 3_600_000) * 1_000_000n
      for (;;) {
        const query = `${selector} | keep log_record_uid`
        const parameters = new URLSearchParams({
          query,
          limit: '5000',
          direction: 'forward',
          start: String(start),
        })
        const answer = await fetch(`${url}loki/api/v1/query_range?${parameters}`)
        if (!answer.ok) throw new Error(`Loki refused ${query}: ${await answer.text()}`)
        const { result } = ((await answer.json()) as { data: { result: LokiSeries[] } }).data
        const before = ids.size
        let count = 0
        for (const { stream, values = [] } of result) {
          ids.add(stream!.log_record_uid!)
          for (const [time] of values) {
            count++
            if (BigInt(time) > start) start = BigInt(time)
          }
        }
        if (count < 5000 || ids.size === before) return ids
      }
    },
    async query(query, type = 'range') {
      const parameters = new URLSearchParams({ query, limit: '1000' })
      if (type === 'range') {
        parameters.set('since', '1h')
        parameters.set('step', '30s')
      }
      const answer = await fetch(`${url}loki/api/v1/query${type === 'range' ? '_range' : ''}?${parameters}`)
      if (!answer.ok) throw new Error(`Loki refused ${query}: ${await answer.text()}`)
      return ((await answer.json()) as { data: { result: LokiSeries[] } }).data.result
    },
  }
}
