import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { type Log, silentLog } from '../../../receiver/src/log.ts'
import { createGrpcClient } from '../../support/grpc.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { findFreePort } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(otlp_forward_url = '', log: Log = silentLog) {
  const receiver = await startTestReceiver({
    log,
    flags: { grpc_port: '0', ...(otlp_forward_url !== '' && { otlp_forward_url }) },
  })
  cleanups.push(() => receiver.close())
  const grpc = createGrpcClient(receiver.grpcUrl)
  cleanups.push(() => grpc.close())
  return { receiver, grpc }
}

const method = (signal: string) =>
  signal === 'traces'
    ? '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
    : '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'

// The content is not looked at.
const body = gzipSync(Buffer.from('some bytes'))
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'gzip' }

describe.for(['traces', 'metrics'])('/v1/%s', (signal) => {
  it('without a destination: taken, dropped and counted, and one line says what to set', async () => {
    const lines: string[] = []
    const log = {
      info() {},
      error() {},
      warn: (_fields: object, message: string) => void lines.push(message),
    }
    const { receiver, grpc } = await start('', log)
    for (const base of [receiver.url, receiver.otlpUrl.replace('v1/logs', '')]) {
      const answer = await fetch(`${base}v1/${signal}`, { method: 'POST', headers, body })
      expect([answer.status, await answer.text()]).toEqual([200, '{}'])
    }
    expect(await grpc.export(body, method(signal))).toMatchObject({ code: 0, message: Buffer.alloc(0) })
    expect(receiver.metric.total('telemetry_dropped')).toBe(3)
    expect(lines.filter((line) => line.includes('otlp_forward_url'))).toHaveLength(1)
  })

  it('with one: passed on as it came, and answered as it was answered', async () => {
    const endpoint = await startOtlpEndpoint()
    cleanups.push(() => endpoint.close())
    const { receiver, grpc } = await start(`${endpoint.url}/base/`)
    endpoint.script.push(
      { body: '{"a":1}' },
      { status: 429, headers: { 'retry-after': '7' }, body: '{"code":8}' },
      { body: Buffer.from([0x0a, 0]) },
      { status: 503, headers: { 'retry-after': '3' } },
      { status: 400 },
    )
    const url = `${receiver.url}v1/${signal}`
    const first = await fetch(url, { method: 'POST', headers, body })
    expect([first.status, await first.text()]).toEqual([200, '{"a":1}'])
    const second = await fetch(url, { method: 'POST', headers, body })
    expect([second.status, second.headers.get('retry-after'), await second.text()]).toEqual([
      429,
      '7',
      '{"code":8}',
    ])
    expect(endpoint.requests[0]!.path).toBe(`/base/v1/${signal}`)
    expect(endpoint.requests[0]!.headers).toMatchObject({
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    })
    expect(endpoint.requests[0]!.body.toString()).toBe('some bytes')

    expect(await grpc.export(Buffer.from('other'), method(signal))).toMatchObject({
      code: 0,
      message: Buffer.from([0x0a, 0]),
    })
    expect(endpoint.requests[2]!.body.toString()).toBe('other')
    const away = await grpc.export(body, method(signal))
    expect(away.code).toBe(14)
    expect(away.details!.toString()).toContain('RetryInfo')
    expect((await grpc.export(body, method(signal))).code).toBe(3)
  })

  it('one that is away: 503 with Retry-After and UNAVAILABLE', async () => {
    const { receiver, grpc } = await start(`http://127.0.0.1:${await findFreePort()}`)
    const answer = await fetch(`${receiver.url}v1/${signal}`, { method: 'POST', headers, body })
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    expect((await grpc.export(body, method(signal))).code).toBe(14)
  })
})
