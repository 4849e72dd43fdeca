import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { toClient } from '../client.ts'
import { type PassOn, passedSignals } from '../fanout/pass-on.ts'
import type { Ingest } from '../ingest/ingest.ts'
import { readBody } from '../otlp/body.ts'
import { contentTypes, encodingOf } from '../otlp/reply.ts'
import { schemas } from './schema.ts'

export interface TelemetryDoorOptions {
  ingest: Pick<Ingest, 'enter'>
  maxBodyBytes: number
  passOn: PassOn
}

/** POST /v1/traces and /v1/metrics: passed on as they come, within the gate, and answered as the other side answers; or dropped. */
export function registerTelemetry(scope: FastifyInstance, options: TelemetryDoorOptions): void {
  const { ingest, maxBodyBytes, passOn } = options
  for (const signal of passedSignals) {
    scope.post(
      `/v1/${signal}`,
      { schema: signal === 'traces' ? schemas.postTraces : schemas.postMetrics },
      async (request, reply) => {
        const encoding = encodingOf(request.headers['content-type'])
        if (encoding === undefined) throw new EventError('EVT_CONTENT_TYPE')
        const announcedBytes = Number(request.headers['content-length'] ?? Number.NaN)
        const ticket = ingest.enter(announcedBytes || 0, toClient(request.ip))
        try {
          const contentEncoding = request.headers['content-encoding']
          const body = await readBody(request.raw, {
            // Not inflated: it goes on as it is.
            encoding: undefined,
            announcedBytes,
            maxBodyBytes,
            onGrow: (more) => ticket.grow(more),
          })
          const answer = await passOn(signal, body, {
            contentType: contentTypes[encoding],
            ...(contentEncoding !== undefined && { contentEncoding }),
          })
          if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter)
          return reply
            .code(answer.status as 200)
            .header('content-type', answer.contentType)
            .send(answer.body)
        } finally {
          ticket.release()
        }
      },
    )
  }
}
