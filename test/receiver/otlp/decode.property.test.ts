import { EventError, findDefect, type Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { eventArbitrary, keyArbitrary, valueArbitrary } from '../../support/arbitrary.ts'
import { anyCharacter } from '../../support/character.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { requestType, toAny, toKeyValues, toLong } from '../../support/otlp-reference.ts'

const attributes = fc
  .uniqueArray(fc.tuple(keyArbitrary, valueArbitrary), { maxLength: 4, selector: ([key]) => key })
  .map((entries) => entries as [string, Value][])
const text = fc.string({ unit: anyCharacter, maxLength: 8 })
const nano = fc.bigInt({ min: 0n, max: 2n ** 63n })
const hexId = (bytes: number) =>
  fc.oneof(
    fc.constant(''),
    fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString('hex')),
  )
const record = fc.record({
  timeUnixNano: nano,
  observedTimeUnixNano: nano,
  severityNumber: fc.integer({ min: 0, max: 24 }),
  severityText: text,
  eventName: text,
  body: fc.option(valueArbitrary, { nil: undefined }),
  attributes,
  droppedAttributesCount: fc.nat(5),
  flags: fc.nat(0xffff),
  traceId: hexId(16),
  spanId: hexId(8),
})
const request = fc.array(
  fc.record({
    attributes,
    droppedAttributesCount: fc.nat(3),
    schemaUrl: text,
    scopes: fc.array(
      fc.record({
        name: text,
        version: text,
        attributes,
        schemaUrl: text,
        records: fc.array(record, { maxLength: 4 }),
      }),
      { maxLength: 2 },
    ),
  }),
  { maxLength: 3 },
)
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

function build(input: Request, isJson: boolean): object {
  const bytesOf = (hex: string) => (isJson ? hex : Buffer.from(hex, 'hex'))
  const time = (value: bigint) => (isJson ? String(value) : { ...toLong(value), unsigned: true })
  return {
    resourceLogs: input.map(({ attributes, droppedAttributesCount, schemaUrl, scopes }) => ({
      resource: { attributes: toKeyValues(attributes, isJson), droppedAttributesCount },
      schemaUrl,
      scopeLogs: scopes.map((scope) => ({
        scope: {
          name: scope.name,
          version: scope.version,
          attributes: toKeyValues(scope.attributes, isJson),
        },
        schemaUrl: scope.schemaUrl,
        logRecords: scope.records.map(
          ({ timeUnixNano, observedTimeUnixNano, body, attributes, traceId, spanId, ...rest }) => ({
            ...rest,
            timeUnixNano: time(timeUnixNano),
            observedTimeUnixNano: time(observedTimeUnixNano),
            ...(body !== undefined && { body: toAny(body, isJson) }),
            attributes: toKeyValues(attributes, isJson),
            traceId: bytesOf(traceId),
            spanId: bytesOf(spanId),
          }),
        ),
      })),
    })),
  }
}

const options = { receivedUnixNano: 1_700_000_000_000_000_000n, maxBodyBytes: 64 << 20 }
// Not fromObject: it makes doubles of 64-bit integers.
const encode = (input: Request) => requestType.encode(build(input, false)).finish()

const identity = { dated: new Uint8Array(10).fill(7), undated: new Uint8Array(10).fill(8), undatedMs: 9 }

/** Decodes what may be anything: a refusal must be one of ours. */
function tryDecode(decode: typeof decodeProtobuf, bytes: Uint8Array): string {
  try {
    decode(bytes, options)
    return 'taken'
  } catch (error) {
    if (!(error instanceof EventError)) throw error
    expect(['EVT_OTLP', 'EVT_TOO_LARGE']).toContain(error.code)
    return error.code
  }
}

