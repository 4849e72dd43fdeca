import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Event, setKey, type Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { type Collection, type Document, type Filter, MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import type { EventStore, FindQuery } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { toBson } from '../../../receiver/src/store/mongo/filter.ts'
import { parseSelector, type Selector } from '../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { collect, makeEvent } from '../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'

// Few names and values, so that generated selectors often find something.
const plainKey = fc.constantFrom('a', 'b', '0', '1', '__proto__', '$c')
const dottedKey = fc.constantFrom('a', 'b', '0', 'a.b', 'b.a', 'a.b.a', 'a.', '__proto__')
const scalar: fc.Arbitrary<Value> = fc.constantFrom<Value[]>(
  null,
  true,
  false,
  0,
  -0,
  1,
  2,
  1.5,
  -3,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  2n ** 53n + 1n,
  2n ** 62n,
  '',
  'a',
  'ab',
  'A',
  'a\nb',
  'é',
  '💡',
  '\uffff',
  '1',
  new Uint8Array([1]),
  new Uint8Array([1, 2]),
)
const valueWith = (key: fc.Arbitrary<string>) =>
  fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true, maxDepth: 3 },
      { weight: 3, arbitrary: scalar },
      { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
      {
        weight: 2,
        arbitrary: fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map((entries) => {
          const object: { [key: string]: Value } = {}
          for (const [name, member] of entries) setKey(object, name, member)
          return object
        }),
      },
    ),
  })).value
const value = valueWith(plainKey)

const times = [
  '2020-01-01T00:00:00.000000',
  '2020-01-01T00:00:00.000000Z',
  '2020-01-01T00:00:00.500000Z',
  '2021-01-01T00:00:00.000000',
]
const eventOf = (event_data: fc.Arbitrary<Value>): fc.Arbitrary<Partial<Event>> =>
  fc.record({
    event_data,
    event_timestamp: fc.constantFrom(...times),
    log_level: fc.constantFrom(0, 10, 20, 30, 40, 50) as fc.Arbitrary<Event['log_level']>,
    archived: fc.boolean(),
    archived_at: fc.constantFrom(null, '2020-01-01T00:00:00.000000Z', '2022-01-01T00:00:00.001000Z'),
  })

const path = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.constantFrom('a', 'b', '0', '1', '__proto__'), { maxLength: 3 })
      .map((names) => ['event_data', ...names].join('.')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('log_level', 'archived', 'archived_at', 'event_type', '_id', 'source'),
  },
)
const regex = fc.record({
  $regex: fc.constantFrom('^a', 'b$', 'a.b', 'A', '^$', '[^a]', 'é|💡', '(?i)ab', '\\s', 'a\\nb', '^b', '.'),
  $options: fc.constantFrom('', 'i', 'm', 's', 'x', 'im'),
})
const type = fc.constantFrom<Value[]>(
  'double',
  'string',
  'object',
  'array',
  'int',
  'long',
  'number',
  'null',
  'date',
  10,
  3,
)

const { operators } = fc.letrec<{ operators: { [key: string]: Value } }>((tie) => ({
  operators: fc.oneof(
    { maxDepth: 3 },
    fc
      .tuple(fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'), value)
      .map(([o, v]) => ({ [o]: v })),
    fc
      .tuple(fc.constantFrom('$in', '$nin', '$all'), fc.array(value, { maxLength: 3 }))
      .map(([o, v]) => ({ [o]: v })),
    fc.boolean().map(($exists) => ({ $exists })),
    type.map(($type) => ({ $type })),
    regex,
    fc.nat({ max: 3 }).map(($size) => ({ $size })),
    fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -2, max: 2 })).map(($mod) => ({ $mod })),
    tie('operators').map(($not) => ({ $not })),
    tie('operators').map(($elemMatch) => ({ $elemMatch })),
    fc
      .tuple(fc.oneof(plainKey, fc.constant('a.b')), tie('operators'))
      .map(([name, inner]) => ({ $elemMatch: { [name]: inner } })),
    fc.tuple(tie('operators'), tie('operators')).map(([one, two]) => ({ ...one, ...two })),
  ),
}))
const expressionPath = path.map((text) => `$${text}`)
const { expression } = fc.letrec<{ expression: Value }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 2 },
    fc
      .tuple(fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'), expressionPath, value)
      .map(([o, p, v]) => ({ [o]: [p, { $literal: v }] })),
    fc
      .tuple(fc.constantFrom('$eq', '$gt'), expressionPath, expressionPath)
      .map(([o, p, q]) => ({ [o]: [p, q] })),
    fc
      .tuple(fc.constantFrom('$and', '$or'), fc.array(tie('expression'), { maxLength: 2 }))
      .map(([o, v]) => ({ [o]: v })),
    tie('expression').map((one) => ({ $not: [one] })),
  ),
}))
const timeTest = fc
  .tuple(
    fc.constantFrom('$eq', '$ne', '$gt', '$gte', '$lt', '$lte'),
    fc.constantFrom(...times, '2020-01-01', '2020-01-01T01:00:00+01:00', 'x'),
  )
  .map(([operator, time]) => ({ event_timestamp: { [operator]: time } }))
