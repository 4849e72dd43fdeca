import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import type { Value } from '@madsci-events/sdk/event'
import { yieldToOthers } from '../../thread.ts'
import { answerCalls } from '../../thread-call.ts'
import { parseSelector } from '../selector.ts'
import { createColumnBuilder } from './builder.ts'
import { openColumnSource } from './open-source.ts'
import type { ColumnSource } from './source.ts'
import type { ColumnReply, ColumnRequest, ColumnWorkerData } from './thread.ts'

/** The thread of the columns: follows the commits, and answers in between. */
yieldToOthers()
const { source, maxBytes } = workerData as ColumnWorkerData
const opened: ColumnSource | undefined = await openColumnSource(source)
const builder = opened && createColumnBuilder(opened, maxBytes)
const pauseMs = 500
const troubleMs = 2000
// A tenth of one core while events come, and half of one while none do.
const restForWork = { busy: 9, idle: 1 }

let last: Promise<unknown> = Promise.resolve()
/** One after the other. */
function inTurn<T>(run: () => Promise<T>): Promise<T> {
  const turn = last.then(run)
  last = turn.catch(() => {})
  return turn
}

answerCalls<ColumnRequest, ColumnReply>(async (request) => {
  if (!builder) return { answer: undefined }
  if (request.kind === 'archived') {
    await inTurn(async () => builder.dropArchived(request.time))
    return { answer: undefined }
  }
  const { query, selector, summary } = request
  const whole = { ...query, ...(selector && { selector: parseSelector(selector as Value) }) }
  return { answer: await inTurn(() => builder.answer(whole, summary)) }
})

async function build(): Promise<void> {
  for (;;) {
    try {
      const { isDone, isBusy, workMs } = await inTurn(async () => {
        const startedMs = performance.now()
        const step = await builder!.step()
        return { ...step, workMs: performance.now() - startedMs }
      })
      await sleep(Math.max(isDone ? pauseMs : 0, workMs * (isBusy ? restForWork.busy : restForWork.idle)))
    } catch {
      // The database is away, which health tells.
      await sleep(troubleMs)
    }
  }
}

if (builder) void build()
