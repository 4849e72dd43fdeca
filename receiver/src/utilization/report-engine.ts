import { EventError, nowMicros, parseBoolean } from '@madsci-events/sdk/event'
import type { EventScan } from '../store/event-scan.ts'
import type { Engine, ReportAnswer, ReportRequest } from './engine.ts'
import { createHistory } from './history.ts'
import { createAnalyst, rowsGone } from './report/analysis.ts'
import { toPeriodsCsv, toSessionsCsv, toUserCsv } from './report/csv.ts'
import { createFacts } from './report/facts.ts'
import { type Tree, toIsoText, toReportJson } from './report/number.ts'
import { toPeriodsReport } from './report/periods-report.ts'
import { findStartedSessions } from './report/session.ts'
import { toSessionsReport } from './report/sessions-report.ts'
import { readWorkflow, toUserReport } from './report/user-report.ts'
import { toWindow } from './report/window.ts'
import { createTimeCheck } from './time-check.ts'

type Report = { [key: string]: Tree }

/**
 * The original's reports: /utilization/sessions, /periods and /user. Bad times are answered as the original answers them,
 * with a report that is an error.
 */
export function createReportEngine(
  scan: EventScan,
  { timeoutMs, keptRows = 2_000_000, allKeptMs = 600_000 }: ReportEngineOptions,
): Engine {
  const facts = createFacts(readWorkflow)
  const history = createHistory(scan, {
    types: facts.types,
    reset() {
      facts.reset()
      analyst.clear()
    },
    add(event) {
      facts.add(event)
      if (facts.rows.count > keptRows * 2 && performance.now() >= keepsAllUntilMs) trim()
    },
  })
  let keepsAllUntilMs = 0
  const time = createTimeCheck(timeoutMs)
  const analyst = createAnalyst(facts, time.check)

  const answers = new Map<string, Omit<ReportAnswer, 'pieces'> & { before: string; after: string }>()

  function settle(): void {
    const span = facts.settle()
    if (span) analyst.renew(span)
  }

  /** Drops the oldest rows: of them stays what the sessions in them come to. */
  function trim(): void {
    settle()
    const { rows } = facts
    if (rows.isBeyond || rows.count <= keptRows) return
    const throughMicros = rows.micros[rows.count - keptRows - 1]!
    analyst.keep(findStartedSessions(facts, always), throughMicros)
    rows.drop(throughMicros)
  }

  async function refresh(): Promise<void> {
    const { isCold, taken } = await history.refresh()
    if (taken > 0 || isCold) answers.clear()
    settle()
    time.restart()
  }

  /** Reads everything again, and keeps it for a time: who asks once, or was told to ask again, asks again. */
  async function withAll<Result>(work: () => Result): Promise<Result> {
    keepsAllUntilMs = Number.POSITIVE_INFINITY
    try {
      history.clear()
      await refresh()
      return work()
    } finally {
      keepsAllUntilMs = performance.now() + allKeptMs
    }
  }

  let turn: Promise<unknown> = Promise.resolve()

  /** One after another, so that nobody computes on what is being read anew. */
  function inTurn(request: ReportRequest): Promise<ReportAnswer> {
    const mine = turn.then(async () => {
      await refresh()
      if (facts.rows.isBeyond) return withAll(() => answer(request))
      try {
        return answer(request)
      } catch (error) {
        if (error !== rowsGone) throw error
        return withAll(() => answer(request))
      }
    })
    turn = mine.catch(() => {})
    return mine
  }

  const makers: { [report: string]: (parameters: ReportRequest['parameters']) => Report } = {
    sessions: ({ start_time, end_time }) =>
      orError('Failed to generate report', () => {
        const window = toWindow(given(start_time), given(end_time), facts.span, nowMicros())
        return toSessionsReport(facts, analyst, window, generatedAt())
      }),
    user: ({ start_time, end_time }) =>
      orError('Failed to generate report', () => {
        const window = toWindow(given(start_time), given(end_time), facts.span, nowMicros())
        return toUserReport(facts, window, generatedAt()).tree
      }),
    periods: (parameters) => orError('Failed to generate utilization report', () => toPeriods(parameters)),
  }

  function toPeriods(parameters: ReportRequest['parameters']): Report {
    const start = given(parameters.start_time)
    const end = given(parameters.end_time)
    const window = toWindow(start, end, undefined, 0)
    if (start === undefined || end === undefined) {
      return {
        error: 'start_time and end_time are required',
        details: 'Both parameters must be provided as ISO strings',
      }
    }
    if (window.startMicros >= window.endMicros) {
      const [from, to] = [window.startMicros, window.endMicros].map((micros) =>
        toIsoText(micros).replace('T', ' '),
      )
      return {
        error: 'Invalid analysis time period: start time must be before end time',
        details: `Start time ${from} >= end time ${to}`,
      }
    }
    return toPeriodsReport(facts, analyst, window, {
      analysisType: parameters.analysis_type ?? 'daily',
      timezone: parameters.user_timezone ?? 'America/Chicago',
      includeUsers: parseBoolean(parameters.include_users ?? 'true') ?? true,
      generatedAt: generatedAt(),
    })
  }

  function answer({ report: name, parameters }: ReportRequest): ReportAnswer {
    const key = JSON.stringify([name, parameters])
    const known = answers.get(key)
    if (known) return { ...known, pieces: [known.before, generatedAt(), known.after] }
    const report = makers[name]!(parameters)
    const isCsv = parameters.csv_format === 'true' && !('error' in report)
    const { fileName, toText } = csvOf[name]!
    const text = isCsv ? toText(report) : toReportJson(report)
    const head = isCsv
      ? { contentType: 'text/csv; charset=utf-8', fileName }
      : { contentType: 'application/json' }
    remember(key, head, text, generatedAtOf(report))
    return { ...head, pieces: [text] }
  }

  return { reports: Object.keys(makers), answer: inTurn }

  /** As long as nothing new is stored, a report differs from the last by the time of day alone. */
  function remember(
    key: string,
    head: Omit<ReportAnswer, 'pieces'>,
    text: string,
    at: string | undefined,
  ): void {
    const from = at === undefined ? -1 : text.indexOf(at)
    // Without any event the window ends now.
    if (at === undefined || from < 0 || !facts.span || text.length > maxAnswerCharacters) return
    if (answers.size >= maxAnswers) answers.clear()
    answers.set(key, { ...head, before: text.slice(0, from), after: text.slice(from + at.length) })
  }
}

