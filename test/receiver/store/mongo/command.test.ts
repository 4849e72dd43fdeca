import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Document, MongoClient } from 'mongodb'
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { Match } from '../../../../receiver/src/store/alert-store.ts'
import { openCommitReader } from '../../../../receiver/src/store/commit-reader.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { expireEntries } from '../../../../receiver/src/store/mongo/expire.ts'
import { createEntryId } from '../../../../receiver/src/store/mongo/journal.ts'
import { createIndexBuilder } from '../../../../receiver/src/store/mongo/posting-builder.ts'
import { openScan } from '../../../../receiver/src/store/scan.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../../support/mongod.ts'

/**
 * All that the receiver asks of a server, but for `hello`, `ping`, `killSessions` and what a user's selector says. Other
 * databases that speak MongoDB's language (FerretDB) must know these.
 */
const commands = [
  'aggregate',
  'count',
  'createIndexes',
  'distinct',
  'dropIndexes',
  'find',
  'findAndModify',
  'getMore',
  'insert',
  'listIndexes',
  'remove',
  'update',
]
const operators = [
  '$and',
  '$cond',
  '$exists',
  '$group',
  '$gt',
  '$gte',
  '$in',
  '$inc',
  '$literal',
  '$lt',
  '$lte',
  '$match',
  '$max',
  '$natural',
  '$ne',
  '$nin',
  '$or',
  '$replaceWith',
  '$set',
  '$setOnInsert',
  '$sum',
  '$type',
  '$unset',
]

const source = await findMongo()
const reason =
  'skip' in source ? source.skip : source.kind === 'binary' ? '' : 'only a mongod of our own may be profiled'

/** Of the envelope of a command, no operators. */
const envelope = ['$db', '$clusterTime', '$readPreference']

function operatorsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(operatorsOf)
  if (value === null || typeof value !== 'object' || value.constructor !== Object) return []
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(/^\$[a-zA-Z]/.test(key) && !envelope.includes(key) ? [key] : []),
    ...operatorsOf(inner),
  ])
}

const nameOf = ({ op, command }: Document): string =>
  op === 'command' || op === 'query' || op === 'getmore'
    ? (Object.keys(command).find((key) => commands.includes(key)) ?? Object.keys(command)[0]!)
    : op

describe('the MongoDB store', () => {
  it('asks for nothing outside the written list of commands and operators', async (context) => {
    if (reason) return context.skip(reason)
    const mongod = await startMongod()
    const client = await new MongoClient(mongod.url).connect()
    const name = freshDatabaseName()
    const db = client.db(name)
    const folder = await mkdtemp(join(tmpdir(), 'madsci-command-'))
    await db.command({ profile: 2 })
    const store = await openMongoStore({ url: mongod.url, databaseName: name, log: silentLog, leaseMs: 200 })
    try {
      const match: Match = { rule: 'r', kind: 'match', key: '[]', labels: {}, level: 40, positions: [0] }
      await store.write([makeEvent('a'), makeEvent('b')], [match], [0, 1])
      await store.write([makeEvent('b'), makeEvent('c')])
      await store.get('a')
      await collect(store, {
        minLevel: 10,
        order: 'newest',
        archived: 'exclude',
        startTime: '2000-01-01T00:00:00.000000',
      })
      const entry = createEntryId()
      const entries = db.collection<{ _id: string; n?: number; ids: string[]; at: Date; open?: true }>(
        'events_commits',
      )
      await entries.insertOne({ _id: entry, ids: ['x', 'y'], at: new Date(), open: true })
      await db.collection<{ _id: string; _entry: string }>('events').insertOne({ _id: 'x', _entry: entry })
      await expect.poll(async () => (await store.commitsSince('', 9)).ids, { timeout: 8000 }).toContain('x')
      await db.collection<{ _id: string; _entry: string }>('events').insertOne({ _id: 'y', _entry: entry })
      await expect.poll(async () => (await store.commitsSince('', 9)).ids, { timeout: 8000 }).toContain('y')
      await entries.insertOne({ _id: 'later', ids: [], at: new Date(), n: 50 })
      await store.commitsSince('', 100)
      await store.locate(['a', 'y'])
      const reader = openCommitReader({ source: store.scanSource, restOnly: true })
      await reader.read('', { limit: 9, characters: 9999 })
      await reader.close()
      const scan = openScan(store.scanSource)
      const position = await scan.read(undefined, new Set(), () => {})
      if (position !== 'lost') await scan.read(position, new Set(), () => {})
      await scan.close()
      const alerts = store.alerts!
      await alerts.lead('h', 1000)
      await alerts.act({ kind: 'acknowledge', alertId: 'x', by: null })
      const folded = (await alerts.intents(10)).map(({ id }) => id)
      const alert = {
        id: 'al',
        rule: 'r',
        key: '[]',
        state: 'resolved',
        openedMs: 1,
        updatedMs: 1,
        json: '{}',
      } as const
      const delivery = {
        id: 'd',
        alertId: 'al',
        channel: 'c',
        target: '',
        createdMs: 1,
        nextMs: 0,
        notice: '{}',
      }
      await alerts.commit({ version: 0, state: 's', folded, alerts: [alert], deliveries: [delivery] })
      await alerts.commit({ version: 1, state: 's', folded: [], alerts: [alert], deliveries: [] })
      await alerts.load()
      await alerts.find({ limit: 3, state: 'resolved', after: '9:z' })
      await alerts.deliveriesOf(['al'])
      await alerts.counts()
      await alerts.claim('h', 1000, 3, ['other'])
      await alerts.renew('h', ['d'], 1000)
      await alerts.settle('h', 'd', { state: 'delivered' })
      await alerts.forget(Date.now())
      await store.notes.write('n', 'x', 0)
      await store.notes.write('n', 'y', 1)
      await store.notes.read('n')
      for await (const _ of store.archive({ ids: ['a'] }, { batchSize: 9 }));
      for await (const _ of store.archive({ before: '2100-01-01T00:00:00.000000' }, { batchSize: 9 }));
      for await (const _ of store.purge(Date.now() + 1000, { batchSize: 9 }));
      await store.copyTo(folder)
      await store.health()
      const builder = createIndexBuilder(db, 'events', () => {})
      for (let step = 0; step < 4; step++) await builder.step()
      await store.write([makeEvent('d', { source: { node_id: 'n' } })])
      const selector = parseSelector({ 'source.node_id': { $in: ['n'] } })
      expect(await collect(store, { selector, order: 'newest', archived: 'exclude' })).toHaveLength(1)
      await expireEntries({
        db,
        collectionName: 'events',
        clock: { now: async () => Date.now() + 9e8 },
        journalDays: 7,
      })
    } finally {
      await store.close()
      await rm(folder, { recursive: true })
    }
    await db.command({ profile: 0 })
    const asked = await db
      .collection('system.profile')
      .find({ ns: { $not: /system\.profile/ } })
      .toArray()
    expect(asked.length).toBeGreaterThan(80)
    expect(
      [...new Set(asked.map(nameOf))].filter((one) => !commands.includes(one) && one !== 'profile'),
    ).toEqual([])
    const used = new Set(asked.flatMap(({ command }) => operatorsOf(command)))
    expect([...used].filter((one) => !operators.includes(one))).toEqual([])
    await client.close()
    await mongod.stop()
  })
})
