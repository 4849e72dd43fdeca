import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import type { EventScan, ScanPosition } from '../event-scan.ts'
import { openReadable, toStoreError } from './connection.ts'
import { createSqliteEvent, exactMark } from './scan-document.ts'
import { deletedEventsSql, lastSeqSql } from './schema.ts'

interface Position extends ScanPosition {
  seq: number
  deleted: number
}

const textSql = `iif(exact IS NULL, document, '${exactMark}' || exact)`
const rowsSql = `SELECT ${textSql} AS text FROM events WHERE seq > ? AND seq <= ? ORDER BY seq`
// Each value that leaves SQLite costs more than reading it: some documents come as one value, of which each is a line. Few
// enough that they stay in the cache of the processor. As bytes, for a text would be decoded, of which little is read.
const linesSql = `SELECT CAST(group_concat(${textSql}, char(10)) AS BLOB) AS bytes
                  FROM events WHERE seq > ? AND seq <= ?`
const fewRows = 32
const mostRows = 256
// Large documents come in smaller numbers.
const mostBytes = 512 * 1024
/** Between two statements no read transaction is held, so that the log of SQLite (WAL) can be cut. */
const bytesPerTurn = 4 * mostBytes

const newline = 10

interface Connection {
  database: DatabaseSync
  lines: StatementSync
  rows: StatementSync
}

/** Along the order of commit. Throws what SQLite says as EVT_STORE_UNAVAILABLE. */
export function openSqliteScan(path: string): EventScan {
  let connection: Connection | undefined
  const event = createSqliteEvent()

  function connect(): Connection {
    if (connection) return connection
    const database = openReadable(path)
    connection = { database, lines: database.prepare(linesSql), rows: database.prepare(rowsSql) }
    return connection
  }

  /** Documents of (from, to], as bytes of one or many lines. */
  function* read({ lines, rows }: Connection, from: number, to: number): Generator<Buffer> {
    let bytes: Uint8Array | null
    try {
      bytes = (lines.get(from, to) as { bytes: Uint8Array | null }).bytes
    } catch {
      // Together they may be longer than a value can be.
      for (const row of rows.iterate(from, to)) yield Buffer.from(row.text as string)
      return
    }
    if (bytes === null) return
    const { buffer, byteOffset, byteLength } = bytes
    yield Buffer.from(buffer, byteOffset, byteLength)
    // At once: megabytes that wait for the collector make it run all the time. An event is valid during its call only.
    if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }

  return {
    async read(from, types, take) {
      try {
        const connected = connect()
        const numberOf = (sql: string) => (connected.database.prepare(sql).get() as { value: number }).value
        const deleted = numberOf(deletedEventsSql)
        const { seq: begin, deleted: before } = (from as Position | undefined) ?? { seq: 0, deleted }
        if (before !== deleted) return 'lost'
        const end = numberOf(lastSeqSql)
        let rows = fewRows
        let turnBytes = 0
        for (let seq = begin; seq < end; ) {
          const to = Math.min(seq + rows, end)
          let chunkBytes = 0
          for (const bytes of read(connected, seq, to)) {
            chunkBytes += bytes.length
            for (let line = 0; line < bytes.length; ) {
              const next = bytes.indexOf(newline, line)
              const lineEnd = next < 0 ? bytes.length : next
              event.place(bytes, line, lineEnd, types)
              take(event)
              line = lineEnd + 1
            }
          }
          seq = to
          if (chunkBytes > mostBytes) rows = Math.max(1, rows >> 1)
          else if (chunkBytes < mostBytes / 2) rows = Math.min(mostRows, rows * 2)
          turnBytes += chunkBytes
          if (turnBytes < bytesPerTurn) continue
          turnBytes = 0
          await setImmediate()
        }
        const position: Position = { atMs: Date.now(), seq: end, deleted }
        return position
      } catch (cause) {
        close()
        throw toStoreError(cause)
      }
    },
    close: async () => close(),
  }

  function close() {
    const closing = connection
    connection = undefined
    try {
      closing?.database.close()
    } catch {
      // after trouble nothing is known of a connection
    }
  }
}
