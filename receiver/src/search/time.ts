import { parseTimestamp } from '@madsci-events/sdk/event'

const unitSeconds: { [unit: string]: number } = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 }

export interface TimeOptions {
  now: Date
  /** Whose day `today`, `yesterday` and `09:30` mean. */
  day: 'local' | 'UTC'
}

/**
 * A time as people say it: `10m`, `-2h`, `now`, `today`, `yesterday`, `09:30`, or a timestamp, where none means UTC.
 * Gives a timestamp; undefined for what is no time.
 */
export function toTime(text: string, { now, day }: TimeOptions): string | undefined {
  const [, count, unit] = /^-?(\d{1,9}) ?(s|m|min|h|d|w)( ago)?$/.exec(text) ?? []
  if (count !== undefined) {
    const date = new Date(now.getTime() - Number(count) * unitSeconds[unit!]! * 1000)
    return Number.isNaN(date.getTime()) || date.getTime() < earliestMs ? earliest : date.toISOString()
  }
  const of = (days: number, hours = 0, minutes = 0, seconds = 0) => {
    const date = new Date(now)
    if (day === 'UTC') {
      date.setUTCDate(date.getUTCDate() - days)
      date.setUTCHours(hours, minutes, seconds, 0)
    } else {
      date.setDate(date.getDate() - days)
      date.setHours(hours, minutes, seconds, 0)
    }
    return date.toISOString()
  }
  if (text === 'now') return now.toISOString()
  if (text === 'today') return of(0)
  if (text === 'yesterday') return of(1)
  const [, hour, minute, second = '0'] = /^([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?$/.exec(text) ?? []
  if (hour !== undefined) return of(0, Number(hour), Number(minute), Number(second))
  const parsed = parseTimestamp(text)
  return 'text' in parsed ? parsed.text : undefined
}

const earliest = '0001-01-01T00:00:00.000Z'
const earliestMs = Date.parse(earliest)

export const timeWords = '10m, 2h, 3d (ago), today, yesterday, 09:30, 2026-11-23 or 2026-11-23T18:00:00Z'
