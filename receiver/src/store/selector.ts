import {
  fromMarked,
  isObject,
  namesOfType,
  parseTimestamp,
  setKey,
  type Value,
} from '@madsci-events/sdk/event'
import { type Expression, parseExpression } from './expression.ts'
import { typeNumbers } from './order.ts'
import { maxPathNames } from './path.ts'
import { limitTime, parseRegex, type TextPattern } from './regex.ts'
import { checkValues, limits, refuse } from './selector-limit.ts'
import { toAllTexts, toHighestText, toLowestText } from './time-text.ts'

type Members = { [key: string]: Value }

/** A checked selector: only operators of the closed list, bounded in size. */
export interface Selector {
  /** The normalised MongoDB filter: timestamps are bounds that find naive and `Z` texts alike; no `$comment`. */
  readonly source: { readonly [key: string]: Value }
  /** The same as a tree; all of its members must hold. */
  readonly conditions: readonly Condition[]
  /** A text in it names a canary: who asks so wants to see it. */
  readonly namesCanary: boolean
}

export type Condition =
  | { kind: 'and' | 'or' | 'nor'; members: readonly (readonly Condition[])[] }
  | { kind: 'field'; path: readonly string[]; tests: readonly FieldTest[] }
  | { kind: 'expression'; expression: Expression }

/** What is asked of the values that a path leads to. */
export type FieldTest =
  | { kind: '$eq' | '$gt' | '$gte' | '$lt' | '$lte'; value: Value }
  | { kind: '$in'; values: readonly Value[] }
  | { kind: '$regex'; regex: TextPattern }
  | { kind: '$exists' }
  | { kind: '$type'; types: ReadonlySet<number> }
  | { kind: '$size'; size: number }
  | { kind: '$mod'; divisor: bigint; remainder: bigint }
  | { kind: '$all'; tests: readonly FieldTest[] }
  | { kind: 'matchElement'; tests: readonly FieldTest[] }
  | { kind: 'matchMember'; conditions: readonly Condition[] }
  | { kind: '$not'; tests: readonly FieldTest[] }

export interface ParseSelectorOptions {
  /** Naive canonical text → UTC text, when the setting `naive_timezone` converts events in the same way. */
  fromNaive?: (text: string) => string
  /** Its matcher throws EVT_QUERY_TIMEOUT when a regular expression takes longer; not given: without limit. */
  regexTimeoutMs?: number
}

const fieldOperators = new Set([
  '$eq',
  '$ne',
  '$gt',
  '$gte',
  '$lt',
  '$lte',
  '$in',
  '$nin',
  '$not',
  '$exists',
  '$type',
  '$regex',
  '$options',
  '$size',
  '$all',
  '$elemMatch',
  '$mod',
  '$comment',
])

/**
 * A MongoDB filter from outside → a checked selector. `{}` and `[]` select everything.
 * Throws EVT_SELECTOR, which names the operator and the path, for anything but the closed list of operators
 * (MongoDB manual, "Query and Projection Operators"), and beyond the limits.
 */
export function parseSelector(input: Value, options: ParseSelectorOptions = {}): Selector {
  if (Array.isArray(input) && input.length === 0) return { source: {}, conditions: [], namesCanary: false }
  if (!isObject(input)) throw refuse('', 'a selector is an object')
  const { namesCanary } = checkValues(input)
  const parser = createParser(options)
  const { source, conditions } = parser.members(fromMarked(input) as Members, '', 'top')
  return { source, conditions, namesCanary }
}

interface Parsed<Part> {
  source: Members
  conditions: Part[]
}

/** Where a type stands; one type may have a name of older releases. */
function isTypePath(path: string): boolean {
  return path === 'event_type' || path === 'event_data.event_type'
}

/** True when an object stands for operators, not for itself. */
function isOperators(value: Value): value is Members {
  return isObject(value) && Object.keys(value)[0]?.startsWith('$') === true
}

