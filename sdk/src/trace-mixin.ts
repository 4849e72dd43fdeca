import { isSpanContextValid, trace } from '@opentelemetry/api'
import { activeContext, idsOf } from './ambient.ts'
import type { Source } from './event/event.ts'

/** The trace, and the ids of the action, workflow, … around. */
export type TraceFields = Source & { trace_id?: string; span_id?: string; trace_flags?: string }

/**
 * What a logging library's line should carry of what is around it, for it is written elsewhere:
 *
 *     pino({ mixin: traceMixin, transport: { target: '@madsci-events/sdk/pino' } })
 *     pino({ mixin: (merge) => ({ ...yours(merge), ...traceMixin() }), … })
 */
export function traceMixin(): TraceFields {
  const around = activeContext()
  const span = trace.getSpanContext(around)
  const fields: TraceFields = { ...idsOf(around, {}) }
  if (span === undefined || !isSpanContextValid(span)) return fields
  fields.trace_id = span.traceId
  fields.span_id = span.spanId
  fields.trace_flags = `0${span.traceFlags.toString(16)}`.slice(-2)
  return fields
}
