import type { DocumentWriter } from '../document/document-writer.ts'
import type { NewEvent } from '../document/event-document.ts'
import type { AlertStore, Match } from './alert-store.ts'
import type { ColumnState } from './column/state.ts'
import type { ScanSource } from './event-scan.ts'
import type { Selector } from './selector.ts'
import type { SummaryOptions, SummaryPart } from './summary.ts'

/** What became of the events of one write, in their order. */
export type WriteOutcome = 'stored' | 'duplicate' | { refused: string }

/** A stored event as REST shows it. */
export interface StoredEvent {
  id: string
  /** The document as MADSci's JSON. Document fields only, as stored: no defaults filled in. */
  json: string
  /** Exact JSON (sdk event/json.ts) of the document; given only when `json` cannot give it back. */
  exact?: string
  /** True when the document lacks fields that every event of this release has: another program wrote it. */
  partial?: boolean
}

export interface FindQuery {
  selector?: Selector
  /** Least log_level. */
  minLevel?: number
  /** Bounds of event_timestamp, canonical text, both inclusive; naive and `Z` forms of the same instant are both within. */
  startTime?: string
  endTime?: string
  /** 'only': archived ones alone, ordered by archived_at when order is 'newest'. */
  archived: 'include' | 'exclude' | 'only'
  /** Canaries too; else only where the selector names one. */
  canaries?: 'include'
  /** By event_timestamp; 'none' promises nothing. */
  order: 'newest' | 'oldest' | 'none'
  /** Greatest event_timestamp, as text that is taken as it stands: where a page with a cursor begins. */
  upTo?: string
  /** Least event_timestamp, in the same way, for pages of the oldest first. */
  from?: string
  /** 0 = no limit. */
  limit: number
  offset: number
  /** EVT_QUERY_TIMEOUT after that long without a whole chunk, EVT_QUERY_BUSY when most of it was spent in line. 0 = no limit. */
  timeoutMs: number
}

/** Events that are summed up; of those that are not archived, or of all. */
export type SummaryQuery = Omit<FindQuery, 'order' | 'limit' | 'offset' | 'upTo' | 'from'>

/** How far a query came that is in the order of event_timestamp. */
export interface ScanProgress {
  /**
   * What comes before this event_timestamp was looked at, and is given when it matches; of those that have it perhaps some.
   * Undefined: nothing can be said. What was given may lie beyond.
   */
  scannedTo: string | undefined
}

/** For whom a query is. */
export interface FindOptions {
  /** Clients have fair turns. Opaque; 'local' if not given. */
  client?: string
  /** What the receiver itself needs: it has threads of its own, unless its selector is a heavy one. */
  isReserved?: boolean
  /** Ends the query when nobody wants it any more. */
  signal?: AbortSignal
  /** Is told how far the query came: of use when it fails with EVT_QUERY_TIMEOUT or EVT_QUERY_BUSY. */
  progress?: ScanProgress
}

export interface StoreHealth {
  connected: boolean
  /** Archived ones too; null when it cannot be told. Takes constant time. */
  totalEvents: number | null
  /** Why it is not connected. */
  reason?: string
  /** What is damaged, while events are still taken. */
  damage?: string
}

/** Events of one of these types (any if not given) and at most this log_level (any if not given). */
export interface EventMatch {
  types?: readonly string[]
  maxLevel?: number
}

/** Which events to archive: these, or those strictly before a canonical time that match, but for the exceptions. */
export type ArchiveSelection =
  | { ids: readonly string[] }
  | { before: string; match?: EventMatch; except?: readonly EventMatch[] }

/** A copy of all events, for a backup. */
export interface StoreCopy {
  /** Paths below the folder of the copy. */
  files: string[]
  events: number
}

export interface BatchOptions {
  /** Events of one commit at most. */
  batchSize: number
}

/** Events in the order of their commit, from after a cursor on. */
export interface CommitPage {
  ids: string[]
  /** For each id the cursor behind it, from stores that can tell. */
  cursors?: string[]
  /** Ask with this next time. Opaque text. */
  cursor: string
}

export interface ReadCommitsOptions {
  /** Events at most. */
  limit: number
  /** Reading ends with the event that goes beyond this many characters of JSON. */
  characters: number
}

/** Whole events in the order of their commit, from after a cursor on. */
export interface CommittedEvents {
  events: StoredEvent[]
  /** For the next reading. */
  cursor: string
  /** There is more to be had at once. */
  hasMore: boolean
  /** Commits that can no longer be read in order: the store has forgotten them. */
  expiredCommits: number
}

/** Follows the commits of a store from another thread. */
export interface CommitReader {
  /** Throws EVT_STORE_UNAVAILABLE, and EVT_INVALID for a cursor that is none. */
  read(cursor: string, options: ReadCommitsOptions): Promise<CommittedEvents>
  close(): Promise<void>
}

/** A small text that outlives a restart; its version grows by one with each write. */
export interface Note {
  text: string
  version: number
}

