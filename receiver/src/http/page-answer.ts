import type { EventStore, FindOptions, FindQuery, ScanProgress, StoredEvent } from '../store/event-store.ts'
import { isOutOfTime } from '../store/summary-parts.ts'
import { cutPage, decodePageCursor, encodePageCursor, nextPage, type PageStart, timestampOf } from './page.ts'

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
  /** Given when the time limit ended the search: what comes before this event_timestamp was looked at. */
  scannedTo: string | undefined
  events: AsyncIterable<StoredEvent[]>
}

/**
 * The page of at most `number` events behind a cursor ('' = the first). Throws EVT_INVALID for a cursor that is none, and
 * EVT_QUERY_TIMEOUT and EVT_QUERY_BUSY when the search came no further.
 */
export async function readPage(
  find: PageFind,
  { cursor, number }: { cursor: string; number: number },
): Promise<Page> {
  const begin = cursor === '' ? { upTo: undefined, offset: 0 } : decodePageCursor(cursor)
  let held: StoredEvent[] | undefined = []
  const timestamps: string[] = []
  let lastId = ''
  let characters = 0
  let cut: ReturnType<typeof cutPage>
  const progress: ScanProgress = { scannedTo: undefined }
  try {
    search: for await (const chunk of findFrom(find, begin, { limit: number, progress })) {
      for (const event of chunk) {
        timestamps.push(timestampOf(event))
        characters += event.json.length
        lastId = event.id
        if (characters > heldCharacters) held = undefined
        held?.push(event)
        if (characters > pageCharacters) break search
      }
    }
  } catch (error) {
    cut = cutOf(error, find, { begin, timestamps, progress })
  }
  const isFull = timestamps.length === number || characters > pageCharacters
  const end = cut ?? (isFull ? nextPage(begin, timestamps) : undefined)
  const page = { next: end && encodePageCursor(end), scannedTo: cut?.upTo }
  if (held) return { ...page, events: only(held) }
  const { order, timeoutMs } = find.query
  // It is read as far as before, which was within its time.
  const again = cut ? { ...find, query: { ...find.query, timeoutMs: 2 * timeoutMs } } : find
  const events = findFrom(again, begin, { limit: 0 })
  return { ...page, events: until(events, { lastId, order, timestamp: timestamps.at(-1)! }) }
}

/**
 * The first events of a query without a cursor: what the time limit ends within the first million characters has a cursor to go
 * on with. Beyond them the rest is read while it is sent, and the time limit is an error.
 */
export async function readFirst(find: PageFind, limit: number): Promise<Page> {
  const begin = { upTo: undefined, offset: 0 }
  const progress: ScanProgress = { scannedTo: undefined }
  const chunks = findFrom(find, begin, { limit, progress })[Symbol.asyncIterator]()
  const held: StoredEvent[] = []
  let characters = 0
  try {
    while (characters <= heldCharacters) {
      const chunk = await chunks.next()
      if (chunk.done) return { next: undefined, scannedTo: undefined, events: only(held) }
      for (const event of chunk.value) {
        held.push(event)
        characters += event.json.length
      }
    }
  } catch (error) {
    const cut = cutOf(error, find, { begin, timestamps: held.map(timestampOf), progress })
    return { next: encodePageCursor(cut), scannedTo: cut.upTo, events: only(held) }
  }
  return { next: undefined, scannedTo: undefined, events: followed(held, chunks) }
}

/** Where a search ended that was not in time. Throws the error when it is another, or nothing was looked at. */
function cutOf(
  error: unknown,
  { query: { order } }: PageFind,
  {
    begin,
    timestamps,
    progress: { scannedTo },
  }: { begin: PageStart; timestamps: readonly string[]; progress: ScanProgress },
): PageStart & { upTo: string } {
  const cut =
    isOutOfTime(error) && order !== 'none' ? cutPage(begin, timestamps, { scannedTo, order }) : undefined
  if (!cut) throw error
  return cut
}

function findFrom(
  { store, query, options }: PageFind,
  { upTo, offset }: PageStart,
  { limit, progress }: { limit: number; progress?: ScanProgress },
) {
  const bound = upTo === undefined ? {} : query.order === 'oldest' ? { from: upTo } : { upTo }
  return store.find({ ...query, ...bound, limit, offset }, { ...options, ...(progress && { progress }) })
}

async function* only(events: StoredEvent[]): AsyncGenerator<StoredEvent[]> {
  yield events
}

async function* followed(
  held: StoredEvent[],
  rest: AsyncIterator<StoredEvent[]>,
): AsyncGenerator<StoredEvent[]> {
  try {
    yield held
    for (let chunk = await rest.next(); !chunk.done; chunk = await rest.next()) yield chunk.value
  } finally {
    await rest.return?.()
  }
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
