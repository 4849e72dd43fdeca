import { parentPort, workerData } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import { openScan } from '../store/scan.ts'
import type { Engine, FromUtilizationThread, ToUtilizationThread, UtilizationWorkerData } from './engine.ts'
import { createReportEngine } from './report-engine.ts'
import { createTimelineEngine } from './timeline/timeline-engine.ts'

/**
 * The thread of the reports: it reads the store by a connection of its own and keeps what the engines remember, so that
 * nothing of it is felt by intake. Pieces go out two ahead of their reader.
 */
const port = parentPort!
const { source, timeoutMs } = workerData as UtilizationWorkerData
const scan = openScan(source)
const original = createReportEngine(scan, { timeoutMs })
const engines: Engine[] = [original, createTimelineEngine(scan, original, { timeoutMs })]

const piecesAhead = 2
const open = new Map<number, { credit: number; isCancelled: boolean; wake: () => void }>()

port.on('message', (message: ToUtilizationThread) => {
  if (message.kind === 'ask') {
    void answer(message)
    return
  }
  const call = open.get(message.call)
  if (!call) return
  if (message.kind === 'more') call.credit++
  else call.isCancelled = true
  call.wake()
})

const post = (message: FromUtilizationThread) => port.postMessage(message)

async function answer({ call, request }: Extract<ToUtilizationThread, { kind: 'ask' }>): Promise<void> {
  const state = { credit: piecesAhead, isCancelled: false, wake: () => {} }
  open.set(call, state)
  try {
    const engine = engines.find(({ reports }) => reports.includes(request.report))
    if (!engine) throw new EventError('EVT_NOT_FOUND')
    const { contentType, fileName, pieces } = await engine.answer(request)
    if (state.isCancelled) return
    post({ kind: 'head', call, contentType, fileName })
    for await (const text of pieces) {
      while (state.credit <= 0 && !state.isCancelled) {
        await new Promise<void>((resolve) => {
          state.wake = resolve
        })
      }
      if (state.isCancelled) return
      state.credit--
      post({ kind: 'piece', call, text })
    }
    post({ kind: 'end', call })
  } catch (error) {
    const { code, message, detail } =
      error instanceof EventError
        ? error
        : new EventError('EVT_INTERNAL', `a report failed: ${(error as Error).stack ?? error}`)
    post({ kind: 'failed', call, code, message, detail: code === 'EVT_INTERNAL' ? undefined : detail })
  } finally {
    open.delete(call)
  }
}
