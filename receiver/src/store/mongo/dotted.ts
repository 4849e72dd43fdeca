import { isObject, setKey, type Value } from '@madsci-events/sdk/event'
import { keysOf } from '../path.ts'

type Members = { [key: string]: Value }

/** What MongoDB is asked for; where it may find too much, a matcher decides. */
export interface ServerFilter {
  filter: Members
  isExact: boolean
}

/**
 * MongoDB follows a path from object to object only; ours also lead through keys that have dots. Of a selector with such
 * paths MongoDB gives all events that match as it reads them, and those in which a key with dots could change that:
 *
 *     {a.b.c: v}  ─▶  {$or: [{a.b.c: v}, {$expr: an object at a has a key 'b.c', or an array is on the way}]}
 *
 * What has no dots stays as it is, so that its indexes serve.
 */
export function toServerFilter(source: { readonly [key: string]: Value }): ServerFilter {
  let isExact = true
  const parts: Members[] = []
  for (const key of Object.keys(source)) {
    const member: Members = {}
    setKey(member, key, source[key]!)
    if (key === '$and') {
      const inner = (source.$and as Members[]).map(toServerFilter)
      isExact &&= inner.every((one) => one.isExact)
      parts.push({ $and: inner.map((one) => one.filter) })
      continue
    }
    const found = possible(member)
    if (found === undefined) parts.push(member)
    else {
      isExact = false
      parts.push({ $or: [member, { $expr: found }] })
    }
  }
  if (isExact) return { filter: source as Members, isExact }
  return { filter: { $and: parts }, isExact }
}

/** Whether a key with dots may change what this condition means for a document; undefined where none can. */
function possible(member: Members): Value | undefined {
  const paths = pathsOf(member, [])
  const only = Object.entries(member)
  const test = only.length === 1 && !only[0]![0].startsWith('$') ? simpleTest(only[0]![1]) : undefined
  const all = paths.flatMap((names) => expressionsOf(names, test))
  return all.length === 0 ? undefined : { $or: all }
}

// The names of a document itself have no dots.
const ownNames = 1

/** The paths of a condition that may have a key with dots in them; '' at the end stands for names within an array. */
function pathsOf(source: Members, within: readonly string[]): string[][] {
  const paths: string[][] = []
  for (const key of Object.keys(source)) {
    const value = source[key]!
    if (key === '$and' || key === '$or' || key === '$nor')
      for (const part of value as Members[]) paths.push(...pathsOf(part, within))
    else if (key === '$expr') paths.push(...expressionPaths(value))
    else {
      const names = [...within, ...key.split('.')]
      if (names.length > ownNames + 1) paths.push(names)
      for (const inner of elementTests(value)) paths.push(...pathsOf(inner, names))
    }
  }
  return paths
}

/** The conditions that $elemMatch puts to members of an array. */
function elementTests(tests: Value): Members[] {
  if (Array.isArray(tests)) return tests.flatMap(elementTests)
  if (!isObject(tests)) return []
  return Object.keys(tests).flatMap((operator) => {
    const value = tests[operator]!
    if (operator === '$not' || operator === '$all') return elementTests(value)
    if (operator !== '$elemMatch' || !isObject(value)) return []
    return Object.keys(value)[0]?.startsWith('$') ? elementTests(value) : [value]
  })
}

function expressionPaths(value: Value): string[][] {
  if (typeof value === 'string' && value.startsWith('$')) {
    const names = value.slice(1).split('.')
    return names.length > ownNames + 1 ? [names] : []
  }
  if (Array.isArray(value)) return value.flatMap(expressionPaths)
  if (!isObject(value)) return []
  return Object.keys(value).flatMap((key) => (key === '$literal' ? [] : expressionPaths(value[key]!)))
}

const orders = new Set(['$eq', '$gt', '$gte', '$lt', '$lte'])

/** A comparison with a text, a number or a boolean, as an expression over a value. */
function simpleTest(tests: Value): ((value: Value) => Value) | undefined {
  const operators = isObject(tests) ? Object.keys(tests) : []
  const operator = operators[0] ?? ''
  if (operators.length !== 1 || !isObject(tests)) return undefined
  const operand = tests[operator]!
  const isSimple = typeof operand === 'string' || typeof operand === 'number' || typeof operand === 'boolean'
  if (isSimple && orders.has(operator)) return (value) => ({ [operator]: [value, { $literal: operand }] })
  return undefined
}

/** For each place on the way: an array, or an object with a key of several names that begins there. */
function expressionsOf(names: readonly string[], test?: (value: Value) => Value): Value[] {
  // An expression has no word for these.
  if (names.some((name) => name === '' || name.startsWith('$') || name.includes('\0'))) return [true]
  const keys = keysOf(names)
  const found: Value[] = []
  for (let from = ownNames; from < names.length; from++) {
    const place = `$${names.slice(0, from).join('.')}`
    const wanted = keys[from]!.slice(1)
    const whole = test && wanted.at(-1)
    const known = whole === undefined ? wanted : wanted.slice(0, -1)
    const named = (key: string): Value => ({ $eq: ['$$one.k', { $literal: key }] })
    const isWanted: Value[] = known.map(named)
    if (whole !== undefined)
      isWanted.push({ $and: [named(whole), { $or: [{ $isArray: ['$$one.v'] }, test!('$$one.v')] }] })
    const members = { $map: { input: { $objectToArray: place }, as: 'one', in: { $or: isWanted } } }
    const inObject: Value =
      isWanted.length === 0
        ? false
        : { $cond: [{ $eq: [{ $type: place }, 'object'] }, { $anyElementTrue: [members] }, false] }
    found.push({ $or: [{ $isArray: [place] }, inObject] })
  }
  return found
}
