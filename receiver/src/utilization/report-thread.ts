import { workerData } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import { openScan } from '../store/scan.ts'
import { answerCalls } from '../thread-call.ts'
import type { Engine, ReportHead, ReportRequest, UtilizationWorkerData } from './engine.ts'
import { createReportEngine } from './report-engine.ts'
import { createTimelineEngine } from './timeline/timeline-engine.ts'

/**
 * The thread of the reports: it reads the store by a connection of its own and keeps what the engines remember, so that
 * nothing of it is felt by intake.
 */
const { source, timeoutMs } = workerData as UtilizationWorkerData
const scan = openScan(source)
const original = createReportEngine(scan, { timeoutMs })
const engines: Engine[] = [original, createTimelineEngine(scan, original, { timeoutMs })]

answerCalls<ReportRequest, ReportHead, string>(async (request) => {
  const engine = engines.find(({ reports }) => reports.includes(request.report))
  if (!engine) throw new EventError('EVT_NOT_FOUND')
  const { contentType, fileName, pieces } = await engine.answer(request)
  return { answer: { contentType, fileName }, pieces }
})
