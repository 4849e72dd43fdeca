import { createZone, type Zone } from '../timeline/zone.ts'
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

/** `YYYY-MM-DD`, of a day of the calendar as Date counts it in UTC. */
const toDate = (day: Date) => day.toISOString().slice(0, 10)

/** The instant of local midnight; where a clock change skips it, the first instant of the day. Behind the year 9999: never. */
function midnightOf(zone: Zone, day: Date): number {
  const micros = zone.toMicros(`${toDate(day)}T00:00:00.000000`)
  return Number.isNaN(micros) ? Number.POSITIVE_INFINITY : micros
}

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
      const text = zone.toText(at)
      buckets.push({
        type: 'period',
        display: `${text.slice(0, 10)} ${text.slice(11, 16)}`,
        localStart: text.slice(0, 19),
        startMicros: at,
        endMicros: Math.min(at + hourMicros, endMicros),
      })
    }
    return buckets
  }
  let day = new Date(`${zone.toText(startMicros).slice(0, 10)}T00:00:00Z`)
  if (type === 'monthly') day.setUTCDate(1)
  if (type === 'weekly') day = addDays(day, -((day.getUTCDay() + 6) % 7))
  for (let start = midnightOf(zone, day), next: number; ; start = next) {
    if (start >= endMicros || buckets.length >= maxBuckets) return buckets
    const label = bucketLabel(day, type)
    day = type === 'monthly' ? nextMonth(day) : addDays(day, type === 'weekly' ? 7 : 1)
    next = midnightOf(zone, day)
    const end = Math.min(next, endMicros)
    const isClipped = type === 'daily' || type === 'monthly'
    const bucket = {
      ...label,
      startMicros: isClipped ? Math.max(start, startMicros) : start,
      endMicros: end,
    }
    // A zone may leave out a whole day.
    if (bucket.startMicros < end) buckets.push(bucket)
  }
}

function bucketLabel(day: Date, type: AnalysisType): Pick<Bucket, 'type' | 'display' | 'localStart'> {
  const date = toDate(day)
  const localStart = `${date}T00:00:00`
  if (type === 'monthly')
    return { type: 'month', display: `${months[day.getUTCMonth()]} ${day.getUTCFullYear()}`, localStart }
  if (type === 'weekly') return { type: 'week', display: `Week of ${date}`, localStart }
  return { type: 'day', display: date, localStart }
}

function addDays(day: Date, days: number): Date {
  return new Date(day.getTime() + days * 86_400_000)
}

function nextMonth(day: Date): Date {
  return new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 1))
}
