import { currentType, isObject, oldEventTypes, parseJson, toJson } from '@madsci-events/sdk/event'
import type { FastifyRequest } from 'fastify'
import type { StoredEvent } from '../store/event-store.ts'

/** What an event is shown as. */
export type ToText = (event: StoredEvent) => string

const oldNames = Object.keys(oldEventTypes)

/**
 * Types have the names under which they came, which clients of 0.5 and 0.6 need: their enumeration knows no other. The
 * Python client of 0.8 and later, the first on httpx, reads the whole answer or nothing and knows today's names alone.
 */
export function inNamesOf(request: FastifyRequest, toText: ToText = (event) => event.json): ToText {
  const isCurrent = request.headers['user-agent']?.startsWith('python-httpx/') === true
  return isCurrent ? (event) => withCurrentType(toText(event)) : toText
}

function withCurrentType(json: string): string {
  if (!oldNames.some((name) => json.includes(`"${name}"`))) return json
  const event = parseJson(json)
  if (!isObject(event) || typeof event.event_type !== 'string') return json
  const current = currentType(event.event_type)
  if (current === event.event_type) return json
  event.event_type = current
  return toJson(event)
}
