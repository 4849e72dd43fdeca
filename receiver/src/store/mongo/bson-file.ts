import { createReadStream } from 'node:fs'
import { EventError } from '@madsci-events/sdk/event'
import type { StoredEvent } from '../event-store.ts'
import { decodeStoredEvent } from './decode.ts'

const maxDocumentBytes = 17 * 1024 * 1024

/** Events of a file of BSON documents, one after the other, as mongodump writes it. Throws EVT_INVALID where it is damaged. */
export async function* readBsonFile(path: string): AsyncGenerator<StoredEvent[]> {
  let rest: Buffer = Buffer.alloc(0)
  let offset = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const events: StoredEvent[] = []
    let start = 0
    while (bytes.length - start >= 4) {
      const size = bytes.readInt32LE(start)
      if (size < 5 || size > maxDocumentBytes)
        throw new EventError('EVT_INVALID', `${path} is damaged at byte ${offset + start}`)
      if (bytes.length - start < size) break
      events.push(decodeStoredEvent(bytes.subarray(start, start + size)))
      start += size
    }
    rest = bytes.subarray(start)
    offset += start
    if (events.length > 0) yield events
  }
  if (rest.length > 0) throw new EventError('EVT_INVALID', `${path} is cut off at byte ${offset}`)
}
