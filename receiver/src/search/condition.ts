import type { Value } from '@madsci-events/sdk/event'
import { anyPath, componentName, innerTypes, typePaths, wrappingTypes } from '../subject.ts'

/** What the parameters and the names of the search language ask for, as selectors. */

/** By OTel's name for it, and by the one that MADSci's own programs give. */
export const serviceCondition = (value: Value): Value => ({
  $or: anyPath(value, ['otel.resource.service.name', componentName]),
})

/** The name that a record came with, or that MADSci's SDK gives the type. */
export function eventNameCondition(name: string): Value {
  const stored: Value = { 'otel.event_name': name }
  if (!name.startsWith('madsci.')) return stored
  const missing = { $exists: false }
  return {
    $or: [stored, { event_type: name.slice(7), 'otel.event_name': missing, 'otel.form': missing }],
  }
}

/** A text as it stands in the message, in any case. */
export function textCondition(text: string): Value {
  const pattern = { $regex: text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), $options: 'i' }
  return { $or: anyPath(pattern, ['event_data.message', 'event_data']) }
}

/** Events of these types: the type within an event counts where its own only says how it was logged. */
export function typeCondition(types: readonly string[]): Value {
  const [own, inner] = typePaths
  const wrapping = types.filter((type) => wrappingTypes.includes(type))
  const others = types.filter((type) => !wrappingTypes.includes(type))
  const parts: Value[] = []
  if (wrapping.length > 0) parts.push({ [own]: { $in: wrapping }, [inner]: { $nin: [...innerTypes] } })
  if (others.length > 0) {
    parts.push({ [own]: { $in: others } })
    parts.push({ [own]: { $in: [...wrappingTypes] }, [inner]: { $in: others } })
  }
  return parts.length === 1 ? parts[0]! : { $or: parts }
}
