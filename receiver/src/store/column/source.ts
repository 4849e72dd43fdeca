import type { Row } from './row.ts'

export interface SourceEvent {
  id: string
  /** event_timestamp as it stands there. */
  time: string
  /** Undefined: it is archived, or `readNew` will give it. */
  row: Row | undefined
}

/** Two ways to all events, which between them give each one once, but for those of the very time at which `readOlder` stands. */
export interface ColumnSource {
  /** From here on `readNew` gives what is committed, and `readOlder` what is there, from the newest time. */
  begin(): Promise<void>
  /** 'lost': some commits can no longer be told. Events in the order of their commit. */
  readNew(take: (event: SourceEvent) => void): Promise<'more' | 'all' | 'lost'>
  /**
   * Older and older ones, without those that `readNew` will still give; to be called when that has given all. `from`: at the
   * latest from this time on.
   */
  readOlder(take: (event: SourceEvent) => void, from: string | undefined): Promise<'more' | 'all'>
  /** The latest time of events that were archived since the last call, by its text; '' for none. */
  readArchived(): Promise<string>
  /** Commits that have no place in the order yet: `readNew` gives them later, although they may be acknowledged. */
  readPending(): Promise<string[]>
  /** Others than receivers have stored events that no commit tells. */
  isStrange(): Promise<boolean>
  close(): Promise<void>
}

/**
 * Bytes or characters of the largest document that is read, for its objects may take twenty times the memory, and of those
 * that are read at once, but for the last.
 */
export const maxDocument = 4 * 2 ** 20

/** An event that the columns cannot hold. */
export class NotHeld extends Error {}
