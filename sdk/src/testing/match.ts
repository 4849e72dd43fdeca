import { toDocument } from '../event/document.ts'
import { EventError } from '../event/error.ts'
import { type Event, isObject, type Value } from '../event/event.ts'
import type { EventDataByType } from '../payload.ts'

/**
 * Which events are meant: a type, a predicate, or a selector of paths and values.
 *
 *     'action_failed'
 *     (event) => event.log_level >= 40
 *     { event_type: 'action_start', 'event_data.action': 'transfer', log_level: { $gte: 20 } }
 */
export type Selector = string | ((event: Event) => boolean) | { [path: string]: unknown }

// biome-ignore lint/suspicious/noExplicitAny: what a test asserts about data, it knows better than a type
type AnyData = any

/** An event that is matched: where the type is named, `event_data` is what the SDK writes for it. */
export type Matched<Wanted> = Wanted extends keyof EventDataByType
  ? Omit<Event, 'event_type' | 'event_data'> & {
      event_type: Wanted
      event_data: EventDataByType[Wanted] & { [key: string]: AnyData }
    }
  : Wanted extends { event_type: infer Type extends keyof EventDataByType }
    ? Matched<Type>
    : Omit<Event, 'event_data'> & { event_data: AnyData }

/** Throws EVT_SELECTOR for an operator that it does not know. */
export function toPredicate(selector: Selector | undefined): (event: Event) => boolean {
  if (selector === undefined) return () => true
  if (typeof selector === 'function') return selector
  if (typeof selector === 'string') return (event) => event.event_type === selector
  const test = toTest(selector)
  return (event) => test({ ...toDocument(event), event_id: event.event_id })
}

type Members = { [key: string]: unknown }
type Test = (value: unknown) => boolean

function toTest(selector: Members): (document: Members) => boolean {
  const tests = Object.entries(selector).map(([path, wanted]) => {
    if (path === '$and' || path === '$or') {
      const parts = (wanted as Members[]).map(toTest)
      return (document: Members) =>
        path === '$and' ? parts.every((part) => part(document)) : parts.some((part) => part(document))
    }
    if (path.startsWith('$')) throw unknown(path)
    const test = toValueTest(wanted)
    return (document: Members) => test(valueAt(document, path))
  })
  return (document) => tests.every((test) => test(document))
}

function valueAt(document: Members, path: string): unknown {
  let value: unknown = document
  for (const key of path.split('.')) {
    if (Array.isArray(value) && !/^\d+$/.test(key)) return value.map((one) => (one as Members)?.[key])
    value = (value as Members | null | undefined)?.[key]
  }
  return value
}

type Compare = (value: unknown, wanted: never) => boolean
const operators: { [name: string]: Compare } = {
  $eq: (value, wanted) => isEqual(value, wanted),
  $ne: (value, wanted) => !isEqual(value, wanted),
  $gt: (value, wanted) => typeof value === typeof wanted && (value as number) > wanted,
  $gte: (value, wanted) => typeof value === typeof wanted && (value as number) >= wanted,
  $lt: (value, wanted) => typeof value === typeof wanted && (value as number) < wanted,
  $lte: (value, wanted) => typeof value === typeof wanted && (value as number) <= wanted,
  $in: (value, wanted: unknown[]) => wanted.some((one) => isEqual(value, one)),
  $nin: (value, wanted: unknown[]) => !wanted.some((one) => isEqual(value, one)),
  $exists: (value, wanted) => (value !== undefined) === Boolean(wanted),
  $regex: (value, wanted: string) => typeof value === 'string' && new RegExp(wanted).test(value),
}

function toValueTest(wanted: unknown): Test {
  const isOperators = isObject(wanted) && Object.keys(wanted).some((key) => key.startsWith('$'))
  if (!isOperators) return (value) => isEqual(value, wanted)
  const tests = Object.entries(wanted).map(([name, operand]): Test => {
    const compare = operators[name]
    if (compare === undefined) throw unknown(name)
    return (value) => compare(value, operand as never)
  })
  return (value) => tests.every((test) => test(value))
}

/** An object is equal when it has what is wanted, and perhaps more; a list also when one of its members is. */
function isEqual(value: unknown, wanted: unknown): boolean {
  if (wanted === null) return value === null || value === undefined
  if (Array.isArray(value) && !Array.isArray(wanted)) return value.some((one) => isEqual(one, wanted))
  if (Array.isArray(value) && Array.isArray(wanted))
    return value.length === wanted.length && value.every((one, i) => isEqual(one, wanted[i]))
  if (isObject(value) && isObject(wanted))
    return Object.entries(wanted).every(([key, one]: [string, Value]) => isEqual(value[key], one))
  return value === wanted
}

function unknown(name: string): EventError {
  return new EventError('EVT_SELECTOR', `The test receiver does not know ${name}`)
}
