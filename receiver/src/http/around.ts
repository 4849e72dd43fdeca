import { EventError, invalid, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { FastifyInstance } from 'fastify'
import type { EventStore, FindOptions, FindQuery, StoredEvent } from '../store/event-store.ts'
import { parseSelector } from '../store/selector.ts'
import { anyPath, subjects } from '../subject.ts'
import { sendEvents } from './answer.ts'
import { aroundSchema, maxAround } from './around-schema.ts'
import { toWholeJson } from './event.ts'
import { findOptionsOf } from './find-options.ts'
import { timestampOf } from './page.ts'
import { createParameters } from './parameter.ts'
import { inNamesOf } from './release.ts'

export interface AroundDoorOptions {
  store: EventStore
  queryTimeoutMs: number
}

/** By what events are neighbours: paths of which one leads to the same value. */
const paths: { [by: string]: readonly string[] } = {
  time: [],
  trace: ['trace_id'],
  ...Object.fromEntries(
    Object.entries(subjects).map(([kind, { id, otherIds }]) => [kind, [id, ...otherIds]]),
  ),
}
export const aroundKinds = Object.keys(paths)

/** Neighbours of one side end with the event that goes beyond this many characters. */
const sideCharacters = 8 * 1024 * 1024

/** GET /event/{event_id}/around: an event among those just before and after it, oldest first. */
export function registerAround(app: FastifyInstance, { store, queryTimeoutMs }: AroundDoorOptions): void {
  app.get('/event/:event_id/around', { schema: aroundSchema }, async (request, reply) => {
    const { event_id } = request.params as { event_id: string }
    const parameters = createParameters(request.query)
    const by = parameters.text('by') ?? 'time'
    const before = parameters.integer('before', 10, 0, maxAround)
    const after = parameters.integer('after', 10, 0, maxAround)
    parameters.check()
    if (!Object.hasOwn(paths, by)) throw refuseBy(by, `Input should be ${aroundKinds.join(', ')}`)
    const event = await store.get(event_id)
    if (!event) throw new EventError('EVT_NOT_FOUND', `Event with ID ${event_id} not found`)
    const selector = selectorOf(event, by)
    const timestamp = timestampOf(event)
    const query = {
      ...(selector !== undefined && { selector: parseSelector(selector) }),
      archived: 'include',
      limit: 0,
      offset: 0,
      timeoutMs: queryTimeoutMs,
    } as const
    const find = { store, options: findOptionsOf(request, reply), id: event.id }
    const older = await readSide(find, { ...query, order: 'newest', upTo: timestamp }, before)
    const newer = await readSide(find, { ...query, order: 'oldest', startTime: timestamp }, after)
    const events = [...older.reverse(), event, ...newer]
    return sendEvents(reply, only(events), { toText: inNamesOf(request, toWholeJson) })
  })
}

const refuseBy = (by: string, msg: string) =>
  invalid([{ type: 'value_error', loc: ['query', 'by'], msg, input: by }])

/** Undefined: every event is a neighbour. Throws EVT_INVALID for an event that is of no such thing. */
function selectorOf(event: StoredEvent, by: string): Value | undefined {
  const all = paths[by]!
  if (all.length === 0) return undefined
  const document = parseJson(event.json)
  for (const path of all) {
    let value: Value | undefined = document
    for (const name of path.split('.')) value = isObject(value) ? value[name] : undefined
    if (typeof value === 'string' && value !== '')
      return all.length === 1 ? { [path]: value } : { $or: anyPath(value, all) }
  }
  throw refuseBy(by, `The event is of no ${by}`)
}

interface Find {
  store: EventStore
  options: FindOptions
  id: string
}

/** The events behind the one of `id` in the order of the query: of those of the same instant too, none is on both sides. */
async function readSide(
  { store, options, id }: Find,
  query: FindQuery,
  count: number,
): Promise<StoredEvent[]> {
  const found: StoredEvent[] = []
  if (count === 0) return found
  let isBehind = false
  let characters = 0
  for await (const chunk of store.find(query, options))
    for (const event of chunk) {
      if (event.id === id) isBehind = true
      else if (isBehind) {
        found.push(event)
        characters += event.json.length
        if (found.length === count || characters > sideCharacters) return found
      }
    }
  return found
}

async function* only(events: StoredEvent[]): AsyncGenerator<StoredEvent[]> {
  yield events
}
