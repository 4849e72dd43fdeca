import {
  EventError,
  fromDocument,
  invalid,
  isObject,
  missing,
  type ParseEventOptions,
  parseJson,
  toEventJson,
  type Value,
} from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Ingest } from '../ingest/ingest.ts'
import { parseLiteral } from '../search/literal.ts'
import type { EventStore, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { sendEvents } from './answer.ts'
import { withBytes, withSelectorBody } from './body.ts'
import { findOptionsOf } from './find-options.ts'
import { maxPageEvents } from './page.ts'
import { type Page, readFirst, readPage } from './page-answer.ts'
import { createParameters, type Parameters } from './parameter.ts'
import type { EventTaker } from './post-event.ts'
import { inNamesOf } from './release.ts'
import { schemas } from './schema.ts'
import { createFilterReader } from './selector.ts'

export interface EventDoorOptions {
  ingest: Ingest
  store: EventStore
  takeEvent: EventTaker
  maxBodyBytes: number
  queryTimeoutMs: number
  parse: ParseEventOptions
}

/** MADSci's event routes: POST /event, GET /event/{event_id}, GET /events, POST /events/query. */
export function registerEvents(app: FastifyInstance, options: EventDoorOptions): void {
  const { store, takeEvent, queryTimeoutMs, parse } = options
  const selectorOptions = parse.fromNaive ? { fromNaive: parse.fromNaive } : {}
  const readFilter = createFilterReader(store, selectorOptions)

  /** A request may set itself a shorter one. */
  function readTimeout(parameters: Parameters): number {
    const asked = parameters.integer('timeout_ms', queryTimeoutMs, queryTimeoutMs > 0 ? 1 : 0)
    return queryTimeoutMs > 0 ? Math.min(asked, queryTimeoutMs) : asked
  }

  app.post('/event', { schema: schemas.postEvent }, (request, reply) =>
    withBytes(request, options, async (bytes, contentType) =>
      reply.header('content-type', 'application/json').send(await takeEvent(bytes, contentType)),
    ),
  )

  app.get('/event/:event_id', { schema: schemas.getEvent }, async (request, reply) => {
    const { event_id } = request.params as { event_id: string }
    const event = await store.get(event_id)
    if (!event) throw new EventError('EVT_NOT_FOUND', `Event with ID ${event_id} not found`)
    return reply.header('content-type', 'application/json').send(inNamesOf(request)(event))
  })

  app.get('/events', { schema: schemas.getEvents }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const cursor = parameters.text('cursor')
    if (cursor !== undefined) return sendPage(request, reply, cursor)
    const number = parameters.integer('number', 100, 0)
    const offset = parameters.integer('offset', 0, 0)
    const timeoutMs = readTimeout(parameters)
    const options = findOptionsOf(request, reply)
    const query = {
      ...(await readFilter(parameters, options.client)),
      order: 'newest',
      limit: number,
      offset,
      timeoutMs,
    } as const
    const toText = inNamesOf(request, toWholeJson)
    // Only who names a time limit knows of answers that are a part. Events that were passed over are in no cursor.
    if (query.selector === undefined || offset > 0 || parameters.text('timeout_ms') === undefined)
      return sendEvents(reply, store.find(query, options), { toText })
    return sendPageOf(request, reply, await readFirst({ store, query, options }, number), toText)
  })

  /** A page that begins behind the last event of the one before, at the same cost at any depth. */
  async function sendPage(
    request: FastifyRequest,
    reply: FastifyReply,
    cursor: string,
  ): Promise<FastifyReply> {
    const parameters = createParameters(request.query)
    const number = parameters.integer('number', 100, 1, maxPageEvents)
    const timeoutMs = readTimeout(parameters)
    const options = findOptionsOf(request, reply)
    const filter = await readFilter(parameters, options.client)
    const query = { ...filter, order: 'newest', timeoutMs } as const
    const find = { store, query, options }
    const page = await readPage(find, { cursor, number })
    return sendPageOf(request, reply, page, inNamesOf(request, toWholeJson))
  }

  app.post('/events/query', { schema: schemas.queryEvents }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const text = parameters.text('selector')
    const cursor = parameters.text('cursor')
    const order = parameters.choice('order', cursor === undefined ? 'none' : 'newest', orders)
    const [least, most] = cursor === undefined ? [0, Number.MAX_SAFE_INTEGER] : [1, maxPageEvents]
    const number = parameters.integer('number', cursor === undefined ? 0 : 100, least, most)
    const timeoutMs = readTimeout(parameters)
    const answer = async (input: Value) => {
      parameters.check()
      const selector = parseSelector(input, selectorOptions)
      const query = { selector, archived: 'include', order, timeoutMs } as const
      const find = { store, query, options: findOptionsOf(request, reply) }
      const toText = inNamesOf(request)
      if (cursor !== undefined)
        return sendPageOf(request, reply, await readPage(find, { cursor, number }), toText)
      if (order === 'none') {
        const all = store.find({ ...query, limit: number, offset: 0 }, find.options)
        return sendEvents(reply, all, { toText })
      }
      return sendPageOf(request, reply, await readFirst(find, number), toText)
    }
    // The Python client sends the selector so, as Python writes a dict.
    if (text !== undefined && !Number(request.headers['content-length'])) return answer(parseLiteral(text))
    return withSelectorBody(request, options, async (body) => {
      if (body === null) throw invalid([missing(['body'])])
      return answer(body)
    })
  })
}

const orders = ['newest', 'oldest'] as const

/** With where the next page begins, and how far a search came that the time limit ended. */
function sendPageOf(
  request: FastifyRequest,
  reply: FastifyReply,
  { next, scannedTo, events }: Page,
  toText: (event: StoredEvent) => string,
): Promise<FastifyReply> {
  if (next !== undefined) {
    const url = new URL(request.url, 'http://localhost')
    url.searchParams.set('cursor', next)
    const number = url.searchParams.get('number')
    if (number !== null && !(Number(number) >= 1 && Number(number) <= maxPageEvents))
      url.searchParams.set('number', String(maxPageEvents))
    reply.header('x-next-cursor', next).header('link', `<${url.pathname}${url.search}>; rel="next"`)
  }
  // Text of other programs may stand there.
  if (scannedTo !== undefined) reply.header('x-scanned-to', scannedTo.replace(/[^ -~]/g, '?'))
  return sendEvents(reply, events, { toText })
}

/** GET /events fills what documents of other programs lack. */
export function toWholeJson(event: StoredEvent): string {
  if (!event.partial) return event.json
  const document = parseJson(event.json)
  return isObject(document) ? toEventJson(fromDocument(document)) : event.json
}
