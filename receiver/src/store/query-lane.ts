import type { FindQuery } from './event-store.ts'
import type { Expression } from './expression.ts'
import type { Condition, FieldTest } from './selector.ts'

/**
 * Which threads take a query:
 *  - `reserved`: what the receiver itself asks for alerts and for readers of the stream;
 *  - `light`: what cannot take long on a single event;
 *  - `heavy`: regular expressions and large selectors. They share no thread with the others.
 */
export type QueryLane = 'reserved' | 'light' | 'heavy'

const lightWeight = 50

/** The lane of a query by what its selector can cost on one event. A heavy one never takes the reserve. */
export function laneOf({ selector }: Pick<FindQuery, 'selector'>, isReserved = false): QueryLane {
  if (selector && weigh(selector.conditions) > lightWeight) return 'heavy'
  return isReserved ? 'reserved' : 'light'
}

function weigh(conditions: readonly Condition[]): number {
  let weight = 0
  for (const condition of conditions) {
    if (condition.kind === 'field') weight += weighTests(condition.tests)
    else if (condition.kind === 'expression') weight += weighExpression(condition.expression)
    else for (const member of condition.members) weight += weigh(member)
  }
  return weight
}

function weighTests(tests: readonly FieldTest[]): number {
  let weight = 0
  for (const test of tests) {
    if (test.kind === '$regex') weight += lightWeight + 1
    // Texts are looked up in a set, other values are compared one by one.
    else if (test.kind === '$in')
      weight += 1 + test.values.filter((value) => typeof value !== 'string').length
    else if (test.kind === 'matchMember') weight += weigh(test.conditions)
    else if ('tests' in test) weight += weighTests(test.tests)
    else weight++
  }
  return weight
}

function weighExpression(expression: Expression): number {
  if (!('operands' in expression)) return 1
  let weight = 1
  for (const operand of expression.operands) weight += weighExpression(operand)
  return weight
}
