import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestReceiver } from '../support/receiver.ts'

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  receiver = await startTestReceiver({ flags: { grpc_port: '0' } })
})
afterAll(() => receiver.close())

const secondsOf = (sinceMs: number) => (performance.now() - sinceMs) / 1000

/** What comes back for a body of which `part` is sent four times a second, and after how many seconds. */
async function sendSlowly(url: string, head: string, part: string, parts = Number.POSITIVE_INFINITY) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  const startedMs = performance.now()
  socket.write(`POST ${head}\r\nhost: localhost\r\n\r\n`)
  let sent = 0
  const timer = setInterval(() => {
    if (sent++ < parts) socket.write(part)
  }, 250)
  try {
    const [answer] = await Promise.race([
      once(socket.setEncoding('latin1'), 'data'),
      once(socket, 'close').then(() => ['']),
    ])
    return { answer: answer as string, seconds: secondsOf(startedMs) }
  } finally {
    clearInterval(timer)
    socket.destroy()
  }
}

it('a body that comes slower than 1 KiB a second is refused, by every door', {
  timeout: 40_000,
}, async () => {
  const json = 'content-type: application/json'
  const chunked = 'transfer-encoding: chunked'
  const announced = 'content-length: 1000000'
  const heads: [url: string, head: string, part: string][] = [
    [receiver.url, `/event HTTP/1.1\r\n${json}\r\ncontent-length: 60000`, ' '],
    [receiver.url, `/event HTTP/1.1\r\n${json}\r\n${announced}`, ' '.repeat(200)],
    [receiver.url, `/event HTTP/1.1\r\n${json}\r\n${chunked}`, '1\r\n \r\n'],
    [receiver.url, `/events/query HTTP/1.1\r\n${json}\r\n${announced}`, ' '],
    [receiver.url, `/v1/logs HTTP/1.1\r\n${json}\r\n${announced}`, ' '],
    // Nothing but its head.
    [receiver.otlpUrl, `/v1/logs HTTP/1.1\r\n${json}\r\n${announced}`, ''],
    [receiver.otlpUrl, `/v1/logs HTTP/1.1\r\n${json}\r\ncontent-encoding: gzip\r\n${announced}`, ''],
    [receiver.otlpUrl, `/v1/logs HTTP/1.1\r\n${json}\r\ncontent-encoding: zstd\r\n${chunked}`, ''],
  ]
  const grpc = async () => {
    const session = connectHttp2(receiver.grpcUrl)
    session.on('error', () => {})
    const startedMs = performance.now()
    const call = session.request({
      ':method': 'POST',
      ':path': '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
      'content-type': 'application/grpc',
    })
    // A message of 1,000,000 bytes.
    call.write(Buffer.from([0, 0, 15, 66, 64]))
    const timer = setInterval(() => call.write(Buffer.from([0])), 1000)
    call.on('error', () => {})
    const [headers] = await once(call, 'response')
    clearInterval(timer)
    session.destroy()
    return { answer: String(headers['grpc-message']), seconds: secondsOf(startedMs) }
  }
  const [answers, ofGrpc] = await Promise.all([Promise.all(heads.map((one) => sendSlowly(...one))), grpc()])
  for (const [i, { answer, seconds }] of answers.entries()) {
    expect(answer, heads[i]![1]).toMatch(/^HTTP\/1\.1 429 [\s\S]*\r\nretry-after: /i)
    expect(seconds, heads[i]![1]).toBeGreaterThan(8)
    expect(seconds, heads[i]![1]).toBeLessThan(18)
  }
  expect(ofGrpc.answer).toContain('slower')
  expect(ofGrpc.seconds).toBeLessThan(18)
})

it('a slow line that is fast enough is served', { timeout: 40_000 }, async () => {
  const body = JSON.stringify({ message: 'x'.repeat(30_000) })
  const part = Math.ceil(body.length / 50)
  const socket = connect(Number(new URL(receiver.url).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    `POST /event HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  )
  for (let at = 0; at < body.length; at += part) {
    socket.write(body.slice(at, at + part))
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  const [answer] = await once(socket.setEncoding('latin1'), 'data')
  expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  socket.destroy()
})
