import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { type PassOn, passedSignals } from '../fanout/pass-on.ts'
import { contentTypes, encodingOf } from '../otlp/reply.ts'
import { type BodyOptions, withPlainBytes } from './body.ts'
import { schemas } from './schema.ts'

export interface TelemetryDoorOptions extends BodyOptions {
  passOn: PassOn
}

/** POST /v1/traces and /v1/metrics: passed on as they come, within the gate, and answered as the other side answers; or dropped. */
export function registerTelemetry(scope: FastifyInstance, options: TelemetryDoorOptions): void {
  const { passOn } = options
  for (const signal of passedSignals) {
    scope.post(
      `/v1/${signal}`,
      { schema: signal === 'traces' ? schemas.postTraces : schemas.postMetrics },
      async (request, reply) => {
        const encoding = encodingOf(request.headers['content-type'])
        if (encoding === undefined) throw new EventError('EVT_CONTENT_TYPE')
        return withPlainBytes(request, options, async (body) => {
          const contentEncoding = request.headers['content-encoding']
          const answer = await passOn(signal, body, {
            contentType: contentTypes[encoding],
            ...(contentEncoding !== undefined && { contentEncoding }),
          })
          if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter)
          return reply
            .code(answer.status as 200)
            .header('content-type', answer.contentType)
            .send(answer.body)
        })
      },
    )
  }
}
