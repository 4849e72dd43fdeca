import { allEventTypes, levelNames, parseBoolean, parseEventType, type Value } from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
import { toLevel as levelOf } from '../level.ts'
import { anyPath, isSubjectKind, type SubjectKind, subjects } from '../subject.ts'
import { eventNameCondition, serviceCondition, textCondition, typeCondition } from './condition.ts'
import { NotUnderstood, type Operator, type PlacedValue, type Term } from './line.ts'
import { timeWords, toTime } from './time.ts'

/** The fields of the search language, and what each of them asks of an event. */

type FieldTerm = Term & { kind: 'field' }

// A regular expression has at most 1000 characters, and each of these may need two.
const maxTextCharacters = 300

/** `node`, also as `node_id` and `node_name`. */
export function subjectKindOf(name: string): SubjectKind | undefined {
  const kind = name.replace(/_(?:id|name)$/, '')
  return isSubjectKind(kind) ? kind : undefined
}

/** The root of a path in the document. */
const isPath = (name: string) => /^(?:event_data|source|otel)\../.test(name)

const fields: { [name: string]: (term: FieldTerm, now: Date) => Value } = {
  type: (term) => typeCondition(term.values.map(toType)),
  level: toLevelCondition,
  service: (term) => serviceCondition(textsOf(term)),
  event: (term) => anyOf(term.values.map(({ text }) => eventNameCondition(text))),
  text: (term) => anyOf(term.values.map(placedText)),
  id: (term) => ({ _id: textsOf(term) }),
  trace: (term) => ({ trace_id: textsOf(term) }),
  span: (term) => ({ span_id: textsOf(term) }),
  alert: (term) => ({ alert: { $in: term.values.map(toBoolean) } }),
  since: (term, now) => ({ event_timestamp: { $gte: toOneTime(term, now) } }),
  until: (term, now) => ({ event_timestamp: { $lte: toOneTime(term, now) } }),
}

const otherNames: { [name: string]: string } = {
  event_type: 'type',
  log_level: 'level',
  message: 'text',
  event_name: 'event',
  event_id: 'id',
  _id: 'id',
  trace_id: 'trace',
  span_id: 'span',
}

const own = (name: string) => (Object.hasOwn(otherNames, name) ? otherNames[name]! : name)

/** Whether a name, in lower case, is that of a field. */
export const isField = (name: string) =>
  subjectKindOf(name) !== undefined || Object.hasOwn(fields, own(name)) || isPath(name)

const fieldNames = [...Object.keys(fields), ...Object.keys(subjects)]

/** The rest of a sentence about a name that is no field: what was meant, or what there is. */
export function suggestField(name: string): string {
  const near = closestTo(name, [...fieldNames, ...Object.keys(otherNames)])
  return near === undefined ? `; there are ${fieldNames.join(', ')}.` : `: did you mean ${near}?`
}

/** Throws NotUnderstood. */
export function fieldCondition(term: FieldTerm, now: Date): Value {
  if (isPath(term.name)) return pathCondition(term)
  const name = own(term.name)
  if (name !== 'level') demandEqual(term)
  return fields[name]!(term, now)
}

export function demandEqual({ name, operator, start, end }: FieldTerm): void {
  if (operator !== '=')
    throw new NotUnderstood(`${name} has no order: ${name}:value, not ${name}${operator}value`, {
      start,
      end,
    })
}

/** A word or a phrase. */
export function placedText({ text, start, end }: PlacedValue): Value {
  if (text === '') throw new NotUnderstood('there is nothing between the quotes', { start, end })
  if (text.length > maxTextCharacters)
    throw new NotUnderstood(`a word or phrase has at most ${maxTextCharacters} characters`, { start, end })
  return textCondition(text)
}

function textsOf({ values }: FieldTerm): Value {
  const texts = values.map(({ text }) => text)
  return texts.length === 1 ? texts[0]! : { $in: texts }
}

const anyOf = (conditions: Value[]): Value => (conditions.length === 1 ? conditions[0]! : { $or: conditions })

function toType({ text, start, end }: PlacedValue): string {
  const type = parseEventType(text)
  const near = type === undefined ? closestTo(text.toLowerCase(), allEventTypes) : undefined
  if (type === undefined)
    throw new NotUnderstood(
      `'${text}' is no event type${near === undefined ? '; an example is workflow_start' : `: did you mean ${near}?`}`,
      { start, end },
    )
  return type
}

function toLevel({ text, start, end }: PlacedValue): number {
  const level = levelOf(text)
  if (level !== undefined) return level
  const names = levelNames.slice(1).join(', ')
  throw new NotUnderstood(`level is one of ${names}, or a number: '${text}'`, { start, end })
}

const ordered = { '>=': '$gte', '<=': '$lte', '>': '$gt', '<': '$lt' } as const

/** Throws NotUnderstood where an order is asked of several values. */
function operatorOf({
  name,
  operator,
  values,
}: FieldTerm): (typeof ordered)[keyof typeof ordered] | undefined {
  if (operator === '=') return undefined
  if (values.length > 1) throw new NotUnderstood(`${name}${operator} takes one value`, values[1]!)
  return ordered[operator satisfies Exclude<Operator, '='>]
}

function toLevelCondition(term: FieldTerm): Value {
  const operator = operatorOf(term)
  const levels = term.values.map(toLevel)
  return { log_level: operator === undefined ? { $in: levels } : { [operator]: levels[0]! } }
}

function toBoolean({ text, start, end }: PlacedValue): boolean {
  const value = parseBoolean(text)
  if (value === undefined) throw new NotUnderstood(`alert is true or false: '${text}'`, { start, end })
  return value
}

function toOneTime({ name, values }: FieldTerm, now: Date): string {
  if (values.length > 1) throw new NotUnderstood(`${name} takes one time`, values[1]!)
  const { text, start, end } = values[0]!
  const time = toTime(text, { now, day: 'UTC' })
  if (time === undefined) throw new NotUnderstood(`'${text}' is no time; say ${timeWords}`, { start, end })
  return time
}

/** A value of the document: `event_data.count>=3`. What reads as a number or a boolean is meant as that too. */
function pathCondition(term: FieldTerm): Value {
  const operator = operatorOf(term)
  const values = term.values.flatMap(({ text }): Value[] => {
    const other = toOther(text)
    return other === undefined ? [text] : [other, text]
  })
  return operator === undefined
    ? { [term.path]: { $in: values } }
    : { $or: values.flatMap((value) => anyPath({ [operator]: value }, [term.path])) }
}

function toOther(text: string): number | bigint | boolean | undefined {
  if (text === 'true' || text === 'false') return text === 'true'
  if (!/^-?\d{1,18}(\.\d{1,30})?$/.test(text)) return undefined
  const number = Number(text)
  return Number.isInteger(number) && !Number.isSafeInteger(number) && !text.includes('.')
    ? BigInt(text)
    : number
}
