import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseJson, toEventJson } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { eventArbitrary } from '../support/arbitrary.ts'
import { encodeLogs } from '../support/otlp.ts'
import { findPeer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(flags: { [name: string]: string } = {}) {
  const receiver = await startTestReceiver({ flags })
  cleanups.push(() => receiver.close())
  return receiver
}

async function listEvents(url: string): Promise<{ [key: string]: unknown }[]> {
  const answer = await fetch(`${url}events?number=0`)
  return Object.values((await answer.json()) as object)
}

async function waitForCount(url: string, count: number): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const { total_events } = (await (await fetch(`${url}health`)).json()) as { total_events: number }
    if (total_events >= count) return
    if (Date.now() > deadline) throw new Error(`${total_events} of ${count} events arrived`)
    await sleep(50)
  }
}

async function startCollector(
  path: string,
  endpoint: string,
  encoding: 'proto' | 'json' | 'grpc',
  compression: string,
) {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-collector-'))
  const port = await findFreePort()
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters:
      encoding === 'grpc'
        ? { otlp_grpc: { endpoint, compression, tls: { insecure: true } } }
        : {
            otlp_http: {
              logs_endpoint: endpoint,
              encoding,
              compression,
              retry_on_failure: { initial_interval: '100ms' },
            },
          },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: {
        logs: { receivers: ['otlp'], exporters: [encoding === 'grpc' ? 'otlp_grpc' : 'otlp_http'] },
      },
    },
  }
  const file = join(folder, 'config.yaml')
  await writeFile(file, JSON.stringify(config))
  const collector = spawnPeer(path, ['--config', file])
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  cleanups.push(() => collector.stop())
  await waitForPort(port, collector)
  return { url: `http://127.0.0.1:${port}/v1/logs`, collector }
}

describe('standard tools send to the receiver', () => {
  it.for(['HTTP', 'gRPC'])(
    'telemetrygen, straight by OTLP/%s: every record is found by REST',
    async (way, context) => {
      const telemetrygen = findPeer('TELEMETRYGEN_BINARY')
      if ('skip' in telemetrygen) return context.skip(telemetrygen.skip)
      const receiver = await start({ grpc_port: '0' })
      const { host } = new URL(way === 'HTTP' ? receiver.otlpUrl : receiver.grpcUrl)
      const args = [
        'logs',
        ...(way === 'HTTP' ? ['--otlp-http'] : []),
        '--otlp-insecure',
        '--otlp-endpoint',
        host,
      ]
      args.push(
        '--logs',
        // By one worker: two could send the same record in the same nanosecond, which is the same event.
        '600',
        '--workers',
        '1',
        '--rate',
        '0',
        '--severity-number',
        '17',
        '--severity-text',
        'Error',
      )
      args.push('--trace-id', '0102030405060708090a0b0c0d0e0f10', '--telemetry-attributes', 'plate="P7"')
      const peer = spawnPeer(telemetrygen.path, args)
      cleanups.push(() => peer.stop())
      expect(await peer.exited, peer.output).toBe(0)
      const events = await listEvents(receiver.url)
      expect(events).toHaveLength(600)
      for (const event of events) {
        expect(event).toMatchObject({
          event_type: 'log_error',
          log_level: 40,
          trace_id: '0102030405060708090a0b0c0d0e0f10',
          event_data: { message: 'the message', plate: 'P7' },
          otel: { resource: { 'service.name': 'telemetrygen' } },
        })
      }
    },
  )

  it.for([
    ['proto', 'gzip'],
    ['proto', 'zstd'],
    ['json', 'none'],
    ['json', 'gzip'],
    ['grpc', 'none'],
    ['grpc', 'gzip'],
    ['grpc', 'zstd'],
  ] as const)(
    'the Collector between, %s with %s: events and foreign records arrive whole',
    async ([encoding, compression], context) => {
      const otelcol = findPeer('OTELCOL_BINARY')
      if ('skip' in otelcol) return context.skip(otelcol.skip)
      const receiver = await start({ grpc_port: '0' })
      const endpoint = encoding === 'grpc' ? receiver.grpcUrl : receiver.otlpUrl
      const { url, collector } = await startCollector(otelcol.path, endpoint, encoding, compression)
      const events = fc.sample(eventArbitrary, 200)
      const sent = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-protobuf' },
        body: encodeLogs(events, { resource: {} }),
      })
      expect(sent.status).toBe(200)
      const distinct = new Map(events.map((event) => [event.event_id, event]))
      await waitForCount(receiver.url, distinct.size).catch((error: Error) => {
        throw new Error(`${error.message}\n${collector.output.slice(-3000)}`)
      })
      for (const [id, event] of distinct) {
        const stored = await (await fetch(`${receiver.url}event/${encodeURIComponent(id)}`)).text()
        // The order of the ids in `source` is not kept.
        expect(parseJson(stored)).toEqual(parseJson(toEventJson(event)))
      }
    },
  )
})
