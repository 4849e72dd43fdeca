import { once } from 'node:events'
import {
  constants,
  createServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { EventError, nowMicros } from '@madsci-events/sdk/event'
import type { Clients } from '../client.ts'
import { limitConnections } from '../connection.ts'
import type { PassedSignal, PassOn } from '../fanout/pass-on.ts'
import type { Attempt, Attempts } from '../ingest/attempt.ts'
import { canDecodeAgain } from '../ingest/conflict.ts'
import type { Ticket } from '../ingest/gate.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { createLogsIntake, type LogsIntakeOptions } from '../ingest/logs.ts'
import { isLarge, type Unpacker } from '../ingest/unpack.ts'
import { addressesOf, listenBeside } from '../listen.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { decodeProtobuf } from '../otlp/protobuf.ts'
import type { Identify } from '../otlp/record-id.ts'
import { contentTypes, encodeSuccess } from '../otlp/reply.ts'
import { asStep, spanOfNow, type Tracing, withSpan } from '../trace.ts'
import { checkHealth, healthPath } from './health.ts'
import { readMessage, toFrame } from './message.ts'
import { type WatchedSession, watchSession, whileAnswering } from './session.ts'
import { type GrpcStatus, grpcCodes, toGrpcStatus, toTrailers } from './status.ts'

export interface GrpcOptions {
  ingest: Ingest
  store: LogsIntakeOptions['store']
  unpacker: Unpacker
  attempts: Attempts
  metric: Metric
  log: Log
  maxBodyBytes: number
  maxRequestRecords: number
  maxConnections: number
  clients: Clients
  /** How long a call may take to arrive whole; 0 = no limit. */
  requestTimeoutMs: number
  passOn: PassOn
  /** Undefined: no spans are made. */
  tracing: Tracing | undefined
  /** Whether events can be stored now, for who asks by gRPC's health check. */
  isServing: () => Promise<boolean>
}

/** A listener of the receiver, like those of http/server.ts. */
export interface GrpcServer {
  listen(address: { host: string; port: number }): Promise<number>
  /** Stops listening, tells clients to go (GOAWAY), waits for calls under way. */
  close(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

// After that a call that has not come whole is not waited for: its sender has no reply, and sends it again.
const arrivalGraceMs = 2000
const service = '/opentelemetry.proto.collector.'
const logsPath = `${service}logs.v1.LogsService/Export`
const logsService = 'opentelemetry.proto.collector.logs.v1.LogsService'
const signalOf = new Map<string, PassedSignal>([
  [`${service}trace.v1.TraceService/Export`, 'traces'],
  [`${service}metrics.v1.MetricsService/Export`, 'metrics'],
])

// What a client may send before we read: bounds the memory of calls that the gate has not seen yet.
const windowBytes = 256 * 1024

/**
 * OTLP/gRPC, unary calls over HTTP/2 without TLS: the same gate and the same receipts as OTLP/HTTP.
 *
 *     headers ▶ gate (UNAVAILABLE: before a byte is read) ▶ length ▶ message, inflated ▶ turn ▶ decode ▶ accept ══ commit ▶ OK
 *
 * Written on node:http2 and not by `@grpc/grpc-js` with `grpc-health-check`: between a call's headers and its whole message, inflated
 * and in memory, that asks nobody, so that the gate could not count what arrives
 * (`test/receiver/grpc/library.test.ts`). A unary call is no more than a frame of five bytes and two trailers.
 * Sources: OTLP 1.x, OTLP/gRPC; gRPC over HTTP/2.
 */
export function createGrpcServer(options: GrpcOptions): GrpcServer {
  const {
    ingest,
    unpacker,
    attempts,
    metric,
    log,
    maxBodyBytes,
    maxRequestRecords,
    requestTimeoutMs,
    passOn,
    clients,
    isServing,
    tracing,
  } = options
  const accept = createLogsIntake(options)
  const throttle = createThrottle()
  const sessions = new Set<WatchedSession>()
  /** Of the further addresses of the host. */
  const besides: Server[] = []
  const server = createServer({
    maxSessionMemory: 64,
    settings: { initialWindowSize: windowBytes, maxConcurrentStreams: 100 },
  })
  server.on('session', (session) => {
    session.setLocalWindowSize(16 * windowBytes)
    watchSession(session, {
      sessions,
      maxCallMs: requestTimeoutMs > 0 ? requestTimeoutMs * 2 : Number.POSITIVE_INFINITY,
      onEnd: (reason) => metric.add('connections_ended', 1, reason),
    })
  })
  // A broken connection is its client's trouble; calls on it end by themselves.
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    if (tracing) void traced(tracing, stream, headers)
    else void answer(stream, headers)
  })
  limitConnections(server, { ...options, listener: 'grpc' })

  /** Names of the semantic conventions of RPC. A path of the outside names no span. */
  async function traced(
    tracing: Tracing,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
  ): Promise<void> {
    const path = headers[':path'] ?? ''
    const [service = '', method = ''] = useOf(path) ? path.slice(1).split('/') : []
    const span = tracing.begin(method === '' ? 'grpc' : `${service}/${method}`, {
      kind: 'server',
      traceparent: headers.traceparent?.toString(),
      attributes: { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method },
    })
    await withSpan(span, () => answer(stream, headers))
    span.set({ 'rpc.grpc.status_code': grpcCodes.ok })
    span.end()
  }

  async function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const startedMs = performance.now()
    if (
      headers[':method'] !== 'POST' ||
      !/^application\/grpc(\+proto)?\s*(;|$)/.test(contentTypeOf(headers))
    ) {
      stream.respond({ ':status': 415, 'content-type': 'text/plain' })
      stream.end('This port speaks OTLP/gRPC; OTLP/HTTP has server_url and otlp_port.\n')
      stream.resume()
      stream.close(constants.NGHTTP2_NO_ERROR)
      return
    }
    const path = headers[':path'] ?? ''
    let isLate = false
    const timer =
      requestTimeoutMs > 0
        ? setTimeout(() => {
            isLate = true
            stream.emit('aborted')
          }, requestTimeoutMs)
        : undefined
    try {
      const use = useOf(path)
      if (use)
        send(
          stream,
          await withMessage(stream, headers, (bytes, ticket) => {
            clearTimeout(timer)
            return whileAnswering(stream.session, () => use(bytes, ticket, stream))
          }),
        )
      else end(stream, unknownPath(path))
    } catch (thrown) {
      const error =
        thrown instanceof EventError ? thrown : new EventError('EVT_INTERNAL', undefined, { cause: thrown })
      tell(error)
      const status = isLate
        ? { code: grpcCodes.deadlineExceeded, message: 'The message took too long to arrive' }
        : toGrpcStatus(error)
      spanOfNow()?.set({ 'rpc.grpc.status_code': status.code })
      spanOfNow()?.end(error)
      end(stream, status)
    } finally {
      clearTimeout(timer)
      // Paths are text of the outside: only those that there are get a label of their own.
      const isKnown = useOf(path) !== undefined
      const label = isKnown ? `grpc ${path.split('.').at(-1)}` : 'grpc'
      metric.observe('request_duration_seconds', (performance.now() - startedMs) / 1000, label)
    }
  }

  function useOf(path: string): Use | undefined {
    if (path === logsPath) return takeLogs
    if (path === healthPath) return (bytes) => checkHealth(bytes, [logsService], isServing)
    const signal = signalOf.get(path)
    return signal && ((bytes) => pass(passOn, signal, bytes))
  }

  /** The call's message, with its place in the gate. */
  async function withMessage(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    use: (bytes: Uint8Array, ticket: Ticket) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const ticket = ingest.enter(0, clients.clientOf({ headers, socket: stream.session!.socket }))
    try {
      const bytes = await readMessage(stream, {
        encoding: headers['grpc-encoding']?.toString(),
        maxBodyBytes,
        onGrow: (more) => ticket.grow(more),
      })
      return await use(bytes, ticket)
    } finally {
      ticket.release()
    }
  }

  async function takeLogs(bytes: Uint8Array, ticket: Ticket, stream: ServerHttp2Stream): Promise<Uint8Array> {
    const gateMs = performance.now()
    const turn = ticket.turn()
    if (turn) await turn
    const span = spanOfNow()
    span?.step('gate', gateMs)
    const decodeMs = performance.now()
    const receivedUnixNano = BigInt(nowMicros()) * 1000n
    const limits = { receivedUnixNano, maxBodyBytes, maxRecords: maxRequestRecords }
    const identify: Identify = (digest) => {
      const attempt = attempts.begin(digest)
      watchReply(stream, attempt)
      return attempt.identity
    }
    const read = () => {
      try {
        return decodeProtobuf(bytes, { ...limits, documents: ingest.documents, identify })
      } finally {
        span?.step('decode', decodeMs)
      }
    }
    const accepting = isLarge(bytes, 'protobuf')
      ? accept(await asStep('decode', {}, () => unpacker.logs(bytes, 'protobuf', limits, identify)))
      : accept(read(), canDecodeAgain(bytes) ? () => decodeProtobuf(bytes, limits) : undefined)
    return encodeSuccess('protobuf', await accepting)
  }

  function tell(error: EventError): void {
    metric.add('requests_refused', 1, error.code)
    throttle(error.code, (suppressed) => {
      const fields = { code: error.code, suppressed, ...(error.cause !== undefined && { err: error.cause }) }
      const line = `an OTLP/gRPC call was refused: ${error.message.slice(0, 300)}`
      if (error.status >= 500) log.error(fields, line)
      else log.warn(fields, line)
    })
  }

  return {
    async listen({ host, port }) {
      const [first, ...others] = await addressesOf(host)
      server.listen(port, first)
      await once(server, 'listening')
      besides.push(...(await listenBeside(server, others)))
      return (server.address() as AddressInfo).port
    },
    async close() {
      if (!server.listening) return
      const all = [server, ...besides]
      const closed = Promise.all(all.map((one) => once(one, 'close')))
      for (const one of all) one.close()
      for (const { session } of sessions) session.close()
      const grace = setTimeout(() => {
        for (const { session, answering } of sessions) if (answering === 0) session.destroy()
      }, arrivalGraceMs)
      await closed.finally(() => clearTimeout(grace))
    },
    destroy() {
      for (const { session } of sessions) session.destroy()
    },
  }
}

