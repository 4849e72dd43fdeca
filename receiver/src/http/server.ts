import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo, Server as ListeningServer, Socket } from 'node:net'
import type { ParseEventOptions } from '@madsci-events/sdk/event'
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { Alerts } from '../alert/alerts.ts'
import type { BackupHealth, Backups } from '../backup/backup.ts'
import { type Clients, toClient } from '../client.ts'
import { type ConnectionLimitOptions, limitConnections } from '../connection.ts'
import type { PassOn } from '../fanout/pass-on.ts'
import type { Attempts } from '../ingest/attempt.ts'
import type { Ingest } from '../ingest/ingest.ts'
import type { Unpacker } from '../ingest/unpack.ts'
import { addressesOf, listenBeside } from '../listen.ts'
import type { Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore } from '../store/event-store.ts'
import { type Tracing, withSpan } from '../trace.ts'
import type { Utilization } from '../utilization/thread.ts'
import { type PreviewRoom, registerAlerts } from './alert.ts'
import { registerPieces } from './answer.ts'
import { registerArchive } from './archive.ts'
import { registerAround } from './around.ts'
import { registerBackup } from './backup.ts'
import { registerCors } from './cors.ts'
import { createErrorNotes, registerErrors, sendError, toErrorAnswer } from './error.ts'
import { registerEvents } from './event.ts'
import { registerExplorer } from './explorer.ts'
import { registerExport } from './export.ts'
import { createHostCheck, type GuardOptions, registerGuard, registerSecurityHeaders } from './guard.ts'
import { type HealthDoorOptions, registerHealth } from './health.ts'
import { registerLab } from './lab.ts'
import { registerLogs } from './logs.ts'
import { observeRequests, registerMetrics } from './metrics.ts'
import { registerNames } from './name.ts'
import { registerOpenApi } from './openapi.ts'
import { type OpsDoorOptions, registerOps } from './ops.ts'
import { createPageToken } from './page-token.ts'
import { type PagesOptions, registerPages } from './pages.ts'
import { createEventTaker } from './post-event.ts'
import { openQuickDoor, type QuickAnswer, type QuickDoor } from './quick-door.ts'
import { type RateLimitOptions, registerRateLimit } from './rate-limit.ts'
import { registerReceipts } from './receipt.ts'
import { registerRuns } from './run.ts'
import { registerSearch } from './search.ts'
import { registerSettings, type SettingsDoorOptions } from './settings.ts'
import { registerStream } from './stream.ts'
import { registerSummary } from './summary.ts'
import { takeTurns } from './take-turns.ts'
import { registerTimeline, registerTimelineData } from './timeline.ts'
import { beginRequest, endRequest, traceRequests } from './trace.ts'
import { closeUnread } from './unread-answer.ts'
import { registerUtilization } from './utilization.ts'
import { registerWatch } from './watch.ts'

export interface HttpOptions extends SettingsDoorOptions, GuardOptions {
  ingest: Ingest
  store: EventStore
  /** Undefined: no alerts are raised. */
  alerts: Alerts | undefined
  previews: PreviewRoom
  metric: Metric
  log: Log
  unpacker: Unpacker
  attempts: Attempts
  maxBodyBytes: number
  maxRequestRecords: number
  maxConnections: number
  clients: Clients
  requestTimeoutMs: number
  queryTimeoutMs: number
  writeTimeoutMs: number
  archiveBatchSize: number
  backups: Backups
  backupEnabled: boolean
  backupDir: string
  utilization: Utilization
  reportDir: string
  parse: ParseEventOptions
  title: string
  description: string | undefined
  version: string
  backupHealth: (() => BackupHealth) | undefined
  fanoutHealth: (() => object[]) | undefined
  passOn: PassOn
  /** Undefined: no spans are made. */
  tracing: Tracing | undefined
  /** Undefined: no limits. */
  rateLimit: RateLimitOptions | undefined
  conservationHealth: HealthDoorOptions['conservationHealth']
  canaryHealth: HealthDoorOptions['canaryHealth']
  otel: HealthDoorOptions['otel']
  explorerUrl: string | undefined
  pages: PagesOptions['pages']
  zone: PagesOptions['zone']
  examine: OpsDoorOptions['examine']
}

