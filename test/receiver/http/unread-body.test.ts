import { once } from 'node:events'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestReceiver } from '../../support/receiver.ts'

// More than the buffers of both ends of a socket hold.
const bodyBytes = 24 * 1024 * 1024

/** A client that reads no answer before it has written its whole request, as simple clients do. */
async function sendThenRead(port: number, head: string, body: Iterable<Uint8Array>): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' }).pause()
  await once(socket, 'connect')
  socket.write(`${head}\r\n\r\n`)
  for (const part of body) if (!socket.write(part)) await once(socket, 'drain')
  let answer = ''
  socket.setEncoding('latin1').on('data', (text) => {
    answer += text
  })
  socket.resume().end()
  await once(socket, 'close')
  return answer
}

function* repeat(part: Uint8Array, total: number): Generator<Uint8Array> {
  for (let sent = 0; sent < total; sent += part.length) yield part
}

describe('an answer that goes out before the body has come whole reaches a client that is still writing', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  let port = 0
  beforeAll(async () => {
    receiver = await startTestReceiver({ flags: { max_body_bytes: '1048576' } })
    port = Number(new URL(receiver.url).port)
  })
  afterAll(() => receiver.close())

  const part = Buffer.alloc(64 * 1024, 'x')
  const plain = () => repeat(part, bodyBytes)
  function* chunked() {
    for (const one of plain()) yield Buffer.concat([Buffer.from('10000\r\n'), one, Buffer.from('\r\n')])
    yield Buffer.from('0\r\n\r\n')
  }
  const announced = `content-length: ${bodyBytes}`

  it.each([
    ['announced, OTLP', '/v1/logs', `content-type: application/x-protobuf\r\n${announced}`, plain],
    ['announced, REST', '/event', `content-type: application/json\r\n${announced}`, plain],
    ['chunked, OTLP', '/v1/logs', 'content-type: application/json\r\ntransfer-encoding: chunked', chunked],
    ['chunked, REST', '/event', 'content-type: application/json\r\ntransfer-encoding: chunked', chunked],
  ])('413: %s', async (_what, path, headers, body) => {
    const answer = await sendThenRead(port, `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}`, body())
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n')
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('413: a body that inflates beyond the limit, with megabytes behind it', async () => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024))
    const head = `POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked`
    function* body() {
      yield Buffer.concat([Buffer.from(`${bomb.length.toString(16)}\r\n`), bomb, Buffer.from('\r\n')])
      yield* chunked()
    }
    expect(await sendThenRead(port, head, body())).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('429: a body that does not fit beside another', async () => {
    const crowded = await startTestReceiver({
      flags: { max_in_flight_bytes: '1048576', max_body_bytes: String(2 * bodyBytes) },
    })
    const crowdedPort = Number(new URL(crowded.url).port)
    const other = connect({ port: crowdedPort, host: '127.0.0.1' })
    try {
      other.write(
        `POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{`,
      )
      const head = `POST /v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${announced}`
      let answer = ''
      // Until the other one has entered.
      for (let i = 0; i < 50 && !answer.startsWith('HTTP/1.1 429'); i++)
        answer = await sendThenRead(crowdedPort, head, plain())
      expect(answer).toMatch(/^HTTP\/1\.1 429 /)
      expect(answer.toLowerCase()).toContain('\r\nretry-after: ')
    } finally {
      other.destroy()
      await crowded.close()
    }
  })

  it('a client that goes on for ever is cut off after a while, and the receiver ends cleanly after it', async () => {
    const own = await startTestReceiver({ flags: { max_body_bytes: '1048576' } })
    const socket = connect({ port: Number(new URL(own.url).port), host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write(
      `POST /event HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${bodyBytes}\r\n\r\n`,
    )
    const timer = setInterval(() => socket.write('x'), 100)
    const startedMs = performance.now()
    try {
      await new Promise((resolve) => socket.once('close', resolve))
      expect(performance.now() - startedMs).toBeGreaterThan(3000)
    } finally {
      clearInterval(timer)
    }
    expect(await own.close()).toBe(true)
  })
})
