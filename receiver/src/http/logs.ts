import { EventError, nowMicros } from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Ingest } from '../ingest/ingest.ts'
import { createThrottle, type Log, type Throttle } from '../log.ts'
import type { Metric } from '../metric.ts'
import { readBody } from '../otlp/body.ts'
import type { DecodedLogs } from '../otlp/decoded.ts'
import { decodeJson } from '../otlp/json.ts'
import { decodeProtobuf } from '../otlp/protobuf.ts'
import { contentTypes, encodeStatus, encodeSuccess, encodingOf, type OtlpEncoding } from '../otlp/reply.ts'
import { schemas } from './schema.ts'

export interface LogsDoorOptions {
  ingest: Ingest
  metric: Metric
  log: Log
  maxBodyBytes: number
}

/**
 * POST /v1/logs: OTLP/HTTP 1.x logs. The order matters:
 *
 *     content type ▶ gate (429, 503: before a byte is read) ▶ read, inflate ▶ decode ▶ accept ══ commit ▶ 200
 *
 * Every answer is in the encoding of the request; protobuf when it named neither.
 */
export function registerLogs(app: FastifyInstance, options: LogsDoorOptions): void {
  const { ingest, metric, log, maxBodyBytes } = options
  const throttle = createThrottle()

  app.register(async (scope) => {
    scope.setErrorHandler((thrown: unknown, request, reply) => {
      const error =
        thrown instanceof EventError ? thrown : new EventError('EVT_INTERNAL', undefined, { cause: thrown })
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
      if (error.retry) reply.header('retry-after', String(Math.ceil(error.retryAfterSeconds)))
      // A body that nobody read stays on the connection, where it would be taken for the next request.
      if (!request.raw.readableEnded) reply.header('connection', 'close')
      const encoding = encodingOf(request.headers['content-type']) ?? 'protobuf'
      return send(reply.code(error.status), encoding, encodeStatus(encoding, error))
    })

    scope.post('/v1/logs', { schema: schemas.postLogs }, async (request, reply) => {
      const encoding = encodingOf(request.headers['content-type'])
      if (encoding === undefined) {
        const type = request.headers['content-type'] ?? 'none'
        throw new EventError('EVT_CONTENT_TYPE', `The content type '${type.slice(0, 80)}' is not supported`)
      }
      const announcedBytes = Number(request.headers['content-length'] ?? Number.NaN)
      const ticket = ingest.enter(announcedBytes || 0)
      try {
        const bytes = await readBody(request.raw, {
          encoding: request.headers['content-encoding'],
          announcedBytes,
          maxBodyBytes,
          onGrow: (more) => ticket.grow(more),
        })
        const decode = encoding === 'json' ? decodeJson : decodeProtobuf
        const decoded = decode(bytes, { receivedUnixNano: BigInt(nowMicros()) * 1000n, maxBodyBytes })
        return send(reply, encoding, await acceptLogs(decoded, encoding, options, throttle))
      } finally {
        ticket.release()
      }
    })

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

/** Commits what was decoded, counts what became of each record, and gives the body of the answer. */
async function acceptLogs(
  decoded: DecodedLogs,
  encoding: OtlpEncoding,
  { ingest, metric, log }: LogsDoorOptions,
  throttle: Throttle,
): Promise<Uint8Array> {
  const reasons = new Map(decoded.refused)
  let rejectedCount = 0
  for (const count of reasons.values()) rejectedCount += count
  metric.add('events_received', decoded.events.length + rejectedCount)
  metric.add('attributes_duplicate', decoded.duplicateKeyCount)
  metric.add('source_ids_kept_aside', decoded.otherSourceCount)
  metric.add('records_undated', decoded.undatedCount)

  try {
    const receipt = await ingest.accept(decoded.events)
    metric.add('events_stored', receipt.stored)
    metric.add('events_duplicate', receipt.duplicate)
    for (const { reason } of receipt.rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
    rejectedCount += receipt.rejected.length
  } catch (error) {
    metric.add('events_unavailable', decoded.events.length + rejectedCount)
    throw error
  }

  const warnings: string[] = []
  for (const [reason, count] of reasons) {
    metric.add('events_rejected', count, reason)
    throttle(reason, (suppressed) => log.warn({ count, suppressed }, `log records were rejected: ${reason}`))
    warnings.push(`${count} rejected: ${reason}`)
  }
  if (decoded.otherSourceCount > 0) {
    const line = `${decoded.otherSourceCount} madsci.source ids are no ULIDs and are kept in otel.source`
    throttle('source', (suppressed) => log.warn({ suppressed }, line))
    warnings.push(line)
  }
  return encodeSuccess(
    encoding,
    warnings.length > 0 ? { rejectedCount, message: warnings.slice(0, 10).join('; ') } : undefined,
  )
}

function send(reply: FastifyReply, encoding: OtlpEncoding, body: Uint8Array): FastifyReply {
  return reply.header('content-type', contentTypes[encoding]).send(body)
}
