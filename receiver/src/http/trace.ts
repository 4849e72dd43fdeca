import type { FastifyInstance } from 'fastify'
import { type Span, type Tracing, withSpan } from '../trace.ts'

/** A span for each request, with the names of the semantic conventions of HTTP; a `traceparent` is continued. */
export function traceRequests(app: FastifyInstance, tracing: Tracing | undefined): void {
  if (!tracing) return
  app.addHook('onRequest', (request, reply, done) => {
    const { method, headers, routeOptions } = request
    const route = routeOptions.url?.replace(/:(\w+)/g, '{$1}')
    const span = beginRequest(tracing, { method, route, traceparent: headerOf(headers.traceparent) })
    const agent = headers['user-agent']
    span.set({
      'url.path': request.url.split('?')[0]!.slice(0, 300),
      'network.protocol.version': request.raw.httpVersion,
      'client.address': request.ip,
      ...(agent !== undefined && { 'user_agent.original': agent.slice(0, 300) }),
    })
    reply.raw.once('close', () => endRequest(span, reply.raw.headersSent ? reply.raw.statusCode : undefined))
    withSpan(span, done)
  })
}

export interface RequestAbout {
  method: string
  /** Undefined where there is no such route. */
  route: string | undefined
  traceparent: string | undefined
}

export function beginRequest(tracing: Tracing, { method, route, traceparent }: RequestAbout): Span {
  return tracing.begin(route === undefined ? method : `${method} ${route}`, {
    kind: 'server',
    traceparent,
    attributes: {
      'http.request.method': method,
      'url.scheme': 'http',
      ...(route !== undefined && { 'http.route': route }),
    },
  })
}

/** Without a status the client went before there was one. Only what is the server's fault is an error of its span. */
export function endRequest(span: Span, status: number | undefined): void {
  if (status === undefined) {
    span.set({ 'error.type': 'aborted' })
    span.end()
  } else {
    span.set({ 'http.response.status_code': status })
    span.end(status >= 500 ? String(status) : undefined)
  }
}

const headerOf = (header: string | string[] | undefined) => (Array.isArray(header) ? header[0] : header)
