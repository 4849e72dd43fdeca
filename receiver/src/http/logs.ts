import { EventError, nowMicros } from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toClient } from '../client.ts'
import type { NewEvent } from '../document/event-document.ts'
import { createMemoryPool } from '../document/memory-pool.ts'
import type { Attempts } from '../ingest/attempt.ts'
import { canDecodeAgain } from '../ingest/conflict.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { createLogsIntake } from '../ingest/logs.ts'
import { isLarge, type Unpacker } from '../ingest/unpack.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { readBody } from '../otlp/body.ts'
import type { DecodedLogs } from '../otlp/decoded.ts'
import { decodeJson } from '../otlp/json.ts'
import { decodeProtobuf } from '../otlp/protobuf.ts'
import type { Identify } from '../otlp/record-id.ts'
import { encodeSuccess, encodingOf } from '../otlp/reply.ts'
import type { EventStore } from '../store/event-store.ts'
import { asStep, spanOfNow } from '../trace.ts'
import { createAnswerWatch } from './answer-watch.ts'
import { toEventError } from './error.ts'
import { sendOtlp, sendOtlpError } from './otlp-error.ts'
import { schemas } from './schema.ts'
import { registerTelemetry, type TelemetryDoorOptions } from './telemetry.ts'
import { lingerOnUnreadBody } from './unread-body.ts'

export interface LogsDoorOptions extends TelemetryDoorOptions {
  ingest: Ingest
  store: Pick<EventStore, 'get'>
  unpacker: Unpacker
  attempts: Attempts
  metric: Metric
  log: Log
  maxBodyBytes: number
  maxRequestRecords: number
}

/**
 * POST /v1/logs: OTLP/HTTP 1.x logs. The order matters:
 *
 *     content type ▶ gate (429, 503: before a byte is read) ▶ read, inflate ▶ turn ▶ decode ▶ accept ══ commit ▶ 200
 *
 * Every answer is in the encoding of the request; protobuf when it named neither.
 */
export function registerLogs(app: FastifyInstance, options: LogsDoorOptions): void {
  const { ingest, unpacker, attempts, metric, log, maxBodyBytes, maxRequestRecords } = options
  const throttle = createThrottle()
  const accept = createLogsIntake(options)
  const pool = createMemoryPool()
  const watchAnswer = createAnswerWatch(app.server)

  app.register(async (scope) => {
    scope.setErrorHandler((thrown: unknown, request, reply) => {
      const error = toEventError(thrown)
      metric.add('requests_refused', 1, error.code)
      throttle(error.code, (suppressed) => {
        const fields = {
          code: error.code,
          suppressed,
          ...(error.cause !== undefined && { err: error.cause }),
        }
        const line = `an OTLP request was refused: ${error.message.slice(0, 300)}`
        if (error.status >= 500) log.error(fields, line)
        else log.warn(fields, line)
      })
      lingerOnUnreadBody(request, reply)
      return sendOtlpError(request, reply, error)
    })

    scope.post('/v1/logs', { schema: schemas.postLogs }, async (request, reply) => {
      const encoding = encodingOf(request.headers['content-type'])
      if (encoding === undefined) {
        const type = request.headers['content-type'] ?? 'none'
        throw new EventError('EVT_CONTENT_TYPE', `The content type '${type.slice(0, 80)}' is not supported`)
      }
      const announcedBytes = Number(request.headers['content-length'] ?? Number.NaN)
      const span = spanOfNow()
      const readMs = performance.now()
      const ticket = ingest.enter(announcedBytes || 0, toClient(request.ip))
      try {
        const bytes = await readBody(request.raw, {
          encoding: request.headers['content-encoding'],
          announcedBytes,
          maxBodyBytes,
          onGrow: (more) => ticket.grow(more),
          pool,
        })
        const gateMs = performance.now()
        span?.step('read', readMs)
        const turn = ticket.turn()
        if (turn) await turn
        span?.step('gate', gateMs)
        const decodeMs = performance.now()
        const receivedUnixNano = BigInt(nowMicros()) * 1000n
        const limits = { receivedUnixNano, maxBodyBytes, maxRecords: maxRequestRecords }
        const identify: Identify = (digest) => {
          const attempt = attempts.begin(digest)
          watchAnswer(reply.raw, attempt)
          return attempt.identity
        }
        if (isLarge(bytes, encoding)) {
          // Without a name: what is decoded must not be held until the commit is through.
          const outcome = await accept(
            await asStep('decode', {}, () => unpacker.logs(bytes, encoding, limits, identify)),
          )
          return sendOtlp(reply, encoding, encodeSuccess(encoding, outcome))
        }
        const decode = encoding === 'json' ? decodeJson : decodeProtobuf
        const read = () => {
          try {
            return decode(bytes, { ...limits, documents: ingest.documents, identify })
          } finally {
            span?.step('decode', decodeMs)
          }
        }
        // Its own memory is used again as soon as it is decoded.
        const kept = canDecodeAgain(bytes) ? Buffer.from(bytes) : undefined
        const again = kept && (() => decode(kept, limits))
        return sendOtlp(reply, encoding, encodeSuccess(encoding, await take(read, bytes, again)))
      } finally {
        ticket.release()
      }
    })

    /** What is decoded has no name where the answer is waited for: it would be held until the commit is through. */
    function take(
      read: () => DecodedLogs<NewEvent>,
      bytes: Uint8Array,
      again: (() => DecodedLogs) | undefined,
    ): ReturnType<typeof accept> {
      try {
        return accept(read(), again)
      } finally {
        pool.giveBack(bytes)
      }
    }

    registerTelemetry(scope, options)

    scope.route({
      method: ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'],
      url: '/v1/logs',
      schema: { hide: true },
      handler: (_request: FastifyRequest, reply: FastifyReply) => {
        reply.header('allow', 'POST')
        throw new EventError('EVT_METHOD')
      },
    })
  })
}
