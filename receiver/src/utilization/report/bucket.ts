import type { Window } from './window.ts'

/** One hour, day, week or month of a report. */
export interface Bucket extends Window {
  type: 'month' | 'day' | 'week' | 'period'
  display: string
  /** Local begin of the whole bucket, `YYYY-MM-DDTHH:MM:SS`. */
  localStart: string
}

export type AnalysisType = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'other'

/** What the original takes a name for: what it does not know is days that are computed like hours. */
export function toAnalysisType(name: string): AnalysisType {
  return name === 'hourly' || name === 'daily' || name === 'weekly' || name === 'monthly' ? name : 'other'
}

const hourMicros = 3_600_000_000
const months = 'January February March April May June July August September October November December'.split(
  ' ',
)

/** A date and time of day in a zone; month from 1. */
interface Wall {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
}

interface Zone {
  wallAt(micros: number): Wall
  /** The instant of local midnight; where a clock change skips it, the first instant of the day. */
  midnightOf(year: number, month: number, day: number): number
}

/** Throws RangeError for a zone that the runtime does not know. */
function createZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  const wallAt = (micros: number): Wall => {
    const parts: { [type: string]: string } = {}
    for (const part of format.formatToParts(Math.floor(micros / 1000))) parts[part.type] = part.value
    const number = (type: string) => Number(parts[type])
    return {
      year: number('year'),
      month: number('month'),
      day: number('day'),
      hour: number('hour'),
      minute: number('minute'),
      second: number('second'),
    }
  }
  const offsetAt = (ms: number): number => {
    const { year, month, day, hour, minute, second } = wallAt(ms * 1000)
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000
  }
  return {
    wallAt,
    midnightOf(year, month, day) {
      const wallMs = Date.UTC(year, month - 1, day)
      // The offsets a day before and after are the only two that can hold.
      const before = offsetAt(wallMs - 86_400_000)
      const after = offsetAt(wallMs + 86_400_000)
      const fits = [before, after].filter((offset) => offsetAt(wallMs - offset) === offset)
      const offset = fits.length > 0 ? Math.max(...fits) : before
      return (wallMs - offset) * 1000
    },
  }
}

const pad = (value: number, width = 2) => String(value).padStart(width, '0')
const toDate = ({ year, month, day }: Wall) => `${pad(year, 4)}-${pad(month)}-${pad(day)}`
const toClock = ({ hour, minute }: Wall) => `${pad(hour)}:${pad(minute)}`

const maxBuckets = 100_000

/** The buckets of a window in the user's zone, at true local midnights; UTC where the zone is not known. */
export function toBuckets(window: Window, type: AnalysisType, zoneName: string): Bucket[] {
  let zone: Zone
  try {
    zone = createZone(zoneName)
  } catch {
    zone = createZone('UTC')
  }
  const { startMicros, endMicros } = window
  const buckets: Bucket[] = []
  if (type === 'hourly') {
    for (let at = startMicros; at < endMicros && buckets.length < maxBuckets; at += hourMicros) {
      const wall = zone.wallAt(at)
      buckets.push({
        type: 'period',
        display: `${toDate(wall)} ${toClock(wall)}`,
        localStart: `${toDate(wall)}T${toClock(wall)}:${pad(wall.second)}`,
        startMicros: at,
        endMicros: Math.min(at + hourMicros, endMicros),
      })
    }
    return buckets
  }
  const first = zone.wallAt(startMicros)
  // Days of the calendar, as Date counts them in UTC.
  let day = new Date(Date.UTC(first.year, first.month - 1, type === 'monthly' ? 1 : first.day))
  if (type === 'weekly') day = addDays(day, -((day.getUTCDay() + 6) % 7))
  for (;;) {
    const wall = toWall(day)
    const start = zone.midnightOf(wall.year, wall.month, wall.day)
    if (start >= endMicros || buckets.length >= maxBuckets) return buckets
    day = type === 'monthly' ? nextMonth(day) : addDays(day, type === 'weekly' ? 7 : 1)
    const next = toWall(day)
    const end = Math.min(zone.midnightOf(next.year, next.month, next.day), endMicros)
    const isClipped = type === 'daily' || type === 'monthly'
    const bucket = {
      ...labelOf(wall, type),
      startMicros: isClipped ? Math.max(start, startMicros) : start,
      endMicros: end,
    }
    // A zone may leave out a whole day.
    if (bucket.startMicros < end) buckets.push(bucket)
  }
}

function labelOf(wall: Wall, type: AnalysisType): Pick<Bucket, 'type' | 'display' | 'localStart'> {
  const localStart = `${toDate(wall)}T00:00:00`
  if (type === 'monthly')
    return { type: 'month', display: `${months[wall.month - 1]} ${wall.year}`, localStart }
  if (type === 'weekly') return { type: 'week', display: `Week of ${toDate(wall)}`, localStart }
  return { type: 'day', display: toDate(wall), localStart }
}

function toWall(day: Date): Wall {
  return {
    year: day.getUTCFullYear(),
    month: day.getUTCMonth() + 1,
    day: day.getUTCDate(),
    hour: 0,
    minute: 0,
    second: 0,
  }
}

function addDays(day: Date, days: number): Date {
  return new Date(day.getTime() + days * 86_400_000)
}

function nextMonth(day: Date): Date {
  return new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1))
}
