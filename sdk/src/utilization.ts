import type { Value } from './event/event.ts'
import { isDate } from './realm.ts'

/** What a receiver reports of a laboratory's utilization: the exact reports, and MADSci's own three. */
export const utilizationReports = [
  'timeline',
  'summary',
  'waits',
  'compare',
  'sessions',
  'periods',
  'user',
] as const
export type UtilizationReport = (typeof utilizationReports)[number]

export interface UtilizationOptions {
  /** Both; one for a day from or up to it; none for everything. `periods` needs both. */
  startTime?: string | Date | undefined
  endTime?: string | Date | undefined
  /** IANA zone of bounds without one, of buckets and of the answer; for `periods` the user's. */
  zone?: string | undefined
  /** `csv` and, of the exact reports, `ndjson` come as text. */
  format?: 'json' | 'csv' | 'ndjson' | undefined
  nodeId?: string | undefined
  workcellId?: string | undefined
  user?: string | undefined
  experimentId?: string | undefined
  /** timeline: of these kinds alone, such as `node` or `workflow`. */
  kind?: string | readonly string[] | undefined
  /** summary: what the figures are for. */
  by?: 'node' | 'workcell' | 'lab' | 'user' | 'experiment' | 'workflow_type' | undefined
  /** summary: figures for each of them too. */
  bucket?: 'hour' | 'day' | 'week' | 'month' | undefined
  /** timeline: intervals at most; waits: gaps at most. */
  limit?: number | undefined
  /** timeline: the `next_cursor` of the page before. */
  cursor?: string | undefined
  /** periods. */
  analysisType?: 'hourly' | 'daily' | 'weekly' | 'monthly' | undefined
  /** periods: users too (true). */
  includeUsers?: boolean | undefined
  /** sessions, periods, user: the receiver saves the CSV in this folder of its `report_dir`; the answer's `file_path` says where. */
  outputPath?: string | undefined
}

/** Microseconds in each state; `wall` is their sum. */
export interface UtilizationTotals {
  busy: number
  idle: number
  error: number
  down: number
  unknown: number
  wall: number
}

export interface UtilizationInterval {
  state: 'busy' | 'idle' | 'error' | 'down' | 'unknown'
  cause: string
  start_time: string
  end_time: string
  duration_us: number
  /** Ids of the events that began and ended it. */
  begun_by: string | null
  begun_by_type: string | null
  ended_by: string | null
  /** Nothing has ended it yet. */
  open: boolean
}

/** The answer of `timeline`. */
export interface UtilizationTimeline {
  report_metadata: { start_time: string; end_time: string; zone: string; wall_us: number }
  notices: { [kind: string]: { count: number; meaning: string; event_ids: string[] } }
  entities: {
    kind: string
    id: string
    name: string | null
    outcome?: string
    totals_us: UtilizationTotals
    intervals: UtilizationInterval[]
  }[]
  next_cursor: string | null
}

export type UtilizationAnswer<Report extends UtilizationReport> = Report extends 'timeline'
  ? UtilizationTimeline
  : { [key: string]: Value }

/** Path and query of a report. */
export function toUtilizationPath(report: UtilizationReport, options: UtilizationOptions): string {
  const query = new URLSearchParams()
  const put = (name: string, value: string | number | boolean | Date | undefined) => {
    if (value !== undefined) query.set(name, isDate(value) ? value.toISOString() : String(value))
  }
  const isExact = ['timeline', 'summary', 'waits', 'compare'].includes(report)
  const { kind, format } = options
  put('start_time', options.startTime)
  put('end_time', options.endTime)
  put(isExact ? 'zone' : 'user_timezone', options.zone)
  if (isExact) put('format', format)
  else if (format === 'csv' || options.outputPath !== undefined) put('csv_format', true)
  if (options.outputPath !== undefined) put('save_to_file', true)
  put('output_path', options.outputPath)
  put('include_users', options.includeUsers)
  put('node_id', options.nodeId)
  put('workcell_id', options.workcellId)
  put('user', options.user)
  put('experiment_id', options.experimentId)
  put('kind', typeof kind === 'string' ? kind : kind?.join(','))
  put('by', options.by)
  put('bucket', options.bucket)
  put('limit', options.limit)
  put('cursor', options.cursor)
  put('analysis_type', options.analysisType)
  return `/utilization/${report}${query.size > 0 ? `?${query}` : ''}`
}
