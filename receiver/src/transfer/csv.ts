import { createReadStream } from 'node:fs'
import { type Event, EventError, fromDocument, fromExactJson, type Value } from '@madsci-events/sdk/event'
import { fromCsvCell } from '../csv-cell.ts'
import { csvColumns } from './export.ts'
import { createIdentity, type Identity } from './identity.ts'
import type { ImportChunk } from './import.ts'

const chunkEvents = 500
const chunkCharacters = 4 * 1024 * 1024
const maxCells = 1000
/** Of one row, as the largest event may have it. */
const maxRowCharacters = 64 * 1024 * 1024

/**
 * Events of a CSV file as `export` writes it, the columns in any order. What an export makes inert is as it was before.
 * Throws EVT_INVALID for a file without the columns `event_id` and `event_timestamp`, and for one that is no CSV.
 */
export async function* fromCsv(path: string, onRead: (bytes: number) => void): AsyncGenerator<ImportChunk> {
  const input = createReadStream(path, { encoding: 'utf8' })
  let columns: string[] | undefined
  let chunk: ImportChunk = []
  let number = 0
  let characters = 0
  const identify = createIdentity()
  for await (const row of readRows(input, path)) {
    number++
    if (!columns) {
      columns = row.map((name) => name.replace(/^\ufeff/, ''))
      const missing = ['event_id', 'event_timestamp'].find((name) => !columns?.includes(name))
      if (missing !== undefined) throw new EventError('EVT_INVALID', `${path} has no column ${missing}`)
      continue
    }
    // An empty line.
    if (row.length === 1 && row[0] === '') continue
    const where = `${path}: row ${number}`
    const item = rowToEvent(columns, row, identify)
    chunk.push(typeof item === 'string' ? { refused: item, where } : { event: item, where })
    for (const cell of row) characters += cell.length
    if (chunk.length < chunkEvents && characters < chunkCharacters) continue
    onRead(input.bytesRead)
    yield chunk
    chunk = []
    characters = 0
  }
  if (chunk.length > 0) yield chunk
}

/** Text for why it is refused. */
function rowToEvent(columns: readonly string[], row: readonly string[], identify: Identity): Event | string {
  if (row.length !== columns.length) return `${row.length} cells for ${columns.length} columns`
  const document: { [column: string]: Value } = {}
  for (const column of csvColumns) {
    const index = columns.indexOf(column)
    const text = index < 0 ? '' : fromCsvCell(row[index]!)
    try {
      document[column] = text === '' ? null : readers[column](text)
    } catch {
      return `${column} cannot be read: ${text.slice(0, 60)}`
    }
  }
  const { event_id: id, ...fields } = document
  if (typeof fields.event_timestamp !== 'string') return 'no event_timestamp'
  fields.source ??= {}
  return fromDocument({ _id: id ?? identify(row.join('\0'), fields.event_timestamp), ...fields })
}

const asText = (text: string): Value => text
// A spreadsheet writes TRUE.
const asFlag = (text: string): Value => text.toLowerCase() === 'true'
const asNumber = (text: string): Value => {
  const number = Number(text)
  if (!Number.isFinite(number)) throw new Error('no number')
  return number
}

const readers: { [column in (typeof csvColumns)[number]]: (text: string) => Value } = {
  event_id: asText,
  event_type: asText,
  log_level: asNumber,
  alert: asFlag,
  event_timestamp: asText,
  source: fromExactJson,
  event_data: fromExactJson,
  trace_id: asText,
  span_id: asText,
  archived: asFlag,
  archived_at: asText,
}

/** Rows of RFC 4180; a line end is CR LF or LF. */
async function* readRows(input: AsyncIterable<string>, path: string): AsyncGenerator<string[]> {
  let row: string[] = []
  let cell = ''
  let rowCharacters = 0
  /** Inside quotes; `ended` after a quote that may be the last one. */
  let state: 'plain' | 'quoted' | 'ended' = 'plain'
  // Of a CR LF that two pieces share.
  let held = ''
  for await (const next of input) {
    const whole = held + next
    held = whole.endsWith('\r') ? '\r' : ''
    const piece = held === '' ? whole : whole.slice(0, -1)
    let start = 0
    for (let at = 0; at < piece.length; at++) {
      const code = piece.charCodeAt(at)
      if (state === 'quoted') {
        if (code !== quote) continue
        cell += piece.slice(start, at)
        start = at + 1
        state = 'ended'
        continue
      }
      if (code === quote && (state === 'ended' || (cell === '' && at === start))) {
        // Two quotes are one; the first of a cell opens it.
        start = state === 'ended' ? at : at + 1
        state = 'quoted'
        continue
      }
      if (code !== comma && code !== lineFeed) {
        if (state === 'ended' && code !== carriageReturn)
          throw new EventError('EVT_INVALID', `${path} is no CSV: text after the end of a cell in quotes`)
        continue
      }
      cell += piece.slice(
        start,
        code === lineFeed && piece.charCodeAt(at - 1) === carriageReturn && at > start ? at - 1 : at,
      )
      start = at + 1
      rowCharacters += cell.length
      if (row.length >= maxCells)
        throw new EventError('EVT_INVALID', `${path} has a row of more than ${maxCells} cells`)
      row.push(cell)
      cell = ''
      state = 'plain'
      if (code === comma) continue
      yield row
      row = []
      rowCharacters = 0
    }
    cell += piece.slice(start)
    if (rowCharacters + cell.length > maxRowCharacters)
      throw new EventError('EVT_INVALID', `${path} has a row of more than ${maxRowCharacters} characters`)
  }
  cell += held
  if (state === 'quoted') throw new EventError('EVT_INVALID', `${path} ends inside a cell in quotes`)
  if (cell !== '' || row.length > 0) yield [...row, cell]
}

const [quote, comma, lineFeed, carriageReturn] = [34, 44, 10, 13]
