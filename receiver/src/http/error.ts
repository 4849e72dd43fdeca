import { type ErrorCode, EventError, errorTable } from '@madsci-events/sdk/event'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { isLostOtlp, otlpPaths, sendOtlpError } from './otlp-error.ts'
import { lingerOnUnreadBody } from './unread-body.ts'

export interface ErrorDoorOptions {
  metric: Metric
  log: Log
}

/** Gives the error that is answered, counted and, when it is our fault, logged. */
export function createErrorNotes({
  metric,
  log,
}: ErrorDoorOptions): (thrown: unknown, url: string) => EventError {
  const throttle = createThrottle()
  metric.expect('requests_refused', Object.keys(errorTable))
  return (thrown, url) => {
    const error = toEventError(thrown)
    metric.add('requests_refused', 1, error.code)
    if (error.status >= 500) {
      throttle(error.code, (suppressed) => {
        const fields = { code: error.code, url, suppressed, err: error.cause ?? error }
        log.error(fields, `a request failed: ${error.message}`)
      })
    }
    return error
  }
}

/**
 * Every REST error is written here, in MADSci's form `{"detail": …}`; those of OTLP in http/otlp-error.ts, as are all of a
 * listener that has nothing else (`isOtlpOnly`).
 */
export function registerErrors(
  app: FastifyInstance,
  note: (thrown: unknown, url: string) => EventError,
  isOtlpOnly = false,
): void {
  const methodsOf = new Map<string, Set<string>>()
  const patterns: { pattern: RegExp; url: string }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    let methods = methodsOf.get(url)
    if (!methods) {
      methods = new Set()
      methodsOf.set(url, methods)
      patterns.push({ pattern: toPattern(url), url })
    }
    for (const one of [method].flat()) methods.add(one)
  })

  const answer = isOtlpOnly
    ? sendOtlpError
    : (_request: FastifyRequest, reply: FastifyReply, error: EventError) => sendError(reply, error)

  app.setErrorHandler((thrown: unknown, request, reply) => {
    if (request.method === 'POST') lingerOnUnreadBody(request, reply)
    return answer(request, reply, note(thrown, request.url))
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const known = patterns.find(({ pattern }) => pattern.test(path))
    if (known) {
      reply.header('allow', [...methodsOf.get(known.url)!].join(', '))
      return answer(request, reply, new EventError('EVT_METHOD'))
    }
    let end = path.length
    while (path[end - 1] === '/') end--
    const bare = path.slice(0, end)
    if (bare !== path && patterns.some(({ pattern }) => pattern.test(bare))) {
      return reply.redirect(bare + request.url.slice(path.length), 307)
    }
    if (isOtlpOnly || isLostOtlp(request)) {
      lingerOnUnreadBody(request, reply)
      return sendOtlpError(request, reply, new EventError('EVT_NOT_FOUND', otlpPaths))
    }
    return sendError(reply, new EventError('EVT_NOT_FOUND'))
  })
}

export function sendError(reply: FastifyReply, error: EventError): FastifyReply {
  const { status, headers, body } = toErrorAnswer(error)
  return reply.code(status).headers(headers).header('content-type', 'application/json').send(body)
}

export function toErrorAnswer(error: EventError) {
  return {
    status: error.status,
    headers: error.retry ? { 'retry-after': String(Math.ceil(error.retryAfterSeconds)) } : {},
    body: JSON.stringify({ detail: error.detail }, plainValue),
  }
}

export function toEventError(thrown: unknown): EventError {
  if (thrown instanceof EventError) return thrown
  const error = thrown as FastifyError
  // Fastify's own refusals (a URL that cannot be decoded, a header too large) say their status.
  if (typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500) {
    return new EventError(codeOfStatus[error.statusCode] ?? 'EVT_BODY', error.message, { cause: thrown })
  }
  // What nobody foresaw: its text stays in our log.
  return new EventError('EVT_INTERNAL', undefined, { cause: thrown })
}

const codeOfStatus: { [status: number]: ErrorCode } = {
  404: 'EVT_NOT_FOUND',
  413: 'EVT_TOO_LARGE',
  415: 'EVT_CONTENT_TYPE',
}

function toPattern(url: string): RegExp {
  const escaped = url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[A-Za-z_]+/g, '[^/]+')
  return new RegExp(`^${escaped}$`)
}

// The `input` of a detail repeats what was sent, which may hold what JSON.stringify throws at.
function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  return value
}
