import { fromTimestamp, parseTimestamp } from '@madsci-events/sdk/event'

let lastDay = Number.NaN
let lastDayMs = 0

/**
 * Any text of a time that is found in a database → microseconds since 1970; a time without zone counts as UTC. NaN for what
 * is no time. Ours, and the original's without fraction, are read digit by digit: a report does it a million times.
 */
export function toMicros(text: string): number {
  const { length } = text
  const bare = length > 0 && text.charCodeAt(length - 1) === 90 ? length - 1 : length
  if (bare !== 19 && bare !== 26) return toMicrosSlowly(text)
  const day = (digits(text, 0, 4) * 100 + digits(text, 5, 7)) * 100 + digits(text, 8, 10)
  const clock = (digits(text, 11, 13) * 60 + digits(text, 14, 16)) * 60 + digits(text, 17, 19)
  const micros = bare === 26 ? digits(text, 20, 26) : 0
  if (day !== lastDay) {
    const ms = Date.parse(`${text.slice(0, 10)}T00:00:00Z`)
    if (Number.isNaN(ms)) return toMicrosSlowly(text)
    lastDay = day
    lastDayMs = ms
  }
  const result = lastDayMs * 1000 + clock * 1e6 + micros
  return Number.isNaN(result) ? toMicrosSlowly(text) : result
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
