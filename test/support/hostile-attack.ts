import { type ClientRequest, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { frame, goAway, preface, settings } from './http2.ts'

export interface Target {
  httpPort: number
  grpcPort: number
  /** The attacker's own address, one of 127.0.0.0/8. */
  localAddress: string
}

export interface Answer {
  /** 0: no answer; the connection ended or the attacker gave up. */
  status: number
}

/** One hostile client. A step is bounded in time and in bytes, and never throws because of what the receiver does. */
export interface Attack {
  name: string
  /** Answers of the step, for the table of the soak. */
  step(target: Target): Promise<Answer[]>
  /** Between two steps. */
  pauseMs: number
  /** Statuses that would mean that the attack got through; other statuses are the receiver's to choose. */
  forbidden?: readonly number[]
}

const giveUpMs = 5000

interface SendOptions {
  method?: string
  path: string
  headers?: { [name: string]: string }
  body?: Uint8Array | string
}

function send(target: Target, { method = 'POST', path, headers = {}, body }: SendOptions): Promise<Answer> {
  return new Promise((resolve) => {
    const finish = (status: number) => {
      clearTimeout(timer)
      resolve({ status })
    }
    const call: ClientRequest = request(
      {
        host: '127.0.0.1',
        port: target.httpPort,
        localAddress: target.localAddress,
        method,
        path,
        headers,
        agent: false,
      },
      (response) => {
        response.resume()
        response.once('close', () => finish(response.statusCode ?? 0))
      },
    )
    const timer = setTimeout(() => call.destroy(), giveUpMs)
    call.once('error', () => finish(0))
    call.once('close', () => finish(0))
    call.end(body)
  })
}

/** Sockets that write what they are told and then do nothing, until the receiver ends them or `holdMs` is over. */
async function hold(
  target: Target,
  port: number,
  {
    count,
    bytes,
    holdMs,
    trickleMs,
  }: { count: number; bytes: Uint8Array; holdMs: number; trickleMs?: number },
): Promise<Answer[]> {
  const sockets: Socket[] = []
  for (let index = 0; index < count; index++) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: target.localAddress })
    socket.on('error', () => {})
    socket.pause()
    socket.write(bytes)
    sockets.push(socket)
  }
  const timer = trickleMs === undefined ? undefined : setInterval(() => trickle(sockets), trickleMs)
  await sleep(holdMs)
  clearInterval(timer)
  for (const socket of sockets) socket.destroy()
  return []
}

function trickle(sockets: readonly Socket[]): void {
  for (const socket of sockets) if (socket.writable) socket.write(' ')
}

const json = { 'content-type': 'application/json' }
const head = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1')

const patterns = [
  '^(a+)+$',
  '^(a|a)+$',
  '(?=a)(a|aa)+$',
  '([a-z]+)*\\d',
  '(.*)*x',
  '^(?!b)(a*)*$',
  '(x+x+)+y',
  '(\\w|\\s)*!\\1',
]
const query = (pattern: string) => ({ 'event_data.message': { $regex: pattern } })
const nested = (depth: number) => `${'{"$and":['.repeat(depth)}{}${']}'.repeat(depth)}`

