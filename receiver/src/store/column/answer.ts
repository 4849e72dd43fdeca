import {
  type FacetName,
  facetNames,
  isSubjectFacet,
  maxValues,
  numberOf,
  type SummaryOptions,
  type SummaryPart,
  startOf,
  widthFor,
} from '../summary.ts'
import type { Chunk } from './chunk.ts'
import type { Columns } from './columns.ts'
import { compareInstants, type Instant, toInstantText } from './instant.ts'
import type { Selection } from './select.ts'
import type { Entry } from './table.ts'

interface Chosen {
  chunk: Chunk
  /** Undefined: all of them. */
  rows: Uint16Array | undefined
}

/** The sum of the rows that are selected. `scanned` selects what was looked at. */
export function sumUp(
  columns: Columns,
  { selection, scanned }: { selection: Selection; scanned: Selection },
  options: SummaryOptions,
): SummaryPart {
  const chosen: Chosen[] = []
  for (const chunk of columns.chunks) {
    const rows = selection(chunk)
    if (rows !== 'none') chosen.push({ chunk, rows: rows === 'all' ? undefined : rows })
  }
  const total = chosen.reduce((sum, { chunk, rows }) => sum + (rows?.length ?? chunk.count), 0)
  const span = spanOf(chosen)
  const wide = [...(span ?? []), options.fromMs, options.untilMs].filter((ms) => ms !== undefined)
  const widthMs = wide.length === 0 ? 1 : widthFor([Math.min(...wide), Math.max(...wide)], options.buckets)
  const oldest = oldestOf(columns, scanned)
  const part: SummaryPart = {
    total,
    scannedTo: oldest ? toInstantText(oldest) : null,
    isLate: false,
    span: wide.length === 0 ? null : [Math.min(...wide), Math.max(...wide)],
    widthMs,
    histogram: span ? toHistogram(columns, chosen, { span, widthMs }) : [],
    facets: {},
    others: {},
    names: {},
  }
  for (const [column, facet] of facetNames.entries()) addFacet(part, columns, chosen, { column, facet })
  return part
}

function spanOf(chosen: readonly Chosen[]): [number, number] | undefined {
  let from = Number.POSITIVE_INFINITY
  let until = Number.NEGATIVE_INFINITY
  for (const { chunk, rows } of chosen) {
    if (!rows) {
      from = Math.min(from, chunk.oldest.ms)
      until = Math.max(until, chunk.newest.ms)
      continue
    }
    for (const row of rows) {
      const ms = chunk.ms[row]!
      if (ms < from) from = ms
      if (ms > until) until = ms
    }
  }
  return from <= until ? [from, until] : undefined
}

function oldestOf(columns: Columns, scanned: Selection): Instant | undefined {
  let oldest: Instant | undefined
  const take = (instant: Instant) => {
    if (Number.isFinite(instant.ms) && (!oldest || compareInstants(instant, oldest) < 0)) oldest = instant
  }
  for (const chunk of columns.chunks) {
    if (oldest && compareInstants(chunk.oldest, oldest) >= 0) continue
    const rows = scanned(chunk)
    if (rows === 'all') take(chunk.oldest)
    else if (rows !== 'none')
      for (const row of rows)
        if (!oldest || chunk.ms[row]! <= oldest.ms) take({ ms: chunk.ms[row]!, micros: chunk.micros[row]! })
  }
  return oldest
}

function toHistogram(
  columns: Columns,
  chosen: readonly Chosen[],
  { span, widthMs }: { span: [number, number]; widthMs: number },
): SummaryPart['histogram'] {
  const first = numberOf(span[0], widthMs)
  const buckets = numberOf(span[1], widthMs) - first + 1
  const startMs = startOf(span[0], widthMs)
  const counts = new Map<number, Float64Array>()
  for (const { chunk, rows } of chosen) {
    const level = chunk.columns[0]!
    const levels = chunk.places[0]!.map((entry) => levelOf(columns, entry))
    const own = levels.map((one) => {
      let found = counts.get(one)
      if (!found) {
        found = new Float64Array(buckets)
        counts.set(one, found)
      }
      return found
    })
    const { ms } = chunk
    const count = rows ? rows.length : chunk.count
    for (let at = 0; at < count; at++) {
      const row = rows ? rows[at]! : at
      // An event without a time is in no piece.
      const bucket = Math.floor((ms[row]! - startMs) / widthMs)
      if (bucket >= 0) own[level[row]!]![bucket]!++
    }
  }
  const histogram: SummaryPart['histogram'] = []
  for (const [level, found] of counts)
    for (const [bucket, count] of found.entries())
      if (count > 0) histogram.push([first + bucket, level, count])
  return histogram
}

const levelOf = (columns: Columns, entry: number) => Number(columns.tables[0]!.entries[entry]!.key)

