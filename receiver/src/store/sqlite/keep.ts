import type { DatabaseSync } from 'node:sqlite'
import { fromExactJson, parseJson, toExactJson, toJson, type Value } from '@madsci-events/sdk/event'
import type { ArchiveSelection, EventMatch } from '../event-store.ts'
import { toDateText, toLowestText } from '../time-text.ts'
import { type PostingTask, writePostings } from './posting-task.ts'
import { noDate } from './row.ts'
import { lastSeqSql } from './schema.ts'

/** One bounded commit of the thread that writes. */
export type KeepTask =
  | { kind: 'archive'; selection: ArchiveSelection; after: Place | undefined; rows: number; atMs: number }
  | { kind: 'purge'; beforeMs: number; rows: number }
  | { kind: 'note'; name: string; text: string; version: number }
  | { kind: 'probe' }
  | PostingTask

/** Behind which row the next commit goes on. */
export interface Place {
  timestamp: string
  seq: number
}

export interface KeepResult {
  changed: number
  /** Undefined when nothing is left. */
  next: Place | undefined
  /** The latest event_timestamp among what was archived; undefined for nothing. */
  newest?: string | undefined
}

interface Candidate {
  seq: number
  timestamp: string
  archived: number
  document: string
  exact: string | null
}

/** Within a transaction of the caller. */
export function runTask(database: DatabaseSync, task: KeepTask): KeepResult {
  if (task.kind === 'note') return writeNote(database, task)
  if (task.kind === 'probe') return writeProbe(database)
  if (task.kind === 'index') return { changed: writePostings(database, task), next: undefined }
  return task.kind === 'archive' ? archive(database, task) : purge(database, task)
}

const columns = 'seq, event_timestamp AS timestamp, archived, document, exact'

function archive(database: DatabaseSync, task: Extract<KeepTask, { kind: 'archive' }>): KeepResult {
  const candidates = 'ids' in task.selection ? listed(database, task.selection.ids) : older(database, task)
  const update = database.prepare(
    'UPDATE events SET archived = 1, archived_at = ?, document = ?, exact = ? WHERE seq = ?',
  )
  let changed = 0
  let newest: string | undefined
  for (const { seq, timestamp, archived, document, exact } of candidates) {
    if (archived === 1) continue
    if (newest === undefined || timestamp > newest) newest = timestamp
    const marked = (value: Value): Value => ({
      ...(value as { [key: string]: Value }),
      archived: true,
      archived_at: toDateText(task.atMs),
    })
    update.run(
      task.atMs,
      toJson(marked(parseJson(document))),
      exact && toExactJson(marked(fromExactJson(exact))),
      seq,
    )
    changed++
  }
  const last = candidates.at(-1)
  const isWhole = 'ids' in task.selection || candidates.length < task.rows
  return { changed, next: isWhole ? undefined : last, newest }
}

function listed(database: DatabaseSync, ids: readonly string[]): Candidate[] {
  const one = database.prepare(`SELECT ${columns} FROM events WHERE id = ?`)
  return [...new Set(ids)].flatMap((id) => (one.get(id) as unknown as Candidate | undefined) ?? [])
}

function older(
  database: DatabaseSync,
  { selection, after, rows }: Extract<KeepTask, { kind: 'archive' }>,
): Candidate[] {
  if ('ids' in selection) return []
  const { before, match = {}, except = [] } = selection
  const terms = ['event_timestamp < ?']
  const bounds: (string | number)[] = [toLowestText(before)]
  if (after) {
    terms.push('event_timestamp >= ?', '(event_timestamp > ? OR seq > ?)')
    bounds.push(after.timestamp, after.timestamp, after.seq)
  }
  const texts: (string | number)[] = []
  const wanted = [
    'archived = 0',
    matchSql(match, texts),
    ...except.map((one) => `NOT (${matchSql(one, texts)})`),
  ]
  // A row that is not wanted counts for the bound as well, so that no commit walks over the whole table.
  return database
    .prepare(
      `SELECT ${columns.replace('archived', `NOT (${wanted.join(' AND ')}) AS archived`)}
       FROM events INDEXED BY events_time WHERE ${terms.join(' AND ')} ORDER BY event_timestamp, seq LIMIT ?`,
    )
    .all(...texts, ...bounds, rows) as unknown as Candidate[]
}

/** Adds its parameters to the list. */
function matchSql({ types, maxLevel }: EventMatch, parameters: (string | number)[]): string {
  const terms = ['1']
  if (maxLevel !== undefined) {
    terms.push('log_level <= ?')
    parameters.push(maxLevel)
  }
  if (types) {
    terms.push(`document ->> '$.event_type' IN (${types.map(() => '?').join(', ')})`)
    parameters.push(...types)
  }
  return terms.join(' AND ')
}

function purge(database: DatabaseSync, task: Extract<KeepTask, { kind: 'purge' }>): KeepResult {
  // The greatest seq must not come twice, also when the newest events go.
  const { value: lastSeq } = database.prepare(lastSeqSql).get() as { value: number }
  const { changes } = database
    .prepare(
      `DELETE FROM events WHERE seq IN (
         SELECT seq FROM events INDEXED BY events_archived
         WHERE archived = 1 AND archived_at < ? AND archived_at > ${noDate} LIMIT ?)`,
    )
    .run(task.beforeMs, task.rows)
  const changed = Number(changes)
  if (changed > 0) {
    database.prepare("UPDATE tally SET value = ? WHERE name = 'deleted_seq'").run(lastSeq)
    database.prepare("UPDATE tally SET value = value + ? WHERE name = 'deleted_events'").run(changed)
  }
  return { changed, next: changed < task.rows ? undefined : { timestamp: '', seq: 0 } }
}

/** An event of usual size, in characters. */
export const usualCharacters = 64 * 1024

/** Needs the room of a usual event: a commit without content succeeds on a full disk. */
function writeProbe(database: DatabaseSync): KeepResult {
  database
    .prepare(
      `INSERT INTO notes VALUES ('.probe', 1, hex(randomblob(${usualCharacters / 2})))
       ON CONFLICT (name) DO UPDATE SET text = excluded.text, version = version + 1`,
    )
    .run()
  return { changed: 1, next: undefined }
}

function writeNote(
  database: DatabaseSync,
  { name, text, version }: Extract<KeepTask, { kind: 'note' }>,
): KeepResult {
  const { changes } =
    version === 0
      ? database.prepare('INSERT INTO notes VALUES (?, 1, ?) ON CONFLICT (name) DO NOTHING').run(name, text)
      : database
          .prepare('UPDATE notes SET text = ?, version = version + 1 WHERE name = ? AND version = ?')
          .run(text, name, version)
  return { changed: Number(changes), next: undefined }
}
