import type { AnyValue, Context, HrTime, LogRecord } from '@opentelemetry/api'
import { type Event, isObject, type Value } from './event/event.ts'
import { toExactJson } from './event/json.ts'
import { toRecord } from './event/record.ts'

/** Event → what an OpenTelemetry logger emits. Total. */
export function toLogRecord(event: Event, context: Context): LogRecord {
  const record = toRecord(event)
  const attributes: { [key: string]: AnyValue } = {}
  for (let i = 0; i < record.keys.length; i++) {
    const key = record.keys[i]!
    const value = record.values[i]!
    if (key === 'madsci.event.data' && !isKept(value)) attributes['madsci.event.json'] = toExactJson(value)
    else attributes[key] = value as AnyValue
  }
  const time = toHrTime(record.timeUnixNano)
  return {
    timestamp: time,
    observedTimestamp: time,
    severityNumber: record.severityNumber,
    severityText: record.severityText,
    eventName: record.eventName,
    body: record.body as AnyValue,
    attributes,
    context,
  }
}

function toHrTime(unixNano: bigint): HrTime {
  return [Number(unixNano / 1_000_000_000n), Number(unixNano % 1_000_000_000n)]
}

/**
 * Whether the OTel SDK keeps this as an attribute. It takes an object with a `constructor` of its own for an instance of
 * a class, and drops the whole attribute for that, or for a bigint in it.
 */
export function isKept(value: Value): boolean {
  if (typeof value === 'bigint') return false
  if (Array.isArray(value)) return value.every(isKept)
  if (!isObject(value)) return true
  for (const key in value) {
    if (key === 'constructor' || !isKept(value[key]!)) return false
  }
  return true
}
