import type { SubjectKind } from '../subject.ts'

/** What many events are together: how many of each level in each piece of time, and of what. */

export const facetNames = [
  'level',
  'type',
  'node',
  'workcell',
  'workflow',
  'experiment',
  'user',
  'service',
] as const
export type FacetName = (typeof facetNames)[number]

export const subjectFacets = [
  'node',
  'workcell',
  'workflow',
  'experiment',
  'user',
] as const satisfies SubjectKind[]

export const isSubjectFacet = (facet: FacetName): facet is (typeof subjectFacets)[number] =>
  subjectFacets.some((kind) => kind === facet)

/**
 * Widths of the pieces of a histogram, ms. Each is a multiple of the one before, so that pieces join to wider ones; they begin
 * at multiples of their width since the first Monday of year 1, UTC, before which there are no timestamps.
 */
const originMs = Date.UTC(2001, 0, 1) - 5 * 146_097 * 86_400_000
const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000]
export const bucketWidthsMs: readonly number[] = [
  ...[1, 10, 100, second, 5 * second, 15 * second, 30 * second],
  ...[minute, 5 * minute, 15 * minute, 30 * minute, hour, 3 * hour, 6 * hour, 12 * hour],
  ...[
    day,
    7 * day,
    28 * day,
    364 * day,
    3640 * day,
    36_400 * day,
    364_000 * day,
    3_640_000 * day,
    36_400_000 * day,
  ],
]

export interface SummaryOptions {
  /** At most so many pieces. */
  buckets: number
  /** Bounds of time that were asked for, ms since 1970: the pieces cover them. */
  fromMs?: number
  untilMs?: number
}

/** Of some events. Lists instead of maps: it travels between threads as JSON. */
export interface SummaryPart {
  total: number
  /** Time of the oldest event that was looked at, as it stands there; null: none was. */
  scannedTo: string | null
  /** The time limit was over before everything was looked at. */
  isLate: boolean
  /** Bounds of what has a time, ms; null: nothing has. */
  span: [fromMs: number, untilMs: number] | null
  widthMs: number
  /** Number of the piece, level, events. */
  histogram: [bucket: number, level: number, count: number][]
  facets: { [name in FacetName]?: [key: string, count: number][] }
  /** Events of values beyond those that are told apart. */
  others?: { [name in FacetName]?: number }
  /** What things of an id are called. `rank` 0: as their own name; 1: as their programs log. */
  names: { [kind in SubjectKind]?: [id: string, name: string, rank: number][] }
  /** Whoever has no name here has none in any event that is not archived. */
  hasAllNames?: boolean
}

/** The number of the piece that holds a time. */
export const numberOf = (ms: number, widthMs: number) => Math.floor((ms - originMs) / widthMs)

/** When the piece that holds a time begins, ms since 1970. */
export const startOf = (ms: number, widthMs: number) => numberOf(ms, widthMs) * widthMs + originMs

/** The narrowest width with which a span has no more than so many pieces. */
export function widthFor([fromMs, untilMs]: [number, number], buckets: number): number {
  const fits = (width: number) => numberOf(untilMs, width) - numberOf(fromMs, width) < buckets
  return bucketWidthsMs.find(fits) ?? bucketWidthsMs.at(-1)!
}

/** More different values of a facet are counted together. */
export const maxValues = 10_000

type Counts = Map<string, number>

/** A sum of parts. */
export class Summary {
  total = 0
  scannedTo: string | null = null
  isLate = false
  hasAllNames = false
  span: [number, number] | undefined
  widthMs = bucketWidthsMs[0]!
  readonly facets = new Map<FacetName, { counts: Counts; other: number }>()
  readonly names = new Map<SubjectKind, Map<string, { name: string; rank: number }>>()
  readonly #buckets: number
  /** By number of the piece, then by level. */
  #histogram = new Map<number, Map<number, number>>()

