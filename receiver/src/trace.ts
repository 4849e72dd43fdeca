import { AsyncLocalStorage } from 'node:async_hooks'

export type Attributes = { [name: string]: string | number | boolean }

/** Whose span it is, as events and `traceparent` name it. */
export interface SpanName {
  traceId: string
  spanId: string
}

export interface SpanOptions {
  kind: 'server' | 'client'
  attributes?: Attributes
  /** A header of the request; it says whose child the span is. */
  traceparent?: string | undefined
  /** Of events that it is about: the first is its parent where no header says otherwise; the others are linked. */
  about?: readonly SpanName[]
}

export interface StepOptions {
  /** By `performance.now()`; now, if not given. */
  endMs?: number
  attributes?: Attributes
  error?: unknown
}

/**
 * One operation of the receiver: a request, a delivery, a batch. Its steps are told when they have ended, so that nothing is made
 * while it runs, and its parent can be known late: the span of a request is a child of that in which its first event was emitted.
 */
export interface Span {
  set(attributes: Attributes): void
  /** The event that it is about, unless its parent is known. */
  about(event: { trace_id: string | null; span_id: string | null }): void
  /** A part of it that began then, by `performance.now()`. */
  step(name: string, startedMs: number, options?: StepOptions): void
  /** For a request to others, who continue the trace. */
  header(): string
  /** A second call does nothing. */
  end(error?: unknown): void
}

/** Makes spans. Where nobody wants any there is none of it, and nothing is measured. */
export interface Tracing {
  begin(name: string, options: SpanOptions): Span
}

const current = new AsyncLocalStorage<Span>()

/** Of the request that is served; undefined while nobody traces. */
export const spanOfNow = (): Span | undefined => current.getStore()

/** What `work` starts knows the span, also what goes on later. */
export const withSpan = <T>(span: Span, work: () => T): T => current.run(span, work)

/** Measures a call as a step of the request that is served. */
export async function asStep<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const span = spanOfNow()
  if (!span) return work()
  const startedMs = performance.now()
  try {
    const result = await work()
    span.step(name, startedMs, { attributes })
    return result
  } catch (error) {
    span.step(name, startedMs, { attributes, error })
    throw error
  }
}
