import {
  currentType,
  type Event,
  eventLevels,
  eventTypes,
  isObject,
  isUlid,
  parseEventType,
  parseTimestamp,
  type SourceKey,
  sourceKeys,
  type Value,
} from '@madsci-events/sdk/event'
import { sayingOf } from '../utilization/timeline/emission.ts'

/** What an import mends, and how it is counted. */
export const repairs = {
  timestamp_form: 'a time written in another form: six digits, UTC',
  timestamp_zone: 'a time without a zone, converted from the given zone to UTC',
  type_renamed: 'an event type of an older release, or in capitals, by its present name',
  type_promoted: 'a typed event that was stored as log_*: its type, and the ids beside it, from event_data',
  level_unknown: 'a log_level that MADSci does not know: the next lower one',
  text_decoded: 'a message that an old client sent as JSON within JSON',
} as const
export type Repair = keyof typeof repairs

export interface HealOptions {
  /** Takes the type from event_data.event_type where a client stored a typed event as log_*. */
  promote: boolean
  /** Converts naive canonical text to UTC. */
  fromNaive?: (naive: string) => string
}

/** Mends the event in place; says what it did, or why the event cannot be taken. */
export function heal(event: Event, options: HealOptions): { done: Repair[] } | { refused: string } {
  const done: Repair[] = []
  const parsed = parseTimestamp(event.event_timestamp)
  if ('reason' in parsed) return { refused: `event_timestamp: ${parsed.reason}` }
  if (parsed.text !== event.event_timestamp) done.push('timestamp_form')
  event.event_timestamp = parsed.text
  if (options.fromNaive && !parsed.text.endsWith('Z')) {
    event.event_timestamp = options.fromNaive(parsed.text)
    done.push('timestamp_zone')
  }
  if (!(eventTypes as readonly string[]).includes(event.event_type)) {
    const type = parseEventType(event.event_type)
    if (type === undefined)
      return { refused: `event_type '${String(event.event_type).slice(0, 60)}' is unknown` }
    event.event_type = currentType(type)
    done.push('type_renamed')
  }
  if (!(eventLevels as readonly number[]).includes(event.log_level)) {
    const lower = eventLevels.filter((level) => level <= event.log_level).at(-1)
    if (lower === undefined)
      return { refused: `log_level '${String(event.log_level).slice(0, 60)}' is unknown` }
    event.log_level = lower
    done.push('level_unknown')
  }
  if (typeof event.event_data === 'string' && /^".*"$/s.test(event.event_data)) {
    try {
      event.event_data = JSON.parse(event.event_data)
      done.push('text_decoded')
    } catch {
      // a text that only looks so
    }
  }
  if (options.promote && promote(event)) done.push('type_promoted')
  return { done }
}

function promote(event: Event): boolean {
  const data: Value = event.event_data
  if (!/^log(_|$)/.test(event.event_type) || !isObject(data)) return false
  const type = typeof data.event_type === 'string' ? parseEventType(data.event_type) : undefined
  if (type === undefined || /^log(_|$)/.test(type)) return false
  // MADSci's own programs log messages under types whose events they are not: a request under that of a start.
  const says = typeof data.message === 'string' ? sayingOf(type, data.message) : undefined
  if (says !== undefined && says !== 'type') return false
  event.event_type = type
  for (const key of sourceKeys as readonly SourceKey[]) {
    const id = data[key]
    if (event.source[key] === undefined && typeof id === 'string' && isUlid(id))
      event.source = { ...event.source, [key]: id }
  }
  return true
}
