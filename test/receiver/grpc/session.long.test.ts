import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { frame, goAway, preface, settings } from '../../support/http2.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(flags: { [name: string]: string } = {}) {
  const receiver = await startTestReceiver({ flags: { grpc_port: '0', ...flags } })
  let isClosed = false
  const close = async () => {
    if (!isClosed) await receiver.close()
    isClosed = true
  }
  cleanups.push(close)
  return { ...receiver, close }
}

const headers = (flags: number) => frame(1, flags, 1, Buffer.from([0x82]))

async function open(url: string, bytes: Uint8Array, isEnded: boolean): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'connect')
  socket.write(bytes)
  if (isEnded) socket.end()
  cleanups.push(() => socket.destroy())
  return socket
}

const openConnections = async (url: string) => {
  const text = await (await fetch(new URL('/metrics', url))).text()
  return Number(/madsci_connections_open\{listener="grpc"\} (\d+)/.exec(text)?.[1])
}

describe('connections of OTLP/gRPC', () => {
  it('that broke off, said goodbye, or never said a word, end', { timeout: 40_000 }, async () => {
    const receiver = await start()
    const broken: [string, Buffer][] = [
      [
        'GOAWAY and a malformed PUSH_PROMISE',
        Buffer.concat([
          preface,
          settings,
          headers(5),
          goAway,
          frame(5, 4, 1, Buffer.from([0, 0, 0, 2, 0x82])),
        ]),
      ],
      ['GOAWAY alone', Buffer.concat([preface, settings, goAway])],
      ['a preface alone', preface],
      ['half a preface', preface.subarray(0, 10)],
      ['nothing', Buffer.alloc(0)],
      ['headers without end', Buffer.concat([preface, settings, headers(0)])],
      ['half a frame', Buffer.concat([preface, settings, headers(4).subarray(0, 5)])],
      ['PING alone', Buffer.concat([preface, settings, frame(6, 0, 0, Buffer.alloc(8))])],
      ['a frame of no kind', Buffer.concat([preface, settings, frame(0x77, 0xff, 3, Buffer.alloc(30))])],
      ['garbage', Buffer.alloc(2000, 0xa5)],
      [
        'RST_STREAM of a stream that is not',
        Buffer.concat([preface, settings, frame(3, 0, 7, Buffer.alloc(4))]),
      ],
    ]
    for (const [, bytes] of broken)
      for (const isEnded of [true, false])
        for (let i = 0; i < 3; i++) await open(receiver.grpcUrl, bytes, isEnded)
    await expect.poll(() => openConnections(receiver.url), { timeout: 30_000, interval: 500 }).toBe(0)
  })

  it('are bounded, and one address cannot hold all', async () => {
    const receiver = await start({ max_connections: '8' })
    const sockets: Socket[] = []
    for (let i = 0; i < 20; i++)
      sockets.push(await open(receiver.grpcUrl, Buffer.concat([preface, settings]), false))
    await sleep(200)
    expect(await openConnections(receiver.url)).toBe(6)
    // Another address of this machine.
    const other = connect({
      port: Number(new URL(receiver.grpcUrl).port),
      host: '127.0.0.1',
      localAddress: '127.0.0.9',
    })
    cleanups.push(() => other.destroy())
    await once(other, 'connect')
    await expect.poll(() => openConnections(receiver.url)).toBe(7)
    expect(receiver.metric.read()).toContainEqual({
      name: 'connections_refused',
      reason: 'too many of one address',
      count: 14,
    })
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => openConnections(receiver.url)).toBe(1)
  })

  it('an idle one that works is kept, and used again', async () => {
    const receiver = await start()
    const session = connectHttp2(receiver.grpcUrl)
    cleanups.push(() => session.destroy())
    const call = async () => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.end(Buffer.alloc(5))
      stream.resume()
      const [trailers] = (await once(stream, 'trailers')) as [{ 'grpc-status': string }]
      return trailers['grpc-status']
    }
    expect(await call()).toBe('0')
    await sleep(3000)
    expect(await call()).toBe('0')
  })
})

it('closing is not held up by connections that send half of something, on any listener', async () => {
  const receiver = await start()
  const half: [string, string][] = [
    [
      receiver.url,
      'POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    ],
    [
      receiver.url,
      'POST /event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    ],
    [receiver.url, 'GET /events HTTP/1.1\r\nhost: x\r\nx-'],
    [receiver.url, ''],
    [receiver.url, 'GET /events/stream HTTP/1.1\r\nhost: x\r\n\r\n'],
    [
      receiver.otlpUrl,
      'POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    ],
    [receiver.grpcUrl, Buffer.concat([preface, settings, headers(4)]).toString('latin1')],
    [receiver.grpcUrl, ''],
  ]
  for (const [url, text] of half)
    for (let i = 0; i < 20; i++) await open(url, Buffer.from(text, 'latin1'), false)
  await sleep(300)
  const startedMs = performance.now()
  await receiver.close()
  expect(performance.now() - startedMs).toBeLessThan(5000)
})
