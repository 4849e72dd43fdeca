import type { Event, Value } from './event.ts'

/** What a document may be at most, in both stores, so that both refuse the same events. */
export const maxDepth = 180
export const maxEventBytes = 15 * 1024 * 1024
/** What a value counts for beside its characters, and an object or array in its place: a reader takes as much memory for it. */
export const valueBytes = 8
export const containerBytes = 40
export const maxIdCharacters = 1024
const maxInt = 2n ** 63n - 1n
const minInt = -(2n ** 63n)

/**
 * Why no store can keep this event exactly, or undefined when each can: NUL or lone surrogates in keys, lone surrogates
 * in text, integers beyond 64 bits, nesting deeper than 180, more than 15 MiB, where
 * each value counts for 8 bytes and each object and array for 40 beside what is in it.
 */
export function findDefect(event: Event): string | undefined {
  const budget = { bytes: maxEventBytes }
  if (event.event_id.length > maxIdCharacters) return `event_id is longer than ${maxIdCharacters} characters`
  if (!event.event_id.isWellFormed()) return 'event_id holds a lone surrogate'
  if (event.trace_id !== null && !event.trace_id.isWellFormed()) return 'trace_id holds a lone surrogate'
  if (event.span_id !== null && !event.span_id.isWellFormed()) return 'span_id holds a lone surrogate'
  const defect = weigh(event.event_data, 'event_data', maxDepth, budget)
  return defect ?? (event.otel ? weigh(event.otel as Value, 'otel', maxDepth, budget) : undefined)
}

function weigh(value: Value, path: string, depth: number, budget: { bytes: number }): string | undefined {
  budget.bytes -= valueBytes
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) return `${path} holds a lone surrogate`
      budget.bytes -= value.length
      break
    case 'bigint':
      if (value > maxInt || value < minInt) return `${path} holds an integer beyond 64 bits`
      break
    case 'object':
      if (value !== null) {
        const defect = walkObject(value, path, depth, budget)
        if (defect) return defect
      }
  }
  return budget.bytes < 0 ? `the event is larger than ${maxEventBytes} bytes` : undefined
}

function walkObject(
  value: Value[] | Uint8Array | { [key: string]: Value },
  path: string,
  depth: number,
  budget: { bytes: number },
): string | undefined {
  if (value instanceof Uint8Array) {
    budget.bytes -= value.length
    return undefined
  }
  budget.bytes -= containerBytes - valueBytes
  if (depth === 0) return `${path} is nested deeper than ${maxDepth}`
  if (Array.isArray(value)) {
    for (const member of value) {
      const defect = weigh(member, path, depth - 1, budget)
      if (defect) return defect
    }
    return undefined
  }
  for (const key in value) {
    if (!isSoundKey(key))
      return `${path} holds a key with a ${key.includes('\0') ? 'NUL character' : 'lone surrogate'}`
    budget.bytes -= key.length
    const defect = weigh(value[key]!, path, depth - 1, budget)
    if (defect) return defect
  }
  return undefined
}

// The same names come in every event: a look into the set is cheaper than a look at each character.
const soundKeys = new Set<string>()
const maxSoundKeys = 5000

function isSoundKey(key: string): boolean {
  if (soundKeys.has(key)) return true
  if (key.includes('\0') || !key.isWellFormed()) return false
  if (key.length <= 64) {
    if (soundKeys.size >= maxSoundKeys) soundKeys.clear()
    soundKeys.add(key)
  }
  return true
}
