import { setTimeout as sleep } from 'node:timers/promises'
import { workerData } from 'node:worker_threads'
import type { Value } from '@madsci-events/sdk/event'
import { yieldToOthers } from '../../thread.ts'
import { answerCalls, tellCaller } from '../../thread-call.ts'
import { parseSelector } from '../selector.ts'
import { createColumnBuilder } from './builder.ts'
import { openColumnSource } from './open-source.ts'
import type { ColumnSource } from './source.ts'
import { type ColumnState, columnsOff } from './state.ts'
import type { ColumnReply, ColumnRequest, ColumnWorkerData } from './thread.ts'

/** The thread of the columns: follows the commits, and answers in between. */
yieldToOthers()
const { source, maxBytes } = workerData as ColumnWorkerData
const opened: ColumnSource | undefined = await openColumnSource(source)
const builder = opened && createColumnBuilder(opened, maxBytes)
const pauseMs = 500
const troubleMs = 2000
/** Numbers of one phase are told no more often. */
const tellMs = 1000
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

let told: ColumnState = columnsOff
let toldMs = 0
function tell(state: ColumnState): void {
  const nowMs = performance.now()
  const isChanged = state.phase !== told.phase || state.reason !== told.reason
  if (!isChanged && nowMs - toldMs < tellMs) return
  told = state
  toldMs = nowMs
  tellCaller(state)
}

async function build(): Promise<void> {
  for (;;) {
    try {
      const { isDone, isBusy, workMs } = await inTurn(async () => {
        const startedMs = performance.now()
        const step = await builder!.step()
        return { ...step, workMs: performance.now() - startedMs }
      })
      tell(builder!.state)
      await sleep(Math.max(isDone ? pauseMs : 0, workMs * (isBusy ? restForWork.busy : restForWork.idle)))
    } catch (error) {
      // The database is away, which health tells, too.
      tell({ ...builder!.state, phase: 'paused', reason: (error as Error).message })
      await sleep(troubleMs)
    }
  }
}

if (builder) void build()
else tell({ ...columnsOff, phase: 'given_up', reason: 'the commits of this database cannot be followed' })