const { selector } = fc.letrec<{ selector: { [key: string]: Value } }>((tie) => ({
  selector: fc.oneof(
    { maxDepth: 2 },
    { weight: 6, arbitrary: fc.tuple(path, operators).map(([name, test]) => ({ [name]: test })) },
    { weight: 2, arbitrary: fc.tuple(path, value).map(([name, test]) => ({ [name]: test })) },
    { weight: 1, arbitrary: timeTest },
    { weight: 1, arbitrary: expression.map(($expr) => ({ $expr })) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom('$and', '$or', '$nor'),
          fc.array(tie('selector'), { minLength: 1, maxLength: 3 }),
        )
        .map(([operator, list]) => ({ [operator]: list })),
    },
  ),
}))

const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

describe('SQLite ≡ MongoDB', () => {
  let mongod: Mongod
  let mongo: EventStore
  let sqlite: EventStore
  let folder: string
  let client: MongoClient
  let native: Collection
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    folder = await mkdtemp(join(tmpdir(), 'madsci-equal-'))
    const databaseName = freshDatabaseName()
    mongo = await openMongoStore({ url: mongod.url, databaseName, log: silentLog })
    client = await new MongoClient(mongod.url).connect()
    native = client.db(databaseName).collection('events')
    sqlite = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
    const plain = fc.sample(eventOf(value), { numRuns: 600, seed: 20261124 })
    const dotted = fc.sample(eventOf(valueWith(dottedKey)), { numRuns: 200, seed: 20261127 })
    const events = [
      ...plain.map((fields, i) => makeEvent(`e${i}`, fields)),
      ...dotted.map((fields, i) => makeEvent(`d${i}`, fields)),
    ]
    for (const store of [mongo, sqlite])
      expect((await store.write(events)).every((outcome) => outcome === 'stored')).toBe(true)
  })
  afterAll(async () => {
    await client?.close()
    await mongo?.close()
    await sqlite?.close()
    await mongod?.stop()
    if (folder) await rm(folder, { recursive: true })
  })

  const idsOf = async (store: EventStore, parsed: Selector, order: FindQuery['order']) =>
    (await collect(store, { selector: parsed, order })).map(({ id }) => id)

  it('finds the same events for generated selectors', async () => {
    let hits = 0
    await fc.assert(
      fc.asyncProperty(selector, fc.constantFrom('none', 'newest'), async (input, order) => {
        let parsed: Selector
        try {
          parsed = parseSelector(input)
        } catch (error) {
          // Refused for both; anything but a clear refusal is a fault.
          expect(error).toMatchObject({ code: 'EVT_SELECTOR' })
          return
        }
        const expected = new Set(await idsOf(mongo, parsed, order))
        const actual = await idsOf(sqlite, parsed, order)
        expect(actual).toHaveLength(new Set(actual).size)
        expect(new Set(actual)).toEqual(expected)
        if (expected.size > 0 && expected.size < 800) hits++
        // Without dots in its keys a document is MongoDB's own matter: what that finds is what we must.
        const ids = await native
          .find(toBson(parsed.source as Value) as Filter<Document>, { projection: { _id: 1 } })
          .toArray()
        const truth = ids.map(({ _id }) => String(_id)).filter((id) => id.startsWith('e'))
        expect(new Set(actual.filter((id) => id.startsWith('e')))).toEqual(new Set(truth))
      }),
      { numRuns: 1500 },
    )
    // Selectors that find all or nothing would prove little.
    expect(hits).toBeGreaterThan(300)
  }, 120_000)
})
