import { isObject, setKey, type Value } from './event.ts'
import { replaceBare } from './json-scan.ts'

// JSON.rawJSON is ECMAScript 2026; TypeScript's libraries do not declare it yet.
const rawJSON = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

// Only a text with a run of 16 digits can hold an integer that a double alters; all others take the fast path.
const longDigits = /\d{16}/
const integerText = /^-?\d+$/
// No store keeps more than 64 bits; a bigint of millions of digits takes seconds to read and to write.
const maxDigits = 1000
// Marks such an integer on its way through JSON.parse; nobody else's text begins so, for nobody knows it.
const integerMark = `\u0001${Math.random()}${Math.random()}\u0001`

/**
 * JSON.parse that keeps every digit: an integer beyond ±(2^53 − 1) becomes a bigint. Takes time in proportion to the text.
 * Throws SyntaxError. `NaN` and `Infinity` are not JSON and throw as well.
 */
export function parseJson(text: string): Value {
  if (!longDigits.test(text)) return JSON.parse(text) as Value
  const marked = replaceBare(text, markInteger)
  if (marked === text) return JSON.parse(text) as Value
  try {
    return unmarkIntegers(JSON.parse(marked) as Value)
  } catch (error) {
    // The error of the text as it was sent names the right place.
    JSON.parse(text)
    throw error
  }
}

/** JSON as Python writes it: NaN and the infinities are read as null. Throws SyntaxError. */
export function parsePythonJson(text: string): Value {
  return parseJson(replaceBare(text, (word) => (nonFinite.has(word) ? 'null' : undefined)))
}

const nonFinite = new Set(['NaN', 'Infinity', '-Infinity', '-NaN'])

function markInteger(word: string): string | undefined {
  // Digits that JSON does not allow, as in 007, are left for JSON.parse to refuse.
  if (word.length < 16 || !integerText.test(word) || /^-?0/.test(word)) return undefined
  if (word.length > maxDigits) throw new SyntaxError(`an integer has more than ${maxDigits} digits`)
  return Number.isSafeInteger(Number(word)) ? undefined : JSON.stringify(integerMark + word)
}

function unmarkIntegers(value: Value): Value {
  if (typeof value === 'string')
    return value.startsWith(integerMark) ? BigInt(value.slice(integerMark.length)) : value
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) value[i] = unmarkIntegers(value[i]!)
    return value
  }
  const members = value as { [key: string]: Value }
  for (const key of Object.keys(members)) {
    const before = members[key]!
    const after = unmarkIntegers(before)
    if (after !== before) setKey(members, key, after)
  }
  return value
}

/** The JSON that REST shows: bigint as digits, bytes as base64 text, NaN and the infinities as null. */
export function toJson(value: Value): string {
  // A replacer is called for every member and costs several times the rest: only the few values that need one pay it.
  return (needsReplacing(value) ? JSON.stringify(value, replacePlain) : JSON.stringify(value)) ?? 'null'
}

function needsReplacing(value: Value): boolean {
  if (typeof value === 'bigint') return true
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Uint8Array) return true
  if (Array.isArray(value)) return value.some(needsReplacing)
  for (const key in value) if (needsReplacing(value[key]!)) return true
  return false
}

function replacePlain(this: unknown, _key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return rawJSON(value.toString())
  if (value instanceof Uint8Array)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
  return value
}

// An object with one of these as its only key is a mark in exact JSON; a user's object of that shape is wrapped.
const bytesMark = '$madsci.bytes'
const numberMark = '$madsci.number'
const objectMark = '$madsci.object'

/** JSON that gives every Value back exactly: bytes, NaN, infinities, −0 and integral doubles beyond 2^53 included. */
export function toExactJson(value: Value): string {
  return JSON.stringify(markExact(value))
}

export function fromExactJson(text: string): Value {
  return fromMarked(parseJson(text))
}

/** True when REST's JSON gives the value back exactly, so that nothing needs marking. */
export function isPlain(value: Value): boolean {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value)
      ? !Object.is(value, -0)
      : Number.isFinite(value) && !Number.isInteger(value)
  }
  if (typeof value !== 'object' || value === null) return true
  if (value instanceof Uint8Array) return false
  if (Array.isArray(value)) return value.every(isPlain)
  for (const key in value) {
    if (Object.hasOwn(value, key) && !isPlain(value[key]!)) return false
  }
  return true
}

function markExact(value: Value): unknown {
  if (typeof value === 'bigint') {
    // A small bigint would come back as a number, which is the same integer to JSON, MongoDB and OTLP alike.
    return rawJSON(value.toString())
  }
  if (typeof value === 'number') {
    if (Object.is(value, -0)) return rawJSON('-0')
    if (!Number.isFinite(value)) return { [numberMark]: String(value) }
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? rawJSON(value.toExponential()) : value
  }
  if (value instanceof Uint8Array) {
    return { [bytesMark]: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') }
  }
  if (Array.isArray(value)) return value.map(markExact)
  if (!isObject(value)) return value
  const marked = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, markExact(member)]))
  return isMark(value) ? { [objectMark]: marked } : marked
}

function isMark(value: object): boolean {
  const keys = Object.keys(value)
  return keys.length === 1 && (keys[0] === bytesMark || keys[0] === numberMark || keys[0] === objectMark)
}

/** A value in which objects like `{"$madsci.number": "NaN"}` stand for what JSON has no word for. */
export function fromMarked(value: Value): Value {
  return holdsMark(value) ? unmark(value) : value
}

function holdsMark(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(holdsMark)
  if (!isObject(value)) return false
  if (isMark(value)) return true
  for (const key in value) if (holdsMark(value[key]!)) return true
  return false
}

function unmark(value: Value): Value {
  if (Array.isArray(value)) return value.map(unmark)
  if (!isObject(value)) return value
  if (isMark(value)) {
    const key = Object.keys(value)[0]!
    const member = value[key]!
    if (key === bytesMark && typeof member === 'string') return new Uint8Array(Buffer.from(member, 'base64'))
    if (key === numberMark && typeof member === 'string') return Number(member)
    if (key === objectMark && isObject(member)) return unmarkMembers(member)
  }
  return unmarkMembers(value)
}

function unmarkMembers(value: { [key: string]: Value }): Value {
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, unmark(member)]))
}
