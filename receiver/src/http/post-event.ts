import {
  EventError,
  isObject,
  type ParseEventOptions,
  parseEvent,
  toEventJson,
} from '@madsci-events/sdk/event'
import type { NewEvent } from '../document/event-document.ts'
import { createConflicts } from '../ingest/conflict.ts'
import { codeOf, type Ingest, toRefusal } from '../ingest/ingest.ts'
import { parseBytes } from '../ingest/json-body.ts'
import { isSameContent } from '../ingest/same-content.ts'
import { isLarge, type Unpacker } from '../ingest/unpack.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { EventStore } from '../store/event-store.ts'
import { spanOfNow } from '../trace.ts'

export interface EventTakerOptions {
  ingest: Ingest
  unpacker: Unpacker
  store: Pick<EventStore, 'get'>
  metric: Metric
  log: Log
  parse: ParseEventOptions
}

/** Settles with the JSON that is answered. */
export type EventTaker = (bytes: Uint8Array, contentType: string | undefined) => Promise<string | Uint8Array>

/**
 * What POST /event does with a body, whatever the connection: settles with the answer after the commit, and counts. The
 * answer is the event as it is stored, also where an event with this id was stored before.
 */
export function createEventTaker(options: EventTakerOptions): EventTaker {
  const { ingest, unpacker, store, metric, log, parse } = options
  const throttle = createThrottle()
  const conflicts = createConflicts(options)

  function countLoss(error: unknown): void {
    const { code, retry, message } = error instanceof EventError ? error : new EventError('EVT_INTERNAL')
    if (retry) {
      metric.add('events_unavailable', 1, codeOf(error))
      return
    }
    metric.add('events_rejected', 1, code)
    throttle(code, (suppressed) =>
      log.warn({ code, suppressed }, `an event was refused: ${message.slice(0, 300)}`),
    )
  }

  /** The event that the store has under this id; what was sent, should the store not answer. */
  async function findStored(
    id: string,
    sentJson: string | Uint8Array,
    isSame: (storedJson: string) => boolean | Promise<boolean>,
  ): Promise<string | Uint8Array> {
    const stored = await store.get(id).catch(() => undefined)
    if (!stored) return sentJson
    if (!(await isSame(stored.json))) {
      conflicts.note(id)
    }
    return stored.json
  }

  /** Gives whether it was new. Counts what became of it. */
  async function accept<T extends NewEvent>(toEvent: () => T): Promise<{ event: T; isNew: boolean }> {
    const settle = ingest.receive(1)
    try {
      const decodeMs = performance.now()
      const event = toEvent()
      spanOfNow()?.step('decode', decodeMs)
      const receipt = await ingest.accept([event], { isRest: true })
      const [first] = receipt.rejected
      if (first) throw toRefusal(first.reason)
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      return { event, isNew: receipt.duplicate === 0 }
    } catch (error) {
      countLoss(error)
      throw error
    } finally {
      settle()
    }
  }

  async function takeSmall(bytes: Uint8Array, contentType: string | undefined): Promise<string | Uint8Array> {
    const body = parseBytes(bytes, contentType)
    const { event, isNew } = await accept(() => parseEvent(body, parse))
    const json = toEventJson(event)
    if (isNew) return json
    const isTimed = isObject(body) && typeof body.event_timestamp === 'string'
    return findStored(event.event_id, json, (stored) => isSameContent(stored, json, isTimed))
  }

  async function takeLarge(bytes: Uint8Array, contentType: string | undefined): Promise<string | Uint8Array> {
    const sent = await unpacker.event(bytes, contentType)
    if ('refused' in sent) {
      const refused = () => {
        throw sent.refused
      }
      return accept(refused).then(refused)
    }
    const { event, isNew } = await accept(() => sent.event)
    if (isNew) return sent.json
    return findStored(event.event_id, sent.json, (stored) => unpacker.isSame(stored, sent))
  }

  return (bytes, contentType) =>
    isLarge(bytes, 'json') ? takeLarge(bytes, contentType) : takeSmall(bytes, contentType)
}
