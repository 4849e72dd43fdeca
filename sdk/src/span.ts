import { randomBytes } from 'node:crypto'
import {
  type Attributes,
  type Context,
  type Exception,
  isSpanContextValid,
  type Span,
  type SpanContext,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { diag } from './diagnostic.ts'
import { programApi } from './program-api.ts'
import { version } from './version.ts'

/**
 * A span of the program's own tracer. A program without one gets a span that records nothing but has ids, so that its
 * events still hang together, and those of the processes that it calls with them.
 */
export function startSpan(name: string, attributes: Attributes, around: Context): Span {
  const parent = trace.getSpanContext(around)
  try {
    const tracer = programApi().trace?.getTracer('@madsci-events/sdk', version)
    const span = tracer?.startSpan(name, { attributes }, around)
    const own = span?.spanContext()
    // Without a tracer, OpenTelemetry hands out the parent's ids again, or ids of nothing but zeros.
    if (span !== undefined && own !== undefined && isSpanContextValid(own) && own.spanId !== parent?.spanId)
      return span
  } catch (error) {
    diag.warn(`madsci-events: the program's tracer threw: ${error}`)
  }
  return trace.wrapSpanContext(createSpanContext(parent))
}

function createSpanContext(parent: SpanContext | undefined): SpanContext {
  const spanId = randomBytes(8).toString('hex')
  if (parent !== undefined && isSpanContextValid(parent)) return { ...parent, spanId, isRemote: false }
  // Sampled: a process that we call may have a tracer, and would throw away the whole trace otherwise.
  return { traceId: randomBytes(16).toString('hex'), spanId, traceFlags: TraceFlags.SAMPLED }
}

/** Ends it, with what was thrown, if anything was. */
export function endSpan(span: Span, thrown?: { exception: Exception; text: string }): void {
  if (thrown !== undefined) {
    span.recordException(thrown.exception)
    span.setStatus({ code: SpanStatusCode.ERROR, message: thrown.text })
  }
  span.end()
}
