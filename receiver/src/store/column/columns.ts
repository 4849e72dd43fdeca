import { facetNames } from '../summary.ts'
import { Chunk } from './chunk.ts'
import { compareInstants, type Instant } from './instant.ts'
import type { Row } from './row.ts'
import { Table } from './table.ts'

/** Rows in chunks: what comes along the commits and what comes from the newest backwards fill chunks of their own. */
export class Columns {
  readonly tables = facetNames.map(() => new Table())
  chunks: Chunk[] = []
  readonly #open: { [from in 'commits' | 'past']?: Chunk } = {}

  add(row: Row, from: 'commits' | 'past'): void {
    let chunk = this.#open[from]
    if (!chunk || chunk.isFull) {
      chunk = new Chunk(this.tables)
      this.#open[from] = chunk
      this.chunks.push(chunk)
    }
    chunk.add(row)
  }

  get rows(): number {
    return this.chunks.reduce((sum, { count }) => sum + count, 0)
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.bytes, this.tableBytes)
  }

  get tableBytes(): number {
    return this.tables.reduce((sum, table) => sum + table.bytes, 0)
  }

  sumOf(name: 'oddTimes' | 'oddRows'): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk[name], 0)
  }

  /** Forgets all rows up to this instant. Not while there are odd ones. */
  dropUpTo(instant: Instant): void {
    const kept: Chunk[] = []
    for (const chunk of this.chunks) {
      if (compareInstants(chunk.oldest, instant) > 0) {
        kept.push(chunk)
        continue
      }
      if (compareInstants(chunk.newest, instant) > 0) this.#keepLater(chunk, instant, kept)
      for (const from of ['commits', 'past'] as const) if (this.#open[from] === chunk) delete this.#open[from]
      chunk.release()
    }
    this.chunks = kept
  }

  #keepLater(chunk: Chunk, instant: Instant, kept: Chunk[]): void {
    const own = new Chunk(this.tables)
    for (let at = 0; at < chunk.count; at++) {
      const time = { ms: chunk.ms[at]!, micros: chunk.micros[at]! }
      if (compareInstants(time, instant) <= 0) continue
      const entries = chunk.columns.map((column, index) => chunk.places[index]![column[at]!]!)
      own.push(time, entries, { hasOddTime: false, isOdd: false })
    }
    // Whether its odd rows are among them is not known.
    own.oddRows = chunk.oddRows
    kept.push(own)
  }
}
