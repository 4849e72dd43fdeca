import {
  EventError,
  keptEventJson,
  type ParseEventOptions,
  parseEvent,
  type Value,
} from '@madsci-events/sdk/event'
import { type Ingest, toRefusal } from '../ingest/ingest.ts'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'

export interface EventTakerOptions {
  ingest: Ingest
  metric: Metric
  log: Log
  parse: ParseEventOptions
}

/** What POST /event does with a body, whatever the connection: settles with the answer after the commit, and counts. */
export function createEventTaker(options: EventTakerOptions): (body: Value) => Promise<string> {
  const { ingest, metric, log, parse } = options
  const throttle = createThrottle()

  function countLoss(error: unknown): void {
    const { code, retry, message } = error instanceof EventError ? error : new EventError('EVT_INTERNAL')
    if (retry) {
      metric.add('events_unavailable', 1)
      return
    }
    metric.add('events_rejected', 1, code)
    throttle(code, (suppressed) =>
      log.warn({ code, suppressed }, `an event was refused: ${message.slice(0, 300)}`),
    )
  }

  return async (body) => {
    metric.add('events_received', 1)
    try {
      const event = parseEvent(body, parse)
      const receipt = await ingest.accept([event], { isRest: true })
      metric.add('events_stored', receipt.stored)
      metric.add('events_duplicate', receipt.duplicate)
      const refusal = toRefusal(receipt)
      if (refusal) throw refusal
      return keptEventJson(event)
    } catch (error) {
      countLoss(error)
      throw error
    }
  }
}
