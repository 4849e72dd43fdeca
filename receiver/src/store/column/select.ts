import { setKey, type Value } from '@madsci-events/sdk/event'
import type { SummaryQuery } from '../event-store.ts'
import { evidencePaths } from '../evidence.ts'
import { createMatcher } from '../matcher.ts'
import type { Condition, FieldTest, Selector } from '../selector.ts'
import { facetNames } from '../summary.ts'
import type { Chunk } from './chunk.ts'
import type { Columns } from './columns.ts'
import { compareInstants, type Instant, toInstant } from './instant.ts'

/** 1 for each row of a chunk that is meant; most questions mean all or none of most chunks. */
type Mask = Uint8Array | 'all' | 'none'
type Choose = (chunk: Chunk) => Mask

/** Which rows of a chunk a query means; 'all' of it, 'none', or these. */
export type Selection = (chunk: Chunk) => Uint16Array | 'all' | 'none'

const columnOfPath = new Map(
  facetNames.flatMap((facet, column) =>
    evidencePaths[facet].map((path): [string, { column: number; place: number }] => [
      path,
      { column, place: evidencePaths[facet].indexOf(path) },
    ]),
  ),
)

/** Undefined for what the columns cannot tell. Rows are later than `after`. */
export function toSelection(
  columns: Columns,
  query: Pick<SummaryQuery, 'minLevel' | 'startTime' | 'endTime' | 'selector'>,
  after: Instant | undefined,
): Selection | undefined {
  const { minLevel = 0, startTime, endTime, selector } = query
  const bounds: Bound[] = []
  if (after) bounds.push({ isWithin: (order) => order > 0, instant: after })
  for (const [text, isWithin] of [
    [startTime, (order: number) => order >= 0],
    [endTime, (order: number) => order <= 0],
  ] as const) {
    if (text === undefined) continue
    const instant = toInstant(text)
    if (!instant) return undefined
    bounds.push({ isWithin, instant })
  }
  const chosen: Choose[] = []
  try {
    if (minLevel > 0) chosen.push(choose(columns, { path: ['log_level'], tests: [atLeast(minLevel)] }))
    if (selector) for (const condition of selector.conditions) chosen.push(toChoose(columns, condition))
  } catch (error) {
    if (error instanceof Untold) return undefined
    throw error
  }
  const hasTimes = bounds.length > 0 || (selector !== undefined && asksTime(selector.conditions))
  if (hasTimes && columns.sumOf('oddTimes') > 0) return undefined
  const asksValues = minLevel > 0 || (selector !== undefined && selector.conditions.length > 0)
  if (asksValues && columns.sumOf('oddRows') > 0) return undefined
  return (chunk) => select(chunk, bounds, chosen)
}

class Untold extends Error {}

interface Bound {
  instant: Instant
  isWithin(order: number): boolean
}

const atLeast = (value: number): FieldTest => ({ kind: '$gte', value })

function select(
  chunk: Chunk,
  bounds: readonly Bound[],
  chosen: readonly Choose[],
): Uint16Array | 'all' | 'none' {
  const inner: Bound[] = []
  for (const bound of bounds) {
    const oldest = bound.isWithin(compareInstants(chunk.oldest, bound.instant))
    const newest = bound.isWithin(compareInstants(chunk.newest, bound.instant))
    if (!oldest && !newest) return 'none'
    if (!oldest || !newest) inner.push(bound)
  }
  const mask = everyOf(chunk, [...inner.map((bound) => (one: Chunk) => maskWithin(one, bound)), ...chosen])
  if (typeof mask === 'string') return mask
  const rows = new Uint16Array(chunk.count)
  let count = 0
  for (let row = 0; row < chunk.count; row++) if (mask[row] === 1) rows[count++] = row
  return count === 0 ? 'none' : rows.subarray(0, count)
}

// Each mask is made for one use: it may be written over.
function both(one: Mask, other: Mask): Mask {
  if (one === 'none' || other === 'all') return one
  if (other === 'none' || one === 'all') return other
  for (let row = 0; row < one.length; row++) one[row]! &= other[row]!
  return one
}

function either(one: Mask, other: Mask): Mask {
  if (one === 'all' || other === 'none') return one
  if (other === 'all' || one === 'none') return other
  for (let row = 0; row < one.length; row++) one[row]! |= other[row]!
  return one
}

