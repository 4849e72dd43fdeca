import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '../log.ts'

export interface PagesOptions {
  /** Whether pages are served; `off` leaves only what programs ask for. */
  pages: 'off' | 'read' | 'act'
  /** IANA name: the clock of the laboratory. */
  zone: string
  log: Log
}

/** Answers a page where there is one; undefined when pages are off or not built. */
export type SendPage = (reply: FastifyReply) => FastifyReply

// Built by vite; beside the sources and beside what was compiled from them it is the same place.
const folder = fileURLToPath(new URL('../../dist/pages/', import.meta.url))

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

/**
 * The laboratory in a browser: /explore, /timeline, /use, /e/{event_id} and the files of all pages. `/` belongs to programs too, and asks what it
 * gets here (settings.ts). Where the pages are not built, they lead to the events themselves.
 */
export async function registerPages(
  app: FastifyInstance,
  { pages, zone, log }: PagesOptions,
): Promise<SendPage | undefined> {
  if (pages === 'off') return undefined
  const isBuilt = existsSync(`${folder}index.html`)
  // Letters, digits, / _ + - alone stand in the name of a zone.
  const html = isBuilt
    ? readFileSync(`${folder}index.html`, 'utf8').replace('<html ', `<html data-zone="${zone}" `)
    : undefined
  const send: SendPage = (reply) =>
    reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', policy)
      .header('cross-origin-opener-policy', 'same-origin')
      .header('cache-control', 'no-cache')
      .send(html)
  app.get('/explore', { schema: { hide: true } }, async (_request, reply) =>
    isBuilt ? send(reply) : reply.redirect('/events', 302),
  )
  app.get('/timeline', { schema: { hide: true } }, async (_request, reply) =>
    isBuilt ? send(reply) : reply.redirect('/utilization/timeline', 302),
  )
  app.get('/watch', { schema: { hide: true } }, async (_request, reply) =>
    isBuilt ? send(reply) : reply.redirect('/alerts', 302),
  )
  app.get('/ops', { schema: { hide: true } }, async (_request, reply) =>
    isBuilt ? send(reply) : reply.redirect('/health', 302),
  )
  app.get('/use', { schema: { hide: true } }, async (_request, reply) =>
    isBuilt ? send(reply) : reply.redirect('/utilization/summary', 302),
  )
  app.get('/e/:event_id', { schema: { hide: true } }, async (request, reply) => {
    if (isBuilt) return send(reply)
    const { event_id } = request.params as { event_id: string }
    return reply.redirect(`/event/${encodeURIComponent(event_id)}`, 302)
  })
  if (!isBuilt) {
    log.warn({ folder }, 'the pages are not built and not served: npm run build -w receiver builds them')
    return undefined
  }
  await app.register(fastifyStatic, {
    root: `${folder}assets`,
    prefix: '/assets/',
    schemaHide: true,
    index: false,
    decorateReply: false,
    preCompressed: true,
    immutable: true,
    maxAge: '365d',
  })
  return send
}

/** The page for a browser; undefined for a program, which gets what the route answers. */
export function sendPageTo(
  request: FastifyRequest,
  reply: FastifyReply,
  sendPage: SendPage | undefined,
): FastifyReply | undefined {
  if (!sendPage) return undefined
  const vary = reply.getHeader('vary')
  reply.header('vary', vary === undefined ? 'Accept' : `${vary}, Accept`)
  return wantsPage(request.headers.accept) ? sendPage(reply) : undefined
}

/** True for who prefers a page: a browser. Programs name JSON, or take whatever comes. */
export function wantsPage(accept: string | undefined): boolean {
  const weights = new Map<string, number>()
  for (const part of (accept ?? '').slice(0, 1000).toLowerCase().split(',')) {
    const [type = '', ...parameters] = part.split(';').map((one) => one.trim())
    const weight = parameters.find((one) => one.startsWith('q='))?.slice(2)
    weights.set(type, weight === undefined ? 1 : Number(weight) || 0)
  }
  const html = weights.get('text/html') ?? 0
  return html > 0 && html >= (weights.get('application/json') ?? 0)
}
