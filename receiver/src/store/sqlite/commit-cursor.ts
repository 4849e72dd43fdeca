import { hash } from 'node:crypto'
import type { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'
import { lastSeqSql } from './schema.ts'

/** Where a follower of one SQLite file stands: the seq of the last event that it was given, and which event that was. */
export interface CommitCursors {
  /** Its seq. Throws EVT_INVALID for a text that is no cursor, and for one that another history of this file gave. */
  read(cursor: string): number
  write(seq: number, id: string): string
  /** Behind the newest event. */
  newest(): string
}

const form = /^(\d{0,15})(?::([\w-]{8}))?$/

/**
 * `seq:mark`, the mark being of the event's id: after an older backup was put back, new events have numbers that were given
 * before, and a number alone would pass them over. Without a mark, as earlier releases wrote it, the number alone counts; so
 * it does when the event was purged.
 */
export function createCommitCursors(database: DatabaseSync): CommitCursors {
  const idOf = database.prepare('SELECT id FROM events WHERE seq = ?')
  const lastSeq = database.prepare(lastSeqSql)
  const findId = (seq: number) => (idOf.get(seq) as { id: string } | undefined)?.id
  const readLast = () => (lastSeq.get() as { value: number }).value
  const write = (seq: number, id: string) => `${seq}:${markOf(id)}`

  return {
    read(cursor) {
      const [, digits, mark] = form.exec(cursor) ?? []
      if (digits === undefined || (digits === '' && mark !== undefined))
        throw new EventError('EVT_INVALID', 'this is no commit cursor of this store')
      const seq = Number(digits)
      if (seq > readLast())
        throw new EventError('EVT_INVALID', 'the commit cursor lies behind the newest event of this file')
      const id = mark === undefined ? undefined : findId(seq)
      if (id !== undefined && markOf(id) !== mark)
        throw new EventError(
          'EVT_INVALID',
          'the commit cursor names another event than this file has there: an older state of it was put back',
        )
      return seq
    },
    write,
    newest() {
      const seq = readLast()
      const id = findId(seq)
      return id === undefined ? String(seq) : write(seq, id)
    },
  }
}

const markOf = (id: string) => hash('sha1', id, 'base64url').slice(0, 8)
