import { isObject, type Value } from '@madsci-events/sdk/event'
import { type Evidence, maxNameCharacters, readEvidence, timeTextOf } from '../evidence.ts'
import { toMs } from '../summary-fold.ts'
import { type Instant, toInstant } from './instant.ts'

/** What the columns keep of an event. */
export interface Row extends Instant {
  /** In the order of facetNames. */
  evidence: Evidence[]
  /** Its time has no usual text, so that it may lie elsewhere as a text than as a time. */
  hasOddTime: boolean
  /** A selector may see more in it than the columns hold. */
  isOdd: boolean
}

/** `exact` is the document with what JSON cannot say. */
export function toColumnRow(document: Value, exact: Value = document): Row {
  const evidence = readEvidence(document)
  const seen = exact === document ? evidence : readEvidence(exact)
  let isOdd = false
  for (const [index, { values }] of seen.entries()) {
    isOdd ||= values.some(isOddValue)
    evidence[index]!.values = values.map(keptOf)
  }
  const text = timeTextOf(document)
  const instant = text === undefined ? undefined : toInstant(text)
  const { ms, micros } = instant ?? { ms: toMs(text) ?? Number.NaN, micros: 0 }
  return { ms, micros, evidence, hasOddTime: instant === undefined, isOdd }
}

/** Selectors are not asked of odd values here: nothing of them is kept. */
function keptOf(value: unknown): unknown {
  if (isOddValue(value)) return null
  return isObject(value as Value) ? {} : value
}

/** Arrays are looked into by selectors, long texts are not kept, and large integers may not be exact here. */
function isOddValue(value: unknown): boolean {
  if (typeof value === 'string') return value.length > maxNameCharacters
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  if (typeof value === 'bigint') return true
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) !== Object.prototype
}
