import { fromExactJson, isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import type { StoredEvent } from './event-store.ts'
import { isTrue } from './expression.ts'
import { compareValues, type DocumentValue, rankOf, typeNumberOf } from './order.ts'
import { keysOf, type PathKeys } from './path.ts'
import type { Condition, FieldTest, Selector } from './selector.ts'

/** A document as MongoDB would hold it: `archived_at` is a Date. */
export interface MatchDocument {
  [key: string]: DocumentValue
}
/** A stored event as a matcher takes it. */
export function toMatchDocument({ json, exact }: Pick<StoredEvent, 'json' | 'exact'>): MatchDocument {
  const document = exact === undefined ? parseJson(json) : fromExactJson(exact)
  return isObject(document) ? withDate(document) : {}
}

/** `archived_at` as a Date, as MongoDB has it. */
export function withDate(document: { [key: string]: Value }): MatchDocument {
  const { archived_at: archivedAt } = document
  if (typeof archivedAt !== 'string') return document
  const ms = Date.parse(/Z$/.test(archivedAt) ? archivedAt : `${archivedAt}Z`)
  return Number.isNaN(ms) ? document : { ...document, archived_at: new Date(ms) }
}

type Match = (document: DocumentValue) => boolean
/** Of one value that a path leads to. */
type Check = (value: DocumentValue) => boolean

/** What MongoDB's find means by the selector, on documents in memory. Regular expressions may take exponential time. */
export function createMatcher(selector: Selector): (document: MatchDocument) => boolean {
  return toMatch(selector.conditions) as (document: MatchDocument) => boolean
}

function toMatch(conditions: readonly Condition[]): Match {
  const matches = conditions.map(toOneMatch)
  return matches.length === 1 ? matches[0]! : (document) => matches.every((match) => match(document))
}

function toOneMatch(condition: Condition): Match {
  switch (condition.kind) {
    case 'and': {
      const members = condition.members.map(toMatch)
      return (document) => members.every((match) => match(document))
    }
    case 'or': {
      const members = condition.members.map(toMatch)
      return (document) => members.some((match) => match(document))
    }
    case 'nor': {
      const members = condition.members.map(toMatch)
      return (document) => !members.some((match) => match(document))
    }
    case 'expression':
      return (document) => isTrue(condition.expression, document)
    case 'field': {
      const matches = condition.tests.map((test) => toFieldMatch(condition.path, test))
      return matches.length === 1 ? matches[0]! : (document) => matches.every((match) => match(document))
    }
  }
}

/** Each test looks for a value of its own: `{a: {$gt: 1, $lt: 5}}` holds for `[0, 9]`. */
function toFieldMatch(path: readonly string[], test: FieldTest): Match {
  if (test.kind === '$not') {
    const matches = test.tests.map((inner) => toFieldMatch(path, inner))
    return (document) => !matches.every((match) => match(document))
  }
  if (test.kind === '$all') {
    const matches = test.tests.map((inner) => toFieldMatch(path, inner))
    return (document) => matches.length > 0 && matches.every((match) => match(document))
  }
  const check = toCheck(test)
  const isOfList = test.kind === '$size' || test.kind === 'matchElement' || test.kind === 'matchMember'
  const keys = keysOf(path)
  return (document) => someAt(document, keys, !isOfList, check)
}

function toCheck(test: FieldTest): Check {
  switch (test.kind) {
    case '$eq':
    case '$gt':
    case '$gte':
    case '$lt':
    case '$lte':
      return toComparison(test.kind, test.value)
    case '$in':
      return toMembership(test.values)
    case '$regex':
      return (value) => typeof value === 'string' && test.regex.test(value)
    case '$exists':
      return (value) => value !== undefined
    case '$type':
      return (value) => value !== undefined && test.types.has(typeNumberOf(value))
    case '$size':
      return (value) => Array.isArray(value) && value.length === test.size
    case '$mod':
      return (value) => {
        const whole = toInt64(value)
        return whole !== undefined && whole % test.divisor === test.remainder
      }
    case '$all': {
      const checks = test.tests.map(toCheck)
      return (value) => checks.length > 0 && checks.every((check) => check(value))
    }
    case '$not': {
      const checks = test.tests.map(toCheck)
      return (value) => !checks.every((check) => check(value))
    }
    case 'matchElement': {
      const checks = test.tests.map(toCheck)
      return (value) => Array.isArray(value) && value.some((member) => checks.every((check) => check(member)))
    }
    case 'matchMember': {
      const match = toMatch(test.conditions)
      return (value) =>
        Array.isArray(value) &&
        value.some((member) => (isObject(member) || Array.isArray(member)) && match(member))
    }
  }
}

/** Values of other types are neither less nor greater; null stands for a missing one too. */
function toComparison(kind: '$eq' | '$gt' | '$gte' | '$lt' | '$lte', operand: Value): Check {
  const holds = {
    $eq: (order: number) => order === 0,
    $gt: (order: number) => order > 0,
    $gte: (order: number) => order >= 0,
    $lt: (order: number) => order < 0,
    $lte: (order: number) => order <= 0,
  }[kind]
  const rank = rankOf(operand)
  if (operand === null) return (value) => (value === undefined || value === null) && holds(0)
  return (value) => {
    if (rankOf(value) !== rank) return false
    // NaN is equal to NaN, and neither less nor greater than any number.
    if (Number.isNaN(value) !== Number.isNaN(operand)) return false
    return holds(compareValues(value, operand))
  }
}

function toMembership(values: readonly Value[]): Check {
  const texts = new Set(values.filter((value) => typeof value === 'string'))
  const others = values
    .filter((value) => typeof value !== 'string')
    .map((value) => toComparison('$eq', value))
  return (value) => (typeof value === 'string' ? texts.has(value) : others.some((check) => check(value)))
}

/** Cut to an integer as MongoDB does for `$mod`; undefined for what is no number within 64 bits. */
function toInt64(value: DocumentValue): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined
  const whole = BigInt(Math.trunc(value))
  return BigInt.asIntN(64, whole) === whole ? whole : undefined
}

