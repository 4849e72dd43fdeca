import type { ScanSource } from '../store/event-scan.ts'

/** What a door asks of the thread: the name of the report, and its parameters as they came. */
export interface ReportRequest {
  report: string
  parameters: { readonly [name: string]: string | undefined }
}

export interface ReportHead {
  contentType: string
  /** Of a download. */
  fileName?: string | undefined
}

/** The answer: text in pieces, so that a large one streams. */
export interface ReportAnswer extends ReportHead {
  pieces: Iterable<string> | AsyncIterable<string>
}

/**
 * One family of reports, in the thread of the reports: it owns a history (history.ts) and answers from its fold.
 * Throws EventError: EVT_INVALID for parameters, EVT_STORE_UNAVAILABLE, EVT_QUERY_TIMEOUT.
 */
export interface Engine {
  readonly reports: readonly string[]
  answer(request: ReportRequest): Promise<ReportAnswer>
}

export interface UtilizationWorkerData {
  source: ScanSource
  /** How long a report may compute, beside what it reads. 0 = no limit. */
  timeoutMs: number
}