function neither(mask: Mask): Mask {
  if (typeof mask === 'string') return mask === 'all' ? 'none' : 'all'
  for (let row = 0; row < mask.length; row++) mask[row]! ^= 1
  return mask
}

function maskWithin({ ms, micros, count }: Chunk, { instant, isWithin }: Bound): Mask {
  const mask = new Uint8Array(count)
  for (let row = 0; row < count; row++)
    mask[row] = isWithin(ms[row]! - instant.ms || micros[row]! - instant.micros) ? 1 : 0
  return mask
}

function toChoose(columns: Columns, condition: Condition): Choose {
  if (condition.kind === 'expression') throw new Untold()
  if (condition.kind === 'field')
    return isTime(condition.path) ? toTimes(condition.tests) : choose(columns, condition)
  const { kind } = condition
  const members = condition.members.map((member) => member.map((one) => toChoose(columns, one)))
  if (kind === 'and') {
    const all = members.flat()
    return (chunk) => everyOf(chunk, all)
  }
  return (chunk) => {
    let mask: Mask = 'none'
    for (const member of members) {
      mask = either(mask, everyOf(chunk, member))
      if (mask === 'all') break
    }
    return kind === 'nor' ? neither(mask) : mask
  }
}

function everyOf(chunk: Chunk, chosen: readonly Choose[]): Mask {
  let mask: Mask = 'all'
  for (const one of chosen) {
    mask = both(mask, one(chunk))
    if (mask === 'none') break
  }
  return mask
}

const isTime = (path: readonly string[]) => path.length === 1 && path[0] === 'event_timestamp'

const asksTime = (conditions: readonly Condition[]): boolean =>
  conditions.some(
    (one) =>
      (one.kind === 'field' && isTime(one.path)) ||
      ('members' in one && one.members.some((member) => asksTime(member))),
  )

const orders: { [kind: string]: (order: number) => boolean } = {
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
}

/** The selector's bounds are the least or the greatest texts of an instant, so that they mean the instant. */
function toTimes(tests: readonly FieldTest[]): Choose {
  const bounds = tests.map((test): Bound => {
    const isWithin = orders[test.kind]
    if (!isWithin || !('value' in test) || typeof test.value !== 'string') throw new Untold()
    const instant = toInstant(test.value)
    if (!instant) throw new Untold()
    return { instant, isWithin }
  })
  return (chunk) =>
    everyOf(
      chunk,
      bounds.map((bound) => (one) => maskWithin(one, bound)),
    )
}

/** Rows whose entry passes: each entry is tried once. */
function choose(
  columns: Columns,
  { path, tests }: { path: readonly string[]; tests: readonly FieldTest[] },
): Choose {
  const place = columnOfPath.get(path.join('.'))
  if (!place || !tests.every(isTold)) throw new Untold()
  const { entries } = columns.tables[place.column]!
  const matches = createMatcher({ conditions: [{ kind: 'field', path, tests }] } as unknown as Selector)
  const passes = new Map<number, number>()
  const isPassing = (entry: number) => {
    let known = passes.get(entry)
    if (known === undefined) {
      known = matches(toSmallDocument(path, entries[entry]!.values[place.place])) ? 1 : 0
      passes.set(entry, known)
    }
    return known
  }
  return (chunk) => {
    const column = chunk.columns[place.column]!
    const passing = Uint8Array.from(chunk.places[place.column]!, isPassing)
    if (!passing.includes(1)) return 'none'
    if (!passing.includes(0)) return 'all'
    const mask = new Uint8Array(chunk.count)
    for (let row = 0; row < chunk.count; row++) mask[row] = passing[column[row]!]!
    return mask
  }
}

/** Whether a test sees no more in an object than that it is one, and in a missing value than that it is missing. */
function isTold(test: FieldTest): boolean {
  switch (test.kind) {
    case '$eq':
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return isComparable(test.value)
    case '$in':
      return test.values.every(isComparable)
    case '$exists':
      return true
    case '$not':
      return test.tests.every(isTold)
    default:
      return false
  }
}

const isComparable = (value: Value) =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

function toSmallDocument(path: readonly string[], value: unknown): { [key: string]: Value } {
  const document: { [key: string]: Value } = {}
  if (value === undefined) return document
  let inner = document
  for (const name of path.slice(0, -1)) {
    const next: { [key: string]: Value } = {}
    setKey(inner, name, next)
    inner = next
  }
  setKey(inner, path.at(-1)!, value as Value)
  return document
}
