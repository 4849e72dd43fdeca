import { isObject, isWhole, setKey, type Value, WholeDouble } from '@madsci-events/sdk/event'
import { maxValueDepth } from './any-value.ts'

/** A JSON object as the parser gives it. */
export type Members = { [key: string]: Value }

/** Why a record, a resource or a scope is none; its message is the reason that its sender is told. */
export class Defect extends Error {}

/** What the decoding of a request leaves behind beside its values. */
export interface JsonNotes {
  /** Why the record, resource or scope under way cannot be kept though it was read; '' when it can. */
  defect: string
  duplicateKeyCount: number
  unreadableIdCount: number
  /** What was read since somebody took it away holds whole doubles. */
  hasWholeDoubles: boolean
}

/** A member that must be an object; undefined when it is absent or null. */
export function objectIn(members: Members, name: string): Members | undefined {
  const value = members[name]
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) throw new Defect(`${name} is no object`)
  return value
}

/** A member that must be a list of objects; empty when it is absent or null. */
export function listIn(members: Members, name: string): Members[] {
  const value = members[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Defect(`${name} is no array`)
  for (const member of value) if (!isObject(member)) throw new Defect(`${name} holds what is no object`)
  return value as Members[]
}

export function textIn(members: Members, name: string): string {
  const value = members[name]
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw new Defect(`${name} is no string`)
  return value
}

/** A number of at most 32 bits, written as a number or as text; 0 when it is absent or null. */
export function int32In(members: Members, name: string, min: number, max: number): number {
  const value = members[name]
  if (value === undefined || value === null) return 0
  const number = typeof value === 'number' ? value : Number(toInteger(value, name))
  if (!Number.isInteger(number) || number < min || number > max) throw new Defect(`${name} is out of range`)
  return number
}

/** Nanoseconds since 1970; 0n when the member is absent or null. */
export function fixed64In(members: Members, name: string): bigint {
  const value = members[name]
  if (value === undefined || value === null) return 0n
  const integer = BigInt(toInteger(value, name))
  if (integer < 0n || integer > 0xffff_ffff_ffff_ffffn) throw new Defect(`${name} is out of range`)
  return integer
}

/** An id in hex of either case; '' when it is all zeros (which mean that there is none) or no such id, which is noted. */
export function hexIn(members: Members, name: string, byteCount: number, notes: JsonNotes): string {
  const text = textIn(members, name)
  if (text === '') return ''
  if (text.length !== byteCount * 2 || !hexPattern.test(text)) {
    notes.unreadableIdCount++
    return ''
  }
  return zerosPattern.test(text) ? '' : text.toLowerCase()
}

const hexPattern = /^[0-9a-fA-F]+$/
const zerosPattern = /^0+$/
const base64Pattern = /^[A-Za-z0-9+/_-]*={0,2}$/
const integerPattern = /^-?\d{1,20}$/

/** AnyValue as OTLP/JSON writes it → Value. An empty one is null. */
export function fromAnyValue(any: Members, notes: JsonNotes, depth: number): Value {
  let value: Value = null
  for (const name in any) {
    const member = any[name]!
    if (member === null) continue
    switch (name) {
      case 'stringValue':
        value = textIn(any, name)
        break
      case 'boolValue':
        if (typeof member !== 'boolean') throw new Defect('boolValue is no boolean')
        value = member
        break
      case 'intValue':
        value = toInt64(member)
        break
      case 'doubleValue':
        value = toDouble(member)
        if (isWhole(value)) {
          notes.hasWholeDoubles = true
          value = new WholeDouble(value) as never
        }
        break
      case 'arrayValue':
        value = toList(objectIn(any, name)!, notes, depth)
        break
      case 'kvlistValue':
        value = toObject(objectIn(any, name)!, notes, depth)
        break
      case 'bytesValue':
        value = toBytes(textIn(any, name))
    }
  }
  return value
}

/** Members of a KeyValue list as an object; the last of equal keys counts. */
export function toMembers(list: readonly Members[], notes: JsonNotes, depth: number): Members {
  const object: Members = {}
  for (const member of list) {
    const key = textIn(member, 'key')
    if (key in object && Object.hasOwn(object, key)) notes.duplicateKeyCount++
    setKey(object, key, toValue(member, notes, depth))
  }
  return object
}

/** The value of a KeyValue. */
export function toValue(member: Members, notes: JsonNotes, depth: number): Value {
  const any = objectIn(member, 'value')
  return any === undefined ? null : fromAnyValue(any, notes, depth)
}

function toList(array: Members, notes: JsonNotes, depth: number): Value {
  if (isTooDeep(notes, depth)) return []
  return listIn(array, 'values').map((member) => fromAnyValue(member, notes, depth + 1))
}

function toObject(list: Members, notes: JsonNotes, depth: number): Value {
  if (isTooDeep(notes, depth)) return {}
  return toMembers(listIn(list, 'values'), notes, depth + 1)
}

function toInt64(value: Value): Value {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  const integer = BigInt(toInteger(value, 'intValue'))
  if (integer !== BigInt.asIntN(64, integer)) throw new Defect('intValue is beyond 64 bits')
  const number = Number(integer)
  return Number.isSafeInteger(number) ? number : integer
}

function toInteger(value: Value, name: string): bigint | number | string {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isInteger(value)) return value
  if (typeof value === 'string' && integerPattern.test(value)) return value
  throw new Defect(`${name} is no integer`)
}

function toDouble(value: Value): number {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (value === 'NaN') return Number.NaN
  if (value === 'Infinity') return Number.POSITIVE_INFINITY
  if (value === '-Infinity') return Number.NEGATIVE_INFINITY
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
  if (!Number.isFinite(number)) throw new Defect('doubleValue is no number')
  return number
}

function toBytes(text: string): Uint8Array {
  const padded = text.indexOf('=')
  // Four characters are three bytes: one alone is none.
  const isCut = (padded < 0 ? text.length : padded) % 4 === 1
  if (isCut || !base64Pattern.test(text)) throw new Defect('bytesValue is no base64')
  return new Uint8Array(Buffer.from(text, 'base64'))
}

function isTooDeep(notes: JsonNotes, depth: number): boolean {
  if (depth < maxValueDepth) return false
  notes.defect = `a value nested deeper than ${maxValueDepth}`
  return true
}
