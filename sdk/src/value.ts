import { setKey, type Value } from './event/event.ts'
import { containerBytes, maxDepth, maxEventBytes, valueBytes } from './event/limit.ts'
import {
  isAnyArrayBuffer,
  isArrayBufferView,
  isBoxed,
  isDataView,
  isDate,
  isError,
  isMap,
  isRegExp,
  isSet,
  isUint8Array,
} from './realm.ts'

const depthLimit = maxDepth - 2 // room for the object that holds a message and its data
// A receiver refuses larger events; beyond it lies what would take for ever: objects shared a million times over.
const byteLimit = maxEventBytes - 64 * 1024
const maxInt = 2n ** 63n - 1n
const minInt = -(2n ** 63n)

export interface ToValueOptions {
  /** Told once for each thing that could not be kept as it was. */
  onAlter: (why: string) => void
  /** Texts longer than this are cut (OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT). */
  textLimit?: number
}

/**
 * Whatever a program hands us → a Value: a deep copy, so that later changes do not reach the event.
 *
 * As JSON.stringify would, except that more is kept: NaN, bigint and bytes stay what they are, a Map becomes an object
 * (a list of pairs, where its keys are no names), a Set an array, an Error `{type, message, stacktrace}`. Never throws: a getter that does becomes null, and is told.
 */
export function toValue(input: unknown, options: ToValueOptions): Value {
  const value = convert(input, { ...options, path: [], bytesLeft: byteLimit })
  return value === undefined ? null : value
}

interface State extends ToValueOptions {
  /** The objects that we are inside of: meeting one again is a cycle. */
  path: object[]
  bytesLeft: number
}

function convert(input: unknown, state: State): Value | undefined {
  state.bytesLeft -= typeof input === 'object' && input !== null ? containerBytes : valueBytes
  if (state.bytesLeft < 0) return tooLarge(state)
  switch (typeof input) {
    case 'string':
      return boundText(input, state)
    case 'number':
    case 'boolean':
      return input
    case 'undefined':
      return undefined
    case 'bigint':
      return fromBigint(input, state)
    case 'object':
      return input === null ? null : convertObject(input, state)
    default:
      state.onAlter(`a ${typeof input} cannot be sent`)
      return undefined
  }
}

function convertObject(input: object, state: State): Value | undefined {
  if (state.path.includes(input)) {
    state.onAlter('an object that holds itself cannot be sent')
    return '[circular]'
  }
  if (state.path.length >= depthLimit) {
    state.onAlter(`data nested deeper than ${depthLimit} cannot be sent`)
    return '[nested too deep]'
  }
  state.path.push(input)
  try {
    return convertKnown(input, state)
  } catch {
    state.onAlter('reading a value threw')
    return null
  } finally {
    state.path.pop()
  }
}

function convertKnown(input: object, state: State): Value | undefined {
  if (Array.isArray(input)) return fromItems(input, state)
  if (isUint8Array(input)) return spend(input.length, state) ? new Uint8Array(input) : tooLarge(state)
  if (isDate(input)) return fromDate(input, state)
  if (isError(input)) return fromError(input, state)
  if (isMap(input)) return fromMap(input, state)
  if (isSet(input)) return fromItems(input, state)
  if (isAnyArrayBuffer(input)) return convertKnown(new Uint8Array(input), state)
  if (isDataView(input))
    return convertKnown(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), state)
  if (isRegExp(input)) return boundText(String(input), state)
  if (isBoxed(input)) return convert(input.valueOf(), state)
  if (isArrayBufferView(input)) return fromItems(input as unknown as Iterable<unknown>, state)
  if ('toJSON' in input && typeof input.toJSON === 'function') return convert(input.toJSON(), state)
  return fromMembers(input as { [key: string]: unknown }, state)
}

function fromMembers(input: { [key: string]: unknown }, state: State): Value {
  const members: { [key: string]: Value } = {}
  for (const key of Object.keys(input)) {
    if (state.bytesLeft < 0) break
    let value: Value | undefined
    try {
      value = convert(input[key], state)
    } catch {
      state.onAlter('reading a value threw')
      value = null
    }
    if (value !== undefined) setKey(members, boundKey(key, state), value)
  }
  return members
}

function fromMap(input: Map<unknown, unknown>, state: State): Value {
  const keys = [...input.keys()]
  const isNamed = keys.every((key) => typeof key === 'string' || typeof key === 'number')
  // 1 and '1' would be one member.
  if (isNamed && new Set(keys.map(String)).size === keys.length)
    return fromMembers(Object.fromEntries(input) as { [key: string]: unknown }, state)
  return fromItems(input, state)
}

function fromItems(input: Iterable<unknown>, state: State): Value[] {
  const items: Value[] = []
  for (const item of input) {
    items.push(convert(item, state) ?? null)
    if (state.bytesLeft < 0) break
  }
  return items
}

function fromError(input: Error, state: State): Value {
  // What the program hung on the error (code, errno, status, …) comes along, but not in place of these.
  const members: { [key: string]: unknown } = { ...input, type: input.name, message: input.message }
  delete members.name
  if (typeof input.stack === 'string') members.stacktrace = input.stack
  if (input.cause !== undefined) members.cause = input.cause
  const { errors } = input as { errors?: unknown }
  if (Array.isArray(errors)) members.errors = errors
  return fromMembers(members, state)
}

function fromDate(input: Date, state: State): Value {
  if (!Number.isNaN(input.getTime())) return input.toISOString()
  state.onAlter('an invalid Date cannot be sent')
  return null
}

// An integer that a number holds exactly is the same integer to JSON, MongoDB and OTLP alike.
function fromBigint(input: bigint, state: State): Value {
  if (input >= -9007199254740991n && input <= 9007199254740991n) return Number(input)
  if (input >= minInt && input <= maxInt) return input
  state.onAlter('an integer beyond 64 bits is sent as text')
  return input.toString()
}

function boundText(input: string, state: State): string {
  let text = input
  if (!text.isWellFormed()) {
    state.onAlter('a lone surrogate is no text')
    text = text.toWellFormed()
  }
  if (state.textLimit !== undefined && text.length > state.textLimit) {
    state.onAlter(`a text is longer than ${state.textLimit}`)
    text = text.slice(0, state.textLimit).toWellFormed()
  }
  return spend(text.length, state) ? text : tooLarge(state)
}

function spend(bytes: number, state: State): boolean {
  state.bytesLeft -= bytes
  return state.bytesLeft >= 0
}

function tooLarge(state: State): string {
  state.onAlter(`data of more than ${byteLimit} bytes cannot be sent`)
  return '[too large]'
}

// No store takes a key with NUL or a lone surrogate in it.
function boundKey(key: string, state: State): string {
  state.bytesLeft -= key.length
  if (key.isWellFormed() && !key.includes('\0')) return key
  state.onAlter('a key with a NUL or a lone surrogate cannot be stored')
  return key.toWellFormed().replaceAll('\0', '\uFFFD')
}