function countsOf({ chunk, rows }: Chosen, column: number): Uint32Array {
  if (!rows && chunk.isFull) {
    chunk.totals ??= chunk.columns.map((_, one) => count(chunk, undefined, one))
    return chunk.totals[column]!
  }
  return count(chunk, rows, column)
}

function count(chunk: Chunk, rows: Uint16Array | undefined, column: number): Uint32Array {
  const counts = new Uint32Array(chunk.places[column]!.length)
  const numbers = chunk.columns[column]!
  if (rows) for (const row of rows) counts[numbers[row]!]!++
  else for (let row = 0; row < chunk.count; row++) counts[numbers[row]!]!++
  return counts
}

function addFacet(
  part: SummaryPart,
  columns: Columns,
  chosen: readonly Chosen[],
  { column, facet }: { column: number; facet: FacetName },
): void {
  const { entries } = columns.tables[column]!
  const counts = new Map<number, number>()
  for (const one of chosen) {
    const places = one.chunk.places[column]!
    for (const [number, found] of countsOf(one, column).entries())
      if (found > 0) counts.set(places[number]!, (counts.get(places[number]!) ?? 0) + found)
  }
  const byKey = new Map<string, number>()
  for (const [entry, found] of counts) {
    const { key } = entries[entry]!
    if (key !== undefined) byKey.set(key, (byKey.get(key) ?? 0) + found)
  }
  const sorted = byKey.size > maxValues ? [...byKey].sort(([, a], [, b]) => b - a) : [...byKey]
  part.facets[facet] = sorted.slice(0, maxValues)
  part.others![facet] = sorted.slice(maxValues).reduce((sum, [, found]) => sum + found, 0)
  if (isSubjectFacet(facet))
    part.names[facet] = toNames(new Set(part.facets[facet].map(([key]) => key)), { entries, counts }, (all) =>
      newestOf(chosen, column, all),
    )
}

/** Names by the newest event that was counted, else by the newest that is known at all. */
function toNames(
  keys: ReadonlySet<string>,
  { entries, counts }: { entries: readonly (Entry | undefined)[]; counts: ReadonlyMap<number, number> },
  findNewest: (entries: ReadonlySet<number>) => Map<number, Instant>,
): [id: string, name: string, rank: number][] {
  const ofId = new Map<string, number[]>()
  const elsewhere = new Map<string, Entry>()
  for (const [number, entry] of entries.entries()) {
    if (entry?.named === undefined || !keys.has(entry.key!)) continue
    const { id, rank } = entry.named
    if (counts.has(number)) {
      const before = ofId.get(id)
      const beforeRank = before && entries[before[0]!]!.named!.rank
      if (beforeRank === undefined || rank < beforeRank) ofId.set(id, [number])
      else if (rank === beforeRank) before!.push(number)
      continue
    }
    const other = elsewhere.get(id)
    const isBetter =
      !other || rank < other.named!.rank || (rank === other.named!.rank && entry.newestMs > other.newestMs)
    if (isBetter) elsewhere.set(id, entry)
  }
  const nameOf = (number: number) => entries[number]!.named!.name
  const doubtful = [...ofId.values()].filter((all) => new Set(all.map(nameOf)).size > 1)
  const newest = doubtful.length > 0 ? findNewest(new Set(doubtful.flat())) : new Map<number, Instant>()
  const never: Instant = { ms: Number.NEGATIVE_INFINITY, micros: 0 }
  const names: [string, string, number][] = []
  for (const [id, all] of ofId) {
    const at = (number: number) => newest.get(number) ?? never
    const best = all.reduce((one, other) => (compareInstants(at(other), at(one)) > 0 ? other : one))
    names.push([id, nameOf(best), entries[best]!.named!.rank])
  }
  for (const [id, { named }] of elsewhere) if (!ofId.has(id)) names.push([id, named!.name, 2])
  return names
}

function newestOf(
  chosen: readonly Chosen[],
  column: number,
  wanted: ReadonlySet<number>,
): Map<number, Instant> {
  const newest = new Map<number, Instant>()
  for (const { chunk, rows } of chosen) {
    const isWanted = chunk.places[column]!.map((entry) => wanted.has(entry))
    if (!isWanted.includes(true)) continue
    const numbers = chunk.columns[column]!
    const count = rows ? rows.length : chunk.count
    for (let at = 0; at < count; at++) {
      const row = rows ? rows[at]! : at
      if (!isWanted[numbers[row]!]) continue
      const entry = chunk.places[column]![numbers[row]!]!
      const known = newest.get(entry)
      const ms = chunk.ms[row]!
      if (known && (ms < known.ms || (ms === known.ms && chunk.micros[row]! <= known.micros))) continue
      if (!Number.isNaN(ms)) newest.set(entry, { ms, micros: chunk.micros[row]! })
    }
  }
  return newest
}
