import { type Detail, invalid, parseBoolean, parseTimestamp } from '@madsci-events/sdk/event'
import type { Window } from './interval.ts'
import { type Kind, kinds } from './kind.ts'
import { createZone, type Zone } from './zone.ts'

export const formats = ['json', 'csv', 'ndjson'] as const
export type Format = (typeof formats)[number]

export interface Filter {
  kinds: readonly Kind[]
  nodeId: string | undefined
  workcellId: string | undefined
  user: string | undefined
  experimentId: string | undefined
  workflowId?: string | undefined
}

export interface ReportParameters {
  zone: Zone
  /** Bounds that were given, microseconds. */
  start: number | undefined
  end: number | undefined
  format: Format
  filter: Filter
  /** Undefined when it was not given. */
  limit: number | undefined
  cursor: string | undefined
  /** Of the timeline in columns, microseconds; undefined when it was not given. */
  resolution: number | undefined
  /** Some of these words, by commas; undefined when it was not given. */
  words(name: string, words: readonly string[]): readonly string[] | undefined
  /** One of these words, for reports that take it. */
  word(name: string, words: readonly string[], fallback: string | undefined): string | undefined
  fail(name: string, type: string, msg: string, input: string): void
  /** Throws EVT_INVALID with every problem found so far. */
  check(): void
}

const dayMicros = 86_400_000_000
export const maxLimit = 10_000
const maxResolution = 366 * dayMicros

/** Query parameters as they came → checked ones. */
export function parseReportParameters(given: {
  readonly [name: string]: string | undefined
}): ReportParameters {
  const details: Detail[] = []
  const fail = (name: string, type: string, msg: string, input: string) =>
    void details.push({ type, loc: ['query', name], msg, input })
  const text = (name: string) => (given[name] === '' ? undefined : given[name])

  let zone = createZone('UTC')
  const zoneName = text('zone')
  if (zoneName !== undefined)
    try {
      zone = createZone(zoneName)
    } catch {
      fail('zone', 'value_error', 'Value error, no such IANA time zone', zoneName)
    }

  function time(name: string): number | undefined {
    const value = text(name)
    if (value === undefined) return undefined
    const parsed = parseTimestamp(value)
    if ('text' in parsed) return zone.toMicros(parsed.text)
    fail(
      name,
      'datetime_from_date_parsing',
      `Input should be a valid datetime or date, ${parsed.reason}`,
      value,
    )
    return undefined
  }

  function word(name: string, words: readonly string[], fallback: string | undefined): string | undefined {
    const value = text(name)
    if (value === undefined) return fallback
    if (words.includes(value)) return value
    fail(name, 'enum', `Input should be ${words.map((one) => `'${one}'`).join(', ')}`, value)
    return fallback
  }

  function words(name: string, known: readonly string[]): readonly string[] | undefined {
    const value = text(name)
    if (value === undefined) return undefined
    const list = value.split(',').map((one) => one.trim())
    if (list.every((one) => known.includes(one))) return list
    fail(name, 'enum', `Input should be a list of ${known.map((one) => `'${one}'`).join(', ')}`, value)
    return undefined
  }

  function integer(name: string, least: number, most: number): number | undefined {
    const value = text(name)
    if (value === undefined) return undefined
    const number = /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : Number.NaN
    if (Number.isNaN(number))
      fail(
        name,
        'int_parsing',
        'Input should be a valid integer, unable to parse string as an integer',
        value,
      )
    else if (number < least)
      fail(name, 'greater_than_equal', `Input should be greater than or equal to ${least}`, value)
    else if (number > most)
      fail(name, 'less_than_equal', `Input should be less than or equal to ${most}`, value)
    else return number
    return undefined
  }

  const start = time('start_time')
  const end = time('end_time')
  if (start !== undefined && end !== undefined && start >= end)
    fail('end_time', 'value_error', 'Value error, end_time must be after start_time', given.end_time!)
  const csvText = text('csv_format')
  const isCsv = csvText === undefined ? false : parseBoolean(csvText)
  if (isCsv === undefined)
    fail('csv_format', 'bool_parsing', 'Input should be a valid boolean, unable to interpret input', csvText!)

  return {
    zone,
    start,
    end,
    format: word('format', formats, isCsv ? 'csv' : 'json') as Format,
    filter: {
      kinds: (words('kind', kinds) as readonly Kind[] | undefined) ?? kinds,
      nodeId: text('node_id'),
      workcellId: text('workcell_id'),
      user: text('user'),
      experimentId: text('experiment_id'),
      workflowId: text('workflow_id'),
    },
    limit: integer('limit', 1, maxLimit),
    cursor: text('cursor'),
    resolution: integer('resolution_us', 1, maxResolution),
    words,
    word,
    fail,
    check() {
      if (details.length > 0) throw invalid(details)
    },
  }
}

/**
 * The window of a report. Both bounds: as they are; one: a day from or up to it; none: from the first event to the last, a
 * minute more on both sides; without any event the last day. It ends now at the latest: after that nothing is known.
 */
export function toWindow(
  { start, end }: Pick<ReportParameters, 'start' | 'end'>,
  bounds: { first: number; last: number } | undefined,
  nowMicros: number,
): Window {
  const asked = (): Window => {
    if (start !== undefined) return { start, end: end ?? start + dayMicros }
    if (end !== undefined) return { start: end - dayMicros, end }
    if (bounds === undefined) return { start: nowMicros - dayMicros, end: nowMicros }
    return { start: bounds.first - 60e6, end: bounds.last + 60e6 }
  }
  const window = asked()
  return { start: Math.min(window.start, nowMicros), end: Math.min(window.end, nowMicros) }
}
