import { EventError, isObject, parseJson } from '@madsci-events/sdk/event'
import type { StoredEvent } from '../store/event-store.ts'

export const maxPageEvents = 10_000

/** Where a page begins: at this event_timestamp, in the order of the pages, behind so many events that have it. */
export interface PageStart {
  upTo: string | undefined
  offset: number
}

/** The stored text of event_timestamp, as it stands. */
export function timestampOf(event: StoredEvent): string {
  // The first such key of our documents is the event's own; event_data comes later.
  const own = event.partial ? undefined : /"event_timestamp":"([^"\\]*)"/.exec(event.json)?.[1]
  if (own !== undefined) return own
  const document = parseJson(event.json)
  return isObject(document) ? String(document.event_timestamp) : ''
}

/** Behind a full page with these timestamps. */
export function nextPage(start: PageStart, timestamps: readonly string[]): PageStart {
  const last = timestamps.at(-1)!
  let ties = 0
  while (ties < timestamps.length && timestamps.at(-1 - ties) === last) ties++
  const isOneTie = ties === timestamps.length && start.upTo === last
  return { upTo: last, offset: isOneTie ? start.offset + ties : ties }
}

/**
 * Behind what was looked at: events with these timestamps were given, and all before `scannedTo` were looked at. Undefined when
 * that is no further than before.
 */
export function cutPage(
  start: PageStart,
  timestamps: readonly string[],
  { scannedTo, order }: { scannedTo: string | undefined; order: 'newest' | 'oldest' },
): (PageStart & { upTo: string }) | undefined {
  const last = timestamps.at(-1)
  const isBeyond = (time: string, other: string) => (order === 'oldest' ? time > other : time < other)
  const isBehind = scannedTo !== undefined && (last === undefined || isBeyond(scannedTo, last))
  if (!isBehind) return last === undefined ? undefined : { ...nextPage(start, timestamps), upTo: last }
  // An index may begin before the page does.
  return start.upTo === undefined || isBeyond(scannedTo, start.upTo)
    ? { upTo: scannedTo, offset: 0 }
    : undefined
}

export function encodePageCursor({ upTo, offset }: PageStart): string {
  return Buffer.from(JSON.stringify([upTo, offset])).toString('base64url')
}

/** Throws EVT_INVALID for text that is no cursor. */
export function decodePageCursor(text: string): PageStart {
  try {
    const parts = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown[]
    const [upTo, offset] = parts
    if (
      typeof upTo === 'string' &&
      upTo.isWellFormed() &&
      Number.isSafeInteger(offset) &&
      (offset as number) >= 0
    )
      return { upTo, offset: offset as number }
  } catch {
    // said below
  }
  throw new EventError('EVT_INVALID', 'Invalid cursor', {
    detail: [
      { type: 'value_error', loc: ['query', 'cursor'], msg: 'Value error, Invalid cursor', input: text },
    ],
  })
}
