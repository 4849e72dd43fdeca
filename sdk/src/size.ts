import type { AnyValue } from '@opentelemetry/api'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'

/** About how many bytes this record will be in a request: off by some percent, so limits keep a margin. */
export function estimateBytes(record: ReadableLogRecord): number {
  return 64 + sizeOf(record.body) + sizeOf(record.attributes)
}

function sizeOf(value: AnyValue): number {
  if (typeof value === 'string') return value.length + 4
  if (typeof value !== 'object' || value === null) return 10
  if (value instanceof Uint8Array) return value.length + 4
  let bytes = 8
  if (Array.isArray(value)) for (const member of value) bytes += sizeOf(member)
  else {
    const members = value as { [key: string]: AnyValue }
    for (const key in members) bytes += key.length + 6 + sizeOf(members[key])
  }
  return bytes
}
