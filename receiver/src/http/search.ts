import type { ParseEventOptions } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { createNameFinder, findLateNames } from '../search/name.ts'
import { parseSearch } from '../search/search.ts'
import type { EventStore } from '../store/event-store.ts'
import { findOptionsOf } from './find-options.ts'
import { createParameters } from './parameter.ts'
import type { SearchAnswer } from './search-answer.ts'

export interface SearchDoorOptions {
  store: Pick<EventStore, 'find'>
  parse: ParseEventOptions
}

const patience = { usualMs: 500, mostMs: 5000 }

/**
 * GET /data/search: what of the search line `q` is not understood, and where; else the names whose ids were not found within
 * `patience_ms` (500). The pages ask it first: a browser reports each answer 422 as an error of its own, and what it finds, the
 * list and the summary after it know.
 */
export function registerSearch(app: FastifyInstance, { store, parse }: SearchDoorOptions): void {
  const selector = parse.fromNaive ? { fromNaive: parse.fromNaive } : {}
  const finderOf = createNameFinder(store)
  app.get('/data/search', { schema: { hide: true } }, async (request, reply): Promise<SearchAnswer> => {
    const parameters = createParameters(request.query)
    const line = parameters.text('q') ?? ''
    const patienceMs = parameters.integer('patience_ms', patience.usualMs, 1, patience.mostMs)
    parameters.check()
    const search = parseSearch(line, { now: new Date(), selector })
    if ('problem' in search) return { problem: search.problem, late_names: [] }
    const idsOf = finderOf(findOptionsOf(request, reply).client)
    return { problem: null, late_names: await findLateNames(search, idsOf, patienceMs) }
  })
}
