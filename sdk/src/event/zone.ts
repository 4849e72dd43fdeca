import { fromTimestamp, toTimestamp } from './timestamp.ts'

/**
 * Wall clock of an IANA zone → UTC: takes canonical naive text, gives canonical `Z` text.
 * In the hour that a clock change skips, the time before the change counts on; in the hour that comes twice, the first.
 * Throws RangeError for a zone that the runtime does not know.
 */
export function createZoneConverter(zone: string): (naive: string) => string {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    era: 'short',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  /** Zone minus UTC at an instant, ms. */
  const offsetAt = (instantMs: number) => {
    const parts: { [type: string]: string } = {}
    for (const part of format.formatToParts(instantMs)) parts[part.type] = part.value
    const { year, month, day, hour, minute, second, era } = parts
    const wall = new Date(0)
    wall.setUTCFullYear(era === 'BC' ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day))
    wall.setUTCHours(Number(hour), Number(minute), Number(second))
    return wall.getTime() - Math.floor(instantMs / 1000) * 1000
  }
  return (naive) => {
    const nanos = fromTimestamp(naive)
    if (nanos === undefined) return naive
    const wallMs = Number(nanos / 1_000_000n)
    // The offsets a day before and after are the only two that can hold; the earlier instant that reads as the wall clock wins.
    const before = offsetAt(wallMs - 86_400_000)
    const after = offsetAt(wallMs + 86_400_000)
    const fits = [before, after].filter((offset) => offsetAt(wallMs - offset) === offset)
    const offset = fits.length > 0 ? Math.max(...fits) : before
    return toTimestamp(nanos - BigInt(offset) * 1_000_000n)
  }
}
