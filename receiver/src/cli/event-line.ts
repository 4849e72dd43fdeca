import { isObject, levelNames, toJson, type Value } from '@madsci-events/sdk/event'
import { toInertLine } from '../inert.ts'

/** An event as a person reads it. */

export type EventDocument = { [key: string]: Value }

export interface LineOptions {
  /** Names by id; the one of the event itself takes precedence. */
  names: ReadonlyMap<string, string>
  /** Width of the terminal; undefined: lines are not cut, as for a file. */
  columns: number | undefined
  hasColour: boolean
  /** Every line has its day, not only its time. */
  hasDay: boolean
}

/** Narrower terminals leave the id out: the message would have no room beside it. */
export const columnsWithId = 110
const whoWidth = 14
const leastWholeLevel = 30
const mostLines = 6
const colours: { [level: number]: string } = {
  10: '\x1b[2m',
  30: '\x1b[33m',
  40: '\x1b[31m',
  50: '\x1b[1;31m',
}
const plain = '\x1b[0m'

/**
 * Local time, level, who speaks, message, duration, id:
 *
 *     23:38:32 ERROR    arm            transfer_plate failed: no tip  0.06 s
 */
export function toEventLine(event: EventDocument, options: LineOptions): string {
  const { columns, hasColour } = options
  const level = levelOf(event.log_level)
  const time = toLocalTime(String(event.event_timestamp), options.hasDay)
  const who = fit(toInertLine(whoOf(event, options.names)), whoWidth)
  const head = `${time} ${level.padEnd(8)} ${who.padEnd(whoWidth)} `
  const id = columns === undefined || columns >= columnsWithId ? `  ${toInertLine(String(event._id))}` : ''
  const duration = toDuration(event.event_data)
  const room = columns === undefined ? 300 : Math.max(10, columns - head.length - id.length)
  const whole = toInertLine(messageOf(event))
  // What went wrong stands at the end of the message: that of a trouble is not cut.
  const isWhole = columns !== undefined && Number(event.log_level) >= leastWholeLevel
  const [first, ...others] = isWhole
    ? withDuration(linesOf(whole, room), duration, room)
    : [`${fit(whole, Math.max(10, room - duration.length))}${duration}`]
  const padding = id === '' || columns === undefined ? '' : ' '.repeat(Math.max(0, room - [...first!].length))
  const colour = hasColour ? colours[Number(event.log_level)] : undefined
  const text = [
    `${head}${first}${padding}${id}`,
    ...others.map((line) => ' '.repeat(head.length) + line),
  ].join('\n')
  return colour === undefined ? text : `${colour}${text}${plain}`
}

/** A text in lines of at most so many characters, broken between words where they are short enough; the sixth is cut. */
function linesOf(text: string, width: number): string[] {
  const lines: string[] = []
  let rest = [...text]
  while (rest.length > width && lines.length + 1 < mostLines) {
    const space = rest.lastIndexOf(' ', width)
    const end = space > width / 2 ? space : width
    lines.push(rest.slice(0, end).join('').trimEnd())
    rest = rest.slice(rest[end] === ' ' ? end + 1 : end)
  }
  return [...lines, fit(rest.join(''), width)]
}

function withDuration(lines: readonly string[], duration: string, width: number): string[] {
  const last = lines.at(-1)!
  if ([...last].length + duration.length > width)
    return duration === '' ? [...lines] : [...lines, duration.trim()]
  return [...lines.slice(0, -1), `${last}${duration}`]
}

export function dataOf(event: EventDocument): EventDocument {
  return isObject(event.event_data) ? event.event_data : {}
}

/** The service that sent it: OpenTelemetry's `service.name`. */
export function serviceOf({ otel }: EventDocument): string | undefined {
  const resource = isObject(otel) ? otel.resource : undefined
  return isObject(resource) ? textOf(resource['service.name']) : undefined
}

/** The id of its node, and the name that the event itself says of it. */
export function nodeOf(event: EventDocument): { id: string | undefined; name: string | undefined } {
  const data = dataOf(event)
  const source = isObject(event.source) ? event.source : {}
  const info = isObject(data.node_info) ? data.node_info : {}
  const id = textOf(source.node_id)
  const name = textOf(data.node_name) ?? textOf(info.node_name)
  return { id, name: name ?? (id === undefined ? undefined : textOf(data.component_name)) }
}

/** Two events tell of one moment when an action's status change stands beside its start or its end. */
export function momentOf(event: EventDocument): string | undefined {
  const { action_id: action, status } = dataOf(event)
  if (typeof action !== 'string' || typeof status !== 'string') return undefined
  if (!String(event.event_type).startsWith('action_')) return undefined
  return JSON.stringify([action, status, event.event_timestamp as string])
}

function whoOf(event: EventDocument, names: ReadonlyMap<string, string>): string {
  const { id, name } = nodeOf(event)
  const data = dataOf(event)
  const source = isObject(event.source) ? event.source : {}
  const known = name ?? (id === undefined ? undefined : names.get(id))
  const other = serviceOf(event) ?? textOf(data.component_name) ?? textOf(data.workcell_name)
  const anyId = id ?? textOf(source.workcell_id) ?? textOf(source.manager_id) ?? textOf(source.lab_id)
  return known ?? other ?? (anyId === undefined ? '-' : (names.get(anyId) ?? `…${anyId.slice(-6)}`))
}

export function messageOf(event: EventDocument): string {
  const { event_data: data, event_type: type } = event
  if (typeof data === 'string') return unquote(data)
  const { message, name } = dataOf(event)
  if (typeof message === 'string') return message
  if (typeof name === 'string') return `${type as string} ${name}`
  const isEmpty = data == null || (isObject(data) && Object.keys(data).length === 0)
  return isEmpty ? String(type) : `${type as string} ${toJson(data)}`
}

/** MADSci's client stores a text as the JSON of it. */
function unquote(text: string): string {
  return text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}

function toDuration(input: Value | undefined): string {
  const data = isObject(input) ? input : {}
  const seconds = [data.duration_seconds, data.workflow_duration].find((one) => typeof one === 'number')
  if (seconds === undefined || !Number.isFinite(seconds)) return ''
  if (seconds < 60) return `  ${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  return hours > 0 ? `  ${hours} h ${minutes} min` : `  ${minutes} min ${whole % 60} s`
}

function levelOf(level: Value | undefined): string {
  return (levelNames[Number(level) / 10] ?? String(level)).toUpperCase()
}

/** Times without a zone count as UTC, as everywhere in the receiver. */
export function toDate(timestamp: string): Date {
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(timestamp) ? timestamp : `${timestamp}Z`)
}

export function toLocalTime(timestamp: string, hasDay: boolean): string {
  const date = toDate(timestamp)
  if (Number.isNaN(date.getTime())) return timestamp
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(twoDigits).join(':')
  return hasDay ? `${toDay(date)} ${time}` : time
}

export function toDay(date: Date): string {
  return [date.getFullYear(), twoDigits(date.getMonth() + 1), twoDigits(date.getDate())].join('-')
}

const twoDigits = (number: number) => String(number).padStart(2, '0')
const textOf = (value: Value | undefined) => (typeof value === 'string' && value !== '' ? value : undefined)

/** Cut to a width, with … for the rest. */
export function fit(text: string, width: number): string {
  const letters = [...text]
  return letters.length <= width ? text : `${letters.slice(0, width - 1).join('')}…`
}
