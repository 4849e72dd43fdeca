import { type Context, defaultTextMapSetter, type TextMapGetter, trace } from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { activeContext, idsOf, withBaggage, withoutIds } from './ambient.ts'
import type { Source } from './event/event.ts'

/** What an HTTP server has of a request: Node's `request.headers`, a `Headers`, or an object. */
export type Carrier =
  | { get(name: string): string | null }
  | { [name: string]: string | readonly string[] | undefined }

const propagator = new CompositePropagator({
  propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
})

/** `traceparent`, `tracestate` and `baggage` for a request that belongs to what goes on now. Never throws. */
export function toHeaders(ids: Source, processIds: Source): { [name: string]: string } {
  const headers: { [name: string]: string } = {}
  try {
    const around = activeContext()
    const all = { ...processIds, ...idsOf(around, processIds), ...ids }
    propagator.inject(withBaggage(around, all), headers, defaultTextMapSetter)
  } catch {
    // A program's own baggage or trace state that cannot be written: the request matters more.
  }
  return headers
}

/**
 * The context of a request that came with these headers. Where the program's HTTP instrumentation has begun a span for
 * it, that span stays the parent. Never throws; headers that say nothing, or garbage, change nothing.
 */
export function fromHeaders(carrier: Carrier): Context {
  const active = activeContext()
  try {
    const fields = toFields(carrier)
    if (Object.keys(fields).length === 0) return active
    const extracted = propagator.extract(withoutIds(active), fields, getter)
    const own = trace.getSpanContext(active)
    const isContinued = own !== undefined && own.traceId === trace.getSpanContext(extracted)?.traceId
    return isContinued ? trace.setSpan(extracted, trace.getSpan(active)!) : extracted
  } catch {
    return active
  }
}

type Fields = { [name: string]: string }

// Of Node's headers, a Headers, and objects whose keys are written in any case.
function toFields(carrier: Carrier): Fields {
  const fields: Fields = {}
  const names = propagator.fields()
  if (typeof carrier?.get === 'function') {
    for (const name of names) {
      const value = carrier.get(name)
      if (typeof value === 'string') fields[name] = value
    }
    return fields
  }
  for (const [key, value] of Object.entries(carrier ?? {})) {
    const name = key.toLowerCase()
    if (!names.includes(name)) continue
    const text = Array.isArray(value) ? value.join(',') : value
    if (typeof text === 'string') fields[name] = text
  }
  return fields
}

const getter: TextMapGetter<Fields> = {
  get: (fields, key) => fields[key],
  keys: (fields) => Object.keys(fields),
}
