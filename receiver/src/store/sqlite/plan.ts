import type { Value } from '@madsci-events/sdk/event'
import { canaryEnd, canaryMark, canaryType, showsCanaries } from '../canary.ts'
import type { FindQuery } from '../event-store.ts'
import type { Condition, FieldTest } from '../selector.ts'
import { toHighestText, toLowestText } from '../time-text.ts'

export type Parameter = string | number

/**
 * How SQL reads a query's rows: in windows along one column, each from behind the last row of the one before, so that
 * no read transaction is long. `bounds` end at an index; `hints` are tried on each row of a window, and leave out only
 * rows that the matcher would refuse.
 */
export interface Plan {
  /** undefined: by seq alone. */
  column: 'event_timestamp' | 'archived_at' | undefined
  direction: 'ASC' | 'DESC'
  index: string
  bounds: Terms
  hints: Terms
  /** Its rows are found by their own ids. */
  isById?: boolean
}

const noCanary = '(id < ? OR id >= ? OR instr(document, ?) = 0)'

export function toPlan(query: FindQuery): Plan {
  const found: Narrowing = { ids: createTerms(), times: createTerms(), hints: createTerms(), leastLevel: 0 }
  if (query.startTime !== undefined) add(found.times, 'event_timestamp >= ?', toLowestText(query.startTime))
  if (query.endTime !== undefined) add(found.times, 'event_timestamp <= ?', toHighestText(query.endTime))
  if (query.from !== undefined) add(found.times, 'event_timestamp >= ?', query.from)
  if (query.upTo !== undefined) add(found.times, 'event_timestamp <= ?', query.upTo)
  if (query.minLevel !== undefined && query.minLevel > 0) addLevel(found, '>=', query.minLevel)
  if (query.selector) narrow(found, query.selector.conditions)
  if (!showsCanaries(query)) add(found.hints, noCanary, canaryMark, canaryEnd, `"event_type":"${canaryType}"`)
  const { ids, times, hints, leastLevel } = found

  const direction = query.order === 'newest' ? 'DESC' : 'ASC'
  const byTime = { column: 'event_timestamp', direction } as const
  if (query.archived === 'only' && query.order !== 'oldest') {
    const bounds = add(createTerms(), 'archived = 1')
    return {
      column: 'archived_at',
      direction,
      index: 'INDEXED BY events_archived',
      bounds,
      hints: join(ids, times, hints),
    }
  }
  if (query.archived !== 'include') add(hints, `archived = ${query.archived === 'only' ? 1 : 0}`)
  if (ids.texts.length > 0) {
    const column = query.order === 'none' ? undefined : byTime.column
    return { column, direction, index: '', bounds: join(ids, times), hints, isById: true }
  }
  if (leastLevel >= 30) {
    const bounds = add(times, 'log_level >= 30')
    return { ...byTime, index: 'INDEXED BY events_trouble', bounds, hints }
  }
  if (query.order === 'none' && times.texts.length === 0)
    return { column: undefined, direction, index: '', bounds: times, hints }
  return { ...byTime, index: 'INDEXED BY events_time', bounds: times, hints }
}

/** Conditions of SQL that must all hold. */
interface Terms {
  texts: string[]
  parameters: Parameter[]
}

const createTerms = (): Terms => ({ texts: [], parameters: [] })

function add(terms: Terms, text: string, ...parameters: Parameter[]): Terms {
  terms.texts.push(text)
  terms.parameters.push(...parameters)
  return terms
}

const join = (...all: Terms[]): Terms => ({
  texts: all.flatMap(({ texts }) => texts),
  parameters: all.flatMap(({ parameters }) => parameters),
})

interface Narrowing {
  /** Few ids; their rows are found one by one. */
  ids: Terms
  times: Terms
  hints: Terms
  leastLevel: number
}

function addLevel(found: Narrowing, operator: string, level: number): void {
  addHint(found, `log_level ${operator} ?`, level)
  if (operator === '>' || operator === '>=' || operator === '=')
    found.leastLevel = Math.max(found.leastLevel, level)
}

const maxListed = 1000
// SQLite bounds the depth of an expression and the number of parameters. What is left out here the matcher finds.
const maxHints = 100
const maxTimes = 100

function addHint(found: Narrowing, text: string, ...parameters: Parameter[]): void {
  if (found.hints.texts.length < maxHints) add(found.hints, text, ...parameters)
}

function addTime(found: Narrowing, text: string, ...parameters: Parameter[]): void {
  if (found.times.parameters.length < maxTimes) add(found.times, text, ...parameters)
}

/** What SQL can say of the members of a selector that must all hold; the rest is the matcher's. */
function narrow(found: Narrowing, conditions: readonly Condition[]): void {
  for (const condition of conditions) {
    if (condition.kind === 'and') for (const member of condition.members) narrow(found, member)
    else if (condition.kind === 'or') narrowAny(found, condition.members)
    else if (condition.kind === 'field') {
      const path = condition.path.join('.')
      for (const test of condition.tests) narrowField(found, path, test)
    }
  }
}

// Of what SQL tries on each row.
const maxAlternatives = 20

