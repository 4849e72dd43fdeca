import type { Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { valueArbitrary } from './arbitrary.ts'
import { Double, toAny, toKeyValues, toLong } from './otlp-reference.ts'

// As foreign SDKs write records: names with dots, bodies of any kind, times of both kinds or one, ids or none.
const attributeKey = fc.constantFrom(
  'http.response.status_code',
  'exception.type',
  'message',
  'event.name',
  'a',
  'code.file.path',
  '__proto__',
)
/** As many programs write numbers: 3.0 beside 3. */
const numbers = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map((value) => new Double(value) as never as Value),
  fc.integer(),
  fc.constantFrom(0.5, 'text', null),
)
const withDoubles = fc.oneof(
  numbers,
  fc.array(numbers, { maxLength: 4 }),
  fc.dictionary(fc.constantFrom('a', 'b/c', '~d', '__proto__', ''), fc.array(numbers, { maxLength: 2 })),
) as fc.Arbitrary<Value>
const anyValue = fc.oneof({ weight: 3, arbitrary: valueArbitrary }, { weight: 1, arbitrary: withDoubles })
const attributes = fc
  .uniqueArray(fc.tuple(attributeKey, anyValue), { maxLength: 4, selector: ([key]) => key })
  .map((entries) => entries as [string, Value][])
const text = fc.constantFrom('', 'a text', 'é💡', 'x.y')
const nanos = fc.oneof(
  fc.constant(0n),
  fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
  fc.bigInt({ min: 1_790_000_000_000_000n, max: 1_790_000_000_001_000n }).map((micros) => micros * 1000n),
)
const hexId = (bytes: number) =>
  fc.oneof(
    fc.constant(''),
    fc
      .uint8Array({ minLength: bytes, maxLength: bytes, min: 1 } as never)
      .map((b) => Buffer.from(b).toString('hex')),
  )
const record = fc.record({
  timeUnixNano: nanos,
  observedTimeUnixNano: nanos,
  severityNumber: fc.integer({ min: 0, max: 24 }),
  severityText: fc.constantFrom('', 'INFO', 'ERROR', 'WARN', 'Fatal', 'odd'),
  eventName: fc.constantFrom('', 'device.up', 'madsci.node_error', 'madsci.log_info', 'log_error'),
  body: fc.option(anyValue, { nil: undefined }),
  attributes,
  droppedAttributesCount: fc.nat(5),
  flags: fc.nat(0xff),
  traceId: hexId(16),
  spanId: hexId(8),
})
export const foreignRecord = fc.record({
  attributes,
  droppedAttributesCount: fc.nat(3),
  schemaUrl: text,
  scope: fc.record({ name: text, version: text, attributes, droppedAttributesCount: fc.nat(2) }),
  scopeSchemaUrl: text,
  record,
})
export type ForeignRecord = typeof foreignRecord extends fc.Arbitrary<infer T> ? T : never

export const uidOf = (number: number) => `uid-${String(number).padStart(6, '0')}`

/** A request of the reference encoder, each record in a resource of its own, with an id by its number. */
export function buildForeign(inputs: readonly ForeignRecord[], firstNumber: number): object {
  const time = (value: bigint) => ({ ...toLong(value), unsigned: true })
  return {
    resourceLogs: inputs.map(
      ({ attributes, droppedAttributesCount, schemaUrl, scope, scopeSchemaUrl, record }, i) => ({
        resource: { attributes: toKeyValues(attributes, false), droppedAttributesCount },
        schemaUrl,
        scopeLogs: [
          {
            scope: { ...scope, attributes: toKeyValues(scope.attributes, false) },
            schemaUrl: scopeSchemaUrl,
            logRecords: [
              {
                ...record,
                timeUnixNano: time(record.timeUnixNano),
                observedTimeUnixNano: time(record.observedTimeUnixNano),
                body: record.body === undefined ? undefined : toAny(record.body, false),
                attributes: [
                  { key: 'log.record.uid', value: { stringValue: uidOf(firstNumber + i) } },
                  ...toKeyValues(record.attributes, false),
                ],
                traceId: Buffer.from(record.traceId, 'hex'),
                spanId: Buffer.from(record.spanId, 'hex'),
              },
            ],
          },
        ],
      }),
    ),
  }
}
