import { EventError, type Value } from '@madsci-events/sdk/event'
import { canaryMark } from './canary.ts'

/** Of one selector, its objects and lists counted. */
export const maxSelectorValues = 50_000

export const limits = {
  depth: 64,
  values: maxSelectorValues,
  // Below the 16 MB of a document of MongoDB, whatever the characters are.
  characters: 4 * 1024 * 1024,
  conditions: 1000,
  inValues: 10_000,
  pathCharacters: 1000,
}

/** Of a selector of more values than `maxSelectorValues`. */
export const tooManyValues = () => refuse('', `a selector holds at most ${maxSelectorValues} values`)

export function refuse(path: string, why: string): EventError {
  return new EventError('EVT_SELECTOR', path === '' ? why : `${why} (at '${path.slice(0, 200)}')`)
}

type Budget = { values: number; characters: number; namesCanary: boolean }

/** Throws EVT_SELECTOR for what BSON cannot carry, and for what is too much. */
export function checkValues(input: Value): { namesCanary: boolean } {
  const { values, characters, depth } = limits
  const budget = { values, characters, namesCanary: false }
  checkValue(input, depth, budget)
  return budget
}

function checkValue(value: Value, depth: number, budget: Budget): void {
  if (--budget.values < 0) throw tooManyValues()
  const spend = (characters: number) => {
    budget.characters -= characters
    if (budget.characters < 0) throw refuse('', `a selector holds at most ${limits.characters} characters`)
  }
  if (typeof value === 'string') {
    spend(value.length)
    budget.namesCanary ||= value.includes(canaryMark)
    if (!value.isWellFormed()) throw refuse('', 'a text holds a lone surrogate')
  }
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value)
    throw refuse('', 'an integer does not fit 64 bits')
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  if (depth === 0) throw refuse('', `a selector is nested at most ${limits.depth} deep`)
  if (Array.isArray(value)) {
    for (const member of value) checkValue(member, depth - 1, budget)
    return
  }
  for (const key of Object.keys(value)) {
    spend(key.length)
    if (key.includes('\0')) throw refuse('', 'a key holds a NUL')
    if (!key.isWellFormed()) throw refuse('', 'a key holds a lone surrogate')
    checkValue(value[key]!, depth - 1, budget)
  }
}
