import { facetNames } from '../summary.ts'
import { compareInstants, type Instant } from './instant.ts'
import type { Row } from './row.ts'
import type { Table } from './table.ts'

type Numbers = Uint16Array | Uint8Array

/**
 * Rows in columns, 18 to 26 bytes each: numbers of a chunk's own, so that they fit two bytes, or one when it is full.
 *
 *     row 7:  ms  micros  level  type  service …        places[node] = [12, 40, 3]
 *                         0      4     1                node 2 of this chunk is entry 3 of the table
 */
export class Chunk {
  static readonly capacity = 65_536
  count = 0
  ms: Float64Array = new Float64Array(Chunk.capacity)
  micros: Uint16Array = new Uint16Array(Chunk.capacity)
  columns: Numbers[] = facetNames.map(() => new Uint16Array(Chunk.capacity))
  /** Of each column, the entries of the table by the numbers of this chunk. */
  readonly places: number[][] = facetNames.map(() => [])
  /** Of its rows that have a time. */
  oldest: Instant = { ms: Number.POSITIVE_INFINITY, micros: 0 }
  newest: Instant = { ms: Number.NEGATIVE_INFINITY, micros: 0 }
  oddTimes = 0
  oddRows = 0
  /** Rows of each entry, once it is full and somebody asked. */
  totals: Uint32Array[] | undefined
  #numbers: Map<number, number>[] | undefined = facetNames.map(() => new Map())
  readonly #tables: readonly Table[]

  constructor(tables: readonly Table[]) {
    this.#tables = tables
  }

  get isFull(): boolean {
    return this.count === Chunk.capacity
  }

  get bytes(): number {
    let bytes = this.ms.byteLength + this.micros.byteLength
    for (const column of this.columns) bytes += column.byteLength
    for (const places of this.places) bytes += places.length * 8
    return bytes
  }

  add(row: Row): void {
    this.push(
      row,
      row.evidence.map((evidence, at) => this.#tables[at]!.numberOf(evidence, row.ms)),
      row,
    )
  }

  /** `entries` are those of the tables, one for each column. */
  push(time: Instant, entries: readonly number[], { hasOddTime, isOdd }: Pick<Row, 'hasOddTime' | 'isOdd'>) {
    const at = this.count++
    this.ms[at] = time.ms
    this.micros[at] = time.micros
    for (const [column, entry] of entries.entries()) {
      const numbers = this.#numbers![column]!
      let number = numbers.get(entry)
      if (number === undefined) {
        number = this.places[column]!.push(entry) - 1
        numbers.set(entry, number)
        this.#tables[column]!.entries[entry]!.uses++
      }
      this.columns[column]![at] = number
    }
    if (hasOddTime) this.oddTimes++
    if (isOdd) this.oddRows++
    if (Number.isNaN(time.ms)) return this.#closeWhenFull()
    if (compareInstants(time, this.oldest) < 0) this.oldest = { ms: time.ms, micros: time.micros }
    if (compareInstants(time, this.newest) > 0) this.newest = { ms: time.ms, micros: time.micros }
    this.#closeWhenFull()
  }

  #closeWhenFull(): void {
    if (!this.isFull) return
    this.#numbers = undefined
    this.columns = this.columns.map((column, at) =>
      this.places[at]!.length <= 256 ? Uint8Array.from(column) : column,
    )
  }

  /** Its entries are used no more. */
  release(): void {
    for (const [column, places] of this.places.entries())
      for (const entry of places) this.#tables[column]!.release(entry)
  }
}
