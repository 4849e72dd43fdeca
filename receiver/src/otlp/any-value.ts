import { isWhole, maxDepth, setKey, type Value, WholeDouble } from '@madsci-events/sdk/event'
import { tooManyValues } from './decoded.ts'
import {
  type Reader,
  readBytes,
  readDouble,
  readFrame,
  readInt64,
  readText,
  readVarint,
  readWord,
  skipField,
} from './wire.ts'

/** How deep AnyValues may lie in each other; the gate's own limit is a little less. */
export const maxValueDepth = 200
// Some levels less than the gate's limit, for what the record is wrapped in.
const plainDepth = maxDepth - 10

const knownOfAnyValue = 0b1111_1110
export const knownOfKeyValue = 0b110
const knownOfList = 0b10

/** AnyValue → Value, from `pos` to `end`. An empty one is null. */
export function readAnyValue(r: Reader, end: number, depth: number): Value {
  countValue(r)
  let value: Value = null
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) value = readText(r, end)
    else if (tag === 0x10) value = readInt64(r, end) !== 0
    else if (tag === 0x18) value = readInt64(r, end)
    else if (tag === 0x21) value = toDouble(r, readDouble(r, end))
    else if (tag === 0x2a) value = readList(r, readFrame(r, end), depth)
    else if (tag === 0x32) value = readKeyValueList(r, readFrame(r, end), depth)
    else if (tag === 0x3a) value = readBytes(r, end)
    else skipField(r, tag, end, knownOfAnyValue)
  }
  return value
}

function toDouble(r: Reader, value: number): Value {
  if (!isWhole(value)) return value
  r.hasWholeDoubles = true
  return new WholeDouble(value) as never
}

/** Reads one KeyValue (`pos` to `end`) into the object. A key that is there already is overwritten and counted. */
export function readMember(r: Reader, end: number, target: { [key: string]: Value }, depth: number): void {
  let key = ''
  let value: Value = null
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) key = readWord(r, end)
    else if (tag === 0x12) value = readAnyValue(r, readFrame(r, end), depth)
    else skipField(r, tag, end, knownOfKeyValue)
  }
  if (value === null) countValue(r)
  if (key in target && Object.hasOwn(target, key)) r.duplicateKeyCount++
  setKey(target, key, value)
}

function readList(r: Reader, end: number, depth: number): Value {
  const list: Value[] = []
  if (isTooDeep(r, end, depth)) return list
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) list.push(readAnyValue(r, readFrame(r, end), depth + 1))
    else skipField(r, tag, end, knownOfList)
  }
  return list
}

function readKeyValueList(r: Reader, end: number, depth: number): Value {
  const object: { [key: string]: Value } = {}
  if (isTooDeep(r, end, depth)) return object
  while (r.pos < end) {
    const tag = readVarint(r, end)
    if (tag === 0x0a) readMember(r, readFrame(r, end), object, depth + 1)
    else skipField(r, tag, end, knownOfList)
  }
  return object
}

export function countValue(r: Reader): void {
  if (--r.valuesLeft < 0) throw tooManyValues()
}

function isTooDeep(r: Reader, end: number, depth: number): boolean {
  if (depth >= plainDepth) r.isPlain = false
  if (depth < maxValueDepth) return false
  r.defect = `a value nested deeper than ${maxValueDepth}`
  r.pos = end
  return true
}
