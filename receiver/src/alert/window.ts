import { createZoneConverter, parseLevel, parseTimestamp } from '@madsci-events/sdk/event'
import type { Reader } from './reader.ts'

/** A stretch of time: once, or every day from one time of day to another. */
export interface Window {
  /** ms since 1970; given for one that happens once. */
  fromMs?: number
  toMs?: number
  daily?: { fromMinute: number; toMinute: number; zone: string; days: readonly number[] }
  /** Only for these; all if neither is given. */
  nodeIds?: readonly string[]
  workcellIds?: readonly string[]
  /** Levels from this one on break through. */
  exceptLevel?: number
}

/** What a window may look at. */
export interface Subject {
  labels: { readonly [name: string]: string }
  level: number
}

const dayMs = 86_400_000
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

/** When the stretches around `atMs` that hold for the subject are over; `atMs` itself outside of all. */
export function afterWindows(windows: readonly Window[], subject: Subject, atMs: number): number {
  let time = atMs
  // One may begin before another ends.
  for (let round = 0; round < 100; round++) {
    const ends = windows.map((window) => (isFor(window, subject) ? endOf(window, time) : undefined))
    const end = Math.max(...ends.map((one) => one ?? Number.NEGATIVE_INFINITY))
    if (!(end > time)) return time
    time = end
  }
  return time
}

export const isWithinWindows = (windows: readonly Window[], subject: Subject, atMs: number): boolean =>
  windows.length > 0 && afterWindows(windows, subject, atMs) > atMs

function isFor({ nodeIds, workcellIds, exceptLevel }: Window, { labels, level }: Subject): boolean {
  if (exceptLevel !== undefined && level >= exceptLevel) return false
  if (!nodeIds && !workcellIds) return true
  return (
    (nodeIds?.includes(labels.node_id ?? '') ?? false) ||
    (workcellIds?.includes(labels.workcell_id ?? '') ?? false)
  )
}

function endOf({ fromMs, toMs, daily }: Window, atMs: number): number | undefined {
  if (!daily) return fromMs! <= atMs && atMs < toMs! ? toMs : undefined
  const { fromMinute, toMinute, zone, days } = daily
  const clock = zoneClock(zone)
  const today = clock.dayOf(atMs)
  for (const day of [today - 1, today]) {
    if (!days.includes(((day % 7) + 11) % 7)) continue
    const start = clock.at(day, fromMinute)
    const end = clock.at(toMinute <= fromMinute ? day + 1 : day, toMinute)
    if (start <= atMs && atMs < end) return end
  }
  return undefined
}

/** Days are counted from 1970-01-01, which was a Thursday. */
export interface ZoneClock {
  dayOf(ms: number): number
  /** The instant of a time of day, ms since 1970. */
  at(day: number, minute: number): number
}

const clocks = new Map<string, ZoneClock>()

export function zoneClock(zone: string): ZoneClock {
  const known = clocks.get(zone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  const toUtc = createZoneConverter(zone)
  const instants = new Map<number, number>()
  const clock: ZoneClock = {
    dayOf: (ms) => Date.parse(`${format.format(ms)}T00:00:00Z`) / dayMs,
    at(day, minute) {
      const key = day * 1440 + minute
      let instant = instants.get(key)
      if (instant === undefined) {
        const wall = new Date(day * dayMs + minute * 60_000).toISOString().slice(0, 19)
        instant = Date.parse(toUtc(`${wall}.000000`))
        if (instants.size > 1000) instants.clear()
        instants.set(key, instant)
      }
      return instant
    },
  }
  clocks.set(zone, clock)
  return clock
}

/** The first time of that kind after an instant. */
export function nextTimeOfDay(zone: string, minute: number, afterMs: number): number {
  const clock = zoneClock(zone)
  for (let day = clock.dayOf(afterMs); ; day++) {
    const at = clock.at(day, minute)
    if (at > afterMs) return at
  }
}

/** `HH:MM` as minutes after midnight. */
export function readMinute(reader: Reader, name: string): number | undefined {
  const text = reader.text(name)
  const match = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text ?? '')
  if (match) return Number(match[1]) * 60 + Number(match[2])
  if (text !== undefined) reader.fail(name, `must be a time of day like 06:30: '${text}'`)
  return undefined
}

export function readZone(reader: Reader): string {
  const zone = reader.text('zone', 'UTC')!
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return zone
  } catch {
    reader.fail('zone', `must be an IANA time zone, like Europe/Berlin: '${zone}'`)
    return 'UTC'
  }
}

export function readWindow(reader: Reader): Window {
  const nodeIds = reader.texts('node_ids')
  const workcellIds = reader.texts('workcell_ids')
  const level = reader.value('except_level')
  const exceptLevel = level === undefined ? undefined : parseLevel(level)
  if (level !== undefined && exceptLevel === undefined) reader.fail('except_level', 'must be a level')
  const days = (reader.texts('days') ?? dayNames).map((day) => {
    const place = dayNames.indexOf(day.toLowerCase().slice(0, 3))
    if (place < 0) reader.fail('days', `must be mon, tue, …: '${day}'`)
    return place
  })
  const zone = readZone(reader)
  const rest = {
    ...(nodeIds && { nodeIds }),
    ...(workcellIds && { workcellIds }),
    ...(exceptLevel !== undefined && { exceptLevel }),
  }
  const from = reader.text('from')
  const to = reader.text('to')
  if (from === undefined || to === undefined) reader.fail('from', 'and to are both needed')
  if (/^\d\d:\d\d$/.test(from ?? '')) {
    const fromMinute = readMinute(reader, 'from') ?? 0
    const toMinute = readMinute(reader, 'to')
    reader.end()
    return { daily: { fromMinute, toMinute: toMinute ?? 0, zone, days }, ...rest }
  }
  const [fromMs = 0, toMs = 0] = [from, to].map((text, index) => {
    const parsed = text === undefined ? undefined : parseTimestamp(text)
    if (parsed && 'text' in parsed)
      return Date.parse(parsed.text.endsWith('Z') ? parsed.text : `${parsed.text}Z`)
    if (text !== undefined)
      reader.fail(index === 0 ? 'from' : 'to', `must be HH:MM or a time like 2026-11-24T18:00:00Z: '${text}'`)
    return undefined
  })
  if (toMs <= fromMs && from !== undefined && to !== undefined) reader.fail('to', 'must be later than from')
  reader.end()
  return { fromMs, toMs, ...rest }
}