  constructor({ buckets, fromMs, untilMs }: SummaryOptions) {
    this.#buckets = buckets
    for (const ms of [fromMs, untilMs]) if (ms !== undefined) this.#include(ms)
    for (const name of facetNames) this.facets.set(name, { counts: new Map(), other: 0 })
  }

  #include(ms: number): void {
    const span: [number, number] = this.span
      ? [Math.min(this.span[0], ms), Math.max(this.span[1], ms)]
      : [ms, ms]
    if (this.span && span[0] === this.span[0] && span[1] === this.span[1]) return
    this.span = span
    this.#widen(widthFor(span, this.#buckets))
  }

  #widen(widthMs: number): void {
    if (widthMs <= this.widthMs) return
    const factor = widthMs / this.widthMs
    const before = this.#histogram
    this.widthMs = widthMs
    this.#histogram = new Map()
    for (const [bucket, levels] of before)
      for (const [level, count] of levels) this.#addTo(Math.floor(bucket / factor), level, count)
  }

  #addTo(bucket: number, level: number, count: number): void {
    let levels = this.#histogram.get(bucket)
    if (!levels) {
      levels = new Map()
      this.#histogram.set(bucket, levels)
    }
    levels.set(level, (levels.get(level) ?? 0) + count)
  }

  addTime(ms: number, level: number): void {
    this.#include(ms)
    this.#addTo(numberOf(ms, this.widthMs), level, 1)
  }

  addValue(facet: FacetName, key: string, count = 1): void {
    const one = this.facets.get(facet)!
    const known = one.counts.get(key)
    if (known === undefined && one.counts.size >= maxValues) one.other += count
    else one.counts.set(key, (known ?? 0) + count)
  }

  learn(kind: SubjectKind, id: string, name: string, rank: number): void {
    let names = this.names.get(kind)
    if (!names) {
      names = new Map()
      this.names.set(kind, names)
    }
    const known = names.get(id)
    if (known ? known.rank > rank : names.size < maxValues) names.set(id, { name, rank })
  }

  /** Parts come in the order in which the events were looked at. */
  addPart(part: SummaryPart): void {
    this.total += part.total
    this.scannedTo = part.scannedTo ?? this.scannedTo
    this.isLate ||= part.isLate
    this.hasAllNames ||= part.hasAllNames === true
    for (const ms of part.span ?? []) this.#include(ms)
    this.#widen(part.widthMs)
    const factor = this.widthMs / part.widthMs
    for (const [bucket, level, count] of part.histogram)
      this.#addTo(Math.floor(bucket / factor), level, count)
    for (const name of facetNames)
      for (const [key, count] of part.facets[name] ?? []) this.addValue(name, key, count)
    for (const name of facetNames) this.facets.get(name)!.other += part.others?.[name] ?? 0
    for (const kind of subjectFacets)
      for (const [id, name, rank] of part.names[kind] ?? []) this.learn(kind, id, name, rank)
  }

  /** Pieces that hold events, in the order of time. */
  get histogram(): [startMs: number, levels: ReadonlyMap<number, number>][] {
    return [...this.#histogram]
      .sort(([a], [b]) => a - b)
      .map(([bucket, levels]) => [bucket * this.widthMs + originMs, levels])
  }

  toPart(): SummaryPart {
    const { total, scannedTo, isLate, span, widthMs } = this
    return {
      total,
      scannedTo,
      isLate,
      span: span ?? null,
      widthMs,
      histogram: [...this.#histogram].flatMap(([bucket, levels]) =>
        [...levels].map(([level, count]): [number, number, number] => [bucket, level, count]),
      ),
      facets: Object.fromEntries([...this.facets].map(([name, { counts }]) => [name, [...counts]])),
      others: Object.fromEntries([...this.facets].map(([name, { other }]) => [name, other])),
      names: Object.fromEntries(
        [...this.names].map(([kind, names]) => [
          kind,
          [...names].map(([id, { name, rank }]) => [id, name, rank]),
        ]),
      ),
    }
  }
}
