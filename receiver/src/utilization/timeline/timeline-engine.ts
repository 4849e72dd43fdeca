import { allEventTypes, EventError, nowMicros } from '@madsci-events/sdk/event'
import type { EventScan } from '../../store/event-scan.ts'
import type { Engine, ReportAnswer } from '../engine.ts'
import { createHistory } from '../history.ts'
import { createTimeCheck } from '../time-check.ts'
import { toTimelineColumns } from './column.ts'
import { compare, compareColumns, compareRows, type ReportedSession, reasons } from './compare.ts'
import { createTimelineFold, type TimelineFold } from './fold.ts'
import { type NotificationKind, noticeKinds } from './history.ts'
import type { Window } from './interval.ts'
import { parseReportParameters, type ReportParameters, toWindow } from './parameter.ts'
import { kindOf } from './reader.ts'
import { selectEntities } from './select.ts'
import { askSessions } from './session.ts'
import {
  bucketsOf,
  type Grouping,
  groupings,
  pickFields,
  summarize,
  summaryFields,
  summaryRows,
} from './summary.ts'
import { contentTypes, type Row, toPieces } from './table.ts'
import { timelineColumns, timelinePage, timelineRows } from './timeline.ts'
import { findWaits, waitColumns, waitRows } from './wait.ts'
import { type Bucket, buckets } from './zone.ts'

const wantedTypes = new Set<string>(
  allEventTypes.filter((type) => kindOf(type) !== undefined || type === 'log' || type.startsWith('log_')),
)

const defaultIntervals = 1000
const defaultWaits = 100
const maxBuckets = 1000
// About 8 MB of JSON, which a page takes in some seconds.
const maxColumnIntervals = 200_000

/** What a report is made from. */
export interface Sources {
  fold: TimelineFold
  /** See TimeCheck. */
  checkTime: () => void
  window: Window
  parameters: ReportParameters
}

/**
 * The exact reports: /utilization/timeline, /summary, /waits, and /compare, which asks the engine of the original's reports
 * for its sessions. Nothing is remembered beyond this process.
 */
export function createTimelineEngine(
  scan: EventScan,
  original: Engine,
  { timeoutMs = 0 }: { timeoutMs?: number } = {},
): Engine {
  const fold = createTimelineFold()
  const time = createTimeCheck(timeoutMs)
  let keepsAll = false
  const history = createHistory(scan, {
    types: wantedTypes,
    reset: () => fold.reset({ keepsAll }),
    add: (event) => fold.add(event),
  })

  /** Takes what is new; when a late event is older than what is remembered, everything. */
  async function refresh(): Promise<void> {
    await history.refresh()
    if (fold.settle() === 'settled') return
    keepsAll = true
    try {
      history.clear()
      await history.refresh()
      if (fold.settle() !== 'settled') throw new EventError('EVT_STORE_UNAVAILABLE')
    } finally {
      keepsAll = false
    }
  }

  let turn: Promise<unknown> = Promise.resolve()

  /** One after another, so that nobody computes on a fold that is being read anew. */
  function inTurn<Result>(parameters: ReportParameters, work: (sources: Sources) => Result): Promise<Result> {
    const mine = turn.then(async () => {
      await refresh()
      time.restart()
      const window = toWindow(parameters, fold.bounds, nowMicros())
      return work({ fold, checkTime: time.check, window, parameters })
    })
    turn = mine.catch(() => {})
    return mine
  }

  const reports: { [name: string]: (sources: Sources) => ReportAnswer } = {
    timeline: timelineReport,
    summary: summaryReport,
    waits: waitReport,
    columns: columnReport,
  }

  return {
    reports: [...Object.keys(reports), 'compare'],
    async answer({ report: asked, parameters: all }) {
      const isInColumns = asked === 'timeline' && all.format === 'columns'
      const report = isInColumns ? 'columns' : asked
      const given = isInColumns ? { ...all, format: undefined } : all
      const parameters = parseReportParameters(given)
      prepare[report]?.(parameters)
      parameters.check()
      if (report !== 'compare') return inTurn(parameters, reports[report]!)
      const window = await inTurn(parameters, (sources) => sources.window)
      const sessions = await askSessions(original, window)
      return inTurn(parameters, (sources) => compareReport({ ...sources, window }, sessions))
    },
  }
}

/** Words that a report takes beside the common ones; their faults are told with the others, before anything is read. */
const prepare: { [report: string]: (parameters: ReportParameters) => void } = {
  summary: (parameters) => {
    parameters.word('by', groupings, 'node')
    parameters.word('bucket', buckets, undefined)
    if (parameters.words('fields', summaryFields) && parameters.format !== 'json')
      parameters.fail('fields', 'value_error', 'Value error, it is for JSON alone', parameters.format)
  },
}

function timelineReport(sources: Sources): ReportAnswer {
  const { fold, checkTime, window, parameters } = sources
  const { zone, format, filter, limit, cursor } = parameters
  const selected = selectEntities(fold, filter, window, checkTime)
  if (format !== 'json') {
    const rows = timelineRows(selected, window, zone)
    return toTable('timeline', format, timelineColumns, limit === undefined ? rows : take(rows, limit))
  }
  const { entities, next } = timelinePage(fold.history, selected, window, zone, {
    limit: limit ?? defaultIntervals,
    cursor,
    checkTime,
  })
  return toJson({ ...toMetadata(sources), entities, next_cursor: next ?? null })
}

