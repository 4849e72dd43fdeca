import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'

/** A record that waits, and about how many bytes it will be. */
export interface Waiting {
  record: ReadableLogRecord
  bytes: number
}

/**
 * Where records wait for their request. This one is in memory; one on disk would keep them over a crash.
 *
 *     removed ◀── head [ r r r r ][ r r r r r … ] tail ◀── push
 *                      └ batch() ┘  stays until remove(), so that a failed request loses nothing
 */
export interface Queue {
  readonly count: number
  readonly bytes: number
  /** False when it would be more than the limits: the record is not taken. */
  push(waiting: Waiting): boolean
  /** The oldest ones: at most so many, and so many bytes (but at least one record). */
  batch(maxCount: number, maxBytes: number): Waiting[]
  /** Forgets the oldest ones. */
  remove(count: number): void
}

export interface QueueOptions {
  maxCount: number
  maxBytes: number
}

export function createMemoryQueue({ maxCount, maxBytes }: QueueOptions): Queue {
  let items: Waiting[] = []
  let head = 0
  let bytes = 0
  return {
    get count() {
      return items.length - head
    },
    get bytes() {
      return bytes
    },
    push(waiting) {
      // One record larger than the limit still passes when it is alone.
      if (items.length - head >= maxCount || (bytes > 0 && bytes + waiting.bytes > maxBytes)) return false
      items.push(waiting)
      bytes += waiting.bytes
      return true
    },
    batch(count, limit) {
      let end = head
      let size = 0
      while (end < items.length && end - head < count) {
        size += items[end]!.bytes
        if (size > limit && end > head) break
        end++
      }
      return items.slice(head, end)
    },
    remove(count) {
      for (let i = head; i < head + count; i++) bytes -= items[i]!.bytes
      head += count
      // Moving the rest down costs as much as there is: only when at least half is gone.
      if (head * 2 < items.length) return
      items = items.slice(head)
      head = 0
    },
  }
}
