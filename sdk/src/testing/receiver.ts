import '../disposable.ts'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'
import { EventClient } from '../client.ts'
import { toEventJson } from '../event/document.ts'
import { EventError } from '../event/error.ts'
import { type Event, isObject, type Value } from '../event/event.ts'
import { parseJson } from '../event/json.ts'
import { parseLevel } from '../event/level.ts'
import { parseEvent } from '../event/parse.ts'
import type { ClientOptions } from '../setting.ts'
import { trimEndSlashes } from '../slash.ts'
import { decodeJson } from './json.ts'
import { toEvents } from './logs.ts'
import { type Matched, type Selector, toPredicate } from './match.ts'
import { decodeProtobuf } from './protobuf.ts'

export interface TestReceiverOptions {
  /** A free one, if left out. */
  port?: number | undefined
}

/** What comes of a request instead of its answer: a status, or the connection cut or left hanging. */
export type Failure = number | 'cut' | 'hang' | { status: number; retryAfterSeconds?: number }

export interface WaitForOptions {
  /** So many events must match; 1, if left out. */
  count?: number | undefined
  /** 5000, if left out. */
  timeoutMs?: number | undefined
}

/**
 * A receiver in memory, for the tests of programs that emit events. It speaks OTLP/HTTP (protobuf and JSON) and MADSci's
 * REST API on a real socket.
 *
 *     const receiver = await startTestReceiver()
 *     const events = receiver.createClient()
 *     …
 *     const [failed] = await receiver.waitFor({ event_type: 'action_failed', 'event_data.action': 'transfer' })
 *     await receiver.close()
 *
 * It does not keep the process alive: a test that fails before `close()` ends all the same.
 */
export interface TestReceiver {
  readonly url: string
  readonly port: number
  /** A client that delivers at once and writes nothing to the disk; `close()` of the receiver closes it, too. */
  createClient(options?: ClientOptions): EventClient
  /** What arrived so far, in order, each event once; those that match, if asked. */
  events<const Wanted extends Selector>(selector?: Wanted): Matched<Wanted>[]
  /** The same once enough have arrived; rejects, and says what did arrive, when the time is up. */
  waitFor<const Wanted extends Selector>(
    selector: Wanted,
    options?: WaitForOptions,
  ): Promise<Matched<Wanted>[]>
  /** The next requests that bring events fail like this, one each; their events do not count as arrived. */
  failNext(...failures: Failure[]): void
  /** Forgets all events, and failures to come. */
  clear(): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

// A request that is left hanging holds up a test no longer than this.
const testTimeoutMs = 2000
const closeTimeoutMs = 500

interface Waiter {
  test: () => boolean
  settle: () => void
}

export async function startTestReceiver(options: TestReceiverOptions = {}): Promise<TestReceiver> {
  const stored = new Map<string, Event>()
  let failures: Failure[] = []
  let waiters: Waiter[] = []

  function store(events: Event[]): void {
    for (const event of events) if (!stored.has(event.event_id)) stored.set(event.event_id, event)
    for (const waiter of waiters.filter(({ test }) => test())) waiter.settle()
  }

  const find = (selector?: Selector) => [...stored.values()].filter(toPredicate(selector))

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://test')
    const route = `${request.method} ${trimEndSlashes(pathname)}`
    const isIntake = route === 'POST /v1/logs' || route === 'POST /event'
    const failure = isIntake ? failures.shift() : undefined
    if (failure !== undefined) return fail(request, response, failure)
    const type = request.headers['content-type']?.split(';')[0]?.trim() ?? ''
    if (route === 'POST /v1/logs') {
      if (type === 'application/x-protobuf') store(toEvents(decodeProtobuf(body)))
      else if (type === 'application/json') store(toEvents(decodeJson(body)))
      else throw new EventError('EVT_CONTENT_TYPE')
      const isJson = type === 'application/json'
      response.writeHead(200, { 'content-type': type }).end(isJson ? '{}' : undefined)
      return
    }
    const json = () => parseJson(body.toString() || 'null')
    if (route === 'POST /event') {
      const event = parseEvent(json())
      store([event])
      return reply(response, toEventJson(event))
    }
    if (route === 'GET /health') return reply(response, '{"healthy":true}')
    if (route === 'GET /events') return reply(response, toList(list(find(), searchParams)))
    if (route === 'POST /events/query')
      return reply(response, toList(find(json() as { [path: string]: Value })))
    if (route === 'POST /events/receipts') return reply(response, toReceipts(json(), stored))
    const one = /^GET \/event\/(.+)$/.exec(route)
    const event = one && stored.get(decodeURIComponent(one[1]!))
    if (!event) throw new EventError('EVT_NOT_FOUND')
    reply(response, toEventJson(event))
  }