export interface ReportEngineOptions {
  /** How long a report may compute, beside what it reads. 0 = no limit. */
  timeoutMs: number
  /**
   * Twice as many rows of nodes and actions are kept at most; of older ones, what the sessions in them come to. A report
   * that cuts such a session, or an event that comes that late, costs a reading of everything, which then is kept for
   * `allKeptMs`.
   */
  keptRows?: number
  allKeptMs?: number
}

const always = { startMicros: Number.NEGATIVE_INFINITY, endMicros: Number.POSITIVE_INFINITY }
const maxAnswers = 32
const maxAnswerCharacters = 4 * 1024 * 1024

function generatedAtOf(report: Report): string | undefined {
  const metadata = (report.report_metadata ?? report.summary_metadata) as Report | undefined
  return metadata?.generated_at as string | undefined
}

const csvOf: { [report: string]: { fileName: string; toText: (report: Tree) => string } } = {
  sessions: { fileName: 'session_utilization_report.csv', toText: toSessionsCsv },
  user: { fileName: 'user_utilization_report.csv', toText: toUserCsv },
  periods: { fileName: 'utilization_periods_report.csv', toText: toPeriodsCsv },
}

/** An empty text is as good as none. */
const given = (text: string | undefined) => (text === '' ? undefined : text)

/** Python's form of now, with its offset. */
function generatedAt(): string {
  return `${toIsoText(nowMicros())}+00:00`
}

function orError(what: string, make: () => Report): Report {
  try {
    return make()
  } catch (error) {
    if (error instanceof EventError && error.code === 'EVT_INVALID')
      return { error: `${what}: ${error.message}` }
    throw error
  }
}
