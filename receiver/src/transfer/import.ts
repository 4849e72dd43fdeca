import { type Event, EventError, findDefect, fromTimestamp } from '@madsci-events/sdk/event'
import type { EventStore } from '../store/event-store.ts'
import { type HealOptions, heal, type Repair } from './heal.ts'

/** Events to import; `line` tells where one lies, for the report. */
export type ImportChunk = ({ event: Event; where: string } | { refused: string; where: string })[]

export interface ImportOptions {
  store: Pick<EventStore, 'write'>
  /** Events go in as they are if not given. */
  heal?: HealOptions
  /** Events of other times are left out. */
  period?: Period
  /** Ends the import between two commits. */
  signal?: AbortSignal
  onProgress?: (report: ImportReport) => void
  /** Called for every repair and every refusal. */
  onNote?: (note: { where: string; id?: string; repair?: Repair; refused?: string }) => void
}

/** Canonical times; both count as inside. */
export interface Period {
  startTime?: string
  endTime?: string
}

/** read = stored + duplicate + refused + outside, always. */
export interface ImportReport {
  read: number
  stored: number
  /** Of another time than was asked for, when one was. */
  outside?: number
  /** Ids that were there already: of an earlier run, or of the lab itself. They stay as they are. */
  duplicate: number
  refused: number
  repairs: { [repair in Repair]?: number }
  /** Why events were refused, with the place of the first: at most ten reasons. */
  reasons: { reason: string; count: number; where: string }[]
  isWhole: boolean
}

const maxReasons = 10
const retryMs = 1000
const retries = 60

/**
 * Reads events from elsewhere into the store, mended. It may be stopped and run again: ids make it harmless.
 * Throws EVT_STORE_UNAVAILABLE when the store stays away for a minute.
 */
export async function importEvents(
  source: AsyncIterable<ImportChunk>,
  options: ImportOptions,
): Promise<ImportReport> {
  const { store, signal, onProgress = () => {}, onNote = () => {} } = options
  const report: ImportReport = {
    read: 0,
    stored: 0,
    duplicate: 0,
    refused: 0,
    repairs: {},
    reasons: [],
    isWhole: false,
  }
  const isInside = insideOf(options.period)
  let batch: { event: Event; where: string }[] = []
  const refuse = (where: string, refused: string, id?: string) => {
    report.refused++
    const same = report.reasons.find(({ reason }) => reason === refused)
    if (same) same.count++
    else if (report.reasons.length < maxReasons) report.reasons.push({ reason: refused, count: 1, where })
    onNote({ where, refused, ...(id !== undefined && { id }) })
  }

  async function flush(): Promise<void> {
    if (batch.length === 0) return
    const outcomes = await writeWithRetry(
      store,
      batch.map(({ event }) => event),
    )
    outcomes.forEach((outcome, index) => {
      const { where, event } = batch[index]!
      if (outcome === 'stored') report.stored++
      else if (outcome === 'duplicate') report.duplicate++
      else refuse(where, outcome.refused, event.event_id)
    })
    batch = []
    onProgress(report)
  }

  for await (const chunk of source) {
    for (const item of chunk) {
      report.read++
      if ('refused' in item) {
        refuse(item.where, item.refused)
        continue
      }
      const healed = options.heal ? heal(item.event, options.heal) : { done: [] }
      const reason = 'refused' in healed ? healed.refused : findDefect(item.event)
      if (reason !== undefined) {
        refuse(item.where, reason, item.event.event_id)
        continue
      }
      if (!isInside(item.event)) {
        report.outside = (report.outside ?? 0) + 1
        continue
      }
      for (const repair of 'done' in healed ? healed.done : []) {
        report.repairs[repair] = (report.repairs[repair] ?? 0) + 1
        onNote({ where: item.where, id: item.event.event_id, repair })
      }
      batch.push({ event: item.event, where: item.where })
    }
    // A chunk is what may be in memory at once.
    await flush()
    if (signal?.aborted) break
  }
  report.isWhole = !signal?.aborted
  return report
}

function insideOf({ startTime, endTime }: Period = {}): (event: Event) => boolean {
  const [start, end] = [startTime, endTime].map((time) =>
    time === undefined ? undefined : fromTimestamp(time),
  )
  if (start === undefined && end === undefined) return () => true
  return ({ event_timestamp }) => {
    const at = fromTimestamp(event_timestamp)
    return at !== undefined && (start === undefined || at >= start) && (end === undefined || at <= end)
  }
}

async function writeWithRetry(store: Pick<EventStore, 'write'>, events: readonly Event[]) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await store.write(events)
    } catch (error) {
      if (!(error instanceof EventError && error.retry) || attempt > retries) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}
