import { timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import helmet from 'helmet'

export interface GuardOptions {
  /** Host names of this receiver beside those that no page can have; '*' for all. */
  allowedHosts: readonly string[]
  /** Origins whose pages may read and write: see cors.ts. */
  corsOrigins: '*' | readonly string[] | undefined
  /** What our own pages say with a change; undefined: they may change nothing. */
  pageToken?: (() => Promise<string>) | undefined
}

/**
 * Keeps pages of other sites out. A browser sends requests of any page to any address, and no login stands in between:
 *
 *     Host          a name that a page could have pointed at us (DNS rebinding)      ─▶ 403
 *     Origin, Referer, Sec-Fetch-Site   of another site                              ─▶ 403
 *     a change of state by a browser    Sec-Fetch-*, or Mozilla/ without a JSON body ─▶ 403, but for pages=act
 *
 * Other programs pass: they send none of this. Every request of the listener is seen, also of routes that there are not.
 */
export function registerGuard(app: FastifyInstance, options: GuardOptions): void {
  const { corsOrigins } = options
  const isAllowedHost = createHostCheck(options.allowedHosts)
  app.addHook('onRequest', async (request) => {
    for (const host of hostsOf(request)) if (!isAllowedHost(host)) throw foreignHost(host)
    const { origin } = request.headers
    const isCors = origin !== undefined && (corsOrigins === '*' || corsOrigins?.includes(origin))
    if (isCors) return
    if (isForeign(request) && !isFollowedLink(request))
      throw new EventError(
        'EVT_FORBIDDEN',
        'The request comes from a page of another site; cors_origins names those that may',
      )
    if (changesState(request) && isBrowser(request) && !(await isOwnAct(request, options.pageToken)))
      throw new EventError('EVT_FORBIDDEN', 'Pages in a browser may change nothing here; other programs may')
  })
}

// Programs alone send there.
const intakeRoutes = new Set(['/event', '/v1/logs', '/v1/traces', '/v1/metrics'])

/**
 * Headers against frames, guessed types and caches, on everything that a browser may show; a route may set another
 * content-security-policy or cache-control. By helmet itself: `@fastify/helmet` makes all of them anew for each request.
 */
export function registerSecurityHeaders(app: FastifyInstance, { corsOrigins }: GuardOptions): void {
  const setHeaders = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { 'default-src': "'none'", 'frame-ancestors': "'none'" },
    },
    crossOriginResourcePolicy: corsOrigins === undefined,
    frameguard: { action: 'deny' },
    // For HTTPS alone; on plain HTTP browsers warn of them.
    strictTransportSecurity: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  })
  app.addHook('onRequest', (request, reply, done) => {
    if (request.method === 'POST' && intakeRoutes.has(request.routeOptions.url ?? '')) return done()
    reply.header('cache-control', 'no-store')
    setHeaders(request.raw, reply.raw, (error) => done(error as Error | undefined))
  })
}

function foreignHost(host: string): EventError {
  return new EventError(
    'EVT_FORBIDDEN',
    `The host name '${host.slice(0, 100)}' is not known here; allowed_hosts names further ones`,
  )
}

/** As the request names us: once in its head, and again in a target of absolute form. */
function hostsOf({ raw }: FastifyRequest): string[] {
  const hosts: string[] = []
  const { rawHeaders, url = '' } = raw
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === 'host') hosts.push(rawHeaders[i + 1]!)
  if (!url.startsWith('/') && url !== '*') hosts.push(URL.canParse(url) ? new URL(url).host : url)
  return hosts
}

// Only names that the public DNS does not have, so that no page can stand under them.
const privateSuffixes = ['.local', '.localhost', '.internal', '.svc', '.svc.cluster.local']

/**
 * True for a Host header that no page of a stranger can bring about: an IP address, a name without a dot, one of the
 * suffixes of private networks, and the names that were given. Upper case, a port and a last dot make no difference.
 */