function createParser({ fromNaive, regexTimeoutMs }: ParseSelectorOptions) {
  let conditionCount = 0

  function members(input: Members, at: string, place: 'top' | 'element'): Parsed<Condition> {
    const source: Members = {}
    const conditions: Condition[] = []
    for (const key of Object.keys(input)) {
      const value = input[key]!
      if (++conditionCount > limits.conditions)
        throw refuse(at, `a selector holds at most ${limits.conditions} conditions`)
      if (key === '$and' || key === '$or' || key === '$nor') {
        if (!Array.isArray(value) || value.length === 0) throw refuse(at, `${key} takes a list, not empty`)
        const parts = value.map((part) => {
          if (!isObject(part)) throw refuse(at, `${key} takes a list of objects`)
          return members(part, at, place)
        })
        source[key] = parts.map((part) => part.source)
        const kind = key.slice(1) as 'and' | 'or' | 'nor'
        conditions.push({ kind, members: parts.map((part) => part.conditions) })
      } else if (key === '$expr') {
        if (place !== 'top') throw refuse(at, '$expr stands at the top alone, not within $elemMatch')
        source.$expr = value
        conditions.push({ kind: 'expression', expression: parseExpression(value) })
      } else if (key === '$comment') {
        // It selects nothing.
      } else if (key.startsWith('$')) {
        throw refuse(at, `the operator ${key.slice(0, 100)} is not accepted`)
      } else {
        if (key.length > limits.pathCharacters)
          throw refuse(key, `a path is longer than ${limits.pathCharacters} characters`)
        const names = key.split('.')
        if (names.length > maxPathNames) throw refuse(key, `a path has more than ${maxPathNames} names`)
        const path = at === '' ? key : `${at}.${key}`
        const field = tests(value, path)
        setKey(source, key, field.source)
        conditions.push({ kind: 'field', path: names, tests: field.conditions })
      }
    }
    return { source, conditions }
  }

  /** What is asked of one path: a value to be equal to, or operators. */
  function tests(value: Value, path: string): { source: Value; conditions: FieldTest[] } {
    if (!isOperators(value)) {
      if (isObject(value) && Object.keys(value).some((key) => key.startsWith('$')))
        throw refuse(path, 'operators and members are mixed')
      return operators({ $eq: value }, path)
    }
    return operators(value, path)
  }

  function operators(input: Members, path: string): Parsed<FieldTest> {
    const source: Members = {}
    const conditions: FieldTest[] = []
    for (const key of Object.keys(input)) {
      if (!fieldOperators.has(key)) throw refuse(path, `the operator ${key.slice(0, 100)} is not accepted`)
      if (++conditionCount > limits.conditions)
        throw refuse(path, `a selector holds at most ${limits.conditions} conditions`)
      const value = input[key]!
      switch (key) {
        case '$eq':
        case '$ne':
        case '$gt':
        case '$gte':
        case '$lt':
        case '$lte': {
          const compared = comparison(key === '$ne' ? '$eq' : key, value, path)
          if (key === '$ne') {
            source[compared.kind === '$in' ? '$nin' : '$ne'] = operandOf(compared)
            conditions.push({ kind: '$not', tests: [compared] })
          } else {
            // Two bounds of one kind, {$eq: t} as $in beside an $in: each must hold.
            put(source, compared.kind, operandOf(compared), path)
            conditions.push(compared)
          }
          break
        }
        case '$in':
        case '$nin': {
          const test = { kind: '$in' as const, values: list(key, value, path) }
          put(source, key, test.values as Value[], path)
          conditions.push(key === '$in' ? test : { kind: '$not', tests: [test] })
          break
        }
        case '$not': {
          if (!isOperators(value)) throw refuse(path, '$not takes an object of operators')
          const inner = operators(value, path)
          source.$not = inner.source
          conditions.push({ kind: '$not', tests: inner.conditions })
          break
        }
        case '$exists': {
          const wanted = value !== false && value !== 0 && value !== null
          source.$exists = wanted
          conditions.push(wanted ? { kind: '$exists' } : { kind: '$not', tests: [{ kind: '$exists' }] })
          break
        }
        case '$type':
          source.$type = value
          conditions.push({ kind: '$type', types: types(value, path) })
          break
        case '$options':
          if (input.$regex === undefined) throw refuse(path, '$options stands beside $regex')
          break
        case '$regex': {
          const flags = input.$options ?? ''
          if (typeof value !== 'string' || typeof flags !== 'string')
            throw refuse(path, '$regex and $options take texts')
          source.$regex = value
          source.$options = flags
          const pattern = parseRegex(value, flags)
          const regex = regexTimeoutMs === undefined ? pattern : limitTime(pattern, regexTimeoutMs)
          conditions.push({ kind: '$regex', regex })
          break
        }
        case '$size':
          if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
            throw refuse(path, '$size takes an integer, not negative')
          source.$size = value
          conditions.push({ kind: '$size', size: value })
          break
        case '$mod':
          source.$mod = value
          conditions.push(modulo(value, path))
          break
        case '$all': {
          const all = everyOne(value, path)
          source.$all = all.source
          conditions.push({ kind: '$all', tests: all.tests })
          break
        }
        case '$elemMatch': {
          const element = anElement(value, path)
          source.$elemMatch = element.source
          conditions.push(element.test)
          break
        }
      }
    }
    if (conditions.length === 0) throw refuse(path, 'there is no operator but $comment')
    return { source, conditions }
  }

  type Comparison = Extract<FieldTest, { kind: '$eq' | '$gt' | '$gte' | '$lt' | '$lte' | '$in' }>

  function comparison(kind: '$eq' | '$gt' | '$gte' | '$lt' | '$lte', value: Value, path: string): Comparison {
    if (kind === '$eq' && isTypePath(path) && typeof value === 'string') {
      const values = namesOfType(value)
      return values.length === 1 ? { kind, value } : { kind: '$in', values }
    }
    const time = path === 'event_timestamp' ? instant(value) : undefined
    if (time === undefined) return { kind, value }
    if (kind === '$eq') return { kind: '$in', values: toAllTexts(time) }
    return { kind, value: kind === '$gte' || kind === '$lt' ? toLowestText(time) : toHighestText(time) }
  }

  /** Canonical text of what reads as a time; anything else stays as it is. */
  function instant(value: Value): string | undefined {
    if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d/.test(value)) return undefined
    const parsed = parseTimestamp(value)
    if (!('text' in parsed)) return undefined
    return fromNaive && !parsed.text.endsWith('Z') ? fromNaive(parsed.text) : parsed.text
  }

  function list(key: '$in' | '$nin', value: Value, path: string): Value[] {
    if (!Array.isArray(value)) throw refuse(path, `${key} takes a list`)
    if (value.length > limits.inValues) throw refuse(path, `${key} takes at most ${limits.inValues} values`)
    if (value.some(isOperators)) throw refuse(path, `${key} takes values, no operators`)
    if (isTypePath(path))
      return value.flatMap((one): Value[] => (typeof one === 'string' ? namesOfType(one) : [one]))
    if (path !== 'event_timestamp') return value
    return value.flatMap((one) => {
      const time = instant(one)
      return time === undefined ? [one] : toAllTexts(time)
    })
  }

  function everyOne(value: Value, path: string): { source: Value; tests: FieldTest[] } {
    if (!Array.isArray(value)) throw refuse(path, '$all takes a list')
    if (value.length > limits.inValues) throw refuse(path, `$all takes at most ${limits.inValues} values`)
    if (!value.some(isOperators)) {
      const each = value.map((one) => comparison('$eq', one, path))
      // A time has several texts, a renamed type several names, and $all cannot say so.
      if (each.some(({ kind }) => kind === '$in'))
        throw refuse(path, `$all does not take ${isTypePath(path) ? 'types that have two names' : 'times'}`)
      return { source: value, tests: each }
    }
    const elements = value.map((one) => {
      if (!isObject(one) || Object.keys(one).length !== 1 || one.$elemMatch === undefined)
        throw refuse(path, '$all takes values, or objects of $elemMatch alone')
      return anElement(one.$elemMatch, path)
    })
    return {
      source: elements.map((one) => ({ $elemMatch: one.source })),
      tests: elements.map((one) => one.test),
    }
  }

  function anElement(value: Value, path: string): { source: Value; test: FieldTest } {
    if (!isObject(value)) throw refuse(path, '$elemMatch takes an object')
    const first = Object.keys(value)[0]
    if (first?.startsWith('$') && fieldOperators.has(first) && first !== '$comment') {
      const { source, conditions } = operators(value, path === 'event_timestamp' ? `${path}.` : path)
      return { source, test: { kind: 'matchElement', tests: conditions } }
    }
    const { source, conditions } = members(value, path, 'element')
    return { source, test: { kind: 'matchMember', conditions } }
  }

  return { members }
}

