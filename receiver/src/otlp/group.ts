import {
  type Event,
  type OtelContext,
  toOtelContext,
  toOtelRecord,
  WholeDouble,
} from '@madsci-events/sdk/event'
import type { LogGroup } from './encode-protobuf.ts'

/**
 * Records in the order of the events. Neighbours of the same resource and scope share a group; a group is never added to
 * after another one began, because a receiver reads the groups in order, and the order of commit is what followers are
 * promised. Events that did not come by OTLP get the resource and scope that are given.
 */
export function groupRecords(
  events: Iterable<Event>,
  { resource = {}, scope = {} }: Partial<Pick<OtelContext, 'resource' | 'scope'>>,
): LogGroup[] {
  const groups: LogGroup[] = []
  let lastKey: string | undefined
  const own: OtelContext = { resource, resourceDroppedAttributesCount: 0, resourceSchemaUrl: '', scope }
  for (const event of events) {
    const { otel } = event
    // Most have nothing of the kind.
    const isOfOthers =
      otel !== undefined &&
      (otel.resource ||
        otel.scope ||
        otel.resource_schema_url ||
        otel.resource_dropped_attributes_count ||
        otel.form)
    const context = isOfOthers ? toOtelContext(event) : own
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
  if (value instanceof WholeDouble) return `double ${value.value}`
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return `number ${Object.is(value, -0) ? '-0' : value}`
  return value
}
