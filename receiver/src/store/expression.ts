import { EventError, isObject, type Value } from '@madsci-events/sdk/event'
import { compareValues, type DocumentValue } from './order.ts'
import { keysOf, maxPathNames, type PathKeys } from './path.ts'

/** What `$expr` may say: comparisons and boolean operators over paths and literals (MongoDB manual, "Expressions"). */
export type Expression =
  | { kind: 'literal'; value: Value }
  | { kind: 'path'; keys: PathKeys }
  | { kind: '$and' | '$or' | '$not'; operands: readonly Expression[] }
  | { kind: keyof typeof comparisons; operands: readonly [Expression, Expression] }

const comparisons = {
  $eq: (order: number) => order === 0,
  $ne: (order: number) => order !== 0,
  $gt: (order: number) => order > 0,
  $gte: (order: number) => order >= 0,
  $lt: (order: number) => order < 0,
  $lte: (order: number) => order <= 0,
}

const booleans = new Set(['$and', '$or', '$not'])

function refuse(why: string): EventError {
  return new EventError('EVT_SELECTOR', `${why} (in $expr)`)
}

/** Throws EVT_SELECTOR for anything else than the closed list. */
export function parseExpression(input: Value): Expression {
  if (typeof input === 'string' && input.startsWith('$')) {
    const path = input.slice(1).split('.')
    if (path.some((name) => name === '' || name.startsWith('$')))
      throw refuse(`'${input.slice(0, 100)}' is no path`)
    if (path.length > maxPathNames) throw refuse(`a path has more than ${maxPathNames} names`)
    return { kind: 'path', keys: keysOf(path) }
  }
  if (Array.isArray(input)) throw refuse('a list stands within $literal alone')
  if (!isObject(input)) return { kind: 'literal', value: input }
  const keys = Object.keys(input)
  const kind = keys[0]
  if (keys.length !== 1 || kind === undefined || !kind.startsWith('$'))
    throw refuse('an object with one operator is expected; others stand within $literal')
  const value = input[kind]!
  if (kind === '$literal') return { kind: 'literal', value }
  if (!booleans.has(kind) && !Object.hasOwn(comparisons, kind))
    throw refuse(`the operator ${kind.slice(0, 100)} is not accepted`)
  const operands = (Array.isArray(value) ? value : [value]).map(parseExpression)
  if (kind === '$and' || kind === '$or') return { kind, operands }
  if (kind === '$not') {
    if (operands.length !== 1) throw refuse('$not takes one operand')
    return { kind, operands }
  }
  if (operands.length !== 2) throw refuse(`${kind} takes two operands`)
  return { kind: kind as keyof typeof comparisons, operands: [operands[0]!, operands[1]!] }
}

/** What `$expr` makes of a document: any value but false, null, 0 and a missing one counts as true. */
export function isTrue(expression: Expression, document: DocumentValue): boolean {
  const value = evaluate(expression, document)
  return value !== false && value !== null && value !== undefined && value !== 0
}

function evaluate(expression: Expression, document: DocumentValue): DocumentValue {
  switch (expression.kind) {
    case 'literal':
      return expression.value
    case 'path':
      return valueAt(document, expression.keys)
    case '$and':
      return expression.operands.every((operand) => isTrue(operand, document))
    case '$or':
      return expression.operands.some((operand) => isTrue(operand, document))
    case '$not':
      return !isTrue(expression.operands[0]!, document)
    default: {
      const [left, right] = expression.operands
      return comparisons[expression.kind](compareValues(evaluate(left, document), evaluate(right, document)))
    }
  }
}

/**
 * What a path leads to; where several keys do (`a.b` and `b` within `a`), the list of it. Through an array, the list of what
 * its objects hold; numbers in a path are names here, not places.
 */
export function valueAt(value: DocumentValue, keys: PathKeys, from = 0): DocumentValue {
  if (from === keys.length) return value
  if (Array.isArray(value)) {
    return value.flatMap((member) => {
      const found = isObject(member) ? valueAt(member, keys, from) : undefined
      return found === undefined ? [] : [found as Value]
    })
  }
  if (!isObject(value) || value instanceof Date) return undefined
  let first: DocumentValue
  let several: Value[] | undefined
  for (const [more, key] of keys[from]!.entries()) {
    if (!Object.hasOwn(value, key)) continue
    const found = valueAt(value[key], keys, from + more + 1)
    if (found === undefined) continue
    if (first === undefined) first = found
    else {
      several ??= [first as Value]
      several.push(found as Value)
    }
  }
  return several ?? first
}
