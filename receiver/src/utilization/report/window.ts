import { EventError } from '@madsci-events/sdk/event'
import { toMicros } from '../../store/instant.ts'

/** Both ends included, microseconds since 1970. */
export interface Window {
  startMicros: number
  endMicros: number
}

const dayMicros = 86_400_000_000
const minuteMicros = 60_000_000

/**
 * A time as the original's reports take it: ISO form with or without offset, a date alone is midnight UTC.
 * Throws EVT_INVALID in the words that the original answers with.
 */
export function parseTime(text: string): number {
  const bad = () => new EventError('EVT_INVALID', `Invalid isoformat string: '${text}'`)
  // Unix times, which events may carry, are none here.
  if (!/^\d{4}-\d\d-\d\d/.test(text)) throw bad()
  const [year, month, day] = text.slice(0, 10).split('-').map(Number) as [number, number, number]
  if (month < 1 || month > 12) throw new EventError('EVT_INVALID', 'month must be in 1..12')
  if (day < 1 || day > new Date(Date.UTC(year, month, 0)).getUTCDate())
    throw new EventError('EVT_INVALID', 'day is out of range for month')
  const micros = toMicros(text.replace(/[zZ]$/, 'Z'))
  if (Number.isNaN(micros)) throw bad()
  return micros
}

/** The window of a report: what is missing is 24 hours from the other end; without both, all events and a minute around. */
export function toWindow(
  start: string | undefined,
  end: string | undefined,
  span: { from: number; to: number } | undefined,
  nowMicros: number,
): Window {
  const startMicros = start === undefined ? undefined : parseTime(start)
  const endMicros = end === undefined ? undefined : parseTime(end)
  if (startMicros !== undefined) return { startMicros, endMicros: endMicros ?? startMicros + dayMicros }
  if (endMicros !== undefined) return { startMicros: endMicros - dayMicros, endMicros }
  if (span) return { startMicros: span.from - minuteMicros, endMicros: span.to + minuteMicros }
  return { startMicros: nowMicros - dayMicros, endMicros: nowMicros }
}
