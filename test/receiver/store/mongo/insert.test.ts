import { createRequire } from 'node:module'
import { fromDocument } from '@madsci-events/sdk/event'
import { BSON, MongoClient } from 'mongodb'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createEventEncoder, room } from '../../../../receiver/src/store/mongo/encode.ts'
import { createInserter, loadSequenceClass } from '../../../../receiver/src/store/mongo/insert.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../../support/mongod.ts'

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''

function toRun(ids: string[]) {
  const encoder = createEventEncoder()
  for (const _id of ids) encoder.add(fromDocument({ _id, event_data: { n: 2 ** 40, $x: [1.5, null] } }), 1e6)
  return { bytes: encoder.bytes(), count: ids.length, room }
}

describe('insert', () => {
  let mongod: Mongod
  let client: MongoClient
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    client = await new MongoClient(mongod.url).connect()
  })
  afterAll(async () => {
    await client?.close()
    await mongod?.stop()
  })

  it('knows the document sequence of the driver in use', () => {
    expect(loadSequenceClass()).toBeDefined()
    expect(createInserter('events').isDirect).toBe(true)
  })

  it('the public way stores the same documents, with the same outcomes', async () => {
    const db = client.db(freshDatabaseName())
    const [direct, open] = [createInserter('direct'), createInserter('open', null)]
    expect(open.isDirect).toBe(false)
    for (const inserter of [direct, open]) {
      const { outcomes } = await inserter.insert(db, toRun(['a', 'b', 'a']))
      expect(outcomes).toEqual(['stored', 'stored', 'duplicate'])
    }
    const read = async (name: string) =>
      Buffer.concat((await db.collection(name).find({}, { raw: true }).toArray()) as never)
    expect((await read('open')).equals(await read('direct'))).toBe(true)
  })

  it('each write is asked to be in the journal of a majority, whatever the URL says', async () => {
    const url = new URL(mongod.url)
    url.searchParams.set('w', '1')
    url.searchParams.set('journal', 'false')
    const watched = new MongoClient(url.href, { monitorCommands: true })
    const concerns: unknown[] = []
    watched.on('commandStarted', ({ commandName, command }) => {
      if (commandName === 'insert') concerns.push(command.writeConcern)
    })
    const db = watched.db(freshDatabaseName())
    for (const inserter of [createInserter('direct'), createInserter('open', null)])
      await inserter.insert(db, toRun(['a', 'b']))
    await watched.close()
    expect(concerns).toHaveLength(2)
    for (const concern of concerns) expect(concern).toMatchObject({ w: 'majority', j: true })
  })

  it('a document that fails the whole command is refused alone', async () => {
    const db = client.db(freshDatabaseName())
    const { bytes } = toRun(['a', 'b', 'c', 'd', 'e'])
    const size = bytes.length / 5
    // A broken type byte in the middle of the third document.
    const broken = Buffer.from(bytes)
    broken[size * 2 + 4] = 0x55
    const { outcomes } = await createInserter('events').insert(db, { bytes: broken, count: 5 })
    expect(outcomes).toEqual(['stored', 'stored', { refused: expect.any(String) }, 'stored', 'stored'])
    expect(await db.collection('events').countDocuments()).toBe(4)
  })

  it('a clash in an index that someone added is a refusal, not a duplicate', async () => {
    const db = client.db(freshDatabaseName())
    await db.collection('events').createIndex({ event_type: 1 }, { unique: true })
    const { outcomes } = await createInserter('events').insert(db, toRun(['a', 'b']))
    expect(outcomes).toEqual(['stored', { refused: expect.stringContaining('event_type') }])
  })

  it('ten thousand duplicates are told apart one by one', async () => {
    const db = client.db(freshDatabaseName())
    const ids = Array.from({ length: 10_000 }, (_, i) => `${'x'.repeat(60)}${i}`)
    const inserter = createInserter('events')
    await inserter.insert(db, toRun(ids))
    const { outcomes } = await inserter.insert(db, toRun([...ids.slice(0, 9_999), 'new']))
    expect(outcomes.filter((one) => one === 'duplicate').length).toBe(9_999)
    expect(outcomes.at(-1)).toBe('stored')
  })

  it('sends the bytes as they are: the driver makes no object of a document', () => {
    const { DocumentSequence } = createRequire(import.meta.url)('mongodb/lib/cmap/commands.js') as {
      DocumentSequence: new (
        field: string,
      ) => { push(document: object, bytes: Uint8Array): number; toBin(): Uint8Array }
    }
    const sequence = new DocumentSequence('documents')
    const { bytes } = toRun(['a', 'b'])
    sequence.push({}, bytes)
    const sent = Buffer.from(sequence.toBin())
    expect(sent.subarray(-bytes.length).equals(bytes)).toBe(true)
    expect(BSON.deserialize(sent.subarray(-bytes.length / 2))).toMatchObject({ _id: 'b' })
  })
})
