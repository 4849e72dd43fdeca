import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnPeer, waitForPort } from './peer.ts'
import { findFreePort } from './process.ts'

/** A real Collector that writes the logs, traces and metrics it gets to a file each, a request a line; on free ports, in a folder of its own. */
export async function startFileCollector(binary: string) {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-collector-'))
  const [http, grpc] = [await findFreePort(), await findFreePort()]
  const fileOf = (signal: string) => join(folder, `${signal}.ndjson`)
  const file = fileOf('logs')
  const others = ['traces', 'metrics']
  const exporterOf = (path: string) => ({ path, flush_interval: '100ms' })
  const protocols = { http: { endpoint: `127.0.0.1:${http}` }, grpc: { endpoint: `127.0.0.1:${grpc}` } }
  const config = {
    receivers: { otlp: { protocols } },
    exporters: {
      file: exporterOf(file),
      ...Object.fromEntries(others.map((signal) => [`file/${signal}`, exporterOf(fileOf(signal))])),
    },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        logs: { receivers: ['otlp'], exporters: ['file'] },
        ...Object.fromEntries(
          others.map((signal) => [signal, { receivers: ['otlp'], exporters: [`file/${signal}`] }]),
        ),
      },
    },
  }
  await writeFile(join(folder, 'config.yaml'), JSON.stringify(config))
  const peer = spawnPeer(binary, ['--config', join(folder, 'config.yaml')])
  const stop = async () => {
    await peer.stop()
    await rm(folder, { recursive: true, force: true })
  }
  await waitForPort(http, peer).catch(async (error) => {
    await stop()
    throw error
  })
  return { url: `http://127.0.0.1:${http}`, grpcUrl: `http://127.0.0.1:${grpc}`, file, fileOf, stop }
}
