import type { Document, FindCursor } from 'mongodb'
import type { EventCursor } from './posting-reader.ts'

/** Which events are read in windows: by time, between these texts, both inclusive. */
export interface ScanWindows {
  order: 'newest' | 'oldest'
  least?: string
  most?: string
}

export interface WindowCursorOptions {
  windows: ScanWindows
  /** The time of the event that comes after so many of a range; undefined when there are no more. */
  timeBehind(range: Document, sort: 1 | -1, count: number): Promise<string | undefined>
  /** The events that the query asks for, given a condition beside its own. */
  find(beside: Document, sort: 1 | -1): FindCursor<Uint8Array>
  offset: number
  /** 0: all. */
  limit: number
}

/** Events that a window has at least, all of one time among them: of the first one, and of the largest. */
const windowEvents = { least: 250, most: 16_000 }

/** Events of other programs whose time is no text: they come last, where no bound is asked for. */
const noText = [
  { event_timestamp: null },
  {
    event_timestamp: {
      $type: [
        'double',
        'object',
        'binData',
        'objectId',
        'bool',
        'date',
        'regex',
        'int',
        'timestamp',
        'long',
        'decimal',
      ],
    },
  },
]

/**
 * The events of a query in the order of time, window after window along the index of time. MongoDB itself does not tell how
 * far a search came that found nothing.
 */
export function createWindowCursor(options: WindowCursorOptions): EventCursor {
  const { windows, timeBehind, find, offset, limit } = options
  const { order, least, most } = windows
  const sort = order === 'newest' ? -1 : 1
  let toSkip = offset
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY
  let size = windowEvents.least
  /** Up to this time the windows before reach. */
  let edge: string | undefined
  let current: FindCursor<Uint8Array> | undefined
  let isLastText = false
  let isLast = false
  let isClosed = false
  let scannedTo: string | undefined

  async function openWindow(): Promise<FindCursor<Uint8Array>> {
    if (isLastText) {
      isLast = true
      return find({ $or: noText }, sort)
    }
    // Texts alone: a comparison is one within a type.
    const range: Document = { $gte: least ?? '', ...(most !== undefined && { $lte: most }) }
    if (edge !== undefined) range[sort === -1 ? '$lt' : '$gt'] = edge
    const behind = await timeBehind(range, sort, size)
    size = Math.min(size * 2, windowEvents.most)
    if (behind === undefined) {
      isLastText = true
      return find({ event_timestamp: range }, sort)
    }
    edge = behind
    return find({ event_timestamp: { ...range, [sort === -1 ? '$gte' : '$lte']: behind } }, sort)
  }

  return {
    async hasNext() {
      if (isClosed || left <= 0) return false
      if (!current) {
        current = await openWindow()
        if (Number.isFinite(left)) current.limit(toSkip + left)
      }
      if (await current.hasNext()) return true
      await current.close()
      current = undefined
      const isBounded = least !== undefined || most !== undefined
      if (isLast || (isLastText && isBounded)) return false
      if (!isLastText) scannedTo = edge
      // Nothing for now: who reads has the next turn.
      return true
    },
    readBufferedDocuments() {
      const found = (current?.readBufferedDocuments() ?? []) as Uint8Array[]
      const skipped = Math.min(toSkip, found.length)
      toSkip -= skipped
      const given = found.slice(skipped, Number.isFinite(left) ? skipped + left : undefined)
      left -= given.length
      return given
    },
    get scannedTo() {
      return scannedTo
    },
    async close() {
      isClosed = true
      await current?.close()
    },
  }
}