describe('OTLP decoders', () => {
  it('protobuf of the reference encoder ≡ JSON, record by record, ids of one identity included', () => {
    let records = 0
    fc.assert(
      fc.property(request, (input) => {
        const identified = { ...options, identify: () => identity }
        const fromProtobuf = decodeProtobuf(encode(input), identified)
        const fromJson = decodeJson(Buffer.from(JSON.stringify(build(input, true))), identified)
        expect({ ...fromProtobuf, isSound: false }).toEqual(fromJson)
        const sent = input.flatMap(({ scopes }) => scopes.flatMap((scope) => scope.records)).length
        const refused = [...fromProtobuf.refused.values()].reduce((a, b) => a + b, 0)
        expect(fromProtobuf.events.length + refused).toBe(sent)
        records += sent
      }),
      { numRuns: 500 },
    )
    expect(records).toBeGreaterThan(500)
  })

  it('what is called sound has no event that a store cannot keep', () => {
    let sound = 0
    const defects = new Set<string>()
    const hardKey = fc.oneof(keyArbitrary, fc.constantFrom('a\0', `${'k'.repeat(70)}\0`))
    const members = fc.array(fc.tuple(hardKey, fc.string()), { maxLength: 3 }).map(Object.fromEntries)
    const odd = fc.record({
      event: eventArbitrary,
      members,
      resource: members,
      depth: fc.oneof(fc.nat(3), fc.integer({ min: 160, max: 190 })),
      idCharacters: fc.constantFrom(26, 26, 26, 1024, 1025),
      isJson: fc.boolean(),
    })
    const [sample] = fc.sample(eventArbitrary, { numRuns: 1, seed: 3 })
    fc.assert(
      fc.property(odd, ({ event, members, resource, depth, idCharacters, isJson }) => {
        let deep: Value = 1
        for (let i = 0; i < depth; i++) deep = i % 2 === 0 ? [deep] : { deep }
        // What an attribute cannot carry goes as JSON text, and that can say what OTLP's own values cannot.
        const event_data = isJson ? { ...members, number: Number.NaN, text: '\ud800' } : members
        const events = [{ ...event, event_id: 'i'.repeat(idCharacters), event_data }]
        const decoded = decodeProtobuf(encodeLogs(events, { resource: { ...resource, deep } }), options)
        if (decoded.isSound) sound++
        for (const one of decoded.events) {
          const defect = findDefect(one)
          if (defect === undefined) continue
          defects.add(defect.replace(/^.* (holds|is) /, ''))
          expect(decoded.isSound, defect).toBe(false)
        }
      }),
      {
        numRuns: 300,
        endOnFailure: true,
        // Too deep and nothing else, which chance may leave out.
        examples: [
          [{ event: sample!, members: {}, resource: {}, depth: 190, idCharacters: 26, isJson: false }],
        ],
      },
    )
    expect(sound).toBeGreaterThan(5)
    expect([...defects].sort()).toEqual([
      'a key with a NUL character',
      'a lone surrogate',
      'longer than 1024 characters',
      'nested deeper than 180',
    ])
    const large = Buffer.alloc(3 << 20, 'x').toString()
    const plain = fc.sample(eventArbitrary, { numRuns: 20, seed: 3 })
    const soundOf = (events: typeof plain) => decodeProtobuf(encodeLogs(events), options).isSound
    expect(plain.filter((event) => soundOf([event])).length).toBeGreaterThan(10)
    expect(soundOf([{ ...plain[0]!, event_data: { large } }])).toBe(false)
  })

  it('events come back as they were sent, in both encodings', () => {
    fc.assert(
      fc.property(fc.array(eventArbitrary, { maxLength: 5 }), (events) => {
        for (const encoding of ['protobuf', 'json'] as const) {
          const bytes = encodeLogs(events, { encoding, resource: {} })
          const decode = encoding === 'json' ? decodeJson : decodeProtobuf
          expect(decode(bytes, options).events).toEqual(events)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('cut at every byte: refused, or the whole messages before the cut', () => {
    const [input] = fc.sample(
      request.filter((one) => one.length > 1 && encode(one).length > 400),
      { numRuns: 1, seed: 7 },
    )
    const bytes = encode(input!)
    const outcomes = new Set<string>()
    for (let end = 0; end < bytes.length; end++)
      outcomes.add(tryDecode(decodeProtobuf, bytes.subarray(0, end)))
    expect(outcomes).toContain('EVT_OTLP')
    const json = Buffer.from(JSON.stringify(build(input!, true)))
    for (let end = 1; end < json.length; end++)
      expect(tryDecode(decodeJson, json.subarray(0, end))).toBe('EVT_OTLP')
  })

  it('flipped bits and random bytes: taken or refused, never anything else', () => {
    fc.assert(
      fc.property(request, fc.array(fc.nat(), { minLength: 1, maxLength: 8 }), (input, flips) => {
        for (const bytes of [Buffer.from(encode(input)), Buffer.from(JSON.stringify(build(input, true)))]) {
          if (bytes.length === 0) continue
          for (const flip of flips) bytes[(flip >>> 3) % bytes.length]! ^= 1 << (flip & 7)
          tryDecode(decodeProtobuf, bytes)
          tryDecode(decodeJson, bytes)
        }
      }),
      { numRuns: 500 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        tryDecode(decodeProtobuf, bytes)
        tryDecode(decodeJson, bytes)
      }),
      { numRuns: 1000 },
    )
  })
})
