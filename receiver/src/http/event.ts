import {
  EventError,
  fromDocument,
  invalid,
  isObject,
  missing,
  type ParseEventOptions,
  parseEvent,
  parseJson,
  toEventJson,
  type Value,
} from '@madsci-events/sdk/event'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Ingest, toRefusal } from '../ingest/ingest.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { sendEvents } from './answer.ts'
import { readJson } from './body.ts'
import { createParameters } from './parameter.ts'
import { schemas } from './schema.ts'

export interface EventDoorOptions {
  ingest: Ingest
  store: EventStore
  metric: Metric
  log: Log
  maxBodyBytes: number
  queryTimeoutMs: number
  parse: ParseEventOptions
}

/** MADSci's event routes: POST /event, GET /event/{event_id}, GET /events, POST /events/query. */
export function registerEvents(app: FastifyInstance, options: EventDoorOptions): void {
  const { ingest, store, metric, log, maxBodyBytes, queryTimeoutMs, parse } = options
  const throttle = createThrottle()
  const bound = (time: string | undefined) =>
    time !== undefined && parse.fromNaive && !time.endsWith('Z') ? parse.fromNaive(time) : time

  /** Reads a JSON body within the gate; the ticket is held until `use` has settled. */
  async function withBody<T>(request: FastifyRequest, use: (body: Value) => Promise<T>): Promise<T> {
    const ticket = ingest.enter(Number(request.headers['content-length'] ?? 0))
    try {
      return await use(await readJson(request, { ticket, maxBodyBytes }))
    } finally {
      ticket.release()
    }
  }

  app.post('/event', { schema: schemas.postEvent }, (request, reply) =>
    withBody(request, async (body) => {
      metric.add('events_received', 1)
      try {
        const event = parseEvent(body, parse)
        const receipt = await ingest.accept([event])
        metric.add('events_stored', receipt.stored)
        metric.add('events_duplicate', receipt.duplicate)
        const refusal = toRefusal(receipt)
        if (refusal) throw refusal
        return reply.header('content-type', 'application/json').send(toEventJson(event))
      } catch (error) {
        countLoss(error)
        throw error
      }
    }),
  )

  function countLoss(error: unknown): void {
    const { code, retry, message } = error instanceof EventError ? error : new EventError('EVT_INTERNAL')
    if (retry) {
      metric.add('events_unavailable', 1)
      return
    }
    metric.add('events_rejected', 1, code)
    throttle(code, (suppressed) =>
      log.warn({ code, suppressed }, `an event was refused: ${message.slice(0, 300)}`),
    )
  }

  app.get('/event/:event_id', { schema: schemas.getEvent }, async (request, reply) => {
    const { event_id } = request.params as { event_id: string }
    const event = await store.get(event_id)
    if (!event) throw new EventError('EVT_NOT_FOUND', `Event with ID ${event_id} not found`)
    return reply.header('content-type', 'application/json').send(event.json)
  })

  app.get('/events', { schema: schemas.getEvents }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const number = parameters.integer('number', 100, 0)
    const offset = parameters.integer('offset', 0, 0)
    const level = parameters.level('level', 0)
    const startTime = bound(parameters.time('start_time'))
    const endTime = bound(parameters.time('end_time'))
    const archived = parameters.boolean('include_archived', false)
    parameters.check()
    const events = store.find({
      minLevel: level,
      ...(startTime !== undefined && { startTime }),
      ...(endTime !== undefined && { endTime }),
      archived: archived ? 'include' : 'exclude',
      order: 'newest',
      limit: number,
      offset,
      timeoutMs: queryTimeoutMs,
    })
    return sendEvents(reply, events, { toText: toWholeJson })
  })

  app.post('/events/query', { schema: schemas.queryEvents }, async (request, reply) =>
    withBody(request, async (body) => {
      if (body === null) throw invalid([missing(['body'])])
      const selector = parseSelector(body, parse.fromNaive ? { fromNaive: parse.fromNaive } : {})
      const events = store.find({
        selector,
        archived: 'include',
        order: 'none',
        limit: 0,
        offset: 0,
        timeoutMs: queryTimeoutMs,
      })
      return sendEvents(reply, events)
    }),
  )
}

/** GET /events fills what documents of other programs lack. */
function toWholeJson(event: StoredEvent): string {
  if (!event.partial) return event.json
  const document = parseJson(event.json)
  return isObject(document) ? toEventJson(fromDocument(document)) : event.json
}