// Prepared once: an attacker that builds its bodies again and again would only measure its own processor time.
const quotes = `"${'\\"'.repeat(200_000)}`
const emptyObjects = `{"event_type":"log_info","event_data":[${'{},'.repeat(2_700_000)}{}]}`
const bigIntegers = `{"event_type":"log_info","event_data":{"a":[1234567890123456789${',{}'.repeat(900_000)}]}}`
// resource_logs (1) ▶ scope_logs (2) ▶ log_records (2), each of them without a byte.
const emptyRecords = gzipSync(field(1, field(2, Buffer.alloc(1_048_576, Buffer.from([0x12, 0x00])))))
const inflated = gzipSync(Buffer.alloc(64 * 1024 * 1024))
const otlpValues = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${'{},'.repeat(400_000)}{}]}]}]}`
const pushPromise = frame(5, 4, 1, Buffer.from([0, 0, 0, 2, 0x82]))

function field(number: number, payload: Uint8Array): Buffer {
  const length: number[] = []
  for (let rest = payload.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), payload])
}

/** What browsers send of their own accord, from a page of somebody else. */
const browser = {
  origin: 'http://evil.example',
  referer: 'http://evil.example/',
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'no-cors',
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0.0.0 Safari/537.36',
}

/** Ten hostile clients; each has an address of its own. */
export const attacks: readonly Attack[] = [
  {
    name: 'regular expressions that backtrack',
    pauseMs: 1000,
    step: (target) =>
      Promise.all(
        patterns.flatMap((pattern) => [
          send(target, {
            path: `/events/query?selector=${encodeURIComponent(JSON.stringify(query(pattern)))}`,
          }),
          send(target, {
            path: '/alerts/preview',
            headers: json,
            body: JSON.stringify({ rule: { name: 'x', selector: query(pattern) } }),
          }),
        ]),
      ),
  },
  {
    name: 'JSON of many values',
    pauseMs: 3000,
    step: async (target) => {
      const answers: Answer[] = []
      for (const body of [quotes, emptyObjects, bigIntegers])
        for (const path of ['/event', '/events/query', '/alerts/preview'])
          answers.push(await send(target, { path, headers: json, body }))
      return answers
    },
  },
  {
    name: 'OTLP that inflates',
    pauseMs: 3000,
    step: async (target) => {
      const path = '/v1/logs'
      const protobuf = { 'content-type': 'application/x-protobuf', 'content-encoding': 'gzip' }
      return [
        await send(target, { path, headers: protobuf, body: emptyRecords }),
        await send(target, { path, headers: protobuf, body: inflated }),
        await send(target, { path, headers: json, body: otlpValues }),
      ]
    },
  },
  {
    name: 'bodies that are announced and never come',
    pauseMs: 500,
    step: (target) =>
      hold(target, target.httpPort, {
        count: 30,
        bytes: head(
          'POST /v1/logs HTTP/1.1\nhost: localhost\ncontent-type: application/x-protobuf\ncontent-length: 67108864\n\n',
        ),
        holdMs: 10_000,
      }),
  },
  {
    name: 'bodies that trickle, heads that do not end',
    pauseMs: 500,
    step: async (target) => {
      const post =
        'POST /event HTTP/1.1\nhost: localhost\ncontent-type: application/json\ncontent-length: 60000\n\n{'
      await Promise.all([
        hold(target, target.httpPort, { count: 20, bytes: head(post), holdMs: 10_000, trickleMs: 500 }),
        hold(target, target.httpPort, {
          count: 20,
          bytes: head('GET /events HTTP/1.1\nhost: localhost\nx-'),
          holdMs: 10_000,
          trickleMs: 500,
        }),
      ])
      return []
    },
  },
  {
    name: 'HTTP/2 that breaks off',
    pauseMs: 500,
    step: async (target) => {
      const announced = frame(0, 0, 1, Buffer.from([0, 4, 0, 0, 0]))
      await Promise.all([
        hold(target, target.grpcPort, {
          count: 20,
          bytes: Buffer.concat([preface, settings, frame(1, 5, 1, Buffer.from([0x82])), goAway, pushPromise]),
          holdMs: 2000,
        }),
        hold(target, target.grpcPort, { count: 10, bytes: preface, holdMs: 10_000 }),
        hold(target, target.grpcPort, {
          count: 10,
          bytes: Buffer.concat([preface, settings, frame(1, 4, 1, Buffer.from([0x83])), announced]),
          holdMs: 10_000,
        }),
      ])
      return []
    },
  },
  {
    name: 'a page on another site',
    pauseMs: 500,
    forbidden: [200],
    step: async (target) => [
      await send(target, { path: '/backup', headers: browser }),
      await send(target, {
        method: 'GET',
        path: '/utilization/sessions?csv_format=true&save_to_file=true&output_path=stranger',
        headers: browser,
      }),
      await send(target, {
        method: 'DELETE',
        path: '/events/archived?older_than_days=0',
        headers: { host: 'attacker.example' },
      }),
      await send(target, { method: 'GET', path: '/events?number=1', headers: { host: 'attacker.example' } }),
      await send(target, {
        path: '/event',
        headers: { ...browser, 'content-type': 'text/plain' },
        body: '{}',
      }),
    ],
  },
  {
    name: 'answers that nobody reads',
    pauseMs: 500,
    step: async (target) => {
      await Promise.all([
        hold(target, target.httpPort, {
          count: 40,
          bytes: head('GET /events/stream HTTP/1.1\nhost: localhost\naccept: text/event-stream\n\n'),
          holdMs: 15_000,
        }),
        hold(target, target.httpPort, {
          count: 20,
          bytes: head('GET /events?number=0 HTTP/1.1\nhost: localhost\n\n'),
          holdMs: 15_000,
        }),
      ])
      return []
    },
  },
  {
    name: 'questions that cannot be asked',
    pauseMs: 1000,
    step: async (target) => {
      const path = '/events/query'
      const deep = Array.from({ length: 400 }, () => 'a').join('.')
      const bodies = [
        nested(2000),
        JSON.stringify({ [deep]: 1 }),
        JSON.stringify({ $or: Array.from({ length: 20_000 }, (_, n) => ({ [`event_data.k${n}`]: n })) }),
        JSON.stringify({ _id: { $in: Array.from({ length: 100_000 }, String) } }),
        '{"\\ud800":1}',
        '{"a\\u0000b":{"$gt":null}}',
      ]
      const answers = []
      for (const body of bodies) answers.push(await send(target, { path, headers: json, body }))
      answers.push(await send(target, { path: `/backup?description=${encodeURIComponent('漢'.repeat(80))}` }))
      answers.push(
        await send(target, { method: 'GET', path: '/events?number=99999999999999999999&offset=-1' }),
      )
      return answers
    },
    forbidden: [500],
  },
  {
    name: 'noise',
    pauseMs: 300,
    step: async (target) => {
      const noise = Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 7919 * 31) & 255))
      const gets = head('GET /health HTTP/1.1\nhost: localhost\n\n'.repeat(500))
      await Promise.all([
        hold(target, target.httpPort, { count: 5, bytes: noise, holdMs: 1000 }),
        hold(target, target.grpcPort, { count: 5, bytes: noise, holdMs: 1000 }),
        hold(target, target.httpPort, { count: 2, bytes: gets, holdMs: 1000 }),
        hold(target, target.httpPort, {
          count: 5,
          bytes: head('POST /event HTTP/1.1\nhost: localhost\ntransfer-encoding: chunked\n\nfffffffff\n{'),
          holdMs: 1000,
        }),
      ])
      return [
        await send(target, {
          path: '/event',
          headers: json,
          body: JSON.stringify({
            event_type: 'log_info',
            event_data: { message: `${'a'.repeat(44)}!\u001b]0;title\u0007=1+1[x](http://evil.example)` },
          }),
        }),
      ]
    },
  },
]
