import { EventError } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { toClient } from '../client.ts'

export interface RateLimitOptions {
  requests: number
  windowSeconds: number
  /** Undefined: no short window. */
  shortRequests: number | undefined
  shortWindowSeconds: number | undefined
  cleanupIntervalSeconds: number
  exemptAddresses: readonly string[]
}

export interface Verdict {
  headers: { [name: string]: string }
  /** Why the request is refused; undefined when it may pass. */
  refused?: { message: string; retryAfterSeconds: number }
}

const maxClients = 20_000

/** The times of the requests of one address, oldest first, in a list whose front is cut off now and then. */
interface Client {
  times: number[]
  /** Index of the oldest one inside of the long window. */
  first: number
}

/**
 * MADSci's limits for each client address: two sliding windows, the short one asked first. Written here and not by
 * `@fastify/rate-limit`: it has one window, which is fixed, so that at its border twice the limit passes, and it counts what it refuses
 * (`test/receiver/http/rate-limit.test.ts`, "what @fastify/rate-limit does").
 *
 * Promises (each has a test of the same name):
 *  1. No window of the given length holds more requests of one address than its limit, and refused requests do not count.
 *  2. The headers say what is left and when the oldest request leaves the long window.
 *  3. Exempt addresses get no headers.
 *  4. Addresses that ask no more are forgotten.
 *  5. No more than 20,000 addresses are remembered: of more, those that have asked least lately go.
 */
export function createRateLimit(options: RateLimitOptions) {
  const { requests, windowSeconds, shortRequests, shortWindowSeconds, cleanupIntervalSeconds } = options
  const exempt = new Set(options.exemptAddresses)
  const clients = new Map<string, Client>()
  let lastCleanup = 0

  function forget(now: number): void {
    for (const [address, { times }] of clients) {
      if (times.length === 0 || times.at(-1)! < now - windowSeconds) clients.delete(address)
    }
    lastCleanup = now
  }

  return {
    get size() {
      return clients.size
    },
    /** `now` in Unix seconds with fraction, never going back. Undefined for an exempt address. */
    ask(address: string, now: number): Verdict | undefined {
      if (exempt.has(address)) return undefined
      if (now - lastCleanup > cleanupIntervalSeconds) forget(now)
      const known = clients.get(address)
      const client = known ?? { times: [], first: 0 }
      // Its place in the map is that of its last request.
      if (known) clients.delete(address)
      else if (clients.size >= maxClients) clients.delete(clients.keys().next().value!)
      clients.set(address, client)
      const { times } = client
      while (client.first < times.length && times[client.first]! <= now - windowSeconds) client.first++
      if (client.first > 64 && client.first * 2 > times.length) {
        times.splice(0, client.first)
        client.first = 0
      }
      const reset = () => String(Math.floor((times[client.first] ?? now) + windowSeconds))
      const limit = { 'x-ratelimit-limit': String(requests) }
      const until = (time: number) => Math.max(1, Math.floor(time - now) + 1)

      const hasShort = shortRequests !== undefined && shortWindowSeconds !== undefined
      const inShort = hasShort ? countSince(times, client.first, now - shortWindowSeconds) : 0
      if (hasShort && inShort >= shortRequests) {
        return {
          headers: {
            ...limit,
            'x-ratelimit-remaining': '0',
            'x-ratelimit-reset': reset(),
            'x-ratelimit-burst-limit': String(shortRequests),
            'x-ratelimit-burst-remaining': '0',
          },
          refused: {
            message: `Rate limit exceeded: ${shortRequests} requests per ${shortWindowSeconds} seconds (burst limit)`,
            retryAfterSeconds: until(times[times.length - inShort]! + shortWindowSeconds),
          },
        }
      }
      if (times.length - client.first >= requests) {
        return {
          headers: { ...limit, 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset() },
          refused: {
            message: `Rate limit exceeded: ${requests} requests per ${windowSeconds} seconds`,
            retryAfterSeconds: until(times[client.first]! + windowSeconds),
          },
        }
      }
      times.push(now)
      return {
        headers: {
          ...limit,
          'x-ratelimit-remaining': String(requests - (times.length - client.first)),
          'x-ratelimit-reset': reset(),
          ...(hasShort && {
            'x-ratelimit-burst-limit': String(shortRequests),
            'x-ratelimit-burst-remaining': String(Math.max(0, shortRequests - inShort - 1)),
          }),
        },
      }
    },
  }
}

/** How many times lie behind `since`: seen from the end, because the short window holds the fewest. */
function countSince(times: readonly number[], first: number, since: number): number {
  let index = times.length
  while (index > first && times[index - 1]! > since) index--
  return times.length - index
}

/**
 * The doors where events come in, which the overload gate governs, the probes of an orchestrator, and what a page of ours
 * consists of and asks for again and again: from memory, or shared by all.
 */
const unlimited = new Set([
  'POST /event',
  'POST /v1/logs',
  'GET /health',
  'GET /health/live',
  'GET /health/ready',
  'GET /metrics',
  'GET /assets/*',
  'GET /data/lab',
])

export function registerRateLimit(app: FastifyInstance, options: RateLimitOptions | undefined): void {
  if (!options) return
  const limit = createRateLimit(options)
  app.addHook('onRequest', async (request, reply) => {
    if (unlimited.has(`${request.method} ${request.routeOptions.url}`)) return
    const verdict = limit.ask(toClient(request.ip), (performance.timeOrigin + performance.now()) / 1000)
    if (!verdict) return
    reply.headers(verdict.headers)
    if (!verdict.refused) return
    const { message, retryAfterSeconds } = verdict.refused
    throw new EventError('EVT_RATE_LIMIT', message, { retryAfterSeconds })
  })
}
