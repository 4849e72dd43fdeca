import { toCsvCell } from '../../csv-cell.ts'
import type { Format } from './parameter.ts'

export type Cell = string | number | boolean | null
export interface Row {
  readonly [column: string]: Cell
}

export const contentTypes: { [format in Format]: string } = {
  json: 'application/json',
  csv: 'text/csv; charset=utf-8',
  ndjson: 'application/x-ndjson',
}

const pieceCharacters = 64 * 1024

/** Rows as text: lines of JSON, or CSV (RFC 4180, CRLF) with a header. A null is an empty cell, a formula is made inert. */
export function* toPieces(
  format: 'csv' | 'ndjson',
  columns: readonly string[],
  rows: Iterable<Row>,
): Generator<string> {
  let text = format === 'csv' ? toLine(columns) : ''
  for (const row of rows) {
    text += format === 'csv' ? toLine(columns.map((name) => row[name] ?? null)) : `${JSON.stringify(row)}\n`
    if (text.length < pieceCharacters) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}

function toLine(cells: readonly Cell[]): string {
  return `${cells.map(toCell).join(',')}\r\n`
}

function toCell(cell: Cell): string {
  if (cell === null) return ''
  return typeof cell === 'string' ? toCsvCell(cell) : String(cell)
}
