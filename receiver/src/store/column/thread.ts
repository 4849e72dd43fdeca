import { EventError } from '@madsci-events/sdk/event'
import { createCaller } from '../../thread-call.ts'
import type { ScanSource } from '../event-scan.ts'
import type { SummaryQuery } from '../event-store.ts'
import type { Selector } from '../selector.ts'
import type { SummaryOptions, SummaryPart } from '../summary.ts'
import { workerUrl } from '../worker-url.ts'
import type { ColumnAnswer } from './builder.ts'

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

/** Columns of the stored events in memory, in a thread of their own: summaries of what they hold take no reading. */
export interface ColumnThread {
  /**
   * The parts of a summary: what the columns hold, then what `scan` sums up of the rest (of everything, where they cannot
   * tell). `upTo` is a text: events up to this time are wanted.
   */
  summarize(
    query: SummaryQuery,
    summary: SummaryOptions,
    scan: (upTo: string | undefined) => AsyncIterable<SummaryPart>,
  ): AsyncIterable<SummaryPart>
  /** To be told of each commit that archived events: up to this event_timestamp. */
  dropArchived(time: string): void
  close(): Promise<void>
}

// What is opened for a moment starts no thread.
const startDelayMs = 1000
/** On a busy machine the scan may be quicker. */
const answerTimeoutMs = 1000
const mostAsked = 16
const mostDeaths = 2

export function startColumns(data: ColumnWorkerData): ColumnThread {
  const thread = createCaller<ColumnRequest, ColumnReply>({
    file: workerUrl('./column/worker'),
    workerData: data,
    maxHeapMb: 256,
    toError(cause) {
      // What it died of is still stored: a third one would die of it, too.
      if (++deaths >= mostDeaths) isStarted = false
      return new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause })
    },
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
      late = setTimeout(resolve, Math.min(answerTimeoutMs, query.timeoutMs || answerTimeoutMs), undefined)
    })
    return Promise.race([reply, timeout]).finally(() => clearTimeout(late))
  }

  return {
    async *summarize(query, summary, scan) {
      const reply = await ask(query, summary)
      if (reply) yield reply.part
      if (!reply || reply.upTo !== undefined) yield* scan(reply?.upTo)
    },
    dropArchived(time) {
      if (isStarted) void thread.call({ kind: 'archived', time }).catch(() => {})
    },
    async close() {
      clearTimeout(timer)
      await thread.close()
    },
  }
}
