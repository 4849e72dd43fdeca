import { fromTimestamp, parseTimestamp } from '@madsci-events/sdk/event'

// `YYYY-MM-DDTHH:MM:` of the last text: neighbours are mostly of one minute.
let lastMinute = '-'
let lastMinuteMs = 0

/**
 * Any text of a time that is found in a database → microseconds since 1970; a time without zone counts as UTC. NaN for what
 * is no time. Ours, and the original's without fraction, are read digit by digit: a report does it a million times.
 */
export function toMicros(text: string, from = 0, to = text.length): number {
  const bare = to > from && text.charCodeAt(to - 1) === 90 ? to - from - 1 : to - from
  if (bare !== 19 && bare !== 26) return toMicrosSlowly(text.slice(from, to))
  if (!text.startsWith(lastMinute, from)) {
    const minute = text.slice(from, from + 17)
    const ms = Date.parse(`${minute}00Z`)
    if (Number.isNaN(ms)) return toMicrosSlowly(text.slice(from, to))
    lastMinute = Buffer.from(minute).toString()
    lastMinuteMs = ms
  }
  const micros = bare === 26 ? digits(text, from + 20, from + 26) : 0
  const result = (lastMinuteMs + digits(text, from + 17, from + 19) * 1000) * 1000 + micros
  return Number.isNaN(result) ? toMicrosSlowly(text.slice(from, to)) : result
}

function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function toMicrosSlowly(text: string): number {
  const parsed = parseTimestamp(text)
  if (!('text' in parsed)) return Number.NaN
  const nanos = fromTimestamp(parsed.text)
  return nanos === undefined ? Number.NaN : Number(nanos / 1000n)
}