function operandOf(test: { value: Value } | { values: readonly Value[] }): Value {
  return 'value' in test ? test.value : [...test.values]
}

/** A normalised time is an $in; beside one that was given there is no room for it. */
function put(source: Members, key: string, value: Value, path: string): void {
  if (source[key] !== undefined) throw refuse(path, `${key} and an equality with a time stand together`)
  source[key] = value
}

function types(value: Value, path: string): Set<number> {
  const names = Array.isArray(value) ? value : [value]
  if (names.length === 0) throw refuse(path, '$type takes at least one type')
  const numbers = new Set<number>()
  for (const name of names) {
    if (name === 'number')
      for (const type of ['double', 'int', 'long', 'decimal']) numbers.add(typeNumbers[type]!)
    else if (typeof name === 'string' && Object.hasOwn(typeNumbers, name)) numbers.add(typeNumbers[name]!)
    else if (typeof name === 'number' && Object.values(typeNumbers).includes(name)) numbers.add(name)
    else throw refuse(path, `$type does not know ${JSON.stringify(name)?.slice(0, 50)}`)
  }
  return numbers
}

function modulo(value: Value, path: string): FieldTest {
  if (!Array.isArray(value) || value.length !== 2) throw refuse(path, '$mod takes a divisor and a remainder')
  const [divisor, remainder] = value.map((one) => {
    if (typeof one === 'bigint') return one
    if (typeof one === 'number' && Number.isFinite(one)) {
      const whole = BigInt(Math.trunc(one))
      if (BigInt.asIntN(64, whole) === whole) return whole
    }
    throw refuse(path, '$mod takes two numbers within 64 bits')
  })
  if (divisor === 0n) throw refuse(path, '$mod takes a divisor other than 0')
  return { kind: '$mod', divisor: divisor!, remainder: remainder! }
}
