import {
  type Context,
  type Link,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { Attributes, Span, SpanName, SpanOptions, StepOptions, Tracing } from './trace.ts'

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT } as const
const maxLinks = 32
const maxSteps = 100

interface Step extends StepOptions {
  name: string
  startedMs: number
  endMs: number
}

/** A span that can say where it stands. */
interface MadeSpan extends Span {
  context(): Context
}

/** Of a span that `createTracing` made, for log records that belong to it. */
export const contextOf = (span: Span | undefined): Context =>
  (span as MadeSpan | undefined)?.context() ?? ROOT_CONTEXT

export interface TracingOptions {
  /** Of operations with spans; the others have none. A span takes as long as a tenth of a `POST /event`. */
  maxPerSecond?: number
  onUntraced?: () => void
}

// More than a laboratory does, and what a batch processor with a queue of 2048 spans can keep up with.
const defaultMaxPerSecond = 200

export function createTracing(
  tracer: Tracer,
  { maxPerSecond = defaultMaxPerSecond, onUntraced = () => {} }: TracingOptions = {},
): Tracing {
  let second = 0
  let made = 0
  const source: SpanSource = {
    tracer,
    mayMake() {
      const now = Math.floor(performance.now() / 1000)
      if (now !== second) [second, made] = [now, 0]
      return ++made <= maxPerSecond
    },
    onUntraced,
  }
  return { begin: (name, options) => beginSpan(source, name, options) }
}

interface SpanSource {
  tracer: Tracer
  /** Counts one more of this second. */
  mayMake(): boolean
  onUntraced: () => void
}

function beginSpan(
  { tracer, mayMake, onUntraced }: SpanSource,
  name: string,
  { kind, attributes = {}, traceparent, about = [] }: SpanOptions,
): MadeSpan {
  const startedMs = performance.now()
  const named = traceparent === undefined ? undefined : parseTraceparent(traceparent)
  const events = about.slice(0, maxLinks + 1)
  const all: Attributes = { ...attributes }
  const steps: Step[] = []
  let made: OtelSpan | undefined
  let isEnded = false

  function make(): OtelSpan {
    if (made) return made
    const [first, ...others] = events.map(toRemote)
    const parent = named ?? first
    const links: Link[] = (named ? events.map(toRemote) : others).map((context) => ({ context }))
    const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT
    made = tracer.startSpan(
      name,
      { kind: kinds[kind], attributes: all, startTime: startedMs, links },
      context,
    )
    return made
  }

  return {
    set(more) {
      if (made) made.setAttributes(more)
      else Object.assign(all, more)
    },
    about({ trace_id, span_id }) {
      if (made || !trace_id || !span_id || events.length > maxLinks) return
      events.push({ traceId: trace_id, spanId: span_id })
    },
    step(step, stepMs, options = {}) {
      const endMs = options.endMs ?? performance.now()
      if (!isEnded && steps.length < maxSteps)
        steps.push({ ...options, name: step, startedMs: stepMs, endMs })
    },
    header() {
      const { traceId, spanId, traceFlags } = make().spanContext()
      return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`
    },
    // What goes on after its end, such as a timer that it started, is no part of it.
    context: () => (isEnded ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, make())),
    end(error) {
      if (isEnded) return
      isEnded = true
      // One that others or the log have named is made whatever the number is.
      if (!mayMake() && !made) {
        steps.length = 0
        return onUntraced()
      }
      const span = make()
      if (error !== undefined) fail(span, error)
      const endMs = performance.now()
      if (span.isRecording()) {
        const context = trace.setSpan(ROOT_CONTEXT, span)
        for (const one of steps) {
          const options = { startTime: one.startedMs, ...(one.attributes && { attributes: one.attributes }) }
          const child = tracer.startSpan(one.name, options, context)
          if (one.error !== undefined) fail(child, one.error)
          child.end(one.endMs)
        }
      }
      steps.length = 0
      span.end(endMs)
    },
  }
}

/** Names of the semantic conventions: `error.type` is a code where there is one. */
function fail(span: OtelSpan, error: unknown): void {
  const { code, name, message } = error instanceof Error ? (error as Error & { code?: unknown }) : {}
  const type = typeof code === 'string' ? code : (name ?? String(error))
  span.setAttribute('error.type', type)
  span.setStatus({
    code: SpanStatusCode.ERROR,
    ...(message !== undefined && { message: message.slice(0, 300) }),
  })
}

const toRemote = ({ traceId, spanId }: SpanName) => ({
  traceId,
  spanId,
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
})

/** Source: W3C Trace Context, traceparent. Undefined for what is none. */
export function parseTraceparent(text: string) {
  const match = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(
    text.slice(0, 60),
  )
  if (!match) return undefined
  const [, traceId, spanId, flags] = match as unknown as [string, string, string, string]
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true }
}