type Use = (bytes: Uint8Array, ticket: Ticket, stream: ServerHttp2Stream) => Promise<Uint8Array>

/** A reply is lost when it is not OK, was not taken whole, or when the connection breaks before its next call. */
function watchReply(stream: ServerHttp2Stream, attempt: Attempt): void {
  const { session } = stream
  let isReplied = false
  const lose = () => attempt.lose()
  // Trailers alone, which every other status is, are never asked for.
  stream.once('wantTrailers', () => {
    isReplied = true
  })
  stream.once('close', () => {
    if (!isReplied || stream.rstCode !== constants.NGHTTP2_NO_ERROR || !session || session.destroyed)
      return lose()
    lastOf(session).add(attempt)
  })
}

const lastReplied = new WeakMap<Http2Session, Set<Attempt>>()

/** Those of a connection that were replied to since its last call began. */
function lastOf(session: Http2Session): Set<Attempt> {
  const known = lastReplied.get(session)
  if (known) return known
  const last = new Set<Attempt>()
  lastReplied.set(session, last)
  session.on('stream', () => last.clear())
  session.on('error', () => {
    for (const attempt of last) attempt.lose()
  })
  return last
}

const contentTypeOf = (headers: IncomingHttpHeaders) => headers['content-type'] ?? ''

