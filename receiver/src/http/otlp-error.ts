import type { EventError } from '@madsci-events/sdk/event'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { contentTypes, encodeStatus, encodingOf, type OtlpEncoding } from '../otlp/reply.ts'

/** Answers as OTLP/HTTP does: google.rpc.Status in the encoding of the request, protobuf when it named neither. */
export function sendOtlpError(request: FastifyRequest, reply: FastifyReply, error: EventError): FastifyReply {
  if (error.retry) reply.header('retry-after', String(Math.ceil(error.retryAfterSeconds)))
  const encoding = encodingOf(request.headers['content-type']) ?? 'protobuf'
  return sendOtlp(reply.code(error.status), encoding, encodeStatus(encoding, error))
}

export function sendOtlp(reply: FastifyReply, encoding: OtlpEncoding, body: Uint8Array): FastifyReply {
  return reply.header('content-type', contentTypes[encoding]).send(body)
}

/** Whether a request to a path that there is not was meant for OTLP, as far as can be seen. */
export function isLostOtlp({ method, url, headers }: FastifyRequest): boolean {
  if (method !== 'POST') return false
  const path = url.split('?', 1)[0]!
  const type = headers['content-type'] ?? ''
  return /protobuf/i.test(type) || /\/(?:v\d+|otlp|logs?|traces?|metrics?)(?:\/|$)/i.test(path)
}

export const otlpPaths = 'OTLP/HTTP sends logs to /v1/logs, traces to /v1/traces, metrics to /v1/metrics'
