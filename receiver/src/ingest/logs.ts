import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { DecodedLogs } from '../otlp/decoded.ts'
import type { PartialSuccess } from '../otlp/reply.ts'
import type { Ingest } from './ingest.ts'

export interface LogsIntakeOptions {
  ingest: Pick<Ingest, 'accept'>
  metric: Metric
  log: Log
}

/**
 * What a decoded OTLP request comes to, by HTTP or by gRPC: its events are committed, and each record is counted.
 * Undefined for a full success. Throws what `accept` throws.
 */
export type LogsIntake = (decoded: DecodedLogs) => Promise<PartialSuccess | undefined>

export function createLogsIntake({ ingest, metric, log }: LogsIntakeOptions): LogsIntake {
  const throttle = createThrottle()

  return async (decoded) => {
    const reasons = new Map(decoded.refused)
    let rejectedCount = 0
    for (const count of reasons.values()) rejectedCount += count
    metric.add('events_received', decoded.events.length + rejectedCount)
    metric.add('attributes_duplicate', decoded.duplicateKeyCount)
    metric.add('source_ids_kept_aside', decoded.otherSourceCount)
    metric.add('records_undated', decoded.undatedCount)

    try {
      const receipt = await ingest.accept(decoded.events)
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      for (const { reason } of receipt.rejected) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      rejectedCount += receipt.rejected.length
    } catch (error) {
      metric.add('events_unavailable', decoded.events.length + rejectedCount)
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
    if (decoded.otherSourceCount > 0) {
      const line = `${decoded.otherSourceCount} madsci.source ids are no ULIDs and are kept in otel.source`
      throttle('source', (suppressed) => log.warn({ suppressed }, line))
      warnings.push(line)
    }
    return warnings.length > 0 ? { rejectedCount, message: warnings.slice(0, 10).join('; ') } : undefined
  }
}
