import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createGrpcClient } from '../../support/grpc.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const json = 'application/json'
let count = 0
const request = () =>
  JSON.stringify({
    resourceLogs: [
      { scopeLogs: [{ logRecords: [{ timeUnixNano: `${++count}000`, body: { intValue: '1' } }] }] },
    ],
  })

describe('the doors of OTLP, as other programs knock', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  let bases: string[]
  beforeAll(async () => {
    receiver = await startTestReceiver({
      flags: { cors_origins: '["https://page.example"]', grpc_port: '0' },
    })
    bases = [receiver.url, receiver.otlpUrl!.replace('v1/logs', '')]
  })
  afterAll(() => receiver.close())

  const post = (url: string, type = json, body = request(), headers: { [name: string]: string } = {}) =>
    fetch(url, { method: 'POST', redirect: 'manual', body, headers: { 'content-type': type, ...headers } })
  const stored = () => receiver.metric.total('events_stored')

  it('R1: a slash behind the path is served in place, on both ports', async () => {
    for (const base of bases) {
      for (const path of ['v1/logs/', 'v1/logs//', 'v1/logs/?a=1']) {
        const before = stored()
        const answer = await post(base + path)
        expect([path, answer.status, await answer.text()]).toEqual([path, 200, '{}'])
        expect(stored()).toBe(before + 1)
      }
      expect((await post(`${base}v1/traces/`, json, '{}')).status).toBe(200)
      expect((await post(`${base}v1/metrics/`, json, '{}')).status).toBe(200)
      expect((await fetch(`${base}v1/logs/`)).status).toBe(405)
    }
  })

  /** By hand: fetch would not send such headers. */
  const raw = (base: string, head: string, body = '', isHalfClosed = false) =>
    new Promise<string>((resolve, reject) => {
      let text = ''
      const socket = connect(Number(new URL(base).port), '127.0.0.1')
      socket.setTimeout(5000, () => socket.destroy(new Error(`no answer: ${text}`)))
      socket.on('data', (chunk) => {
        text += chunk
      })
      socket.on('error', reject).on('close', () => resolve(text))
      const close = isHalfClosed ? '' : 'connection: close\r\n'
      const bytes = `${head}\r\nhost: x\r\n${close}content-length: ${body.length}\r\n\r\n${body}`
      if (isHalfClosed) socket.end(bytes)
      else socket.write(bytes)
    })

  it.each([
    'application/json, application/json',
    'json',
    'application/',
    '/json',
    'application/json;',
    ';',
    'application/json; charset',
    'application/json;charset="utf-8',
    'a b/c',
    'application//json',
    'text/plain',
    'application/x-protobuf,',
    '*/*',
    'application/jsonx',
  ])('R13: the media type %j is 415, or served, and never our fault', async (type) => {
    for (const base of bases) {
      for (const path of ['v1/logs', 'v1/traces', 'v1/metrics']) {
        const answer = await raw(base, `POST /${path} HTTP/1.1\r\ncontent-type: ${type}`, '{}')
        expect(answer).toMatch(/^HTTP\/1\.1 (?:415|200) /)
        expect(answer).toMatch(/content-type: application\/(?:json|x-protobuf)\r/)
      }
    }
    const query = await raw(receiver.url, `POST /events/query HTTP/1.1\r\ncontent-type: ${type}`, '{}')
    expect(query).not.toMatch(/^HTTP\/1\.1 (?:5|400)/)
    const faults = receiver.metric.read().filter(({ reason }) => reason === 'EVT_INTERNAL')
    expect(faults.map(({ count }) => count)).toEqual([0])
  })

  it('a path that there is not names those that there are, as google.rpc.Status; REST keeps its form', async () => {
    for (const path of ['', 'v1/log', 'otlp/v1/logs', 'v1/logs/x', 'v2/logs', 'v1/zipkin']) {
      const answer = await post(bases[1]! + path)
      expect([path, answer.status]).toEqual([path, 404])
      expect(await answer.json()).toMatchObject({ code: 5, message: expect.stringContaining('/v1/logs') })
    }
    expect(await (await post(`${receiver.url}v1/log`)).json()).toMatchObject({ code: 5 })
    const inProtobuf = await post(`${receiver.url}otlp`, 'application/x-protobuf', '')
    expect([inProtobuf.status, inProtobuf.headers.get('content-type')]).toEqual([
      404,
      'application/x-protobuf',
    ])
    expect(await (await post(`${receiver.url}nowhere`)).json()).toEqual({ detail: expect.any(String) })
    for (const base of bases) {
      const answer = await raw(base, `POST /v1/%zz HTTP/1.1\r\ncontent-type: ${json}`)
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('{"detail":')
    }
  })

  it('pages of cors_origins reach both ports', async () => {
    const origin = 'https://page.example'
    for (const base of bases) {
      const url = `${base}v1/logs`
      const preflight = await fetch(url, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type',
        },
      })
      expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([200, origin])
      const answer = await post(url, json, request(), { origin })
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([200, origin])
      expect((await post(url, json, request(), { origin: 'https://other.example' })).status).toBe(403)
    }
  })

  it('a client that ends its side behind its request gets its answer, and its connection ends', async () => {
    const before = stored()
    for (const base of bases) {
      const answer = await raw(base, `POST /v1/logs HTTP/1.1\r\ncontent-type: ${json}`, request(), true)
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK/)
    }
    const event = JSON.stringify({ event_data: { message: 'half' } })
    const answer = await raw(receiver.url, `POST /event HTTP/1.1\r\ncontent-type: ${json}`, event, true)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/)
    expect(stored()).toBe(before + 3)
    // Nothing was asked: nothing is waited for.
    const silent = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(receiver.url).port), '127.0.0.1', () => socket.end())
      socket.on('close', () => resolve('closed')).resume()
    })
    expect(silent).toBe('closed')
  })

  it('gRPC: health of the server and of its service; another service is NOT_FOUND', async () => {
    const client = createGrpcClient(receiver.grpcUrl)
    try {
      const check = (service: string) =>
        client.export(
          service === '' ? Buffer.alloc(0) : Buffer.from([0x0a, service.length, ...Buffer.from(service)]),
          '/grpc.health.v1.Health/Check',
        )
      for (const service of ['', 'opentelemetry.proto.collector.logs.v1.LogsService'])
        expect(await check(service)).toMatchObject({ code: 0, message: Buffer.of(8, 1) })
      expect((await check('nobody')).code).toBe(5)
      expect((await client.export(Buffer.alloc(0), '/grpc.health.v1.Health/Watch')).code).toBe(12)
    } finally {
      client.close()
    }
  })

  it('listens on every address of localhost, with one set of limits', async () => {
    // Where `localhost` has one address, as on many a server, two stand for it; the third cannot be had.
    const addresses = ['127.0.0.1', '127.0.0.2', '203.0.113.1'].map((address) => ({ address, family: 4 }))
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(async () => addresses as never)
    syncBuiltinESMExports()
    const cleanups: (() => void)[] = []
    const local = await startTestReceiver({
      flags: { server_url: 'http://localhost:0/', grpc_port: '0', max_connections: '4' },
    })
    try {
      const port = new URL(local.grpcUrl).port
      for (const host of ['127.0.0.1', '127.0.0.2']) {
        const client = createGrpcClient(`http://${host}:${port}`)
        const answer = await client.export(Buffer.alloc(0))
        client.close()
        expect([host, answer.code]).toEqual([host, 0])
      }
      const httpPort = Number(new URL(local.url).port)
      const sockets = ['127.0.0.1', '127.0.0.2', '127.0.0.2', '127.0.0.2'].map((host) => {
        const socket = connect({ host, port: httpPort }).on('error', () => {})
        socket.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n')
        return new Promise<string>((resolve) => {
          socket.once('data', (chunk) => resolve(String(chunk).slice(9, 12)))
          socket.once('close', () => resolve('refused'))
        }).finally(() => cleanups.push(() => socket.destroy()))
      })
      const answers = (await Promise.all(sockets)).sort()
      for (const cleanup of cleanups.splice(0)) cleanup()
      expect(answers).toEqual(['200', '200', '200', 'refused'])
    } finally {
      await local.close()
      lookup.mockRestore()
      syncBuiltinESMExports()
    }
  })
})
