import type { Event, Value } from '@madsci-events/sdk/event'
import type { Bytes, Word } from './word.ts'

/** Of an array, so many are written one by one. */
export const maxPlaces = 1024

/**
 * Writes documents in the form of a store, member by member, from bytes to bytes:
 *
 *     start ▶ begin ▶ text, number, … openObject ▶ … ▶ close ▶ end ─┐
 *               ▲ ─────────────────── next document ───────────────┘ ▶ take
 *
 * A call that gives false cannot write this value as the store would write it: then `drop`, and an event is made first.
 * One decoder is at work at a time: nobody waits between `start` and `take`.
 */
export interface DocumentWriter {
  readonly form: 'bson' | 'json'
  /** Forgets what was not taken. Gives where the first document will begin among the bytes that `take` gives. */
  start(): number
  begin(): void
  /** Where the document ends that `begin` began, among the bytes that `take` will give. */
  end(): number
  /** Takes back what was written since `begin`. */
  drop(): void
  /** UTF-8 from `start` to `stop`. False when it is none. */
  text(key: Word, from: Bytes, start: number, stop: number): boolean
  number(key: Word, value: number): boolean
  boolean(key: Word, value: boolean): void
  null(key: Word): void
  /** Gives what its `close` wants. */
  openObject(key: Word): number
  openArray(key: Word): number
  closeObject(start: number): void
  closeArray(start: number): void
  /** The key of a place in an array. */
  placeOf(index: number): Word
  /** Members of an object, for `members`; undefined when they cannot be written so. */
  prepare(object: { [key: string]: Value }): Uint8Array | undefined
  members(prepared: Uint8Array): void
  /** All documents since the last time, in memory of their own. */
  take(): Buffer
  /** Memory that `take` gave, when nobody looks at it any more. */
  giveBack(bytes: Uint8Array): void
  /** A document → its event. `exact` is given where the document's JSON alone does not give it back. */
  read(document: Uint8Array, exact?: Uint8Array): Event
}