export interface NoteStore {
  read(name: string): Promise<Note | undefined>
  /** Durable when it settles. False, and nothing is written, when another version is there; 0 means that there is none. */
  write(name: string, text: string, version: number): Promise<boolean>
}

/** A store that is only read. */
export interface EventSource {
  find(query: FindQuery, options?: FindOptions): AsyncIterable<StoredEvent[]>
  /** About how many events it holds, for who waits; undefined when nobody can say. */
  eventCount?: number | undefined
  close(): Promise<void>
}

/**
 * Where events rest. Promises, each with a test of the same name in test/contract/event-store.contract.ts:
 *  1. write resolves only after a durable commit; after a kill every stored event is there.
 *  2. An id is stored once: the first event stays untouched, the later is 'duplicate', also within one write.
 *  3. A refused event leaves its neighbours stored.
 *  4. What was written is read back exactly: unicode, nesting, 64-bit integers, bytes, NaN, `$`, dotted and prototype keys.
 *  5. find honours selector, level, times, archived, order, limit and offset, and means what MongoDB means by the selector.
 *  6. find streams: memory does not grow with the result, and writes go on while it runs.
 *  7. commitsSince gives every stored event once, in an order that later commits only extend.
 *  8. Trouble is EVT_STORE_UNAVAILABLE (retry), never a half-told success; it heals without hands.
 *  9. An older schema is upgraded in place; a newer one is refused with EVT_SCHEMA_VERSION.
 * 10. health answers in constant time, and within two seconds when the database is away.
 * 11. archive and purge go in bounded commits while writes go on; what is archived keeps its first date.
 * 12. locate tells stored ids from others, and places them in the order of commit.
 * 13. copyTo holds what was committed before, also under load.
 * 14. A commit reader gives what commitsSince gives, whole, in another thread, and can leave out what did not come by REST.
 * 15. Of those who write the same version of a note, one succeeds; it is there after a restart.
 */
export interface EventStore {
  readonly kind: 'sqlite' | 'mongodb' | 'null'
  /** How many writes may run at once; the batcher keeps to it. */
  readonly writeConcurrency: number
  /** For `openScan` and `openCommitReader`, in another thread. */
  readonly scanSource: ScanSource
  /** Alerts beside the events; undefined where nothing is kept. */
  readonly alerts: AlertStore | undefined
  readonly notes: NoteStore
  /** Makes the documents of this store, for doors that can do without an Event. */
  readonly documents: DocumentWriter
  /** The module that does so in another thread, a `DocumentEncoder`. */
  readonly encoderUrl: URL
  /** Whether several receivers may use it at once, and how long it knows the order of commits. */
  readonly following: { isShared: boolean }
  /**
   * `matches`: what rules saw in these events; durable as intents before this settles.
   * `rest`: ranges [from, to), flat, of positions whose events came by REST, for the commit reader.
   */
  write(
    events: readonly NewEvent[],
    matches?: readonly Match[],
    rest?: readonly number[],
  ): Promise<WriteOutcome[]>
  /** Undefined when there is no such id. */
  get(id: string): Promise<StoredEvent | undefined>
  /** Chunks of at most some hundred events. Leaving the loop early ends the query. */
  find(query: FindQuery, options?: FindOptions): AsyncIterable<StoredEvent[]>
  /**
   * The same events, newest first, summed up in the thread of the query: parts whose sum is the summary. At the time limit the
   * last part is late; EVT_QUERY_BUSY and EVT_QUERY_TIMEOUT only when nothing was looked at.
   */
  summarize(query: SummaryQuery, summary: SummaryOptions, options?: FindOptions): AsyncIterable<SummaryPart>
  /** Of the columns in memory from which summaries are answered; a store that never has any lacks it. */
  columnState?(): ColumnState
  /** From the beginning when cursor is ''. An empty page when nothing is new. */
  commitsSince(cursor: string, limit: number): Promise<CommitPage>
  /** The cursor of now: what is stored later comes after it. */
  commitCursor(): Promise<string>
  /**
   * For each stored id where it lies in the order of commit: text that grows with it among the events of one receiver,
   * '' where that cannot be told any more. Ids that are not stored have no entry.
   */
  locate(ids: readonly string[]): Promise<Map<string, string>>
  /** Sets `archived`, and `archived_at` to now, on events that are not archived. Gives their number after each commit. */
  archive(selection: ArchiveSelection, options: BatchOptions): AsyncIterable<number>
  /** Deletes events that were archived before that time, ms since 1970. Gives their number after each commit. */
  purge(beforeMs: number, options: BatchOptions): AsyncIterable<number>
  /** Writes everything that was committed before the call into files below an empty folder, and reads it over once. */
  copyTo(folder: string): Promise<StoreCopy>
  health(): Promise<StoreHealth>
  /** Bytes on disk of everything it keeps, with indexes and log. Takes constant time. Throws EVT_STORE_UNAVAILABLE. */
  size(): Promise<number>
  close(): Promise<void>
}
