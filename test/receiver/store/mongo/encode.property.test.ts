import {
  fromDocument,
  fromExactJson,
  isPlain,
  parseJson,
  toDocument,
  toJson,
  type Value,
} from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { BSON } from 'mongodb'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore, StoredEvent } from '../../../../receiver/src/store/event-store.ts'
import { decodeStoredEvent } from '../../../../receiver/src/store/mongo/decode.ts'
import { createEventEncoder } from '../../../../receiver/src/store/mongo/encode.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { eventArbitrary, valueArbitrary } from '../../../support/arbitrary.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

type Document = { [key: string]: Value }
const maxBytes = 16 * 1024 * 1024
const read = ({ json, exact }: StoredEvent) =>
  fromDocument((exact === undefined ? parseJson(json) : fromExactJson(exact)) as Document)
const encoder = createEventEncoder(64)
const otelArbitrary = fc.option(fc.record({ body: valueArbitrary, flags: fc.nat() }), { nil: undefined })
const anyEvent = fc
  .tuple(eventArbitrary, otelArbitrary)
  .map(([event, otel]) => (otel === undefined ? event : { ...event, otel }))

describe('encode and decode', () => {
  it('are inverse for every event, and the JSON is that of the event model', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        encoder.reset()
        expect(encoder.add(event, maxBytes)).toBeUndefined()
        const stored = decodeStoredEvent(encoder.bytes())
        expect(stored.id).toBe(event.event_id)
        expect(stored.json).toBe(toJson(toDocument(event)))
        expect(stored.exact !== undefined).toBe(!isPlain(toDocument(event)))
        expect(read(stored)).toEqual(event)
      }),
      { numRuns: 2000 },
    )
  })

  it('the bytes are those that the driver reads, for one event and for several in a row', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 5 }), (events) => {
        encoder.reset()
        for (const event of events) expect(encoder.add(event, maxBytes)).toBeUndefined()
        let bytes = encoder.bytes()
        for (const event of events) {
          const size = bytes.readInt32LE(0)
          const document = BSON.deserialize(bytes.subarray(0, size), { validation: { utf8: true } })
          expect(document._id).toBe(event.event_id)
          expect(Object.keys(document)).toEqual(Object.keys(toDocument(event)))
          bytes = bytes.subarray(size)
        }
        expect(bytes.length).toBe(0)
      }),
    )
  })

  it('an event that no document can hold leaves nothing behind, and is refused with the reason', () => {
    encoder.reset()
    const event = fromDocument({ _id: 'a' })
    expect(encoder.add(event, maxBytes)).toBeUndefined()
    const { byteCount } = encoder
    let nested: Value = 1
    for (let i = 0; i < 300; i++) nested = [nested]
    const defects: [Value, RegExp][] = [
      [nested, /nested deeper/],
      [{ 'a\0': 1 }, /NUL/],
      [{ 'é\0': 1 }, /NUL/],
      ['\ud800', /surrogate/],
      [`${'x'.repeat(100)}\udc00`, /surrogate/],
      [{ '\ud800': 1 }, /surrogate/],
      [2n ** 63n, /64 bits/],
      ['x'.repeat(maxBytes), /larger/],
    ]
    for (const [event_data, reason] of defects) {
      expect(encoder.add({ ...event, event_data }, maxBytes)).toMatch(reason)
      expect(encoder.byteCount).toBe(byteCount)
    }
  })
})

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''

describe('a real MongoDB', () => {
  let mongod: Mongod
  let store: EventStore
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    store = await openMongoStore({ url: mongod.url, databaseName: freshDatabaseName(), log: silentLog })
  })
  afterAll(async () => {
    await store?.close()
    await mongod?.stop()
  })

  it('gives every event back as it was written, by get and by find', async (ctx) => {
    ctx.skip(reason !== '', reason)
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anyEvent, { minLength: 1, maxLength: 20, selector: (event) => event.event_id }),
        async (events) => {
          const outcomes = await store.write(events)
          const isNew = new Map(events.map((event, i) => [event.event_id, outcomes[i] === 'stored']))
          const ids = events.map((event) => event.event_id)
          const query = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs: 0 } as const
          const found = new Map<string, StoredEvent>()
          for await (const chunk of store.find({ ...query, selector: parseSelector({ _id: { $in: ids } }) }))
            for (const stored of chunk) found.set(stored.id, stored)
          for (const event of events.filter((one) => isNew.get(one.event_id))) {
            expect(read(found.get(event.event_id)!)).toEqual(event)
            expect(await store.get(event.event_id)).toEqual(found.get(event.event_id))
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
