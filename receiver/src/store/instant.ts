import { fromTimestamp, parseTimestamp } from '@madsci-events/sdk/event'

// `YYYY-MM-DDTHH:MM:` of the last time: neighbours are mostly of one minute.
const minuteLength = 17
const lastMinute = new DataView(new ArrayBuffer(minuteLength))
let lastMinuteMs = Number.NaN
const dot = 46
const zulu = 90

/**
 * Any text of a time that is found in a database → microseconds since 1970; a time without zone counts as UTC. NaN for what
 * is no time.
 */
export function toMicros(text: string): number {
  const { buffer, byteOffset, byteLength } = Buffer.from(text)
  return microsAt(new DataView(buffer, byteOffset, byteLength), 0, byteLength)
}

/**
 * The same of a part of longer text in UTF-8. Ours, and the original's without fraction, are read digit by digit: a report
 * does it a million times.
 */
export function microsAt(text: DataView, from: number, to: number): number {
  const bare = to > from && text.getUint8(to - 1) === zulu ? to - from - 1 : to - from
  const isUsual = bare === 19 || (bare === 26 && text.getUint8(from + 19) === dot)
  if (!isUsual || !isMinuteAt(text, from)) return toMicrosSlowly(sliceOf(text, from, to))
  const micros = bare === 26 ? digitsAt(text, from + 20, from + 26) : 0
  const result = (lastMinuteMs + digitsAt(text, from + minuteLength, from + 19) * 1000) * 1000 + micros
  return Number.isNaN(result) ? toMicrosSlowly(sliceOf(text, from, to)) : result
}

/** True when the minute that begins here is the last one now. */
function isMinuteAt(text: DataView, from: number): boolean {
  const isLast =
    text.getInt32(from + 13) === lastMinute.getInt32(13) &&
    text.getInt32(from + 9) === lastMinute.getInt32(9) &&
    text.getInt32(from + 5) === lastMinute.getInt32(5) &&
    text.getInt32(from + 1) === lastMinute.getInt32(1) &&
    text.getUint8(from) === lastMinute.getUint8(0)
  if (isLast) return true
  const ms = Date.parse(`${sliceOf(text, from, from + minuteLength)}00Z`)
  // The parser takes 30 February for 2 March.
  if (Number.isNaN(ms) || new Date(ms).getUTCDate() !== digitsAt(text, from + 8, from + 10)) return false
  for (let at = 0; at < minuteLength; at++) lastMinute.setUint8(at, text.getUint8(from + at))
  lastMinuteMs = ms
  return true
}

function digitsAt(text: DataView, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = text.getUint8(at) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

function sliceOf({ buffer, byteOffset }: DataView, from: number, to: number): string {
  return Buffer.from(buffer, byteOffset + from, to - from).toString()
}

function toMicrosSlowly(text: string): number {
  const parsed = parseTimestamp(text)
  if (!('text' in parsed)) return Number.NaN
  const nanos = fromTimestamp(parsed.text)
  return nanos === undefined ? Number.NaN : Number(nanos / 1000n)
}
