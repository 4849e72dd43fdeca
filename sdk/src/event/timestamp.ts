const pattern =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt _](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:([Zz])|([+-])(\d\d):?(\d\d))?)?$/
const unixText = /^[+-]?(\d+(\.\d*)?|\.\d+)$/
const canonical = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z?$/

/**
 * Reads a time as the original does (ISO 8601 text, Unix seconds, Unix milliseconds beyond ±2e10, as number or text)
 * and gives its canonical text: fixed width, six digits, `Z` for what came with a zone, nothing for what came naive.
 * `reason` is pydantic's wording.
 */
export function parseTimestamp(input: unknown): { text: string } | { reason: string } {
  if (typeof input === 'number' || typeof input === 'bigint') return fromUnix(Number(input))
  if (typeof input !== 'string') return { reason: 'invalid type' }
  if (unixText.test(input)) return fromUnix(Number(input))
  const match = pattern.exec(input)
  if (!match) return { reason: reasonOf(input) }
  const [
    ,
    year,
    month,
    day,
    hour = '00',
    minute = '00',
    second = '00',
    fraction = '',
    zulu,
    sign,
    offHour,
    offMinute,
  ] = match
  if (month! < '01' || month! > '12') return { reason: 'month value is outside expected range of 1-12' }
  const days = new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate()
  if (day! < '01' || Number(day) > days || year === '0000')
    return { reason: 'day value is outside expected range' }
  // Read as a date, which is what the original tries last.
  if (hour > '23') return { reason: 'unexpected extra characters at the end of the input' }
  if (minute > '59') return { reason: 'minute value is outside expected range of 0-59' }
  if (second > '59') return { reason: 'second value is outside expected range of 0-59' }
  const micros = fraction.slice(0, 6).padEnd(6, '0')
  const wall = `${year}-${month}-${day}T${hour}:${minute}:${second}`
  if (zulu) return { text: `${wall}.${micros}Z` }
  if (!sign) return { text: `${wall}.${micros}` }
  if (offHour! > '23' || offMinute! > '59') return { reason: 'timezone offset must be less than 24 hours' }
  const offsetMs = (Number(offHour) * 60 + Number(offMinute)) * 60_000 * (sign === '-' ? -1 : 1)
  const utc = new Date(Date.parse(`${wall}Z`) - offsetMs)
  if (utc.getUTCFullYear() < 1 || utc.getUTCFullYear() > 9999) return { reason: 'year is out of range' }
  return { text: `${utc.toISOString().slice(0, 19)}.${micros}Z` }
}

function reasonOf(input: string): string {
  if (input.length < 10) return 'input is too short'
  if (/^\d{4}[^-]/.test(input)) return 'invalid date separator, expected `-`'
  return 'invalid character in year'
}

function fromUnix(value: number): { text: string } | { reason: string } {
  if (!Number.isFinite(value)) return { reason: 'NaN values not permitted' }
  // Beyond 2e10 the original takes the number for milliseconds.
  const seconds = Math.abs(value) > 2e10 ? value / 1000 : value
  if (seconds < -62135596800 || seconds >= 253402300800)
    return { reason: 'dates after 9999 are not supported' }
  return { text: toTimestamp(BigInt(Math.round(seconds * 1e6)) * 1000n) }
}

// Records of one batch share their second, so its text is kept: it saves most of the cost of a date.
let cachedSecond = Number.NaN
let cachedText = ''

function secondText(second: number): string {
  if (second !== cachedSecond) {
    cachedText = new Date(second * 1000).toISOString().slice(0, 19)
    cachedSecond = second
  }
  return cachedText
}

const maxUnixNano = 253402300800000000000n

/** Nanoseconds since 1970 → canonical UTC text; what lies below a microsecond is cut. Up to year 9999. */
export function toTimestamp(unixNano: bigint): string {
  if (unixNano >= maxUnixNano) return '9999-12-31T23:59:59.999999Z'
  const micros = unixNano / 1000n - (unixNano < 0n && unixNano % 1000n !== 0n ? 1n : 0n)
  // Beyond 2^53 microseconds (the year 2255, or 1684) a number is too short for second and fraction together.
  const exact = Number(micros)
  if (Number.isSafeInteger(exact)) return microsToTimestamp(exact)
  const rest = ((micros % 1000000n) + 1000000n) % 1000000n
  return formatTimestamp(Number((micros - rest) / 1000000n), Number(rest))
}

/** Microseconds since 1970 (exact up to the year 2255) → canonical UTC text. */
export function microsToTimestamp(micros: number): string {
  const second = Math.floor(micros / 1e6)
  return formatTimestamp(second, micros - second * 1e6)
}

function formatTimestamp(second: number, micros: number): string {
  return `${secondText(second)}.${micros < 100000 ? String(micros).padStart(6, '0') : micros}Z`
}

/** Canonical text → nanoseconds since 1970; naive counts as UTC. Undefined for text that is not canonical. */
export function fromTimestamp(text: string): bigint | undefined {
  if (!canonical.test(text)) return undefined
  const ms = Date.parse(`${text.slice(0, 19)}Z`)
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(text.slice(20, 26)) * 1000n
}

// performance.now() gives the microseconds that Date.now() has not. Their distance is kept, and mended whenever the
// sum leaves the millisecond of the system clock.
let originMs = Date.now() - performance.now()
let lastMicros = 0

/**
 * Now, microseconds since 1970: the millisecond of the system clock, also when it is set, and what lies below it.
 * Calls of one millisecond give rising values, while it has microseconds left.
 */
export function nowMicros(): number {
  const startMicros = clockMs() * 1000
  const elapsedMs = performance.now()
  const endMicros = startMicros + 999
  let micros = Math.round((originMs + elapsedMs) * 1000)
  // A fake performance.now() may be no number.
  if (!(micros >= startMicros && micros <= endMicros)) {
    originMs = startMicros / 1000 - elapsedMs
    micros = startMicros
  }
  if (lastMicros >= micros && lastMicros <= endMicros) micros = Math.min(lastMicros + 1, endMicros)
  lastMicros = micros
  return micros
}

// What OTLP's 64 bits of nanoseconds can say.
const maxClockMs = 18_446_744_073_709

/** A fake clock may stand before 1970, far away, or be no number: the nearest that an event can have. */
function clockMs(): number {
  const nowMs = Date.now()
  return nowMs > 0 ? Math.min(nowMs, maxClockMs) : 0
}

/** Now as canonical UTC text. */
export function nowTimestamp(): string {
  return microsToTimestamp(nowMicros())
}
