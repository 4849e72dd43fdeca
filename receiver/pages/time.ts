import { zoneName } from './state.ts'

const formats = new Map<string, Intl.DateTimeFormat>()

function format(
  timeZone: string,
  hasDate: boolean,
  month: 'short' | 'numeric' = 'short',
): Intl.DateTimeFormat {
  const key = `${timeZone} ${hasDate} ${month}`
  let found = formats.get(key)
  if (!found) {
    found = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      ...(hasDate && { year: 'numeric', month, day: '2-digit' }),
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
    })
    formats.set(key, found)
  }
  return found
}

/** A stored time to milliseconds; without a zone of its own it counts as UTC, as everywhere here. */
export function toMs(text: string): number {
  return Date.parse(hasZone(text) ? text : `${text}Z`)
}

export const hasZone = (text: string) => /(?:Z|[+-]\d\d:?\d\d)$/i.test(text)

/** A stored time for people, with the digits below a second that it has; as it stands when it is no time. */
export function showTime(text: string, hasDate = true): string {
  const ms = toMs(text)
  if (Number.isNaN(ms)) return text
  const fraction = /\.\d{1,9}/.exec(text)?.[0] ?? ''
  return `${format(zoneName(), hasDate).format(ms)}${fraction}${hasZone(text) ? '' : ' (no zone)'}`
}

/** How far the chosen clock is ahead of UTC at that time. */
export function zoneOffsetMs(ms: number): number {
  const second = Math.floor(ms / 1000) * 1000
  const parts = new Map<string, number>()
  for (const { type, value } of format(zoneName(), true, 'numeric').formatToParts(second))
    parts.set(type, Number(value))
  const of = (name: string) => parts.get(name) ?? 0
  const there = Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second'))
  return there - second
}

/** '4 s', '12 min', '3 h 05 min', '2 d 4 h'. */
export function showSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** The same, with tenths of a short one: '0.3 s'. */
export const showShort = (ms: number) =>
  ms < 10_000 ? `${(Math.max(0, ms) / 1000).toFixed(1)} s` : showSpan(ms)

/** The same of microseconds, with milliseconds below a second. */
export const showMicros = (micros: number) =>
  micros > 0 && micros < 1e6
    ? `${micros < 1000 ? micros / 1000 : Math.round(micros / 1000)} ms`
    : showSpan(micros / 1000)

/** A time without the digits below a second. */
export const showSecond = (text: string) => showTime(text.replace(/\.\d{1,9}/, ''))

const numbers = new Intl.NumberFormat('en-GB')

/** '1,240' */
export const showCount = (count: number) => numbers.format(count)

/** `1 event`, `1,234 events`. */
export const countOf = (count: number, one: string, many = `${one}s`) =>
  `${showCount(count)} ${count === 1 ? one : many}`

/** '845 bytes', '12.3 MB'; units of a thousand. */
export function showBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)} bytes`
  let value = bytes
  let unit = ''
  for (const next of ['kB', 'MB', 'GB', 'TB']) {
    if (value < 999.5) break
    value /= 1000
    unit = next
  }
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ${unit}`
}
