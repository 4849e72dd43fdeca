import {
  createRecordContext,
  type Event,
  findDefect,
  fromRecord,
  type LogRecord,
  type OtelScope,
  setKey,
  toOtelContext,
  toOtelRecord,
  type Value,
} from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toLogsDataText } from '../../../receiver/src/otlp/encode-json.ts'
import { encodeProtobuf } from '../../../receiver/src/otlp/encode-protobuf.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { eventArbitrary, keyArbitrary, ulidArbitrary, valueArbitrary } from '../../support/arbitrary.ts'
import { anyCharacter } from '../../support/character.ts'

const options = { receivedUnixNano: 5n, maxBodyBytes: 1 << 24 }

// Names that mean something to us, with values that they should have and others.
const knownKeys = [
  'madsci.event.type',
  'madsci.event.data',
  'madsci.event.json',
  'madsci.event.alert',
  'madsci.event.log_level',
  'madsci.source.node_id',
  'madsci.source.other',
  'event.name',
  'message',
]
const attribute = fc.oneof(
  fc.tuple(keyArbitrary, valueArbitrary),
  fc.tuple(
    fc.constantFrom(...knownKeys),
    fc.oneof(
      valueArbitrary,
      fc.constantFrom('action_start', 'ACTION_START', 'madsci.test', 'none of ours', '', '{"a":1}', true, 0),
      ulidArbitrary,
    ),
  ),
)
const attributes = fc
  .uniqueArray(attribute, { maxLength: 6, selector: ([key]) => key })
  .map((entries) => entries as [string, Value][])
const text = fc.string({ unit: anyCharacter, maxLength: 8 })
const id = (bytes: number) =>
  fc.oneof(
    fc.constant(''),
    fc
      .uint8Array({ minLength: bytes, maxLength: bytes })
      .filter((b) => b.some((one) => one > 0))
      .map((b) => Buffer.from(b).toString('hex')),
  )
const toObject = (entries: [string, Value][]) => {
  const object: { [key: string]: Value } = {}
  for (const [key, value] of entries) setKey(object, key, value)
  return object
}
const foreign = fc.record({
  time: fc.bigInt({ min: 1n, max: 2n ** 62n }),
  observed: fc.bigInt({ min: 0n, max: 2n ** 62n }),
  severityNumber: fc.integer({ min: 0, max: 24 }),
  severityText: fc.oneof(text, fc.constantFrom('INFO', 'ERROR', '')),
  eventName: fc.oneof(text, fc.constantFrom('madsci.test', 'test', 'login', '')),
  body: fc.option(valueArbitrary, { nil: undefined }),
  attributes,
  dropped: fc.nat(5),
  flags: fc.nat(0xff),
  traceId: id(16),
  spanId: id(8),
  resource: attributes,
  resourceDropped: fc.nat(3),
  resourceUrl: text,
  scope: fc.record(
    { name: text, version: text, attributes: attributes.map(toObject), schema_url: text },
    { requiredKeys: [] },
  ),
})
type Foreign = typeof foreign extends fc.Arbitrary<infer T> ? T : never

/** The event that our decoders make of such a record. */
function toEvent(input: Foreign): Event {
  // An empty text on the wire is an absent one.
  const scope = Object.fromEntries(
    Object.entries(input.scope).filter(([, value]) => value !== ''),
  ) as OtelScope
  if (scope.attributes && Object.keys(scope.attributes).length === 0) delete scope.attributes
  const context = createRecordContext(
    toObject(input.resource),
    Object.keys(scope).length > 0 ? scope : undefined,
  )
  if (input.resourceUrl !== '') context.resourceSchemaUrl = input.resourceUrl
  if (input.resourceDropped !== 0) context.resourceDroppedAttributesCount = input.resourceDropped
  const record: LogRecord = {
    timeUnixNano: input.time,
    observedTimeUnixNano: input.observed,
    severityNumber: input.severityNumber,
    severityText: input.severityText,
    eventName: input.eventName,
    body: input.body,
    keys: ['log.record.uid', ...input.attributes.map(([key]) => key)],
    values: ['01K0000000000000000000000A', ...input.attributes.map(([, value]) => value)],
    droppedAttributesCount: input.dropped,
    flags: input.flags,
    traceId: input.traceId,
    spanId: input.spanId,
  }
  return fromRecord(record, { context, receivedUnixNano: 5n, createId: () => 'no id' })
}

function roundTrip(event: Event, encoding: 'protobuf' | 'json'): Event[] {
  const groups = [{ context: toOtelContext(event), records: [toOtelRecord(event)] }]
  const decoded =
    encoding === 'protobuf'
      ? decodeProtobuf(encodeProtobuf(groups), options)
      : decodeJson(Buffer.from(toLogsDataText(groups)), options)
  expect(decoded.refused.size).toBe(0)
  return decoded.events
}

describe.for(['protobuf', 'json'] as const)('events encoded as OTLP %s', (encoding) => {
  it('R24: what came by OTLP, of any source, is the same event when it is received again', () => {
    fc.assert(
      fc.property(foreign, (input) => {
        const event = toEvent(input)
        fc.pre(findDefect(event) === undefined)
        expect(roundTrip(event, encoding)).toEqual([event])
      }),
      { numRuns: 1500 },
    )
  })

  it('what an SDK emits is the same event when it is received again', () => {
    fc.assert(
      fc.property(eventArbitrary, (event) => {
        expect(roundTrip(event, encoding)).toEqual([event])
      }),
      { numRuns: 500 },
    )
  })

  it('an otel of any shape, as REST takes it, is encoded; times and ids that OTLP cannot say stand beside', () => {
    fc.assert(
      fc.property(eventArbitrary, valueArbitrary, text, (event, otel, trace) => {
        const odd = {
          ...event,
          trace_id: trace,
          event_timestamp: '0001-01-01T00:00:00.000000',
          otel,
        } as Event
        const [back] = roundTrip(odd, encoding)
        expect(back!.event_id).toBe(event.event_id)
        const groups = [{ context: toOtelContext(odd), records: [toOtelRecord(odd)] }]
        expect(toLogsDataText(groups)).toContain('0001-01-01T00:00:00.000000')
        if (trace !== '' && !/^[\da-f]{32}$/.test(trace))
          expect(groups[0]!.records[0]!.keys).toContain('madsci.event.trace_id')
      }),
      { numRuns: 300 },
    )
  })
})