/** The timeline in few characters, for who draws it; the limit of intervals may be lowered, and is no page of more. */
function columnReport({ fold, checkTime, window, parameters }: Sources): ReportAnswer {
  const selected = selectEntities(fold, parameters.filter, window, checkTime)
  const options = { window, bounds: fold.bounds, nowMicros: nowMicros(), checkTime }
  const maxIntervals = parameters.limit ?? maxColumnIntervals
  const resolutionMicros = parameters.resolution ?? 1
  return toJson(toTimelineColumns(fold.history, selected, { ...options, maxIntervals, resolutionMicros }))
}

function summaryReport(sources: Sources): ReportAnswer {
  const { fold, checkTime, window, parameters } = sources
  const { zone, format, filter } = parameters
  const by = parameters.word('by', groupings, 'node') as Grouping
  const bucket = parameters.word('bucket', buckets, undefined) as Bucket | undefined
  if (bucket && bucketsOf(window, bucket, zone, maxBuckets).length >= maxBuckets) {
    parameters.fail(
      'bucket',
      'value_error',
      `Value error, the window has more than ${maxBuckets} of them`,
      bucket,
    )
    parameters.check()
  }
  const items = summarize(fold, filter, window, { by, bucket, zone, checkTime })
  const fields = parameters.words('fields', summaryFields)
  if (format === 'json')
    return toJson({ ...toMetadata(sources), by, items: fields ? pickFields(items, fields) : items })
  const rows = [...summaryRows(items)]
  return toTable('summary', format, Object.keys(rows[0] ?? { id: null, name: null }), rows)
}

function waitReport(sources: Sources): ReportAnswer {
  const { fold, checkTime, window, parameters } = sources
  const { zone, format, filter, limit } = parameters
  const waits = findWaits(fold, filter, window, checkTime)
  if (format !== 'json')
    return toTable(
      'waits',
      format,
      waitColumns,
      waitRows(limit === undefined ? waits : waits.slice(0, limit), zone),
    )
  const byNode: { [id: string]: number } = {}
  for (const { node, start, end } of waits) {
    const id = node?.id ?? 'unknown'
    byNode[id] = (byNode[id] ?? 0) + end - start
  }
  return toJson({
    ...toMetadata(sources),
    total_waits: waits.length,
    wait_us_by_node: byNode,
    waits: [...waitRows(waits.slice(0, limit ?? defaultWaits), zone)],
  })
}

function compareReport(sources: Sources, sessions: readonly ReportedSession[]): ReportAnswer {
  const { fold, checkTime, window, parameters } = sources
  const { format, filter, limit } = parameters
  const comparisons = compare(fold, sessions, window, { filter, checkTime })
  if (format !== 'json') {
    const rows = compareRows(comparisons)
    return toTable('compare', format, compareColumns, limit === undefined ? rows : take(rows, limit))
  }
  return toJson({
    ...toMetadata(sources),
    sessions: sessions.length,
    subjects: comparisons.map(
      ({ original: reported, exact, unexplained, differences, matrix, ...subject }) => ({
        ...subject,
        original_us: reported,
        exact_us: exact,
        busy_difference_us: reported.busy - exact.busy,
        unexplained_us: unexplained,
        matrix_us: matrix,
        differences: differences.map(({ micros, eventIds, reason, ...rest }) => ({
          reason,
          because: reasons[reason],
          ...rest,
          duration_us: micros,
          event_ids: eventIds,
        })),
      }),
    ),
  })
}

/** What every report in JSON begins with. */
export function toMetadata({ fold, window, parameters: { zone } }: Sources) {
  const notices = Object.entries(noticeKinds).flatMap(([kind, meaning]) => {
    const seen =
      kind === 'unread_time'
        ? { count: fold.unread.count, eventIds: fold.unread.eventIds }
        : fold.history.notices[kind as NotificationKind]
    return seen && seen.count > 0 ? [[kind, { count: seen.count, meaning, event_ids: seen.eventIds }]] : []
  })
  return {
    report_metadata: {
      generated_at: zone.toText(nowMicros()),
      start_time: zone.toText(window.start),
      end_time: zone.toText(window.end),
      zone: zone.name,
      wall_us: window.end - window.start,
    },
    notices: Object.fromEntries(notices) as object,
  }
}

export function toJson(body: object): ReportAnswer {
  return { contentType: contentTypes.json, pieces: [JSON.stringify(body)] }
}

export function toTable(
  name: string,
  format: 'csv' | 'ndjson',
  columns: readonly string[],
  rows: Iterable<Row>,
): ReportAnswer {
  return {
    contentType: contentTypes[format],
    ...(format === 'csv' && { fileName: `utilization_${name}.csv` }),
    pieces: toPieces(format, columns, rows),
  }
}

function* take<Item>(items: Iterable<Item>, count: number): Generator<Item> {
  let left = count
  for (const item of items) {
    if (left-- <= 0) return
    yield item
  }
}
