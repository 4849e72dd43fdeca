import {
  type Event,
  fromExactJson,
  isPlain,
  parseJson,
  toDocument,
  toExactJson,
  toJson,
  type Value,
} from '@madsci-events/sdk/event'
import { EventDocument, eventOf, type NewEvent } from '../../document/event-document.ts'
import type { Match } from '../alert-store.ts'
import type { StoredEvent } from '../event-store.ts'
import type { MatchDocument } from '../matcher.ts'
import { toDateMs, toDateText } from '../time-text.ts'

/** The columns of `events` behind seq, each as a list: what a write sends to its thread. */
export interface Rows {
  ids: string[]
  timestamps: string[]
  levels: number[]
  /** Undefined for none. */
  archivedAt: (number | undefined)[]
  archived: boolean[]
  documents: string[]
  exacts: (string | undefined)[]
  /** Came by REST. */
  rest: boolean[]
  /** What rules saw in them; positions are places in these lists. */
  intents: { atMs: number; matches: Match[] } | undefined
}

/** Sorts below every date. */
export const noDate = -8_640_000_000_000_001
export const maxDocumentChars = 16 * 1024 * 1024

export const createRows = (): Rows => ({
  ids: [],
  timestamps: [],
  levels: [],
  archivedAt: [],
  archived: [],
  documents: [],
  exacts: [],
  rest: [],
  intents: undefined,
})

/** Adds the event, or says why it cannot be kept. */
export function addRow(rows: Rows, event: NewEvent, isRest = false): string | undefined {
  if (event instanceof EventDocument && event.run.writer.form === 'json') {
    const { run, start, end, exactEnd } = event
    const json = run.bytes.toString('utf8', start, end)
    const exact = exactEnd === undefined ? undefined : run.bytes.toString('utf8', end, exactEnd)
    return pushRow(rows, event, { json, exact, archivedAt: archiveMsOf(event), isRest })
  }
  const whole = eventOf(event)
  return pushRow(rows, whole, { ...writtenOf(whole), isRest })
}

function archiveMsOf({ archived_at }: Pick<Event, 'archived_at'>): number | undefined {
  const date = archived_at === null ? undefined : toDateMs(archived_at)
  return date === undefined ? undefined : Number(date)
}

/** The columns of a row that hold the document. */
export function writtenOf(event: Event): Omit<Written, 'isRest'> {
  const archivedAt = archiveMsOf(event)
  const document = toDocument(event)
  // A date, as MongoDB keeps it: milliseconds.
  if (archivedAt !== undefined) document.archived_at = toDateText(archivedAt)
  const json = toJson(document)
  const plain = isPlain(event.event_data) && (event.otel === undefined || isPlain(event.otel as Value))
  return { json, exact: plain ? undefined : toExactJson(document), archivedAt }
}

interface Written {
  json: string
  exact: string | undefined
  archivedAt: number | undefined
  isRest: boolean
}

function pushRow(
  rows: Rows,
  event: NewEvent,
  { json, exact, archivedAt, isRest }: Written,
): string | undefined {
  if (json.length > maxDocumentChars) return `the event is larger than ${maxDocumentChars} characters`
  rows.ids.push(event.event_id)
  rows.timestamps.push(event.event_timestamp)
  rows.levels.push(event.log_level)
  rows.archivedAt.push(archivedAt)
  rows.archived.push(event.archived)
  rows.documents.push(json)
  rows.rest.push(isRest)
  rows.exacts.push(exact)
  return undefined
}

export function toStoredEvent(id: string, json: string, exact: string | null): StoredEvent {
  return exact === null ? { id, json } : { id, json, exact }
}

/** The document as a matcher takes it. */
export function toMatchDocument(json: string, exact: string | null, archivedAt: number): MatchDocument {
  const document = (exact === null ? parseJson(json) : fromExactJson(exact)) as MatchDocument
  if (archivedAt !== noDate) document.archived_at = new Date(archivedAt)
  return document
}
