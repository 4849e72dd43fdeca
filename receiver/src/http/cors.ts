import type { FastifyInstance } from 'fastify'

const methods = 'DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY'
// What a page of another origin may read beside the body.
const exposed =
  'Retry-After, X-Next-Cursor, X-Scanned-To, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Burst-Limit, X-RateLimit-Burst-Remaining'

/**
 * Written here and not by `@fastify/cors`, which answers every preflight with 204, whatever method it asks for, and OPTIONS of every
 * path (`test/receiver/http/cors.test.ts`, "what @fastify/cors does"): what the original answers would have to be written over it.
 *
 * Lets pages of these origins ('*': of any) read and write, answering as MADSci's own server does. Undefined: of none, so that no
 * page in a browser reaches the laboratory's events.
 */
export function registerCors(app: FastifyInstance, origins: '*' | readonly string[] | undefined): void {
  if (origins === undefined) return
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers
    const wanted = request.headers['access-control-request-method']
    reply.header('vary', 'Origin')
    if (origin === undefined) return
    const isAllowed = origins === '*' || origins.includes(origin)
    if (isAllowed) reply.header('access-control-allow-origin', origins === '*' ? '*' : origin)
    if (request.method !== 'OPTIONS' || wanted === undefined) {
      if (isAllowed) reply.header('access-control-expose-headers', exposed)
      return
    }

    const faults = [
      ...(isAllowed ? [] : ['origin']),
      ...(methods.split(', ').includes(wanted) ? [] : ['method']),
    ]
    const headers = request.headers['access-control-request-headers']
    reply
      .headers({
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network',
        'access-control-allow-methods': methods,
        'access-control-max-age': '600',
        ...(headers !== undefined && { 'access-control-allow-headers': headers }),
        'content-type': 'text/plain; charset=utf-8',
      })
      .code(faults.length > 0 ? 400 : 200)
    return reply.send(faults.length > 0 ? `Disallowed CORS ${faults.join(', ')}` : 'OK')
  })
}