function unknownPath(path: string): GrpcStatus {
  return { code: grpcCodes.unimplemented, message: `No such method: ${path.slice(0, 200)}` }
}

/** By OTLP/HTTP, whose answers have the same messages. */
async function pass(passOn: PassOn, signal: PassedSignal, bytes: Uint8Array): Promise<Uint8Array> {
  const { status, retryAfter, body } = await passOn(signal, bytes, { contentType: contentTypes.protobuf })
  if (status === 200) return body
  const text = `otlp_forward_url answered ${status}`
  if (status === 429 || (status >= 502 && status <= 504)) {
    const seconds = Number(retryAfter)
    throw new EventError('EVT_UNREACHABLE', text, seconds > 0 ? { retryAfterSeconds: seconds } : {})
  }
  throw new EventError('EVT_REFUSED', text)
}

const head = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-accept-encoding': 'identity,gzip,deflate,zstd',
}

function send(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (stream.closed) return
  stream.respond(head, { waitForTrailers: true })
  stream.once('wantTrailers', () => stream.sendTrailers(toTrailers({ code: grpcCodes.ok, message: '' })))
  stream.end(toFrame(message))
}

/** A reply of trailers alone. What the client is still sending is not waited for. */
function end(stream: ServerHttp2Stream, status: GrpcStatus): void {
  if (stream.closed || stream.headersSent) return
  stream.respond({ ...head, ...toTrailers(status) }, { endStream: true })
  if (stream.readableEnded) return
  // Without a reader it would not end, and its session neither.
  stream.resume()
  stream.close(constants.NGHTTP2_NO_ERROR)
}