/** A row matches where it may match one of the alternatives, when SQL can say something of each. */
function narrowAny(found: Narrowing, members: readonly (readonly Condition[])[]): void {
  if (members.length > maxAlternatives) return
  const all: Terms[] = []
  for (const member of members) {
    const own: Narrowing = { ids: createTerms(), times: createTerms(), hints: createTerms(), leastLevel: 0 }
    narrow(own, member)
    const terms = join(own.ids, own.times, own.hints)
    if (terms.texts.length === 0) return
    all.push(terms)
  }
  const { parameters } = join(...all)
  if (parameters.length > maxHints) return
  addHint(found, `(${all.map(({ texts }) => `(${texts.join(' AND ')})`).join(' OR ')})`, ...parameters)
}

const operators = { $eq: '=', $gt: '>', $gte: '>=', $lt: '<', $lte: '<=' } as const

function narrowField(found: Narrowing, path: string, test: FieldTest): void {
  switch (test.kind) {
    case '$in':
      narrowList(found, path, test.values)
      return
    case '$regex': {
      const pattern = path.startsWith('event_data') ? toLikePattern(test.regex.literal) : undefined
      if (pattern !== undefined) addHint(found, 'document LIKE ?', pattern)
      return
    }
    case '$eq':
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      narrowComparison(found, path, operators[test.kind], test.value)
  }
}

function narrowList(found: Narrowing, path: string, values: readonly Value[]): void {
  if (values.length > maxListed) return
  const texts = values.filter((value) => typeof value === 'string')
  const marks = texts.map(() => '?').join(', ')
  if (path === '_id') {
    if (found.ids.texts.length === 0) add(found.ids, `id IN (${marks})`, ...texts)
  } else if (path === 'event_timestamp') addTime(found, `event_timestamp IN (${marks})`, ...texts)
  else if (texts.length === values.length && texts.length > 0 && texts.length <= 10)
    addHint(found, `(${texts.map(() => inDocument).join(' OR ')})`, ...texts.map(toJsonText))
}

// A text that must be equal to one in the document stands in its JSON in one way only.
const inDocument = 'instr(document, ?) > 0'
const toJsonText = (text: string) => JSON.stringify(text)

function narrowComparison(found: Narrowing, path: string, operator: string, value: Value): void {
  if (typeof value === 'string') {
    if (path === '_id' && operator === '=') {
      if (found.ids.texts.length === 0) add(found.ids, 'id = ?', value)
    } else if (path === '_id') addHint(found, `id ${operator} ?`, value)
    else if (path === 'event_timestamp') addTime(found, `event_timestamp ${operator} ?`, value)
    else if (operator === '=') addHint(found, inDocument, toJsonText(value))
  } else if (path === 'log_level' && typeof value === 'number' && Number.isFinite(value)) {
    addLevel(found, operator, value)
  } else if (path === 'archived' && operator === '=' && typeof value === 'boolean') {
    addHint(found, 'archived = ?', value ? 1 : 0)
  }
}

// A shorter text is in most documents.
const leastLikeCharacters = 2

/**
 * The pattern of LIKE for a document that has a text in any case. LIKE knows the cases of ASCII alone; `k` and `s` have relatives
 * beyond it (U+212A, U+017F). What JSON may write otherwise is any text.
 */
export function toLikePattern(literal: string | undefined): string | undefined {
  if (literal === undefined) return undefined
  let pattern = ''
  let count = 0
  for (const character of literal) {
    if (character < ' ' || character > '~' || character === '"' || character === '\\') pattern += '%'
    else if ('kKsS%_'.includes(character)) pattern += '_'
    else {
      pattern += character
      count++
    }
  }
  return count < leastLikeCharacters ? undefined : `%${pattern}%`
}

const sqlOf = ({ texts }: Terms): string => (texts.length > 0 ? texts.join(' AND ') : '1')

/** What is tried on a row that was found in another way than by the plan. */
export function toWanted({ bounds, hints }: Plan): { text: string; parameters: Parameter[] } {
  const all = join(bounds, hints)
  return { text: sqlOf(all), parameters: all.parameters }
}

/** Where a window begins: behind this row. */
export interface Position {
  seq: number
  value: Parameter
}

/** The statement of one window, and its parameters. Columns: seq, id, value, then document, exact, archived_at or null. */
export function toWindow(
  plan: Plan,
  position: Position | undefined,
  rows: number,
): { sql: string; parameters: Parameter[] } {
  const { column, direction, index, bounds, hints } = plan
  const order = direction === 'ASC' ? '>' : '<'
  const after = createTerms()
  if (position && column) {
    add(after, `${column} ${order}= ?`, position.value)
    add(after, `(${column} ${order} ? OR seq ${order} ?)`, position.value, position.seq)
  } else if (position) add(after, `seq ${order} ?`, position.seq)
  const where = join(bounds, after)
  const isWanted = sqlOf(hints)
  const whereText = where.texts.length > 0 ? `WHERE ${where.texts.join(' AND ')}` : ''
  const by = column ? `${column} ${direction}, seq ${direction}` : `seq ${direction}`
  return {
    sql: `SELECT seq, id, ${column ?? 'seq'}, CASE WHEN ${isWanted} THEN document END, exact, archived_at
          FROM events ${index} ${whereText} ORDER BY ${by} LIMIT ${rows}`,
    parameters: [...hints.parameters, ...where.parameters],
  }
}
