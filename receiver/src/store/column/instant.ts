/** A time to the microsecond. NaN for `ms`: none. */
export interface Instant {
  ms: number
  /** Beyond the millisecond. */
  micros: number
}

let lastDay = ''
let lastDayMs = Number.NaN

/**
 * The instant of a usual text: `2026-01-01T00:00:00`, with six digits of a fraction, then perhaps with `Z`. Those sort as texts
 * in the order of their instants. Undefined for any other.
 */
export function toInstant(text: string): Instant | undefined {
  const { length } = text
  if (length !== 19 && length !== 26 && !(length === 27 && text[26] === 'Z')) return undefined
  if (length !== 19 && text[19] !== '.') return undefined
  if (text[10] !== 'T' || text[13] !== ':' || text[16] !== ':') return undefined
  const day = text.slice(0, 10)
  if (day !== lastDay) {
    const ms = Date.parse(`${day}T00:00:00Z`)
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day) return undefined
    lastDay = day
    lastDayMs = ms
  }
  const [hours, minutes, seconds] = [digits(text, 11, 13), digits(text, 14, 16), digits(text, 17, 19)]
  const fraction = length === 19 ? 0 : digits(text, 20, 26)
  if (!(hours < 24 && minutes < 60 && seconds < 60 && fraction >= 0)) return undefined
  const ms = lastDayMs + hours * 3_600_000 + minutes * 60_000 + seconds * 1000 + Math.floor(fraction / 1000)
  return { ms, micros: fraction % 1000 }
}

function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const digit = text.charCodeAt(at) - 48
    if (digit < 0 || digit > 9) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** Negative, 0 or positive. */
export const compareInstants = (a: Instant, b: Instant) => a.ms - b.ms || a.micros - b.micros

/** With six digits and `Z`. */
export const toInstantText = ({ ms, micros }: Instant): string =>
  `${new Date(ms).toISOString().slice(0, -1)}${String(micros).padStart(3, '0')}Z`
