import type { EventError } from '@madsci-events/sdk/event'
import type { PackedEvents } from './packed-event.ts'

/** What a thread of queries takes. */
export type ToQueryThread<Command, Rest> =
  | {
      kind: 'turn'
      query: number
      /** Given with the first turn in this thread, which remembers it until `forget`. */
      command: Command | undefined
      /** What the last turn left to do. */
      rest: Rest | undefined
      /** Chunks that the turn may send. */
      chunks: number
      /** Until its time limit; 0 = none. */
      remainingMs: number
    }
  | { kind: 'forget'; query: number }

/** What it says. Each turn ends with `pause`, `end` or `failed`; `scannedTo` as in ScanProgress, of the chunks before it. */
export type FromQueryThread<Rest> =
  | { kind: 'ready' }
  | { kind: 'chunk'; query: number; events: PackedEvents }
  | { kind: 'pause'; query: number; rest: Rest | undefined; scannedTo?: string | undefined }
  | { kind: 'end'; query: number }
  | { kind: 'failed'; query: number; failure: QueryFailure; scannedTo?: string | undefined }

export interface QueryFailure {
  message: string
  code: number | undefined
}

/** Numbers shared with a thread, by position. */
export const sharedAt = {
  /** The query whose turn is to end at once; 0 = none. */
  cancelled: 0,
  /** 1 while others wait for this thread. */
  contended: 1,
} as const

/** What waits for the reader of a query at most, and what a turn sends: it ends with the first of these. */
export const aheadLimit = { chunks: 4, characters: 512 * 1024 }
/** A chunk ends with the first of these. */
export const chunkLimit = { events: 100, characters: 256 * 1024 }

/** What a store does with its queries; see query-pool.ts. */
export interface QueryThreadOptions {
  file: URL
  workerData: object
  toError: (failure: QueryFailure) => EventError
}
