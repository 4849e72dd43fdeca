import type { Encoded } from './otlp/encode.ts'
import type { Run } from './otlp/request.ts'

/** The oldest records of a queue, for one request. */
export interface Batch {
  /** Whether they were emitted by this client; else they were found, left behind by another. */
  isOwn: boolean
  count: number
  runs: Run[]
}

/**
 * Where records wait for their request: encoded, oldest first.
 *
 *     removed ◀── head [ r r r r ][ r r r r r … ] tail ◀── push
 *                      └ batch() ┘  stays until remove(), so that a failed request loses nothing
 */
export interface Queue {
  /** Whom it tells from now on; what others left behind is looked for. */
  start(listener: QueueListener): void
  /** Own records that wait. */
  readonly count: number
  /** What they take, and what is found with them. */
  readonly bytes: number
  /** How often something was found that others left behind, and how much of it is dealt with. */
  readonly foundCount: number
  readonly doneCount: number
  /** False when it is full: the record is not taken. */
  push(encoded: Encoded): boolean
  /**
   * The oldest ones: at most so many, and so many bytes (but at least one record). The same ones again until `remove`.
   * Undefined when nothing waits.
   */
  batch(maxCount: number, maxBytes: number): Promise<Batch | undefined>
  /** Forgets a batch. */
  remove(batch: Batch): void
  /** Keeps records that the endpoint refused where people find them; gives the folder, or undefined when there is none. */
  setAside(runs: readonly Run[]): string | undefined
  /** Resolves once it is no more than half full. */
  drained(): Promise<void>
  /** After `close`, while the process ends: one more for the next; false unless it is in a file. */
  pushLast(encoded: Encoded): boolean
  /** Gives up what it holds; what is on the disk stays there for the next. Returns how many own records stay so. */
  close(): number
}

/** What a queue tells its sender. */
export interface QueueListener {
  /** Records that will never be sent. */
  onDrop(reason: 'queue_full' | 'expired' | 'corrupt' | 'taken_over', loss: Loss): void
  /** So many were found that others left behind. */
  onFind(count: number): void
  /** There is something to send that was not pushed. */
  onWork(): void
}

export interface Loss {
  isOwn: boolean
  count: number
  why: string
}
