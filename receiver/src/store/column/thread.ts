import { EventError } from '@madsci-events/sdk/event'
import type { Log } from '../../log.ts'
import { createCaller } from '../../thread-call.ts'
import type { ScanSource } from '../event-scan.ts'
import type { SummaryQuery } from '../event-store.ts'
import type { Selector } from '../selector.ts'
import type { SummaryOptions, SummaryPart } from '../summary.ts'
import { isOutOfTime, latePart } from '../summary-parts.ts'
import { workerUrl } from '../worker-url.ts'
import type { ColumnAnswer } from './builder.ts'
import { type ColumnState, columnsOff, createColumnWatch } from './state.ts'

export interface ColumnWorkerData {
  source: ScanSource
  maxBytes: number
}

export type ColumnRequest =
  | {
      kind: 'sum'
      query: Omit<SummaryQuery, 'selector'>
      selector: Selector['source'] | undefined
      summary: SummaryOptions
    }
  | { kind: 'archived'; time: string }
export type ColumnReply = ColumnAnswer | undefined

/** What is left to read: events up to this time, a text, within that time. */
export interface SummaryRest {
  upTo?: string
  timeoutMs: number
}

/** Columns of the stored events in memory, in a thread of their own: summaries of what they hold take no reading. */
export interface ColumnThread {
  /**
   * The parts of a summary: what the columns hold, then what `scan` sums up of the rest (of everything, where they cannot
   * tell). Both within the time limit: when it is over the last part is late.
   */
  summarize(
    query: SummaryQuery,
    summary: SummaryOptions,
    scan: (rest: SummaryRest) => AsyncIterable<SummaryPart>,
  ): AsyncIterable<SummaryPart>
  /** To be told of each commit that archived events: up to this event_timestamp. */
  dropArchived(time: string): void
  readonly state: ColumnState
  close(): Promise<void>
}

// What is opened for a moment starts no thread.
const startDelayMs = 1000
/** On a busy machine the scan may be quicker. Of a time limit it has half, so that a scan has the other. */
const answerTimeoutMs = 1000
const answerShare = 0.5
const mostAsked = 16
const mostDeaths = 2

export function startColumns(data: ColumnWorkerData, log: Log): ColumnThread {
  const watch = createColumnWatch(log)
  const thread = createCaller<ColumnRequest, ColumnReply>({
    file: workerUrl('./column/worker'),
    workerData: data,
    maxHeapMb: 256,
    toError(cause) {
      // What it died of is still stored: a third one would die of it, too.
      if (++deaths >= mostDeaths) {
        isStarted = false
        watch.take({ ...columnsOff, phase: 'given_up', reason: 'their thread died twice' })
      } else watch.take({ ...columnsOff, phase: 'building' })
      return new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause })
    },
    onNotice: (state) => watch.take(state as ColumnState),
  })
  let isStarted = false
  let deaths = 0
  let asked = 0
  const timer = setTimeout(() => {
    isStarted = true
    thread.start()
  }, startDelayMs).unref()

  async function ask(query: SummaryQuery, summary: SummaryOptions): Promise<ColumnReply> {
    if (!isStarted || asked >= mostAsked || query.archived !== 'exclude') return undefined
    const { selector, ...rest } = query
    asked++
    const reply = thread
      .call({ kind: 'sum', query: rest, selector: selector?.source, summary })
      // Its trouble is not that of the scan.
      .catch(() => undefined)
      .finally(() => {
        asked--
      })
    let late: NodeJS.Timeout | undefined
    const timeout = new Promise<undefined>((resolve) => {
      late = setTimeout(resolve, answerMsOf(query), undefined)
    })
    return Promise.race([reply, timeout]).finally(() => clearTimeout(late))
  }

  return {
    async *summarize(query, summary, scan) {
      const startedMs = performance.now()
      const reply = await ask(query, summary)
      if (!reply) return yield* scan(restOf(query, startedMs))
      yield reply.part
      if (reply.upTo === undefined) return
      try {
        yield* scan({ ...restOf(query, startedMs), upTo: reply.upTo })
      } catch (error) {
        if (!isOutOfTime(error)) throw error
        yield { ...latePart, scannedTo: reply.part.scannedTo ?? reply.upTo }
      }
    },
    dropArchived(time) {
      if (isStarted) void thread.call({ kind: 'archived', time }).catch(() => {})
    },
    get state() {
      return watch.state
    },
    async close() {
      clearTimeout(timer)
      await thread.close()
    },
  }
}

const answerMsOf = ({ timeoutMs }: SummaryQuery) =>
  timeoutMs > 0 ? Math.min(answerTimeoutMs, timeoutMs * answerShare) : answerTimeoutMs

function restOf({ timeoutMs }: SummaryQuery, startedMs: number): SummaryRest {
  return { timeoutMs: timeoutMs > 0 ? Math.max(1, timeoutMs - (performance.now() - startedMs)) : 0 }
}
