import type { Value } from '@madsci-events/sdk/event'
import protobufjs from 'protobufjs'

// The messages of opentelemetry/proto/logs/v1, by the numbers of their fields, for the reference encoder (protobufjs).
const field = (type: string, id: number, rule?: string) => ({ type, id, ...(rule && { rule }) })
const root = protobufjs.Root.fromJSON({
  nested: {
    Request: { fields: { resourceLogs: field('ResourceLogs', 1, 'repeated') } },
    ResourceLogs: {
      fields: {
        resource: field('Resource', 1),
        scopeLogs: field('ScopeLogs', 2, 'repeated'),
        schemaUrl: field('string', 3),
      },
    },
    Resource: {
      fields: { attributes: field('KeyValue', 1, 'repeated'), droppedAttributesCount: field('uint32', 2) },
    },
    ScopeLogs: {
      fields: {
        scope: field('Scope', 1),
        logRecords: field('LogRecord', 2, 'repeated'),
        schemaUrl: field('string', 3),
      },
    },
    Scope: {
      fields: {
        name: field('string', 1),
        version: field('string', 2),
        attributes: field('KeyValue', 3, 'repeated'),
        droppedAttributesCount: field('uint32', 4),
      },
    },
    LogRecord: {
      fields: {
        timeUnixNano: field('fixed64', 1),
        severityNumber: field('int32', 2),
        severityText: field('string', 3),
        body: field('AnyValue', 5),
        attributes: field('KeyValue', 6, 'repeated'),
        droppedAttributesCount: field('uint32', 7),
        flags: field('fixed32', 8),
        traceId: field('bytes', 9),
        spanId: field('bytes', 10),
        observedTimeUnixNano: field('fixed64', 11),
        eventName: field('string', 12),
      },
    },
    KeyValue: { fields: { key: field('string', 1), value: field('AnyValue', 2) } },
    AnyValue: {
      oneofs: {
        value: {
          oneof: [
            'stringValue',
            'boolValue',
            'intValue',
            'doubleValue',
            'arrayValue',
            'kvlistValue',
            'bytesValue',
          ],
        },
      },
      fields: {
        stringValue: field('string', 1),
        boolValue: field('bool', 2),
        intValue: field('int64', 3),
        doubleValue: field('double', 4),
        arrayValue: field('ArrayValue', 5),
        kvlistValue: field('KeyValueList', 6),
        bytesValue: field('bytes', 7),
      },
    },
    ArrayValue: { fields: { values: field('AnyValue', 1, 'repeated') } },
    KeyValueList: { fields: { values: field('KeyValue', 1, 'repeated') } },
  },
})
export const requestType = root.lookupType('Request')

/** A number that a sender wrote as a double, whatever it is. */
export class Double {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** A Value as AnyValue: for protobufjs (`toText` off: bytes are bytes) or for JSON. */
export function toAny(value: Value, isJson: boolean): object {
  if (value === null) return {}
  if ((value as object) instanceof Double) return { doubleValue: (value as never as Double).value }
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'bigint') return { intValue: isJson ? String(value) : toLong(value) }
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value) && !Object.is(value, -0))
      return { intValue: isJson ? String(value) : toLong(BigInt(value)) }
    // JSON.stringify has neither −0 nor what is not finite; protobuf's JSON takes numbers as text.
    if (isJson && Object.is(value, -0)) return { doubleValue: '-0' }
    return { doubleValue: isJson && !Number.isFinite(value) ? String(value) : value }
  }
  if (value instanceof Uint8Array)
    return { bytesValue: isJson ? Buffer.from(value).toString('base64') : Buffer.from(value) }
  if (Array.isArray(value)) return { arrayValue: { values: value.map((one) => toAny(one, isJson)) } }
  return { kvlistValue: { values: toKeyValues(Object.entries(value), isJson) } }
}
export const toKeyValues = (entries: [string, Value][], isJson: boolean) =>
  entries.map(([key, value]) => ({ key, value: toAny(value, isJson) }))
export const toLong = (value: bigint) => ({
  low: Number(BigInt.asIntN(32, value)),
  high: Number(BigInt.asIntN(32, value >> 32n)),
  unsigned: false,
})
