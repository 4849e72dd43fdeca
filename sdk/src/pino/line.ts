import type { Severity } from '../emit.ts'
import { isObject, type Value } from '../event/event.ts'
import { parseJson } from '../event/json.ts'
import { type EventLevel, fromSeverity } from '../event/level.ts'
import { severityOfWord } from '../event/severity-word.ts'
import type { EventInput } from '../input.ts'
import { severityByOrder, tellUnknownLevel } from '../level-word.ts'
import { toLineEvent } from '../line.ts'

/** What pino tells its transports of the logger, as far as it concerns lines. */
export interface PinoConfig {
  messageKey?: string
  errorKey?: string
  /** Under which the data of a line is, apart from what pino writes itself. */
  nestedKey?: string
  levels?: { labels: { [level: number]: string }; values: { [label: string]: number } }
}

export interface PinoLine {
  event: EventInput
  severity: Severity
}

type Members = { [key: string]: Value }

/** A line of pino → the event that it means. A line that is no JSON object is a message. Total. */
export function readPinoLine(line: string, config: PinoConfig): PinoLine {
  const { messageKey = 'msg', errorKey = 'err' } = config
  const parsed = parse(line)
  if (!isObject(parsed)) {
    const event = {
      log_level: 20,
      event_data: { message: typeof parsed === 'string' ? parsed : line },
    } as const
    return { event, severity: { number: 9, text: 'INFO' } }
  }
  const own = readOwn(line)
  const { [messageKey]: message, ...top } = parsed
  const { [errorKey]: error, ...members } = unnest(top, config, own !== undefined)
  // What the logger wrote comes first; data of the same name is data.
  const level = own?.level ?? takeLevel(members)
  const time = own?.time ?? members.time
  if (own && Object.is(members.level, level)) delete members.level
  if (Object.is(members.time, time)) delete members.time
  const severity = toSeverity(level, config)
  const hasText = typeof message === 'string'
  if (message !== undefined && !hasText) members[messageKey] = message
  if (level !== undefined && severity === undefined) {
    members.level ??= level
    tellUnknownLevel(level, 'INFO')
  }
  const severityNumber = severity ?? 9
  const madsciLevel = fromSeverity(severityNumber)
  const event = toLineEvent({
    message: hasText ? message : undefined,
    level: madsciLevel,
    time,
    exception: toException(error),
    members,
  })
  return { event, severity: { number: severityNumber, text: levelText(level, madsciLevel, config) } }
}

/** Data that pino wrote apart, beside the rest of the line. */
function unnest(top: Members, { nestedKey }: PinoConfig, hasOwn: boolean): Members {
  const nested = nestedKey === undefined ? undefined : top[nestedKey]
  if (!isObject(nested)) return top
  const { [nestedKey!]: _, ...rest } = top
  // Both have been read, and data may have the same names.
  if (hasOwn) delete rest.level
  if (hasOwn) delete rest.time
  return { ...rest, ...nested }
}

const ownPattern = /^\{"level":(-?\d+(?:\.\d+)?|"[^"\\]*")(?:,"time":(-?\d+(?:\.\d+)?|"[^"\\]*"))?[,}]/

/** Level and time at the start of a line, where pino writes them: in JSON the last of two equal names would win. */
function readOwn(line: string): { level: Value; time: Value | undefined } | undefined {
  const match = ownPattern.exec(line)
  if (!match) return undefined
  const [, level, time] = match
  return { level: JSON.parse(level!), time: time === undefined ? undefined : JSON.parse(time) }
}

/** Where else a formatter puts the level: Google's `severity`, ECS's `log.level`, and the like. Takes it out. */
function takeLevel(members: Members): Value | undefined {
  for (const key of ['level', 'severity', 'log.level', 'levelname', 'lvl']) {
    const value = members[key]
    if (value === undefined || (key !== 'level' && severityOfWord(value) === undefined)) continue
    delete members[key]
    return value
  }
  const { log } = members
  if (!isObject(log) || severityOfWord(log.level) === undefined) return undefined
  const { level, ...rest } = log
  if (Object.keys(rest).length > 0) members.log = rest
  else delete members.log
  return level
}

function parse(line: string): Value {
  try {
    return parseJson(line)
  } catch {
    return line
  }
}

/** Words mean levels, wherever they stand; a number without one is where pino would have it. */
function toSeverity(level: Value | undefined, { levels }: PinoConfig): number | undefined {
  const word = typeof level === 'number' ? levels?.labels[level] : level
  const known = severityOfWord(word)
  if (known !== undefined) return known
  if (typeof word === 'string' && levels) {
    const byOrder = severityByOrder(word, orderOf(levels.labels))
    if (byOrder !== undefined) {
      tellUnknownLevel(word, `severity ${byOrder}, by its neighbours`)
      return byOrder
    }
  }
  const number = typeof level === 'string' ? Number(level || Number.NaN) : level
  return typeof number === 'number' && Number.isFinite(number) ? toSeverityNumber(number) : undefined
}

/** Labels, least severe first: `levelComparison: 'DESC'`, as with syslog's numbers, is seen from the words among them. */
function orderOf(labels: { [level: number]: string }): string[] {
  const order = Object.keys(labels)
    .map(Number)
    .sort((a, b) => a - b)
    .map((number) => labels[number]!)
  const known = order.map(severityOfWord).filter((one) => one !== undefined)
  return known.length > 1 && known[0]! > known.at(-1)! ? order.reverse() : order
}

/**
 * pino's 10 20 30 40 50 60 are OpenTelemetry's 1 5 9 13 17 21; a level of the program's own between them is one of the
 * three between those: 35 is 11.
 */
export function toSeverityNumber(level: number): number {
  const steps = (level - 10) / 10
  const whole = Math.floor(steps)
  const between = Math.round((steps - whole) * 4)
  return Math.min(Math.max(whole * 4 + 1 + Math.min(between, 3), 1), 24)
}

const madsciTexts: { [level in EventLevel]: string } = {
  0: 'INFO',
  10: 'DEBUG',
  20: 'INFO',
  30: 'WARNING',
  40: 'ERROR',
  50: 'CRITICAL',
}

/** MADSci's word for MADSci's levels, else the logger's own: `TRACE`, `NOTICE`. */
function levelText(level: Value | undefined, madsciLevel: EventLevel, { levels }: PinoConfig): string {
  const word = typeof level === 'number' ? (levels?.labels[level] ?? pinoLabels[level]) : level
  const isStandard =
    typeof word !== 'string' || ['debug', 'info', 'warn', 'error', 'fatal'].includes(word.toLowerCase())
  return isStandard || !Number.isNaN(Number(word)) ? madsciTexts[madsciLevel] : word.toUpperCase()
}

const pinoLabels: { [level: number]: string } = { 10: 'trace' }

/** pino's `{type, message, stack, …}` → the SDK's `{type, message, stacktrace, …}`. */
function toException(error: Value | undefined): unknown {
  if (!isObject(error) || typeof error.stack !== 'string') return error
  const { stack, ...members } = error as Members
  return { ...members, stacktrace: stack }
}
