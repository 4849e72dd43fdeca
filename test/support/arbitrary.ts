import {
  type Event,
  eventLevels,
  eventTypes,
  type Source,
  setKey,
  sourceKeys,
  toTimestamp,
  ulidFrom,
  type Value,
} from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { anyCharacter } from './character.ts'

/** Generators of events and values, shared by property tests, contract and load. */

const hardKeys = [
  '',
  '$gt',
  '$where',
  'a.b',
  '.',
  '__proto__',
  'constructor',
  'toString',
  'message',
  '_id',
  'é',
  '💡',
]
export const keyArbitrary = fc.oneof(
  fc.constantFrom(...hardKeys, 'a', 'b', 'c'),
  fc.string({ unit: anyCharacter, maxLength: 8 }).filter((key) => !key.includes('\0')),
)

const numberArbitrary = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.constantFrom(0, -0, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 63, -(2 ** 63), 1e21, 5e-324),
)
/** Only integers that a number cannot hold are bigint, as everywhere in the product. */
const bigintArbitrary = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .filter((n) => n > 9007199254740991n || n < -9007199254740991n)

export const valueArbitrary: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    numberArbitrary,
    bigintArbitrary,
    fc.string({ unit: anyCharacter, maxLength: 20 }),
    fc.uint8Array({ maxLength: 12 }).map((bytes) => new Uint8Array(bytes)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(keyArbitrary, tie('value')), { maxLength: 5 }).map((entries) => {
      const object: { [key: string]: Value } = {}
      for (const [key, value] of entries) setKey(object, key, value)
      return object
    }),
  ),
})).value

export const ulidArbitrary = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 47 }), fc.uint8Array({ minLength: 10, maxLength: 10 }))
  .map(([time, bytes]) => ulidFrom(time, bytes))

const sourceArbitrary: fc.Arbitrary<Source> = fc
  .array(fc.tuple(fc.constantFrom(...sourceKeys), ulidArbitrary), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries))

const hex = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: length })
    .filter((bytes) => bytes.some((byte) => byte !== 0))
    .map((bytes) => Buffer.from(bytes).toString('hex'))

export const dataArbitrary: fc.Arbitrary<Value> = fc.oneof(
  fc.string({ unit: anyCharacter, maxLength: 30 }).map((message) => ({ message })),
  fc.string({ unit: anyCharacter, maxLength: 30 }),
  valueArbitrary,
)

/** Events that an SDK can emit: UTC times, not archived, valid trace ids, no `otel`. */
export const eventArbitrary: fc.Arbitrary<Event> = fc.record({
  event_id: ulidArbitrary,
  event_type: fc.constantFrom(...eventTypes),
  log_level: fc.constantFrom(...eventLevels),
  alert: fc.boolean(),
  event_timestamp: fc
    .integer({ min: 1, max: 9_000_000_000_000_000 })
    .map((micros) => toTimestamp(BigInt(micros) * 1000n)),
  source: sourceArbitrary,
  event_data: dataArbitrary,
  trace_id: fc.option(hex(16)),
  span_id: fc.option(hex(8)),
  archived: fc.constant(false),
  archived_at: fc.constant(null),
})
