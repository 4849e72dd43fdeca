import { createZoneConverter, microsToTimestamp } from '@madsci-events/sdk/event'

/** Times of an IANA zone. Microseconds since 1970 on one side, its wall clock on the other. */
export interface Zone {
  readonly name: string
  /** `2026-03-08T01:30:00.000000-06:00`; for UTC with `Z`. */
  toText(micros: number): string
  /** Canonical text; what has no zone of its own is the zone's wall clock. */
  toMicros(canonical: string): number
  /** The first instant of the hour, day, week (Monday) or month in which an instant lies, and of the next one. */
  bucketAt(micros: number, bucket: Bucket): { start: number; end: number }
}

export const buckets = ['hour', 'day', 'week', 'month'] as const
export type Bucket = (typeof buckets)[number]

const hour = 3_600_000_000
// No zone changes its offset within a quarter of an hour.
const quarterMs = 900_000

/** Throws RangeError for a zone that is not known. */
export function createZone(name: string): Zone {
  const convert = createZoneConverter(name)
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    timeZoneName: 'longOffset',
    hour: 'numeric',
  })
  const offsets = new Map<number, number>()

  /** Zone minus UTC, microseconds. */
  function offsetAt(micros: number): number {
    const quarter = Math.floor(micros / 1000 / quarterMs)
    const known = offsets.get(quarter)
    if (known !== undefined) return known
    const text = format.formatToParts(quarter * quarterMs).find(({ type }) => type === 'timeZoneName')!.value
    const match = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text)
    const [, sign, hours = 0, minutes = 0, seconds = 0] = match ?? []
    const size = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1e6
    const offset = sign === '-' ? -size : size
    if (offsets.size > 10_000) offsets.clear()
    offsets.set(quarter, offset)
    return offset
  }

  const wall = (micros: number) => microsToTimestamp(micros + offsetAt(micros)).slice(0, -1)
  const fromText = (canonical: string) =>
    Date.parse(`${canonical.slice(0, 19)}Z`) * 1000 + Number(canonical.slice(20, 26))
  const toMicros = (canonical: string) => fromText(canonical.endsWith('Z') ? canonical : convert(canonical))
  /** Midnight of a day that may lie beyond the end of its month. */
  const midnight = (year: number, month: number, day: number) =>
    toMicros(`${new Date(Date.UTC(year, month, day)).toISOString().slice(0, 19)}.000000`)

  return {
    name,
    toText(micros) {
      const offset = offsetAt(micros)
      if (name === 'UTC') return microsToTimestamp(micros)
      const minutes = Math.abs(Math.round(offset / 60e6))
      const two = (value: number) => String(value).padStart(2, '0')
      return `${wall(micros)}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
    },
    toMicros,
    bucketAt(micros, bucket) {
      if (bucket === 'hour') {
        const past = (((micros + offsetAt(micros)) % hour) + hour) % hour
        const end = micros - past + hour
        // A change of half an hour ends the hour early.
        const moved = offsetAt(end - 1) - offsetAt(micros)
        return {
          start: micros - past,
          end: moved % hour === 0 ? end : end - (((moved % hour) + hour) % hour),
        }
      }
      const date = new Date((micros + offsetAt(micros)) / 1000)
      const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
      const monday = day - ((date.getUTCDay() + 6) % 7)
      if (bucket === 'day') return { start: midnight(year, month, day), end: midnight(year, month, day + 1) }
      if (bucket === 'week')
        return { start: midnight(year, month, monday), end: midnight(year, month, monday + 7) }
      return { start: midnight(year, month, 1), end: midnight(year, month + 1, 1) }
    },
  }
}
