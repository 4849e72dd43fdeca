import type { Event, Value } from './event.ts'
import { toJson } from './json.ts'

/** The event as MADSci shows and stores it: `_id` first, the other fields in MADSci's order, `otel` last when there is any. */
export function toDocument(event: Event): { [key: string]: Value } {
  const document: { [key: string]: Value } = {
    _id: event.event_id,
    event_type: event.event_type,
    log_level: event.log_level,
    alert: event.alert,
    event_timestamp: event.event_timestamp,
    source: event.source as { [key: string]: Value },
    event_data: event.event_data,
    trace_id: event.trace_id,
    span_id: event.span_id,
    archived: event.archived,
    archived_at: event.archived_at,
  }
  if (event.otel) document.otel = event.otel as { [key: string]: Value }
  return document
}

/** The JSON that REST answers for an event. */
export function toEventJson(event: Event): string {
  return toJson(toDocument(event))
}

const defaults = {
  event_type: 'unknown',
  log_level: 20,
  alert: false,
  event_timestamp: '',
  source: {},
  event_data: {},
  trace_id: null,
  span_id: null,
  archived: false,
  archived_at: null,
} as const

/** Document → event: absent fields get MADSci's defaults, words that this release does not know stay as they are. */
export function fromDocument(document: { [key: string]: Value }): Event {
  const { _id, ...fields } = document
  return { event_id: String(_id), ...defaults, ...fields } as unknown as Event
}
