import { isDeepStrictEqual } from 'node:util'
import {
  type Event,
  EventError,
  isObject,
  keptEventJson,
  type ParseEventOptions,
  parseEvent,
  parseJson,
  type Value,
} from '@madsci-events/sdk/event'
import { type Ingest, toRefusal } from '../ingest/ingest.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore } from '../store/event-store.ts'

export interface EventTakerOptions {
  ingest: Ingest
  store: Pick<EventStore, 'get'>
  metric: Metric
  log: Log
  parse: ParseEventOptions
}

/**
 * What POST /event does with a body, whatever the connection: settles with the answer after the commit, and counts. The
 * answer is the event as it is stored, also where an event with this id was stored before.
 */
export function createEventTaker(options: EventTakerOptions): (body: Value) => Promise<string> {
  const { ingest, store, metric, log, parse } = options
  const throttle = createThrottle()

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

  /** The event that the store has under this id; what was sent, should the store not answer. */
  async function findStored(event: Event, body: Value): Promise<string> {
    const stored = await store.get(event.event_id).catch(() => undefined)
    if (!stored) return keptEventJson(event)
    if (!isSameContent(stored.json, event, body)) {
      metric.add('events_conflicting', 1)
      throttle('conflict', (suppressed) =>
        log.warn(
          { event_id: event.event_id, suppressed },
          'an event with the id of a stored one has other content; the stored one was kept',
        ),
      )
    }
    return stored.json
  }

  return async (body) => {
    metric.add('events_received', 1)
    try {
      const event = parseEvent(body, parse)
      const receipt = await ingest.accept([event], { isRest: true })
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      const refusal = toRefusal(receipt)
      if (refusal) throw refusal
      if (receipt.duplicate > 0) return findStored(event, body)
      return keptEventJson(event)
    } catch (error) {
      countLoss(error)
      throw error
    }
  }
}

/** Of what the sender said: a time that it left out was filled in anew, and archived events are the same events. */
function isSameContent(storedJson: string, event: Event, body: Value): boolean {
  const isTimed = isObject(body) && typeof body.event_timestamp === 'string'
  const content = (json: string) => {
    const value = parseJson(json)
    if (!isObject(value)) return value
    const { archived: _, archived_at: __, event_timestamp: time, ...rest } = value
    return isTimed ? { ...rest, event_timestamp: time } : rest
  }
  return isDeepStrictEqual(content(storedJson), content(keptEventJson(event)))
}
