import type { Severity } from '../emit.ts'
import { isObject, type Value } from '../event/event.ts'
import { parseJson } from '../event/json.ts'
import { type EventLevel, fromSeverity } from '../event/level.ts'
import type { EventInput } from '../input.ts'
import { toLineEvent } from '../line.ts'

/** What pino tells its transports of the logger, as far as it concerns lines. */
export interface PinoConfig {
  messageKey?: string
  errorKey?: string
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
  const { level, time, [messageKey]: message, [errorKey]: error, ...members } = parsed
  const pinoLevel = toLevel(level, config)
  const severityNumber = pinoLevel === undefined ? 9 : toSeverityNumber(pinoLevel)
  const hasText = typeof message === 'string'
  if (message !== undefined && !hasText) members[messageKey] = message
  if (level !== undefined && pinoLevel === undefined) members.level = level
  const madsciLevel = fromSeverity(severityNumber)
  const event = toLineEvent({
    message: hasText ? message : undefined,
    level: madsciLevel,
    time: time === undefined ? undefined : time,
    exception: toException(error),
    members,
  })
  return { event, severity: { number: severityNumber, text: textOf(pinoLevel, madsciLevel, config) } }
}

function parse(line: string): Value {
  try {
    return parseJson(line)
  } catch {
    return line
  }
}

const standard: { [label: string]: number } = {
  trace: 10,
  debug: 20,
  info: 30,
  warn: 40,
  error: 50,
  fatal: 60,
}

// A formatter may have put the label in place of the number.
function toLevel(level: Value | undefined, { levels }: PinoConfig): number | undefined {
  if (typeof level === 'number') return level
  if (typeof level !== 'string') return undefined
  const name = level.toLowerCase()
  const number =
    levels?.values[level] ?? levels?.values[name] ?? standard[name] ?? Number(level || Number.NaN)
  return Number.isFinite(number) ? number : undefined
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

/** MADSci's word for MADSci's levels, else pino's label: `TRACE`, `NOTICE`. */
function textOf(level: number | undefined, madsciLevel: EventLevel, { levels }: PinoConfig): string {
  if (level === undefined) return madsciTexts[madsciLevel]
  if (level === 10) return 'TRACE'
  const isStandard = level % 10 === 0 && level >= 20 && level <= 60
  const label = isStandard ? undefined : levels?.labels[level]
  return label?.toUpperCase() ?? madsciTexts[madsciLevel]
}

/** pino's `{type, message, stack, …}` → the SDK's `{type, message, stacktrace, …}`. */
function toException(error: Value | undefined): unknown {
  if (!isObject(error) || typeof error.stack !== 'string') return error
  const { stack, ...members } = error as Members
  return { ...members, stacktrace: stack }
}