export function createHostCheck(names: readonly string[]): (host: string) => boolean {
  const allowed = new Set(names.map(toName))
  const isEveryone = names.includes('*')
  let last: { host: string; isAllowed: boolean } | undefined
  const check = (host: string): boolean => {
    const name = toName(host)
    if (name === '' || /[^a-z0-9._:-]/.test(name)) return false
    return (
      isIP(name) !== 0 ||
      !name.includes('.') ||
      privateSuffixes.some((suffix) => name.endsWith(suffix)) ||
      allowed.has(name)
    )
  }
  return (host) => {
    if (isEveryone) return true
    // Nearly always the same.
    if (last?.host !== host) last = { host, isAllowed: check(host) }
    return last.isAllowed
  }
}

/** Without port, brackets and last dot. */
function toName(host: string): string {
  const lower = host.trim().toLowerCase()
  if (lower.startsWith('[')) return lower.slice(1, lower.indexOf(']') < 0 ? undefined : lower.indexOf(']'))
  const colon = lower.indexOf(':')
  // An IPv6 address without brackets has several.
  const bare = colon >= 0 && lower.indexOf(':', colon + 1) < 0 ? lower.slice(0, colon) : lower
  return bare.endsWith('.') ? bare.slice(0, -1) : bare
}

const ownSites = new Set(['same-origin', 'none'])

function isForeign({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && !ownSites.has(String(site))) return true
  return [headers.origin, headers.referer].some((url) => url !== undefined && !isOwn(url, headers.host))
}

const isOwn = (url: string, host: string | undefined) =>
  URL.canParse(url) && host !== undefined && new URL(url).host === hostOf(host, url)

/** The default port is left out of an origin, and may stand in Host. */
const hostOf = (host: string, url: string) => {
  const text = `${new URL(url).protocol}//${host}`
  return URL.canParse(text) ? new URL(text).host : host
}

// Where messages, Grafana and people link to.
const linkedRoutes = new Set([
  '/docs',
  '/docs/',
  '/redoc',
  '/event/:event_id/logs',
  '/',
  '/e/:event_id',
  '/run/:kind/:id',
])

/** Somebody who follows a link: the browser shows the answer, and no page of another site can look at it. */
function isFollowedLink(request: FastifyRequest): boolean {
  const { headers, method } = request
  return (
    method === 'GET' &&
    headers.origin === undefined &&
    headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document' &&
    linkedRoutes.has(request.routeOptions.url ?? '')
  )
}

const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS'])
/** They take a body and only answer. */
const readingPosts = new Set(['/events/query', '/events/receipts', '/alerts/preview'])

function changesState(request: FastifyRequest): boolean {
  if (!readingMethods.has(request.method)) return !readingPosts.has(request.routeOptions.url ?? '')
  // MADSci's reports are saved by a GET.
  const { save_to_file: save } = (request.query ?? {}) as { [name: string]: unknown }
  return save !== undefined
}

/** What a page may do with `pages=act`: nothing that deletes, and nothing that an event arrives by. */
const actRoutes = new Set([
  '/alerts/:alert_id/acknowledge',
  '/alerts/:alert_id/silence',
  '/alerts/:alert_id/resolve',
  '/backup',
])

async function isOwnAct(request: FastifyRequest, pageToken: GuardOptions['pageToken']): Promise<boolean> {
  if (!pageToken || request.method !== 'POST' || !actRoutes.has(request.routeOptions.url ?? '')) return false
  const given = Buffer.from(String(request.headers['x-page-token'] ?? ''))
  const own = Buffer.from(await pageToken())
  return own.length > 0 && given.length === own.length && timingSafeEqual(given, own)
}

function isBrowser({ headers }: FastifyRequest): boolean {
  for (const name in headers) {
    if (name.startsWith('sec-fetch-') && !isFetchOfNode(name, headers['user-agent'])) return true
  }
  const isJson = /^application\/(?:[\w.-]{1,100}\+)?json\s*(?:;|$)/i.test(headers['content-type'] ?? '')
  return /^mozilla\//i.test(headers['user-agent'] ?? '') && !isJson
}

/**
 * Node's own fetch sends this one header of a browser's, under whatever name its program gives itself. A browser sends others
 * beside it, and its name begins with Mozilla.
 */
export const isFetchOfNode = (name: string, userAgent: string | undefined) =>
  name === 'sec-fetch-mode' && userAgent !== undefined && !/^mozilla\//i.test(userAgent)
