import type { EventStore, FindOptions, FindQuery, StoredEvent } from '../store/event-store.ts'
import { decodePageCursor, encodePageCursor, nextPage, type PageStart, timestampOf } from './page.ts'

/** A page ends with the event that goes beyond this many characters. */
const pageCharacters = 16 * 1024 * 1024
/** Up to here a page is read once and held; a larger one is measured, and read again while it is sent. */
const heldCharacters = 1024 * 1024

export interface PageFind {
  store: EventStore
  query: Omit<FindQuery, 'limit' | 'offset' | 'upTo' | 'from'>
  options: FindOptions
}

export interface Page {
  /** Where the next page begins; undefined behind the last one. */
  next: string | undefined
  events: AsyncIterable<StoredEvent[]>
}

/** The page of at most `number` events behind a cursor ('' = the first). Throws EVT_INVALID for a cursor that is none. */
export async function readPage(
  find: PageFind,
  { cursor, number }: { cursor: string; number: number },
): Promise<Page> {
  const begin = cursor === '' ? { upTo: undefined, offset: 0 } : decodePageCursor(cursor)
  let held: StoredEvent[] | undefined = []
  const timestamps: string[] = []
  let lastId = ''
  let characters = 0
  search: for await (const chunk of findFrom(find, begin, number)) {
    for (const event of chunk) {
      timestamps.push(timestampOf(event))
      characters += event.json.length
      lastId = event.id
      if (characters > heldCharacters) held = undefined
      held?.push(event)
      if (characters > pageCharacters) break search
    }
  }
  const isCut = timestamps.length === number || characters > pageCharacters
  const next = isCut ? encodePageCursor(nextPage(begin, timestamps)) : undefined
  if (held) return { next, events: only(held) }
  const { order } = find.query
  return { next, events: until(findFrom(find, begin, 0), { lastId, order, timestamp: timestamps.at(-1)! }) }
}

function findFrom({ store, query, options }: PageFind, { upTo, offset }: PageStart, limit: number) {
  const bound = upTo === undefined ? {} : query.order === 'oldest' ? { from: upTo } : { upTo }
  return store.find({ ...query, ...bound, limit, offset }, options)
}

async function* only(events: StoredEvent[]): AsyncGenerator<StoredEvent[]> {
  yield events
}

/** To the end of a page that was measured. An event that came meanwhile is part of it, for the cursor leads behind it. */
async function* until(
  chunks: AsyncIterable<StoredEvent[]>,
  { lastId, order, timestamp }: { lastId: string; order: FindQuery['order']; timestamp: string },
): AsyncGenerator<StoredEvent[]> {
  const isBeyond = (event: StoredEvent) =>
    order === 'oldest' ? timestampOf(event) > timestamp : timestampOf(event) < timestamp
  for await (const chunk of chunks) {
    const end = chunk.findIndex((event) => event.id === lastId || isBeyond(event))
    if (end < 0) {
      yield chunk
      continue
    }
    yield chunk.slice(0, chunk[end]!.id === lastId ? end + 1 : end)
    return
  }
}
