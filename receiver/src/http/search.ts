import type { ParseEventOptions } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { parseSearch } from '../search/search.ts'
import { createParameters } from './parameter.ts'

/**
 * GET /data/search: what of the search line `q` is not understood, and where; null when all is. The pages ask it first: a
 * browser reports each answer 422 as an error of its own.
 */
export function registerSearch(app: FastifyInstance, { parse }: { parse: ParseEventOptions }): void {
  const selector = parse.fromNaive ? { fromNaive: parse.fromNaive } : {}
  app.get('/data/search', { schema: { hide: true } }, async (request) => {
    const line = createParameters(request.query).text('q') ?? ''
    const search = parseSearch(line, { now: new Date(), selector })
    return { problem: 'problem' in search ? search.problem : null }
  })
}
