import { fromTimestamp, parseTimestamp } from '@madsci-events/sdk/event'

// `YYYY-MM-DDTHH:MM:` of the last time: neighbours are mostly of one minute.
const minuteLength = 17
const dot = 46
const zulu = 90
const lastMinute = Buffer.alloc(minuteLength)
let lastMinuteMs = Number.NaN

/**
 * Any text of a time that is found in a database → microseconds since 1970; a time without zone counts as UTC. NaN for what
 * is no time.
 */
export function toMicros(text: string): number {
  return microsAt(Buffer.from(text), 0)
}

/**
 * The same of a part of longer text in UTF-8. Ours, and the original's without fraction, are read digit by digit: a report
 * does it a million times.
 */
export function microsAt(text: Buffer, from: number, to = text.length): number {
  const bare = to > from && text[to - 1] === zulu ? to - from - 1 : to - from
  const isUsual = bare === 19 || (bare === 26 && text[from + 19] === dot)
  if (!isUsual || !isMinuteAt(text, from)) return toMicrosSlowly(text.toString('utf8', from, to))
  const micros = bare === 26 ? digitsAt(text, from + 20, from + 26) : 0
  const result = (lastMinuteMs + digitsAt(text, from + minuteLength, from + 19) * 1000) * 1000 + micros
  return Number.isNaN(result) ? toMicrosSlowly(text.toString('utf8', from, to)) : result
}

/** True when the minute that begins here is the last one now. */
function isMinuteAt(text: Buffer, from: number): boolean {
  let at = minuteLength - 1
  // From the end, where they differ if they do.
  while (at >= 0 && text[from + at] === lastMinute[at]) at--
  if (at < 0) return true
  const ms = Date.parse(`${text.toString('utf8', from, from + minuteLength)}00Z`)
  if (Number.isNaN(ms)) return false
  text.copy(lastMinute, 0, from, from + minuteLength)
  lastMinuteMs = ms
  return true
}

function digitsAt(text: Buffer, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text[i]! - 48
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
