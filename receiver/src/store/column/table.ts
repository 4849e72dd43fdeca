import type { Evidence } from '../evidence.ts'

/** What events say of one facet, each different thing once. */
export interface Entry {
  /** In the order of its paths; an object stands for any object. */
  values: readonly unknown[]
  key: string | undefined
  named: Evidence['named']
  /** Chunks that hold it. */
  uses: number
  /** Of the newest event that said so, ms since 1970. */
  newestMs: number
  text: string
}

// An entry with its place in the map, beside its texts.
const entryBytes = 300

/** The entries of one column by number. Numbers of entries that no chunk holds any more are given again. */
export class Table {
  readonly entries: (Entry | undefined)[] = []
  bytes = 0
  readonly #numbers = new Map<string, number>()
  readonly #free: number[] = []

  numberOf({ values, key, named }: Evidence, ms: number): number {
    let text = `${key ?? ''}\n${named === undefined ? '' : `${named.rank}${named.name}`}`
    for (const value of values) text += `\n${toPart(value)}`
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.#free.pop() ?? this.entries.length
      this.entries[number] = { values, key, named, uses: 0, newestMs: ms, text }
      this.#numbers.set(text, number)
      this.bytes += bytesOf(text)
      return number
    }
    const entry = this.entries[number]!
    if (ms > entry.newestMs) entry.newestMs = ms
    return number
  }

  release(number: number): void {
    const entry = this.entries[number]!
    if (--entry.uses > 0) return
    this.entries[number] = undefined
    this.#numbers.delete(entry.text)
    this.#free.push(number)
    this.bytes -= bytesOf(entry.text)
  }
}

/** The texts stand there twice, in UTF-16 at most. */
const bytesOf = (text: string) => entryBytes + text.length * 4

function toPart(value: unknown): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return `s${value.length}:${value}`
  return typeof value === 'object' && value !== null ? 'o' : `v${String(value)}`
}
