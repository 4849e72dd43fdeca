import { isObject, type LogRecord, type Value } from '@madsci-events/sdk/event'

/**
 * Records → one OTLP `LogsData` as JSON, without a line break: a line of the file exporter's format.
 * Source: OTLP 1.x, JSON Protobuf encoding (ids in hex, 64-bit integers as text), and the file exporter specification.
 */
export function toLogsDataLine(records: readonly LogRecord[], scopeName: string): string {
  return JSON.stringify({
    resourceLogs: [
      { resource: {}, scopeLogs: [{ scope: { name: scopeName }, logRecords: records.map(toJsonRecord) }] },
    ],
  })
}

function toJsonRecord(record: LogRecord): object {
  return {
    timeUnixNano: String(record.timeUnixNano),
    ...(record.observedTimeUnixNano !== 0n && { observedTimeUnixNano: String(record.observedTimeUnixNano) }),
    severityNumber: record.severityNumber,
    ...(record.severityText && { severityText: record.severityText }),
    ...(record.eventName && { eventName: record.eventName }),
    ...(record.body !== undefined && { body: toAnyValue(record.body) }),
    attributes: record.keys.map((key, index) => ({ key, value: toAnyValue(record.values[index]!) })),
    ...(record.flags !== 0 && { flags: record.flags }),
    ...(record.traceId && { traceId: record.traceId }),
    ...(record.spanId && { spanId: record.spanId }),
  }
}

function toAnyValue(value: Value): object {
  if (value === null) return {}
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint') return { intValue: String(value) }
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return { intValue: String(value) }
    return { doubleValue: Number.isFinite(value) ? value : String(value) }
  }
  if (value instanceof Uint8Array) return { bytesValue: Buffer.from(value).toString('base64') }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(toAnyValue) } }
  if (isObject(value)) {
    const values = Object.keys(value).map((key) => ({ key, value: toAnyValue(value[key]!) }))
    return { kvlistValue: { values } }
  }
  return {}
}
