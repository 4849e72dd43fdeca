import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { EventError, type ParseEventOptions, toExactJson, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import { toClient } from '../client.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { isCanaryId } from '../store/canary.ts'
import type { CommitPage, EventStore, FindOptions, FindQuery, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { shareCalls } from '../store/shared-call.ts'
import { piecesOf } from './answer.ts'
import { createParameters } from './parameter.ts'
import { createPoll } from './poll.ts'
import { schemas } from './schema.ts'
import { createSelectorReader } from './selector.ts'
import { createStreamSeats } from './stream-seat.ts'

export interface StreamDoorOptions {
  store: EventStore
  metric: Metric
  log: Log
  queryTimeoutMs: number
  parse: ParseEventOptions
}

const maxStreams = 200
// A page has at most so many events, and fewer when they are large: one of more characters is read again with fewer.
const maxPageEvents = 200
const pageCharacters = 256 * 1024

interface Found {
  events: Map<string, StoredEvent>
  characters: number
}

const pollMs = 200
const heartbeatMs = 15_000

/**
 * GET /events/stream: events as server-sent events, from their commit on. Each reader goes along the order of commit at its
 * own pace, so a slow one waits for itself alone, and sees what other receivers of the same database store. Readers at the
 * same place share what is read for them. One that does not read is closed (unread-answer.ts), and goes on from the last id that it has seen. Source: HTML standard, server-sent events.
 */
export function registerStream(app: FastifyInstance, options: StreamDoorOptions): void {
  const { store, metric, log, queryTimeoutMs, parse } = options
  const closing = new AbortController()
  const throttle = createThrottle()
  const seats = createStreamSeats(maxStreams)
  const poll = createPoll(pollMs)
  const sharePage = shareCalls<CommitPage>()
  const shareFound = shareCalls<Found>()
  const selectorOptions = parse.fromNaive ? { fromNaive: parse.fromNaive } : {}
  const readSelector = createSelectorReader(store, selectorOptions)
  metric.gauge('streams_open', () => seats.taken)
  app.addHook('preClose', async () => closing.abort())

  app.get('/events/stream', { schema: schemas.streamEvents }, async (request, reply) => {
    const parameters = createParameters(request.query)
    const bound = (time: string | undefined) =>
      time !== undefined && parse.fromNaive && !time.endsWith('Z') ? parse.fromNaive(time) : time
    const startTime = bound(parameters.time('start_time'))
    const endTime = bound(parameters.time('end_time'))
    const minLevel = parameters.level('level', 0)
    const archived = parameters.boolean('include_archived', false)
    const header = request.headers['last-event-id']
    const since = (Array.isArray(header) ? header.at(-1) : header) ?? parameters.text('last_event_id')
    parameters.check()
    const client = toClient(request.ip)
    const wanted = await readSelector(parameters, client)
    // Read for its errors: once the answer has begun there is no other way to tell them.
    const namesCanary = wanted !== undefined && parseSelector(wanted, selectorOptions).namesCanary
    let cursor = since ?? (await store.commitCursor())
    if (since !== undefined) await store.commitsSince(since, 1)
    if (closing.signal.aborted) throw new EventError('EVT_CLOSING')
    const gone = new AbortController()
    const seat = seats.take(client, () => {
      metric.add('answers_dropped', 1, 'stream_share')
      throttle('share', (suppressed) =>
        log.warn(
          { address: request.ip, suppressed },
          'a stream of events was ended to make room for another address',
        ),
      )
      gone.abort()
    })
    if (!seat) throw new EventError('EVT_OVERLOAD', `${maxStreams} streams are open`)

    const signal = AbortSignal.any([gone.signal, closing.signal])
    const options: FindOptions = { client, isReserved: true, signal }

    /** What two readers must have in common to be given the same events of a page. */
    const interest = toExactJson([wanted ?? null, minLevel, startTime ?? null, endTime ?? null, archived])

    function find(ids: readonly string[], options: FindOptions): AsyncIterable<StoredEvent[]> {
      // A selector that names a canary asks for it.
      const ours: Value = { _id: { $in: namesCanary ? [...ids] : ids.filter((id) => !isCanaryId(id)) } }
      const query: FindQuery = {
        selector: parseSelector(wanted === undefined ? ours : { $and: [ours, wanted] }, selectorOptions),
        minLevel,
        ...(startTime !== undefined && { startTime }),
        ...(endTime !== undefined && { endTime }),
        archived: archived ? 'include' : 'exclude',
        order: 'none',
        limit: 0,
        offset: 0,
        timeoutMs: queryTimeoutMs,
      }
      return store.find(query, options)
    }

    /** Those found before they are too many characters. */
    async function read(ids: readonly string[], shared: AbortSignal): Promise<Found> {
      const events = new Map<string, StoredEvent>()
      let characters = 0
      for await (const chunk of find(ids, { ...options, signal: shared }))
        for (const event of chunk) {
          events.set(event.id, event)
          characters += event.json.length
          if (characters > pageCharacters) return { events, characters }
        }
      return { events, characters }
    }

    /** One event of any size; the store knows that it is held until its last piece is written. Gives its characters. */
    async function sendOne(id: string, place: string): Promise<number> {
      let characters = 0
      for await (const chunk of find([id], options))
        for (const { json } of chunk) {
          characters = json.length
          await write(response, `id: ${place}\ndata: `, signal)
          for (const piece of piecesOf(json)) await write(response, piece, signal)
          await write(response, '\n\n', signal)
        }
      return characters
    }

    reply.hijack()
    const response = reply.raw
    response.on('close', () => gone.abort())
    response.on('error', () => gone.abort())
    try {
      response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      await write(response, `retry: 2000\nid: ${cursor}\n\n`, signal)
      let silentMs = 0
      let pageEvents = maxPageEvents
      while (!signal.aborted) {
        const question = `${pageEvents} ${cursor}`
        const page = await sharePage(question, () => store.commitsSince(cursor, pageEvents), { signal })
        if (page.ids.length === 0) {
          cursor = page.cursor
          await poll(signal)
          silentMs += pollMs
          if (silentMs < heartbeatMs) continue
          await write(response, ':\n\n', signal)
          silentMs = 0
          continue
        }
        silentMs = 0
        if (pageEvents === 1) {
          const characters = await sendOne(page.ids[0]!, page.cursor)
          cursor = page.cursor
          pageEvents = fitting(characters)
          continue
        }
        const found = await shareFound(
          `${question} ${page.cursor} ${interest}`,
          (shared) => read(page.ids, shared),
          {
            signal,
          },
        )
        const { characters } = found
        pageEvents = fitting(characters / Math.max(1, found.events.size))
        if (characters > pageCharacters) continue
        cursor = page.cursor
        let text = ''
        page.ids.forEach((id, index) => {
          const event = found.events.get(id)
          const place = page.cursors?.[index]
          if (event) text += `${place === undefined ? '' : `id: ${place}\n`}data: ${event.json}\n\n`
        })
        // Without data: it only moves the place to which a reader comes back.
        await write(response, `${text}id: ${cursor}\n\n`, signal)
      }
    } catch (error) {
      // A reader that has left, or trouble of the store: it comes back to where it was.
      if (!signal.aborted)
        throttle('ended', (suppressed) =>
          log.warn({ reason: (error as Error).message, suppressed }, 'a stream of events was ended'),
        )
    } finally {
      seat.leave()
      response.end()
    }
  })
}

/** How many events of that size make a page. */
function fitting(characters: number): number {
  return Math.max(1, Math.min(maxPageEvents, Math.floor(pageCharacters / 2 / Math.max(1, characters))))
}

async function write(response: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
  if (!response.write(text)) await once(response, 'drain', { signal })
}
