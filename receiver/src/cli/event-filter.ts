import { isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import { toLevel } from '../level.ts'
import { toToken } from '../search/line.ts'
import { type Named, parseSearch, type Search } from '../search/search.ts'
import { timeWords, toTime as toTimestamp } from '../search/time.ts'
import type { CommandCall } from './call.ts'
import { wrong } from './wrong.ts'

/** What `query` and `tail` ask for, from their options. */

export interface EventFilter {
  /** Parameters of GET /events and GET /events/stream, but for the selector. */
  parameters: { [name: string]: string }
  /** The one that was given. */
  selector: Value | undefined
  /** What `--node`, `--workflow` and `--q` call by name or id. */
  names?: readonly Named[]
}

type Options = CommandCall['options']

export const levelWords = 'debug, info, warning, error, critical or their number'

/** Throws EVT_CONFIG with a sentence for what cannot be meant. */
export function toEventFilter(given: string | undefined, options: Options, now: Date): EventFilter {
  const selector = given === undefined ? undefined : parseSelectorText(given)
  const q = toSearchLine(options, now)
  const names = q === '' ? [] : readLine('--q', q, now).names
  return { parameters: { ...toParameters(options, now), ...(q !== '' && { q }) }, selector, names }
}

function textOption<T>(options: Options, name: string, use: (value: string) => T): T | undefined {
  const value = options[name]
  if (value === undefined) return undefined
  if (value === true || value === '') throw wrong(`--${name} needs a value, like --${name}=…`)
  return use(value)
}

/** `--q`, and the options that are terms of the search language, as one line of it. */
function toSearchLine(options: Options, now: Date): string {
  const term = (name: string) =>
    textOption(options, name, (value) => {
      const text = name === 'type' ? `type:${value.replace(/\s/g, '')}` : toToken(name, value)
      readLine(`--${name}`, text, now)
      return text
    })
  const q = textOption(options, 'q', (text) => text)
  if (q !== undefined) readLine('--q', q, now)
  return [q, term('node'), term('type'), term('workflow')].filter((one) => one !== undefined).join(' ')
}

/** Throws EVT_CONFIG, which names the place, for a line of the search language that is not understood. */
export function readLine(option: string, line: string, now: Date): Search {
  const search = parseSearch(line, { now })
  if (!('problem' in search)) return search
  const { column, message } = search.problem
  throw wrong(option === '--q' ? `${option}, column ${column}: ${message}` : `${option}: ${message}`)
}

function parseSelectorText(text: string): Value {
  let selector: Value
  try {
    selector = parseJson(text)
  } catch {
    const isMeant = text.trimStart().startsWith('{')
    const other = /[:=]/.test(text)
      ? `; as a search line it stands in --q='${text}'`
      : `; for words in a message use --text=${text.split(/\s/, 1)[0]!}`
    const words = isMeant ? '' : other
    throw wrong(
      `'${text}' is no selector: it must be JSON in quotes, like '{"event_type": "node_error"}'${words}`,
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
    const parsed = toLevel(text)
    if (parsed === undefined) throw wrong(`--level must be ${levelWords}: '${text}'`)
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

/** A time as people say it (search/time.ts); days and clock times are those of this machine. */
export function toTime(name: string, text: string, now: Date): string {
  const time = toTimestamp(text, { now, day: 'local' })
  if (time !== undefined) return time
  throw wrong(`--${name} is no time: '${text}'; say ${timeWords}`)
}
