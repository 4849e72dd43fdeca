import { type Event, type OtelContext, toOtelContext, toOtelRecord } from '@madsci-events/sdk/event'
import type { LogGroup } from './encode-protobuf.ts'

/**
 * Records by resource and scope, groups in the order of their first record, records in the order of the events. Events
 * without a resource get one of `serviceName`.
 */
export function groupRecords(events: Iterable<Event>, serviceName: string): LogGroup[] {
  const groups = new Map<string, LogGroup>()
  const own: OtelContext = {
    resource: { 'service.name': serviceName },
    resourceDroppedAttributesCount: 0,
    resourceSchemaUrl: '',
    scope: {},
  }
  for (const event of events) {
    // Most have nothing of the kind.
    const context = event.otel?.resource || event.otel?.scope ? toOtelContext(event) : own
    const key = context === own ? '' : JSON.stringify(context, toKey)
    let group = groups.get(key)
    if (!group) {
      group = { context, records: [] }
      groups.set(key, group)
    }
    group.records.push(toOtelRecord(event))
  }
  return [...groups.values()]
}

// Values that JSON has no word for must still tell groups apart.
function toKey(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `bigint ${value}`
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  if (typeof value === 'number' && !Number.isFinite(value)) return `number ${value}`
  return value
}