/** What following a path came to: nothing is there, something is, something is there and passes. */
const nothing = 0
const present = 1
const passing = 2
type Reached = typeof nothing | typeof present | typeof passing

/**
 * True when any value that the path leads to passes. A key takes one name of the path, or several with their dots. Through
 * an array the path goes on in each of its objects, and, where its next name is a place in the array, there as well. An
 * array at the end gives its members (`isExpanding`) and itself; where nothing is there it is undefined; an array without
 * objects on the way gives nothing at all.
 */
function someAt(root: DocumentValue, keys: PathKeys, isExpanding: boolean, check: Check): boolean {
  return someFrom(root, keys, 0, isExpanding, check)
}

function someFrom(
  root: DocumentValue,
  keys: PathKeys,
  from: number,
  isExpanding: boolean,
  check: Check,
): boolean {
  const reached = follow(root, keys, from, isExpanding, check)
  return reached === nothing ? check(undefined) : reached === passing
}

function follow(
  object: DocumentValue,
  keys: PathKeys,
  from: number,
  isExpanding: boolean,
  check: Check,
): Reached {
  let reached: Reached = nothing
  const wanted = keys[from]!
  for (let more = 0; more < wanted.length; more++) {
    const value = memberOf(object, wanted[more]!, from === 0)
    if (value === undefined) continue
    const next = from + more + 1
    let here: Reached = nothing
    if (Array.isArray(value))
      here = (
        next === keys.length
          ? (isExpanding && value.some((member) => check(member))) || check(value)
          : someWithin(value, keys, next, isExpanding, check)
      )
        ? passing
        : present
    else if (next === keys.length) here = check(value) ? passing : present
    else if (isObject(value) && !(value instanceof Date)) here = follow(value, keys, next, isExpanding, check)
    if (here === passing) return passing
    if (here === present) reached = present
  }
  return reached
}

/** The same from an array on, with a name left to follow. */
function someWithin(
  list: readonly Value[],
  keys: PathKeys,
  next: number,
  isExpanding: boolean,
  check: Check,
): boolean {
  const name = keys[next]![0]!
  const isLast = next + 1 === keys.length
  for (const [place, member] of list.entries()) {
    const isPlace = name === String(place)
    if (isObject(member) && someFrom(member, keys, next, isExpanding, check)) return true
    if (!isPlace) continue
    if (isLast) {
      if (check(member)) return true
    } else if (Array.isArray(member)) {
      if (someWithin(member, keys, next + 1, isExpanding, check)) return true
    } else if (isObject(member) && someFrom(member, keys, next + 1, isExpanding, check)) return true
  }
  return false
}

/** An array counts as an object with its places for names only where a selector is put to it as a whole. */
function memberOf(value: DocumentValue, name: string, isRoot: boolean): DocumentValue {
  if (isObject(value)) return Object.hasOwn(value, name) ? value[name] : undefined
  if (isRoot && Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(name) ? value[Number(name)] : undefined
  return undefined
}
