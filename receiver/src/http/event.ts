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
import { readPage } from './page-answer.ts'
import { createParameters } from './parameter.ts'
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
    const options = findOptionsOf(request, reply)
    const query = {
      ...(await readFilter(parameters, options.client)),
      order: 'newest',
      limit: number,
      offset,
      timeoutMs: queryTimeoutMs,
    } as const
    return sendEvents(reply, store.find(query, options), { toText: inNamesOf(request, toWholeJson) })
  })

  /** A page that begins behind the last event of the one before, at the same cost at any depth. */
  async function sendPage(
    request: FastifyRequest,
    reply: FastifyReply,
    cursor: string,
  ): Promise<FastifyReply> {
    const parameters = createParameters(request.query)
    const number = parameters.integer('number', 100, 1, maxPageEvents)
    const options = findOptionsOf(request, reply)
    const filter = await readFilter(parameters, options.client)
    const query = { ...filter, order: 'newest', timeoutMs: queryTimeoutMs } as const
    const find = { store, query, options }
    const { next, events } = await readPage(find, { cursor, number })
    tellNext(request, reply, next)
    return sendEvents(reply, events, { toText: inNamesOf(request, toWholeJson) })
  }

  app.post('/events/query', { schema: schemas.queryEvents }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const text = parameters.text('selector')
    const cursor = parameters.text('cursor')
    const order = parameters.choice('order', cursor === undefined ? 'none' : 'newest', orders)
    const [least, most] = cursor === undefined ? [0, Number.MAX_SAFE_INTEGER] : [1, maxPageEvents]
    const number = parameters.integer('number', cursor === undefined ? 0 : 100, least, most)
    const answer = async (input: Value) => {
      parameters.check()
      const selector = parseSelector(input, selectorOptions)
      const query = { selector, archived: 'include', order, timeoutMs: queryTimeoutMs } as const
      const find = { store, query, options: findOptionsOf(request, reply) }
      if (cursor === undefined) {
        const all = store.find({ ...query, limit: number, offset: 0 }, find.options)
        return sendEvents(reply, all, { toText: inNamesOf(request) })
      }
      const { next, events } = await readPage(find, { cursor, number })
      tellNext(request, reply, next)
      return sendEvents(reply, events, { toText: inNamesOf(request) })
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

function tellNext(request: FastifyRequest, reply: FastifyReply, next: string | undefined): void {
  if (next === undefined) return
  const url = new URL(request.url, 'http://localhost')
  url.searchParams.set('cursor', next)
  reply.header('x-next-cursor', next).header('link', `<${url.pathname}${url.search}>; rel="next"`)
}

/** GET /events fills what documents of other programs lack. */
export function toWholeJson(event: StoredEvent): string {
  if (!event.partial) return event.json
  const document = parseJson(event.json)
  return isObject(document) ? toEventJson(fromDocument(document)) : event.json
}
