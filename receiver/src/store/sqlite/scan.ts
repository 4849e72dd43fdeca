import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { fromExactJson, isObject } from '@madsci-events/sdk/event'
import type { EventScan, ScannedEvent, ScanPosition } from '../event-scan.ts'
import { toMicros } from '../instant.ts'
import { openReadable, toStoreError } from './connection.ts'
import { deletedEventsSql, lastSeqSql } from './schema.ts'

interface Position extends ScanPosition {
  seq: number
  deleted: number
}

/** Rows of one statement: between two no read transaction is held, so that the log of SQLite (WAL) can be cut. */
const rowsAtOnce = 10_000

type Row = [seq: number, id: string, document: string, exact: string | null]

/** Along the order of commit. Throws what SQLite says as EVT_STORE_UNAVAILABLE. */
export function openSqliteScan(path: string): EventScan {
  let connection: { database: DatabaseSync; rows: StatementSync } | undefined
  const event = createSqliteEvent()

  function connect() {
    if (connection) return connection
    const database = openReadable(path)
    const rows = database.prepare(
      'SELECT seq, id, document, exact FROM events WHERE seq > ? AND seq <= ? ORDER BY seq',
    )
    rows.setReturnArrays(true)
    connection = { database, rows }
    return connection
  }

  const read: EventScan['read'] = async (from, types, take) => {
    try {
      const { database, rows } = connect()
      const numberOf = (sql: string) => (database.prepare(sql).get() as { value: number }).value
      const deleted = numberOf(deletedEventsSql)
      const { seq: begin, deleted: before } = (from as Position | undefined) ?? { seq: 0, deleted }
      if (before !== deleted) return 'lost'
      const end = numberOf(lastSeqSql)
      for (let seq = begin; seq < end; seq += rowsAtOnce) {
        const limit = Math.min(seq + rowsAtOnce, end)
        for (const [, id, document, exact] of rows.iterate(seq, limit) as unknown as Iterable<Row>) {
          event.place(id, document, exact, types)
          take(event)
        }
        if (limit < end) await setImmediate()
      }
      const position: Position = { atMs: Date.now(), seq: end, deleted }
      return position
    } catch (cause) {
      close()
      throw toStoreError(cause)
    }
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

  return { read, close: async () => close() }
}

const typeMark = '"event_type":"'
const timeMark = '"event_timestamp":"'
const sourceMark = '"source":{'
const dataMark = '"event_data":'

/**
 * Reads what it needs from the text of the document, whose members stand in the order of sdk event/document.ts. Marks with
 * bare quotes cannot stand inside a JSON string, and all that comes before event_data is flat, so the first one is the member.
 */
function createSqliteEvent(): ScannedEvent & {
  place(id: string, document: string, exact: string | null, types: ReadonlySet<string>): void
} {
  let document = ''
  let exact: string | null = null
  let isWanted = false
  let sourceText = ''
  let sourceEnd = 0
  let parsed: unknown
  let isParsed = false
  const event = {
    id: '',
    type: '',
    micros: Number.NaN,
    place(id: string, text: string, exactText: string | null, types: ReadonlySet<string>) {
      document = text
      exact = exactText
      event.id = id
      const typeFrom = text.indexOf(typeMark) + typeMark.length
      const typeTo = text.indexOf('"', typeFrom)
      event.type = text.slice(typeFrom, typeTo)
      const timeFrom = text.indexOf(timeMark, typeTo) + timeMark.length
      const timeTo = text.indexOf('"', timeFrom)
      event.micros = toMicros(text.slice(timeFrom, timeTo))
      const sourceFrom = text.indexOf(sourceMark, timeTo)
      sourceEnd = text.indexOf('}', sourceFrom)
      sourceText = text.slice(sourceFrom, sourceEnd)
      isWanted = types.has(event.type)
      isParsed = false
    },
    source(name: string): string | undefined {
      const at = sourceText.indexOf(`"${name}":"`)
      if (at < 0) return undefined
      const from = at + name.length + 4
      return sourceText.slice(from, sourceText.indexOf('"', from)) || undefined
    },
    data(): unknown {
      if (!isWanted) return undefined
      if (isParsed) return parsed
      isParsed = true
      if (exact !== null) {
        const whole = fromExactJson(exact)
        parsed = isObject(whole) ? whole.event_data : undefined
      } else {
        // Behind the source comes event_data, and behind it the ids of the trace, which hold no object.
        const from = document.indexOf(dataMark, sourceEnd) + dataMark.length
        const to = document.lastIndexOf(',"trace_id":')
        parsed =
          to > from && !document.endsWith('}}')
            ? JSON.parse(document.slice(from, to))
            : (JSON.parse(document) as { event_data?: unknown }).event_data
      }
      return parsed
    },
  }
  return event
}
