import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openQuickDoor, type QuickDoor } from '../../../receiver/src/http/quick-door.ts'
import { parseSimpleHead } from '../../../receiver/src/http/simple-request.ts'
import { startTestReceiver } from '../../support/receiver.ts'

/** Sends the parts one after the other; gives everything that was answered until the other side or a pause ends it. */
async function talk(
  port: number,
  parts: (string | Buffer)[],
  quietMs = 150,
  firstMs = quietMs,
): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  let heardMs = performance.now()
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
    heardMs = performance.now()
  })
  let isClosed = false
  socket.on('close', () => {
    isClosed = true
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  for (const part of parts) {
    socket.write(part)
    await sleep(40)
  }
  heardMs = performance.now()
  while (!isClosed && performance.now() - heardMs < (text === '' ? firstMs : quietMs)) await sleep(10)
  socket.destroy()
  return text
}

const answersOf = (text: string) => text.match(/(quick|slow):.*?(?=HTTP|$)/gs)
const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4)
const headOf = (answer: string) =>
  answer
    .slice(0, answer.indexOf('\r\n\r\n'))
    .split('\r\n')
    .map((line) => line.replace(/^date: .*/i, 'date').replace(/^content-length: .*/i, 'length'))
    .sort()

describe('the quick door', () => {
  let server: Server
  let door: QuickDoor
  let port: number
  let quick: string[]
  let slow: { method: string; url: string; body: string }[]
  let isFull = false
  let finish: Promise<void> = Promise.resolve()
  let held = 0
  beforeEach(async () => {
    quick = []
    slow = []
    isFull = false
    held = 0
    finish = Promise.resolve()
    server = createServer(
      { requestTimeout: 2000, connectionsCheckingInterval: 100 },
      async (request, response) => {
        let body = ''
        request.on('error', () => {})
        request.setEncoding('utf8').on('data', (chunk) => {
          body += chunk
        })
        await once(request, 'end').catch(() => {})
        if (!request.complete) return
        slow.push({ method: request.method!, url: request.url!, body })
        response.end(`slow:${body}`)
      },
    )
    door = openQuickDoor(server, {
      path: '/event',
      maxBodyBytes: 1000,
      keepAliveMs: 75_000,
      requestTimeoutMs: 300,
      isAllowedHost: () => true,
      isProxy: () => false,
      enter(bytes) {
        if (isFull) throw new EventError('EVT_OVERLOAD')
        held += bytes
        return {
          grow: () => {},
          turn: () => undefined,
          release: () => {
            held -= bytes
          },
        }
      },
      async answer(body) {
        await finish
        quick.push(body.toString())
        return { status: 200, body: `quick:${body}` }
      },
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  })
  afterEach(async () => {
    door.destroy()
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    expect(held).toBe(0)
  })

  const plain = (body: string, more = '') =>
    `POST /event HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\n${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

  it('serves plain requests, one after the other, also when the body comes apart from its head', async () => {
    const split = plain('third')
    const at = split.indexOf('third')
    const answers = await talk(port, [plain('first'), plain('zweiter ü'), split.slice(0, at), 'third'])
    expect(answersOf(answers)).toEqual(['quick:first', 'quick:zweiter ü', 'quick:third'])
    expect(slow).toEqual([])
  })

  it('2. Whatever is not plain, the server sees whole, in order, and nothing before it', async () => {
    const other = 'GET /other HTTP/1.1\r\nhost: x\r\n\r\n'
    const answers = await talk(port, [plain('a'), other, plain('b')])
    expect(answersOf(answers)).toEqual(['quick:a', 'slow:', 'slow:b'])
    expect(slow).toEqual([
      { method: 'GET', url: '/other', body: '' },
      { method: 'POST', url: '/event', body: 'b' },
    ])
  })

  it.each([
    [
      'a transfer encoding',
      ['POST /event HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'],
      ['ab'],
    ],
    ['a query', [plain('a').replace('/event', '/event?x=1')], ['a']],
    ['a large body', [plain('x'.repeat(1001))], ['x'.repeat(1001)]],
    ['two requests at once', [plain('a') + plain('b')], ['a', 'b']],
    ['a head in two parts', ['POST /event HT', plain('a').slice(14)], ['a']],
    ['a body in three parts', [plain('abc').slice(0, -2), 'b', 'c'], ['abc']],
    ['an origin', [plain('a', 'Origin: http://x\r\n')], ['a']],
    ['a transfer encoding and a length', [plain('abcdefgh', 'transfer-encoding: chunked\r\n')], []],
    ['two hosts or lengths', [plain('a', 'content-length: 1\r\n')], []],
    ['a folded header', [plain('a', 'x: 1\r\n 2\r\n')], undefined],
    ['HTTP/1.0', [plain('a').replace('1.1', '1.0')], ['a']],
    ['no HTTP', ['\x16\x03\x01 hello\r\n\r\n'], []],
  ] as [string, string[], string[] | undefined][])('leaves to the server: %s', async (_, parts, bodies) => {
    const answers = await talk(port, parts)
    expect(quick).toEqual([])
    if (bodies) expect(slow.map(({ body }) => body)).toEqual(bodies)
    expect(answers).toMatch(bodies?.length === 0 ? /^HTTP\/1.1 400/ : /^HTTP\/1.1 (200|400)/)
  })

  it('what comes before the answer is answered after it', async () => {
    let end = () => {}
    finish = new Promise((resolve) => {
      end = resolve
    })
    setTimeout(() => end(), 200)
    const answers = await talk(port, [plain('a'), plain('b'), plain('c')], 400)
    expect(answersOf(answers)).toEqual(['quick:a', 'slow:b', 'slow:c'])
  })

  it('3. A body is waited for only after the gate has let it in', async () => {
    isFull = true
    await talk(port, [plain('abc').slice(0, -3)])
    expect(quick).toEqual([])
    isFull = false
    // The rest that does not come is the server's to wait for.
    const answer = await talk(port, [plain('abc').slice(0, -3)], 4000)
    expect(answer).toMatch(/^HTTP\/1.1 408 /)
  })

  it('a client that leaves in the middle costs nothing', async () => {
    for (const cut of [10, 60, 80]) {
      const socket = connect(port, '127.0.0.1')
      socket.write(plain('abcdefghijklmnopqrstuvwxyz').slice(0, cut))
      await sleep(30)
      socket.destroy()
    }
    const socket = connect(port, '127.0.0.1')
    socket.write(plain('a'))
    socket.resetAndDestroy()
    expect(await talk(port, [plain('next')])).toContain('quick:next')
    expect(held).toBe(0)
  })

  it('answers a client that has ended its side, and closes idle connections when asked', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    socket.end(plain('last'))
    await once(socket, 'end')
    expect(text).toContain('quick:last')
    socket.destroy()

    const idle = connect(port, '127.0.0.1').resume()
    idle.write(plain('a'))
    await sleep(50)
    door.closeIdle()
    await once(idle, 'close')
  })

  it('reads heads as strictly as HTTP has them', () => {
    const head = (...lines: string[]) =>
      parseSimpleHead(`${['POST /event HTTP/1.1', ...lines].join('\r\n')}\r\n`)
    expect(head('Host: a:80', 'Content-Length:  12 ', 'Content-Type: application/json')).toEqual({
      path: '/event',
      host: 'a:80',
      contentType: 'application/json',
      bodyBytes: 12,
    })
    for (const lines of [
      ['host: a'],
      ['content-length: 1'],
      ['host: a', 'content-length: +1'],
      ['host: a', 'content-length: 1, 1'],
      ['host: a', 'content-length : 1'],
      ['host: a', 'content-length: 1', 'x: \x00'],
      ['host: a', 'content-length: 1', 'x: a\nb: c'],
      ['host: a', 'content-length: 1', 'x: a\rb'],
      ['host: a', 'content-length: 1', 'connection: close'],
      ['host: a', 'content-length: 1', 'expect: 100-continue'],
      ['host: a', 'content-length: 1', ': empty'],
      ['host: a', 'content-length: 1', ''],
    ])
      expect(head(...lines), lines.join(' | ')).toBeUndefined()
  })
})

describe('POST /event by both doors', () => {
  it('1. What is answered here is answered as the server would', async () => {
    const receiver = await startTestReceiver()
    const port = Number(new URL(receiver.url).port)
    const request = (body: string | Buffer, type: string, more = '') =>
      Buffer.concat([
        Buffer.from(
          `POST /event HTTP/1.1\r\nhost: x\r\n${type && `content-type: ${type}\r\n`}${more}content-length: ${Buffer.byteLength(body)}\r\n\r\n`,
        ),
        Buffer.from(body),
      ])
    const json = 'application/json'
    const id = '01JJ4S0WNGEF5FQAZG5KDGJRBV'
    const time = '2026-01-01T00:00:00Z'
    const cases: [string | Buffer, string][] = [
      [JSON.stringify({ event_id: id, event_type: 'test', event_timestamp: time, source: {} }), json],
      ['{"bad', json],
      ['', json],
      ['{}', 'text/plain'],
      ['{}', ''],
      [Buffer.from([0x22, 0xff, 0x22]), json],
      ['{"event_type":"nothing"}', json],
      [JSON.stringify({ event_data: '\ud800' }), json],
      [
        `{"event_id":"${id}","event_timestamp":"${time}","source":{},"event_data":{"n":12345678901234567890,"x":NaN,"u":"ü"}}`,
        json,
      ],
      [`${'['.repeat(2000)}${']'.repeat(2000)}`, json],
    ]
    try {
      for (const [body, type] of cases) {
        const quick = await talk(port, [request(body, type)], 80, 5000)
        // `te` says nothing here, but is not plain.
        const slow = await talk(port, [request(body, type, 'te: trailers\r\n')], 80, 5000)
        expect(headOf(quick)).toEqual(headOf(slow))
        expect(bodyOf(quick)).toEqual(bodyOf(slow))
      }
    } finally {
      await receiver.close()
    }
  })
})
