import { EventError } from '@madsci-events/sdk/event'
import type { StoredEvent } from './event-store.ts'
import { bucketWidthsMs, type SummaryPart } from './summary.ts'
import { toSummaryPart } from './summary-fold.ts'

const late: SummaryPart = {
  total: 0,
  scannedTo: null,
  isLate: true,
  span: null,
  widthMs: bucketWidthsMs[0]!,
  histogram: [],
  facets: {},
  names: {},
}

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
    const { code } = error as { code?: string }
    const isTime = error instanceof EventError && (code === 'EVT_QUERY_TIMEOUT' || code === 'EVT_QUERY_BUSY')
    if (!hasPart || !isTime) throw error
    yield late
  }
}
