import type { DatabaseSync } from 'node:sqlite'
import { fromExactJson, type Value } from '@madsci-events/sdk/event'
import { toColumnRow } from '../column/row.ts'
import { type ColumnSource, maxDocument, NotHeld, type SourceEvent } from '../column/source.ts'
import { openReadable } from './connection.ts'
import { lastSeqSql } from './schema.ts'

const columns = 'seq, id, event_timestamp, CASE WHEN archived = 0 THEN document END, exact'
const newSql = `SELECT ${columns} FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?`
const olderSql = `SELECT ${columns} FROM events INDEXED BY events_time
                  WHERE event_timestamp <= ? AND (event_timestamp < ? OR seq < ?)
                  ORDER BY event_timestamp DESC, seq DESC LIMIT ?`

interface Rows {
  rows: Row[]
  /** There may be more. */
  isCut: boolean
}

type Row = [seq: number, id: string, time: string, document: string | null, exact: string | null]

/** The commits are numbered: what has a greater number than the last that was read comes along with them. */
export function openSqliteColumnSource(path: string, rowsAtOnce = 500): ColumnSource {
  let database: DatabaseSync | undefined
  let lastSeq = 0
  let place = { time: '\uffff', seq: Number.MAX_SAFE_INTEGER }

  function read(sql: string, ...parameters: (string | number)[]): Rows {
    try {
      database ??= openReadable(path)
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      const rows: Row[] = []
      let characters = 0
      // Arrays, as setReturnArrays makes them: the declared type is that of objects.
      for (const row of statement.iterate(...parameters) as unknown as Iterable<Row>) {
        rows.push(row)
        characters += (row[3]?.length ?? 0) + (row[4]?.length ?? 0)
        if (characters > maxDocument) return { rows, isCut: true }
      }
      return { rows, isCut: rows.length === rowsAtOnce }
    } catch (error) {
      close()
      throw error
    }
  }

  const newest = () => Number(read(lastSeqSql).rows[0]![0])

  function close(): void {
    const closing = database
    database = undefined
    try {
      closing?.close()
    } catch {
      // after trouble nothing is known of a connection
    }
  }

  return {
    async begin() {
      lastSeq = newest()
      place = { time: '\uffff', seq: Number.MAX_SAFE_INTEGER }
    },
    async readNew(take) {
      const last = newest()
      if (last < lastSeq) return 'lost'
      const { rows, isCut } = read(newSql, lastSeq, last, rowsAtOnce)
      for (const row of rows) give(row, take)
      lastSeq = isCut ? rows.at(-1)![0] : last
      return lastSeq < last ? 'more' : 'all'
    },
    async readOlder(take, from) {
      if (from !== undefined) place = { time: from, seq: Number.MAX_SAFE_INTEGER }
      const { rows, isCut } = read(olderSql, place.time, place.time, place.seq, rowsAtOnce)
      for (const row of rows) give(row[0] <= lastSeq ? row : [row[0], row[1], row[2], null, null], take)
      const last = rows.at(-1)
      if (last) place = { seq: last[0], time: last[2] }
      return isCut ? 'more' : 'all'
    },
    // The store tells what it archives.
    readArchived: async () => '',
    readPending: async () => [],
    isStrange: async () => false,
    close: async () => close(),
  }
}

function give([, id, time, document, exact]: Row, take: (event: SourceEvent) => void): void {
  take({ id, time, row: document === null ? undefined : toRowOf(document, exact) })
}

function toRowOf(document: string, exact: string | null) {
  if (document.length + (exact?.length ?? 0) > maxDocument) throw new NotHeld('an event is too large')
  const json = JSON.parse(document) as Value
  return exact === null ? toColumnRow(json) : toColumnRow(json, fromExactJson(exact))
}
