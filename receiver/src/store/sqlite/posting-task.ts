import type { DatabaseSync } from 'node:sqlite'
import { indexVersion } from '../id-key.ts'

/** Made beside the schema and no step of it: a release that does not know these rows leaves them, and is not harmed by them. */
export const postingSql = `CREATE TABLE IF NOT EXISTS event_postings (
  part INTEGER NOT NULL,
  key INTEGER NOT NULL,
  block INTEGER NOT NULL,
  oldest INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  places BLOB NOT NULL,
  PRIMARY KEY (part, key, block)
) STRICT, WITHOUT ROWID`

const indexedSeqName = `indexed_seq_${indexVersion}`
export const indexedSeqSql = `SELECT coalesce((SELECT value FROM tally WHERE name = '${indexedSeqName}'), 0) AS value`

/** [key, oldest second, newest second, places] of one block. */
export type Posting = [key: number, oldest: number, newest: number, places: Uint8Array]

export interface PostingTask {
  kind: 'index'
  blocks: { part: number; block: number; postings: Posting[] }[]
  /** The last event that the index then holds. */
  indexedSeq: number
  /** Postings of parts before this one lead to nothing any more. */
  firstPart: number
}

/** Within a transaction of the caller. Gives the number of its rows. */
export function writePostings(database: DatabaseSync, task: PostingTask): number {
  const { blocks, indexedSeq, firstPart } = task
  const insert = database.prepare('INSERT OR REPLACE INTO event_postings VALUES (?, ?, ?, ?, ?, ?)')
  let rows = 0
  for (const { part, block, postings } of blocks) {
    for (const [key, oldest, newest, places] of postings) insert.run(part, key, block, oldest, newest, places)
    rows += postings.length
  }
  database.prepare('INSERT OR REPLACE INTO tally VALUES (?, ?)').run(indexedSeqName, indexedSeq)
  // One part each time, so that no commit is long.
  database
    .prepare(`DELETE FROM event_postings WHERE part = (SELECT min(part) FROM event_postings) AND part < ?`)
    .run(firstPart)
  return rows
}
