import { isObject, type Value } from '@madsci-events/sdk/event'

/** A value of a document. Dates stand where MongoDB has BSON dates (archived_at); undefined is a missing field. */
export type DocumentValue = Value | Date | undefined

/**
 * MongoDB's types in the order in which it compares values of different ones (MongoDB manual, "Comparison/Sort Order").
 * Missing fields sort with null for find, below it for `$expr`.
 */
export function rankOf(value: DocumentValue): number {
  switch (typeof value) {
    case 'undefined':
      return 0
    case 'number':
    case 'bigint':
      return 10
    case 'string':
      return 15
    case 'boolean':
      return 40
  }
  if (value === null) return 5
  if (Array.isArray(value)) return 25
  if (value instanceof Uint8Array) return 30
  if (value instanceof Date) return 45
  return 20
}

/** Negative, 0 or positive, as MongoDB orders any two values. NaN is equal to itself and below all numbers. */
export function compareValues(a: DocumentValue, b: DocumentValue): number {
  const rank = rankOf(a)
  const difference = rank - rankOf(b)
  if (difference !== 0) return difference
  switch (rank) {
    case 10:
      return compareNumbers(a as number | bigint, b as number | bigint)
    case 15:
      return compareTexts(a as string, b as string)
    case 20:
      return compareObjects(a as { [key: string]: Value }, b as { [key: string]: Value })
    case 25:
      return compareLists(a as Value[], b as Value[])
    case 30:
      return compareBytes(a as Uint8Array, b as Uint8Array)
    case 40:
      return Number(a) - Number(b)
    case 45:
      return (a as Date).getTime() - (b as Date).getTime()
    default:
      return 0
  }
}

function compareNumbers(a: number | bigint, b: number | bigint): number {
  // JavaScript compares a bigint with a number by their exact values.
  if (a < b) return -1
  if (a > b) return 1
  const aIsNaN = Number.isNaN(a)
  return aIsNaN === Number.isNaN(b) ? 0 : aIsNaN ? -1 : 1
}

/** By code point, as UTF-8 bytes compare; JavaScript's own order is that of UTF-16 and differs beyond U+FFFF. */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // Surrogates stand for code points above everything else.
    const xIsSurrogate = x >= 0xd800 && x <= 0xdfff
    const yIsSurrogate = y >= 0xd800 && y <= 0xdfff
    return xIsSurrogate === yIsSurrogate ? x - y : xIsSurrogate ? 1 : -1
  }
  return a.length - b.length
}

/** Member by member in their order: first the types, then the names, then the values. */
function compareObjects(a: { [key: string]: Value }, b: { [key: string]: Value }): number {
  const aKeys = Object.keys(a)
  const bKeys = Object.keys(b)
  const length = Math.min(aKeys.length, bKeys.length)
  for (let i = 0; i < length; i++) {
    const x = a[aKeys[i]!]
    const y = b[bKeys[i]!]
    const difference = rankOf(x) - rankOf(y) || compareTexts(aKeys[i]!, bKeys[i]!) || compareValues(x, y)
    if (difference !== 0) return difference
  }
  return aKeys.length - bKeys.length
}

function compareLists(a: readonly Value[], b: readonly Value[]): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = compareValues(a[i], b[i])
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return a.length - b.length || Buffer.compare(a, b)
}

const int32 = 2 ** 31

/** MongoDB's numbers of types, by the name that `$type` takes. */
export const typeNumbers: { readonly [name: string]: number } = {
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binData: 5,
  undefined: 6,
  objectId: 7,
  bool: 8,
  date: 9,
  null: 10,
  regex: 11,
  dbPointer: 12,
  javascript: 13,
  symbol: 14,
  javascriptWithScope: 15,
  int: 16,
  timestamp: 17,
  long: 18,
  decimal: 19,
  minKey: -1,
  maxKey: 127,
}

/** The BSON type that a value has, or would have, in MongoDB: integers are int or long by their size. */
export function typeNumberOf(value: DocumentValue): number {
  if (typeof value === 'bigint') return 18
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return 1
    return value >= -int32 && value < int32 ? 16 : 18
  }
  if (typeof value === 'string') return 2
  if (typeof value === 'boolean') return 8
  if (value === null) return 10
  if (Array.isArray(value)) return 4
  if (value instanceof Uint8Array) return 5
  if (value instanceof Date) return 9
  return isObject(value) ? 3 : 6
}
