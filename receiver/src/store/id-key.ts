import { createHash } from 'node:crypto'
import { isObject, type Value } from '@madsci-events/sdk/event'
import { componentName, subjects } from '../subject.ts'
import type { FindQuery } from './event-store.ts'
import type { Condition, FieldTest } from './selector.ts'
import { toHighestText, toLowestText } from './time-text.ts'

/** Where events say by id or by name what they are about. Other paths make another index: `indexVersion` then grows. */
const paths: readonly string[] = [
  ...new Set([
    ...Object.values(subjects).flatMap(({ id, otherIds, names }) => [id, ...otherIds, ...names]),
    'source.project_id',
    'event_data.name',
    componentName,
    'trace_id',
    'otel.resource.service.name',
  ]),
]
export const indexVersion = 1

/** A name of a path, and what follows it. */
interface Name {
  path: string | undefined
  next: Map<string, Name>
}
const root: Name = { path: undefined, next: new Map() }
for (const path of paths) {
  let name = root
  for (const part of path.split('.')) {
    const next: Name = name.next.get(part) ?? { path: undefined, next: new Map() }
    name.next.set(part, next)
    name = next
  }
  name.path = path
}
const indexed = new Set(paths)

/** Events whose shape is unusual are looked at for every id. */
export const unusualKey = 0

/** 47 bits, never 0: another id with the same key costs a look at its events. */
export function toKey(path: string, id: string): number {
  return 1 + Math.floor(createHash('sha1').update(`${path}:${id}`).digest().readUIntBE(0, 6) / 2)
}

/**
 * Calls `add` for whatever texts an indexed path leads to, also through keys with dots. True when an array is on the way: then
 * it takes a matcher to tell what the path leads to.
 */
export function findIds(document: Value, add: (path: string, id: string) => void): boolean {
  return visit(document, root, add)
}

function visit(value: Value, name: Name, add: (path: string, id: string) => void): boolean {
  if (typeof value === 'string') {
    if (name.path !== undefined) add(name.path, value)
    return false
  }
  if (Array.isArray(value)) return true
  if (!isObject(value)) return false
  let hasArray = false
  for (const key of Object.keys(value)) {
    const next = name.next.get(key) ?? (key.includes('.') ? walk(name, key) : undefined)
    if (next !== undefined && visit(value[key]!, next, add)) hasArray = true
  }
  return hasArray
}

/** A key with dots takes several names of a path. */
function walk(from: Name, key: string): Name | undefined {
  let name: Name | undefined = from
  for (const part of key.split('.')) name = name?.next.get(part)
  return name
}

const maxKeys = 200

/** For each condition of a selector that ids alone can narrow, the keys of which an event has one. */
export function toKeyLists(conditions: readonly Condition[]): number[][] {
  return conditions.flatMap((condition) => {
    if (condition.kind === 'and') return condition.members.flatMap(toKeyLists)
    if (condition.kind === 'or') {
      const lists = condition.members.map((member) => toKeyLists(member)[0])
      const keys = lists.flatMap((list) => list ?? [])
      return lists.includes(undefined) || keys.length > maxKeys ? [] : [keys]
    }
    if (condition.kind !== 'field') return []
    const path = condition.path.join('.')
    return indexed.has(path) ? condition.tests.flatMap((test) => toKeysOfTest(path, test)) : []
  })
}

function toKeysOfTest(path: string, test: FieldTest): number[][] {
  const values = test.kind === '$eq' ? [test.value] : test.kind === '$in' ? test.values : undefined
  if (values === undefined || values.length > maxKeys) return []
  const keys: number[] = []
  for (const value of values) {
    if (typeof value !== 'string') return []
    keys.push(toKey(path, value))
  }
  return [keys]
}

/** The second of a canonical time as a number whose order is that of the text, 20261128054700; undefined for other text. */
export function toSecond(time: string): number | undefined {
  if (time.length < 19) return undefined
  let second = 0
  for (let at = 0; at < 19; at++) {
    const code = time.charCodeAt(at)
    if (code >= 48 && code <= 57) second = second * 10 + code - 48
    else if (time[at] !== '0000-00-00T00:00:00'[at]) return undefined
    else if (at !== 4 && at !== 7 && at !== 10 && at !== 13 && at !== 16) return undefined
  }
  return second < 1e13 ? undefined : second
}

export const firstSecond = 0
export const lastSecond = 99_999_999_999_999

/** The least text of that second. */
export function toLeastText(second: number): string {
  if (second === firstSecond) return ''
  const digits = String(second)
  const part = (from: number) => digits.slice(from, from + 2)
  return `${digits.slice(0, 4)}-${part(4)}-${part(6)}T${part(8)}:${part(10)}:${part(12)}`
}

/** Above each text of that second. */
export const toGreatestText = (second: number): string =>
  second === lastSecond ? '\uffff' : `${toLeastText(second)}\uffff`

/** The seconds that the times of a query leave. */
export function toSeconds({ startTime, endTime, from, upTo }: TimeBounds): [first: number, last: number] {
  const second = (text: string | undefined) => (text === undefined ? undefined : toSecond(text))
  const starts = [second(startTime && toLowestText(startTime)), second(from)]
  const ends = [second(endTime && toHighestText(endTime)), second(upTo)]
  const first = Math.max(...starts.map((one) => one ?? firstSecond))
  return [first, Math.min(...ends.map((one) => one ?? Number.POSITIVE_INFINITY))]
}

type TimeBounds = Pick<FindQuery, 'startTime' | 'endTime' | 'from' | 'upTo'>

/** Whether events from one second to another may be within the times of a query. */
export function createTimeTest(query: TimeBounds): (oldest: number, newest: number) => boolean {
  const [first, last] = toSeconds(query)
  return (oldest, newest) => newest >= first && oldest <= last
}
