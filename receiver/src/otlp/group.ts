import { type Event, type OtelContext, toOtelContext, toOtelRecord } from '@madsci-events/sdk/event'
import type { LogGroup } from './encode-protobuf.ts'

/**
 * Records in the order of the events. Neighbours of the same resource and scope share a group; a group is never added to
 * after another one began, because a receiver reads the groups in order, and the order of commit is what followers are
 * promised. Events without a resource get one of `serviceName`.
 */
export function groupRecords(events: Iterable<Event>, serviceName: string): LogGroup[] {
  const groups: LogGroup[] = []
  let lastKey: string | undefined
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
    if (key !== lastKey) groups.push({ context, records: [] })
    lastKey = key
    groups.at(-1)!.records.push(toOtelRecord(event))
  }
  return groups
}

// Values that JSON has no word for must still tell groups apart.
function toKey(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `bigint ${value}`
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  if (typeof value === 'number' && !Number.isFinite(value)) return `number ${value}`
  return value
}