/** A listener of the receiver. */
export interface HttpServer {
  /** Throws what node:net throws (EADDRINUSE, …). The port is the one taken, also for port 0. */
  listen(address: { host: string; port: number }): Promise<number>
  /** Stops listening, ends idle connections, waits for requests under way. */
  close(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

/** All routes: OTLP, MADSci's REST API, health, the API's description. */
export async function createHttpServer(options: HttpOptions): Promise<HttpServer> {
  const note = createErrorNotes(options)
  const app = createApp(options, note)
  const takeEvent = createEventTaker(options)
  traceRequests(app, options.tracing)
  observeRequests(app, options.metric)
  registerPieces(app)
  registerErrors(app, note)
  const pageToken = options.pages === 'act' ? createPageToken(options.store.notes) : undefined
  // Ahead of what may refuse a request: that answer has them too.
  registerSecurityHeaders(app, options)
  registerGuard(app, { ...options, pageToken })
  registerCors(app, options.corsOrigins)
  registerRateLimit(app, options.rateLimit)
  await registerOpenApi(app, options)
  registerLogs(app, options)
  registerEvents(app, { ...options, takeEvent })
  registerSearch(app, options)
  registerSummary(app, options)
  registerExport(app, options)
  registerAround(app, options)
  registerExplorer(app, options)
  registerArchive(app, options)
  registerReceipts(app, options)
  registerStream(app, options)
  registerTimeline(app, options)
  registerBackup(app, options)
  registerUtilization(app, options)
  registerAlerts(app, options)
  const sendPage = await registerPages(app, options)
  if (sendPage) registerLab(app, options)
  if (sendPage) registerNames(app, options)
  if (sendPage) registerWatch(app, { ...options, pageToken })
  if (sendPage) registerOps(app, options)
  if (sendPage) registerTimelineData(app, options)
  registerSettings(app, options, sendPage)
  registerRuns(app, options, sendPage)
  registerHealth(app, options)
  registerMetrics(app, options)
  // Headers of CORS are a hook's.
  const door =
    options.corsOrigins === undefined ? openEventDoor(app, options, { note, takeEvent }) : undefined
  // Behind that, which takes all listeners for connections away.
  closeUnread(app, options)
  return wrap(app, { ...options, listener: 'http' }, door)
}

/** The listener on OTLP's own port: /v1/logs and nothing else. */
export async function createOtlpServer(
  options: GuardOptions &
    Pick<
      HttpOptions,
      | 'ingest'
      | 'store'
      | 'unpacker'
      | 'attempts'
      | 'metric'
      | 'log'
      | 'maxBodyBytes'
      | 'maxRequestRecords'
      | 'maxConnections'
      | 'clients'
      | 'requestTimeoutMs'
      | 'writeTimeoutMs'
      | 'passOn'
      | 'tracing'
    >,
): Promise<HttpServer> {
  const note = createErrorNotes(options)
  const app = createApp(options, note)
  traceRequests(app, options.tracing)
  observeRequests(app, options.metric)
  closeUnread(app, options)
  registerErrors(app, note, true)
  registerSecurityHeaders(app, options)
  registerGuard(app, options)
  registerCors(app, options.corsOrigins)
  registerLogs(app, options)
  return wrap(app, { ...options, listener: 'otlp' })
}

/** Plain POST /event goes past fastify: its hooks do not see these requests, but the gate, the errors and the counts are the same. */
function openEventDoor(
  app: FastifyInstance,
  { ingest, clients, metric, maxBodyBytes, requestTimeoutMs, allowedHosts, tracing }: HttpOptions,
  {
    note,
    takeEvent,
  }: { note: ReturnType<typeof createErrorNotes>; takeEvent: ReturnType<typeof createEventTaker> },
): QuickDoor {
  const path = '/event'
  return openQuickDoor(app.server, {
    path,
    maxBodyBytes: Math.min(maxBodyBytes, maxQuickBytes),
    keepAliveMs,
    requestTimeoutMs,
    isAllowedHost: createHostCheck(allowedHosts),
    isProxy: clients.isProxy,
    enter: (bytes, address) => ingest.enter(bytes, toClient(address)),
    async answer(bytes, { contentType, traceparent }) {
      const startedMs = performance.now()
      const span = tracing && beginRequest(tracing, { method: 'POST', route: path, traceparent })
      let answer: QuickAnswer
      try {
        const body = await (span
          ? withSpan(span, () => takeEvent(bytes, contentType))
          : takeEvent(bytes, contentType))
        answer = { status: 200, body: typeof body === 'string' ? body : Buffer.from(body).toString() }
      } catch (thrown) {
        answer = toErrorAnswer(note(thrown, path))
      }
      metric.observe('request_duration_seconds', (performance.now() - startedMs) / 1000, `POST ${path}`)
      if (span) endRequest(span, answer.status)
      return answer
    },
  })
}

const keepAliveMs = 75_000
const maxQuickBytes = 64 * 1024

// Exporters take a redirect for success, or for an error.
const intakePaths = new Set(['/v1/logs', '/v1/traces', '/v1/metrics'])

/** Of OTLP's paths, slashes behind them count as none. */
function withoutSlashes(url: string): string {
  const pathEnd = url.indexOf('?') < 0 ? url.length : url.indexOf('?')
  let end = pathEnd
  while (url[end - 1] === '/') end--
  const path = url.slice(0, end)
  return end < pathEnd && intakePaths.has(path) ? path + url.slice(pathEnd) : url
}

function createApp(
  { requestTimeoutMs, clients }: Pick<HttpOptions, 'requestTimeoutMs' | 'clients'>,
  note: ReturnType<typeof createErrorNotes>,
): FastifyInstance {
  const app = fastify({
    logger: false,
    ...(clients.hasProxies && { trustProxy: clients.isProxy }),
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveMs,
    exposeHeadRoutes: false,
    // While closing, our own routes say 503 in the form of their protocol.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 2048 },
    rewriteUrl: ({ url = '/' }) => withoutSlashes(url),
    // Of a URL that cannot be decoded.
    frameworkErrors(error, request, reply) {
      sendError(reply as FastifyReply, note(error, request.url))
    },
  })
  // Schemas describe; the doors read and write by hand, because bodies are bounded, exact in their digits and keep their order.
  app.setValidatorCompiler(() => (value) => ({ value }))
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  // fastify adds a charset, which JSON does not have (RFC 8259, section 11), and the original does not send.
  app.addHook('onSend', async (_request, reply) => {
    if (reply.getHeader('content-type') === 'application/json; charset=utf-8')
      reply.header('content-type', 'application/json')
  })
  // Nobody reads a body before its door has asked the gate.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  return app
}

// Of node:http, since its first days, and not described: the answer under way is sent though the client has ended its side.
type HalfOpenServer = Server & { httpAllowHalfOpen?: boolean }

/** A client that ends its side behind its events still gets its answer; any other has gone, and its request ends with it. */
function answerHalfClosed(server: HalfOpenServer, door: QuickDoor | undefined): void {
  const taking = new Set<Socket>()
  server.httpAllowHalfOpen = true
  server.on('request', ({ method, url = '', socket }, response) => {
    if (method !== 'POST' || !/^\/(?:v1\/|event(?:\?|$))/.test(url)) return
    taking.add(socket)
    response.once('close', () => taking.delete(socket))
  })
  server.on('connection', (socket) => {
    socket.on('end', () => {
      if (!taking.has(socket) && !door?.isAnswering(socket)) socket.end()
    })
  })
}

// After that a request that has not come whole is not waited for: its sender has no answer, and sends it again.
const arrivalGraceMs = 2000

function wrap(app: FastifyInstance, limits: ConnectionLimitOptions, door?: QuickDoor): HttpServer {
  const { server } = app
  takeTurns(server, {
    onEnd: () => limits.metric.add('connections_refused', 1, 'too many requests at once'),
  })
  const besides: ListeningServer[] = []
  const connections = new Set<Socket>()
  /** Requests that came whole and have no answer yet, by connection. */
  const answering = new Map<Socket, number>()
  server.on('request', (request, response) => {
    const { socket } = request
    const begin = () => answering.set(socket, (answering.get(socket) ?? 0) + 1)
    if (request.complete) begin()
    else request.once('end', begin)
    response.once('close', () => {
      const left = (answering.get(socket) ?? 1) - 1
      if (left > 0) answering.set(socket, left)
      else answering.delete(socket)
    })
  })
  limitConnections(server, limits)
  server.on('connection', (socket) => {
    connections.add(socket)
    socket.once('close', () => {
      connections.delete(socket)
      answering.delete(socket)
    })
  })
  answerHalfClosed(server, door)

  function endArriving(): void {
    door?.closeArriving()
    for (const socket of connections)
      if (!answering.has(socket) && !door?.isAnswering(socket)) socket.destroy()
  }

  return {
    async listen({ host, port }) {
      const [first, ...others] = await addressesOf(host)
      await app.listen({ host: first!, port })
      besides.push(...(await listenBeside(server, others)))
      return (server.address() as AddressInfo).port
    },
    async close() {
      const ended = besides.map((beside) => once(beside, 'close'))
      for (const beside of besides) beside.close()
      // A connection whose request ends now stays open for a next one, which would only be refused.
      const timer = setInterval(() => {
        server.closeIdleConnections()
        door?.closeIdle()
      }, 50)
      const grace = setTimeout(endArriving, arrivalGraceMs)
      await Promise.all([app.close(), ...ended]).finally(() => {
        clearInterval(timer)
        clearTimeout(grace)
      })
    },
    destroy() {
      server.closeAllConnections()
      door?.destroy()
    },
  }
}
