import { isObject, type Value } from './event.ts'

// JSON.rawJSON and the reviver's `source` are ECMAScript 2026; TypeScript's libraries do not declare them yet.
const rawJSON = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown
const parseWith = JSON.parse as (text: string, reviver: Reviver) => unknown

// Only a text with a run of 16 digits can hold an integer that a double alters; all others take the fast path.
const longDigits = /\d{16}/
const integerText = /^-?\d+$/

/**
 * JSON.parse that keeps every digit: an integer beyond ±(2^53 − 1) becomes a bigint.
 * Throws SyntaxError. `NaN` and `Infinity` are not JSON and throw as well.
 */
export function parseJson(text: string): Value {
  if (!longDigits.test(text)) return JSON.parse(text) as Value
  return parseWith(text, (_key, value, context) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && integerText.test(context.source ?? '')
      ? BigInt(context.source!)
      : value,
  ) as Value
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
  return unmark(parseJson(text))
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
