import type { Value } from '@madsci-events/sdk/event'
import { parseLiteral } from './literal.ts'
import type { Parameters } from './parameter.ts'

/** What the parameters `selector`, `service`, `event_name` and `search` ask for together; undefined: everything. */
export function selectorIn(parameters: Parameters): Value | undefined {
  const given = parameters.text('selector')
  const of = (name: string, toCondition: (text: string) => Value) => {
    const text = parameters.text(name)
    return text === undefined || text === '' ? undefined : toCondition(text)
  }
  const conditions = [
    given === undefined ? undefined : parseLiteral(given),
    of('service', serviceCondition),
    of('event_name', nameCondition),
    of('search', textCondition),
  ].filter((one) => one !== undefined)
  return conditions.length > 1 ? { $and: conditions } : conditions[0]
}

const anyOf = (value: Value, ...paths: string[]): Value => ({ $or: paths.map((path) => ({ [path]: value })) })

/** By OTel's name for it, and by the one that MADSci's own programs give. */
const serviceCondition = (service: string) =>
  anyOf(service, 'otel.resource.service.name', 'event_data.component_name')

/** The name that a record came with, or that MADSci's SDK gives the type. */
function nameCondition(name: string): Value {
  const stored: Value = { 'otel.event_name': name }
  if (!name.startsWith('madsci.')) return stored
  const missing = { $exists: false }
  return {
    $or: [stored, { event_type: name.slice(7), 'otel.event_name': missing, 'otel.form': missing }],
  }
}

/** Words as they stand in the message, in any case. */
function textCondition(text: string): Value {
  const pattern = { $regex: text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), $options: 'i' }
  return anyOf(pattern, 'event_data.message', 'event_data')
}
