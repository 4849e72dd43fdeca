import { type Event, isObject, type Value } from './event.ts'

/** What a document may be at most, in both stores, so that both refuse the same events. */
export const maxDepth = 180
export const maxEventBytes = 15 * 1024 * 1024
const maxInt = 2n ** 63n - 1n
const minInt = -(2n ** 63n)

/**
 * Why no store can keep this event exactly, or undefined when each can: NUL or lone surrogates in keys, lone surrogates
 * in text, integers beyond 64 bits, nesting deeper than 180, more than about 15 MiB.
 */
export function findDefect(event: Event): string | undefined {
  const budget = { bytes: maxEventBytes }
  if (event.event_id.length > 1024) return 'event_id is longer than 1024 characters'
  if (!event.event_id.isWellFormed()) return 'event_id holds a lone surrogate'
  if (event.trace_id !== null && !event.trace_id.isWellFormed()) return 'trace_id holds a lone surrogate'
  if (event.span_id !== null && !event.span_id.isWellFormed()) return 'span_id holds a lone surrogate'
  const defect = walk(event.event_data, 'event_data', maxDepth, budget)
  return defect ?? (event.otel ? walk(event.otel as Value, 'otel', maxDepth, budget) : undefined)
}

function walk(value: Value, path: string, depth: number, budget: { bytes: number }): string | undefined {
  budget.bytes -= 8
  if (typeof value === 'string') {
    if (!value.isWellFormed()) return `${path} holds a lone surrogate`
    budget.bytes -= value.length
  } else if (typeof value === 'bigint') {
    if (value > maxInt || value < minInt) return `${path} holds an integer beyond 64 bits`
  } else if (value instanceof Uint8Array) budget.bytes -= value.length
  else if (Array.isArray(value)) {
    if (depth === 0) return `${path} is nested deeper than ${maxDepth}`
    for (const member of value) {
      const defect = walk(member, path, depth - 1, budget)
      if (defect) return defect
    }
  } else if (isObject(value)) {
    if (depth === 0) return `${path} is nested deeper than ${maxDepth}`
    for (const key of Object.keys(value)) {
      if (key.includes('\0')) return `${path} holds a key with a NUL character`
      if (!key.isWellFormed()) return `${path} holds a key with a lone surrogate`
      budget.bytes -= key.length
      const defect = walk(value[key]!, path, depth - 1, budget)
      if (defect) return defect
    }
  }
  return budget.bytes < 0 ? `the event is larger than ${maxEventBytes} bytes` : undefined
}
