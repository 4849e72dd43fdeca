import { isObject, type LogRecord, type Value, WholeDouble } from '@madsci-events/sdk/event'
import type { LogGroup } from './encode-protobuf.ts'

/**
 * Groups → one OTLP `LogsData` (which is an ExportLogsServiceRequest too) as JSON, without a line break: also a line of the
 * file exporter's format.
 * Source: OTLP 1.x, JSON Protobuf encoding (ids in hex, 64-bit integers as text), and the file exporter specification.
 */
export function toLogsDataText(groups: readonly LogGroup[]): string {
  return JSON.stringify({ resourceLogs: groups.map(toResourceLogs) })
}

function toResourceLogs({ context, records }: LogGroup): object {
  const { scope } = context
  const dropped = context.resourceDroppedAttributesCount
  return {
    resource: {
      ...(Object.keys(context.resource).length > 0 && { attributes: toKeyValues(context.resource) }),
      ...(dropped > 0 && { droppedAttributesCount: dropped }),
    },
    scopeLogs: [
      {
        scope: {
          ...(scope.name && { name: scope.name }),
          ...(scope.version && { version: scope.version }),
          ...(scope.attributes && { attributes: toKeyValues(scope.attributes) }),
          ...(scope.dropped_attributes_count && { droppedAttributesCount: scope.dropped_attributes_count }),
        },
        logRecords: records.map(toJsonRecord),
        ...(scope.schema_url && { schemaUrl: scope.schema_url }),
      },
    ],
    ...(context.resourceSchemaUrl && { schemaUrl: context.resourceSchemaUrl }),
  }
}

const toKeyValues = (attributes: { [key: string]: Value }) =>
  Object.keys(attributes).map((key) => ({ key, value: toAnyValue(attributes[key]!) }))

function toJsonRecord(record: LogRecord): object {
  return {
    ...(record.timeUnixNano !== 0n && { timeUnixNano: String(record.timeUnixNano) }),
    ...(record.observedTimeUnixNano !== 0n && { observedTimeUnixNano: String(record.observedTimeUnixNano) }),
    severityNumber: record.severityNumber,
    ...(record.severityText && { severityText: record.severityText }),
    ...(record.eventName && { eventName: record.eventName }),
    ...(record.body !== undefined && { body: toAnyValue(record.body) }),
    attributes: record.keys.map((key, index) => ({ key, value: toAnyValue(record.values[index]!) })),
    ...(record.droppedAttributesCount !== 0 && { droppedAttributesCount: record.droppedAttributesCount }),
    ...(record.flags !== 0 && { flags: record.flags }),
    ...(record.traceId && { traceId: record.traceId }),
    ...(record.spanId && { spanId: record.spanId }),
  }
}

// JSON has no NaN and no infinities, and JSON.stringify no -0.
const toText = (value: number) => (Object.is(value, -0) ? '-0' : String(value))

function toAnyValue(value: Value): object {
  if (value === null) return {}
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint') return { intValue: String(value) }
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return { intValue: String(value) }
    return { doubleValue: Number.isFinite(value) && !Object.is(value, -0) ? value : toText(value) }
  }
  if ((value as object) instanceof WholeDouble) return { doubleValue: (value as never as WholeDouble).value }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(toAnyValue) } }
  if (isObject(value)) {
    return { kvlistValue: { values: toKeyValues(value) } }
  }
  return {}
}
