import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { CommitReader, StoredEvent } from '../event-store.ts'
import { type CommitCursors, createCommitCursors } from './commit-cursor.ts'
import { openReadable, toStoreError } from './connection.ts'
import { toStoredEvent } from './row.ts'
import { lastSeqSql } from './schema.ts'

interface Open {
  database: DatabaseSync
  lastSeq: StatementSync
  rows: StatementSync
  cursors: CommitCursors
}

type Row = [seq: number, id: string, document: string, exact: string | null]

/** Along seq. With `restOnly` by the index of those that came by REST, so that the others are never touched. */
export function openSqliteCommitReader(path: string, restOnly: boolean): CommitReader {
  let open: Open | undefined

  function connect(): Open {
    if (open) return open
    const database = openReadable(path)
    const where = restOnly ? 'rest = 1 AND seq > ? AND seq <= ?' : 'seq > ? AND seq <= ?'
    const rows = database.prepare(
      `SELECT seq, id, document, exact FROM events WHERE ${where} ORDER BY seq LIMIT ?`,
    )
    rows.setReturnArrays(true)
    open = { database, lastSeq: database.prepare(lastSeqSql), rows, cursors: createCommitCursors(database) }
    return open
  }

  return {
    async read(cursor, { limit, characters }) {
      try {
        const { lastSeq, rows, cursors } = connect()
        // Read first: nothing below it comes later.
        const { value: last } = lastSeq.get() as { value: number }
        const from = cursors.read(cursor)
        const events: StoredEvent[] = []
        let size = 0
        let position = last
        for (const [seq, id, document, exact] of rows.iterate(
          from,
          last,
          limit,
        ) as unknown as Iterable<Row>) {
          events.push(toStoredEvent(id, document, exact))
          size += document.length
          if (events.length < limit && size < characters) continue
          position = seq
          break
        }
        return { events, cursor: String(position), hasMore: position < last, expiredCommits: 0 }
      } catch (cause) {
        throw toStoreError(cause)
      }
    },
    async close() {
      open?.database.close()
      open = undefined
    },
  }
}
