import {
  EventError,
  isObject,
  parseEventType,
  parseJson,
  parseLevel,
  parseTimestamp,
  type Value,
} from '@madsci-events/sdk/event'
import type { CommandCall } from './call.ts'

/** What `query` and `tail` ask for, from their options. */

export interface EventFilter {
  /** Parameters of GET /events and GET /events/stream, but for the selector. */
  parameters: { [name: string]: string }
  /** Every condition that the receiver can judge; undefined: none. */
  selector: Value | undefined
}

type Options = CommandCall['options']

export const wrong = (message: string) => new EventError('EVT_CONFIG', message)

/** `nodeIds`: the ids that events give the node of `--node`. Throws EVT_CONFIG with a sentence for what cannot be meant. */
export function toEventFilter(
  given: string | undefined,
  options: Options,
  { nodeIds, now }: { nodeIds: readonly string[]; now: Date },
): EventFilter {
  const conditions = [
    given === undefined ? undefined : parseSelectorText(given),
    textOption(options, 'node', (node) => nodeCondition(node, nodeIds)),
    textOption(options, 'type', typeCondition),
    textOption(options, 'workflow', workflowCondition),
  ].filter((one) => one !== undefined)
  return {
    parameters: toParameters(options, now),
    selector: conditions.length > 1 ? { $and: conditions } : conditions[0],
  }
}

function textOption<T>(options: Options, name: string, use: (value: string) => T): T | undefined {
  const value = options[name]
  if (value === undefined) return undefined
  if (value === true || value === '') throw wrong(`--${name} needs a value, like --${name}=…`)
  return use(value)
}

function parseSelectorText(text: string): Value {
  let selector: Value
  try {
    selector = parseJson(text)
  } catch {
    throw wrong(
      `'${text}' is no selector: it must be JSON in quotes, like '{"event_type": "node_error"}'; for words in a message use --text=${text.split(/\s/, 1)[0]!}`,
    )
  }
  if (!isObject(selector)) throw wrong(`a selector is a JSON object, like '{"event_type": "node_error"}'`)
  return selector
}

function toParameters(options: Options, now: Date): { [name: string]: string } {
  const { since, start_time: start } = options
  if (since !== undefined && start !== undefined)
    throw wrong('--since and --start_time are the same: give one of them')
  const number = textOption(options, 'number', (text) => {
    if (!/^\d{1,15}$/.test(text)) throw wrong(`--number must be a whole number, 0 for no limit: '${text}'`)
    return text
  })
  const level = textOption(options, 'level', (text) => {
    const parsed = parseLevel(text)
    if (parsed === undefined)
      throw wrong(`--level must be debug, info, warning, error, critical or their number: '${text}'`)
    return String(parsed)
  })
  const time = (name: string) => textOption(options, name, (text) => toTime(name, text, now))
  const startTime = time('start_time') ?? time('since')
  const service = textOption(options, 'service', (text) => text)
  const eventName = textOption(options, 'event_name', (text) => text)
  const search = textOption(options, 'text', (text) => text)
  const endTime = time('end_time')
  return {
    ...(number !== undefined && { number }),
    ...(level !== undefined && { level }),
    ...(startTime !== undefined && { start_time: startTime }),
    ...(endTime !== undefined && { end_time: endTime }),
    ...(service !== undefined && { service }),
    ...(eventName !== undefined && { event_name: eventName }),
    ...(search !== undefined && { search }),
    ...(options.include_archived === true && { include_archived: 'true' }),
  }
}

const unitSeconds: { [unit: string]: number } = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 }

/** A time as people say it: `10m`, `-2h`, `now`, `today`, `yesterday`, `09:30` (local), or a timestamp, where none means UTC. */
export function toTime(name: string, text: string, now: Date): string {
  const [, count, unit] = /^-?(\d{1,9}) ?(s|m|min|h|d|w)( ago)?$/.exec(text) ?? []
  if (count !== undefined)
    return new Date(now.getTime() - Number(count) * unitSeconds[unit!]! * 1000).toISOString()
  const day = new Date(now)
  day.setHours(0, 0, 0, 0)
  if (text === 'now') return now.toISOString()
  if (text === 'today') return day.toISOString()
  if (text === 'yesterday') {
    day.setDate(day.getDate() - 1)
    return day.toISOString()
  }
  const [, hour, minute, second = '0'] = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text) ?? []
  if (hour !== undefined) {
    day.setHours(Number(hour), Number(minute), Number(second))
    return day.toISOString()
  }
  const parsed = parseTimestamp(text)
  if ('text' in parsed) return parsed.text
  throw wrong(
    `--${name} is no time: '${text}'; say 10m, 2h, 3d (ago), today, yesterday, 09:30, 2026-11-23 or 2026-11-23T18:00:00Z`,
  )
}

const anyOf = (value: Value, ...paths: string[]): Value => ({ $or: paths.map((path) => ({ [path]: value })) })

const nodeNamePaths = ['event_data.node_name', 'event_data.node_info.node_name']

function nodeCondition(node: string, ids: readonly string[]): Value {
  const named = [...nodeNamePaths, 'event_data.node', 'event_data.step_node'].map((path) => ({
    [path]: node,
  }))
  return { $or: [{ 'source.node_id': { $in: [...new Set([node, ...ids])] } }, ...named] }
}

/** The events that say which ids a node of that name has. */
export function namingSelector(node: string): Value {
  return {
    $and: [
      { 'source.node_id': { $exists: true } },
      anyOf(node, ...nodeNamePaths, 'event_data.component_name'),
    ],
  }
}

/** The events that say what nodes of those ids are called. */
export function namedSelector(ids: readonly string[]): Value {
  const says = [...nodeNamePaths, 'event_data.component_name'].map((path) => ({ [path]: { $exists: true } }))
  return { $and: [{ 'source.node_id': { $in: [...ids] } }, { $or: says }] }
}

/** MADSci's programs since 0.7 store events as `log_*` and say the type in event_data. */
function typeCondition(text: string): Value {
  const types = text.split(',').map((type) => type.trim())
  const unknown = types.find((type) => parseEventType(type) === undefined)
  if (unknown !== undefined)
    throw wrong(`--type: '${unknown}' is no event type; an example is workflow_start`)
  return anyOf({ $in: types }, 'event_type', 'event_data.event_type')
}

function workflowCondition(text: string): Value {
  return anyOf(
    text,
    'source.workflow_id',
    'event_data.workflow_id',
    'event_data.workflow_name',
    'event_data.name',
  )
}