  const clients = new Set<EventClient>()
  const server = createServer((request, response) => {
    answer(request, response).catch((error) => {
      const { status, message, detail } =
        error instanceof EventError ? error : new EventError('EVT_BODY', String(error))
      reply(response, JSON.stringify({ message, detail }), status)
    })
  })
  server.on('connection', (socket) => socket.unref())
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  const { port } = server.address() as { port: number }

  const receiver: TestReceiver = {
    url: `http://127.0.0.1:${port}`,
    port,
    createClient(clientOptions) {
      const client = new EventClient({
        url: receiver.url,
        spool: false,
        scheduleDelayMs: 0,
        timeoutMs: testTimeoutMs,
        flushTimeoutMs: testTimeoutMs,
        ...clientOptions,
      })
      clients.add(client)
      return client
    },
    // What they match is what their types say.
    events: find as TestReceiver['events'],
    waitFor(selector, { count = 1, timeoutMs = 5000 } = {}) {
      return new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer)
          waiters = waiters.filter((other) => other !== waiter)
          settle()
        }
        const timer = setTimeout(
          () =>
            finish(() => reject(new Error(tooFew(find(selector), count, timeoutMs, [...stored.values()])))),
          timeoutMs,
        )
        const waiter: Waiter = {
          test: () => find(selector).length >= count,
          settle: () => finish(() => resolve(find(selector) as never)),
        }
        waiters.push(waiter)
        if (waiter.test()) waiter.settle()
      })
    },
    failNext: (...more) => void failures.push(...more),
    clear() {
      stored.clear()
      failures = []
    },
    async close() {
      // What a failing test left undelivered is nobody's any more.
      const closed = [...clients].map((client) => client.close({ timeoutMs: closeTimeoutMs }).catch(() => {}))
      clients.clear()
      await Promise.all(closed)
      server.closeAllConnections()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    },
    [Symbol.asyncDispose]: () => receiver.close(),
  }
  return receiver
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
}

function reply(response: ServerResponse, json: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(json)
}

function fail(request: IncomingMessage, response: ServerResponse, failure: Failure): void {
  if (failure === 'hang') return
  if (failure === 'cut') return void request.socket.destroy()
  const { status, retryAfterSeconds } =
    typeof failure === 'number' ? { status: failure, retryAfterSeconds: undefined } : failure
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  const type = request.headers['content-type'] ?? 'application/json'
  // As a Status: its JSON, or its protobuf with nothing in it.
  response
    .writeHead(status, { 'content-type': type, ...headers })
    .end(type.includes('json') ? '{}' : undefined)
}

function list(events: Event[], query: URLSearchParams): Event[] {
  const level = parseLevel(query.get('level') ?? 0) ?? 0
  const number = Number(query.get('number') ?? 100)
  const offset = Number(query.get('offset') ?? 0)
  const from = query.get('start_time')
  const to = query.get('end_time')
  const found = events
    .filter((event) => event.log_level >= level)
    .filter(({ event_timestamp }) => from === null || Date.parse(event_timestamp) >= Date.parse(from))
    .filter(({ event_timestamp }) => to === null || Date.parse(event_timestamp) <= Date.parse(to))
    .sort((a, b) => (a.event_timestamp < b.event_timestamp ? 1 : -1))
  return found.slice(offset, number === 0 ? undefined : offset + number)
}

function toList(events: Event[]): string {
  return `{${events.map((event) => `${JSON.stringify(event.event_id)}:${toEventJson(event)}`).join(',')}}`
}

function toReceipts(body: Value, stored: Map<string, Event>): string {
  const ids = (isObject(body) && Array.isArray(body.event_ids) ? body.event_ids : []) as string[]
  const found = ids.filter((id) => stored.has(id)).map((id) => [id, { commit: null }])
  return JSON.stringify({ stored: Object.fromEntries(found), missing: ids.filter((id) => !stored.has(id)) })
}

function tooFew(found: Event[], count: number, timeoutMs: number, all: Event[]): string {
  const seen = all.map(({ event_type, event_data }) => {
    const message = isObject(event_data) ? event_data.message : event_data
    return typeof message === 'string' ? `${event_type} '${message.slice(0, 60)}'` : event_type
  })
  const arrived = seen.length === 0 ? 'nothing arrived' : `arrived: ${seen.slice(-20).join(', ')}`
  return `${found.length} of ${count} events after ${timeoutMs} ms; ${arrived}`
}
