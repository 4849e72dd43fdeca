import type { NewEvent } from '../document/event-document.ts'
import { createThrottle } from '../log.ts'
import type { DecodedLogs } from '../otlp/decoded.ts'
import type { PartialSuccess } from '../otlp/reply.ts'
import { countOf } from '../plural.ts'
import { type ConflictOptions, createConflicts } from './conflict.ts'
import { codeOf, type Ingest, type Receipt } from './ingest.ts'

export interface LogsIntakeOptions extends ConflictOptions {
  ingest: Pick<Ingest, 'accept' | 'receive'>
}

interface Totals {
  received: number
  rejectedCount: number
  notices: Notice[]
  again: (() => DecodedLogs) | undefined
}

type Notice = [kind: string, line: string]

/**
 * What a decoded OTLP request comes to, by HTTP or by gRPC: its events are committed, and each record is counted.
 * Undefined for a full success. Throws what `accept` throws.
 */
export type LogsIntake = (
  decoded: DecodedLogs<NewEvent>,
  /** Decodes it once more; asked for when ids of it were stored already. */
  again?: () => DecodedLogs,
) => Promise<PartialSuccess | undefined>

/** What was stored otherwise than its sender may have meant it. */
function noticesOf({
  otherSourceCount,
  undatedCount,
  unreadableIdCount,
  unreadNames,
}: Omit<DecodedLogs, 'events'>): Notice[] {
  const notices: Notice[] = []
  if (otherSourceCount > 0) {
    const line = `${otherSourceCount} madsci.source ids are no ULIDs and are kept in otel.source`
    notices.push(['source', line])
  }
  if (undatedCount > 0) {
    const line = `${countOf(undatedCount, 'record has', 'records have')} neither a time nor an observed time: the time of receipt counts`
    notices.push(['undated', line])
  }
  if (unreadableIdCount > 0) {
    const line = `${unreadableIdCount} trace or span ids are left out: a trace id has 16 bytes and a span id 8, in hex digits in JSON`
    notices.push(['ids', line])
  }
  if (unreadNames.length > 0) notices.push(['names', `not read: ${unreadNames.join(', ')}`])
  return notices
}

export function createLogsIntake(options: LogsIntakeOptions): LogsIntake {
  const { ingest, metric, log } = options
  const throttle = createThrottle()
  const conflicts = createConflicts(options)

  return (decoded, again) => {
    const { events, isSound } = decoded
    const reasons = new Map(decoded.refused)
    let rejectedCount = 0
    for (const count of reasons.values()) rejectedCount += count
    const received = events.length + rejectedCount
    const end = ingest.receive(received)
    metric.add('attributes_duplicate', decoded.duplicateKeyCount)
    metric.add('source_ids_kept_aside', decoded.otherSourceCount)
    metric.add('records_undated', decoded.undatedCount)
    metric.add('ids_unreadable', decoded.unreadableIdCount)

    const totals = { received, rejectedCount, notices: noticesOf(decoded), again }
    return settle(start(events, isSound), reasons, totals).finally(end)
  }

  /** What the answer says of records that are not what is stored under their ids. */
  async function findConflicts(again: () => DecodedLogs): Promise<string | undefined> {
    const { events, undatedCount } = again()
    const count = await conflicts.count(events, undatedCount === 0)
    if (count === 0) return undefined
    return `${countOf(count, 'record has other content than what is stored under its id', 'records have other content than what is stored under their ids')}, which was kept`
  }

  function start(events: DecodedLogs<NewEvent>['events'], isSound: boolean): Promise<Receipt> {
    try {
      return ingest.accept(events, { isSound })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The decoded events are not in sight here: they go as soon as the store has taken them. */
  async function settle(
    accepting: Promise<Receipt>,
    reasons: Map<string, number>,
    { received, rejectedCount, notices, again }: Totals,
  ): Promise<PartialSuccess | undefined> {
    let rejected = rejectedCount
    let duplicateCount = 0
    try {
      const receipt = await accepting
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      for (const { reason } of receipt.rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      rejected += receipt.rejected.length
      duplicateCount = receipt.duplicate
    } catch (error) {
      metric.add('events_unavailable', received, codeOf(error))
      throw error
    }

    const warnings: string[] = []
    for (const [reason, count] of reasons) {
      metric.add('events_rejected', count, reason)
      throttle(reason, (suppressed) =>
        log.warn({ count, suppressed }, `log records were rejected: ${reason}`),
      )
      warnings.push(`${count} rejected: ${reason}`)
    }
    for (const [kind, line] of notices) {
      throttle(kind, (suppressed) => log.warn({ suppressed }, line))
      warnings.push(line)
    }
    // It is in the log already.
    const conflict = duplicateCount > 0 && again ? await findConflicts(again) : undefined
    if (conflict !== undefined) warnings.push(conflict)
    return warnings.length > 0
      ? { rejectedCount: rejected, message: warnings.slice(0, 10).join('; ') }
      : undefined
  }
}
