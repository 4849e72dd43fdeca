import { EventError } from '@madsci-events/sdk/event'
import type { StoredEvent } from './event-store.ts'
import { bucketWidthsMs, type SummaryPart } from './summary.ts'
import { toSummaryPart } from './summary-fold.ts'

/** What is not looked at any more. */
export const latePart: SummaryPart = {
  total: 0,
  scannedTo: null,
  isLate: true,
  span: null,
  widthMs: bucketWidthsMs[0]!,
  histogram: [],
  facets: {},
  names: {},
}

/** Whether a query ended at its time limit, or had no turn within it. */
export const isOutOfTime = (error: unknown): boolean =>
  error instanceof EventError && (error.code === 'EVT_QUERY_TIMEOUT' || error.code === 'EVT_QUERY_BUSY')

/** Parts as their thread sends them; what ends for want of time after the first is late, not an error. */
export async function* toParts(chunks: AsyncIterable<StoredEvent[]>): AsyncGenerator<SummaryPart> {
  let hasPart = false
  try {
    for await (const chunk of chunks)
      for (const event of chunk) {
        hasPart = true
        yield toSummaryPart(event)
      }
  } catch (error) {
    if (!hasPart || !isOutOfTime(error)) throw error
    yield latePart
  }
}
