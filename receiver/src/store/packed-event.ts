import type { StoredEvent } from './event-store.ts'

/**
 * Events on their way from one thread to another: one long text and where its parts end, because a thread copies one text
 * many times faster than some hundred objects.
 *
 *     text  id json exact id json exact …
 *     ends    ▲    ▲     ▲  ▲    ▲     ▲     an event without `exact` has an empty one
 */
export interface PackedEvents {
  text: string
  ends: Uint32Array
  /** Positions of those that are `partial`. */
  partial: number[]
}

export function packEvents(events: readonly StoredEvent[]): PackedEvents {
  const parts: string[] = []
  const ends = new Uint32Array(events.length * 3)
  const partial: number[] = []
  let end = 0
  for (let i = 0; i < events.length; i++) {
    const { id, json, exact = '', partial: isPartial } = events[i]!
    parts.push(id, json, exact)
    end += id.length
    ends[i * 3] = end
    end += json.length
    ends[i * 3 + 1] = end
    end += exact.length
    ends[i * 3 + 2] = end
    if (isPartial) partial.push(i)
  }
  return { text: parts.join(''), ends, partial }
}

export function unpackEvents({ text, ends, partial }: PackedEvents): StoredEvent[] {
  const events: StoredEvent[] = []
  let start = 0
  for (let i = 0; i < ends.length; i += 3) {
    const [idEnd, jsonEnd, exactEnd] = [ends[i]!, ends[i + 1]!, ends[i + 2]!]
    const event: StoredEvent = { id: text.slice(start, idEnd), json: text.slice(idEnd, jsonEnd) }
    if (exactEnd > jsonEnd) event.exact = text.slice(jsonEnd, exactEnd)
    events.push(event)
    start = exactEnd
  }
  for (const i of partial) events[i]!.partial = true
  return events
}
