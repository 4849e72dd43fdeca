import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../receiver/src/log.ts'
import { type RetentionOptions, startRetention } from '../../../receiver/src/retention/retention.ts'
import type { EventStore } from '../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { collect, makeEvent } from '../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function openSqlite(): Promise<EventStore> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-retention-'))
  const store = await openSqliteStore({ path: join(folder, 'events.db'), log: silentLog })
  cleanups.push(async () => {
    await store.close()
    await rm(folder, { recursive: true })
  })
  return store
}

async function openMongo(): Promise<EventStore> {
  const mongod = await startMongod()
  const store = await openMongoStore({
    url: mongod.url,
    databaseName: freshDatabaseName(),
    log: silentLog,
  })
  cleanups.push(async () => {
    await store.close()
    await mongod.stop()
  })
  return store
}

const nowMs = Date.parse('2026-11-23T12:00:00Z')
const ago = (days: number) => `${new Date(nowMs - days * 86_400_000).toISOString().slice(0, -1)}000Z`

const defaults: Omit<RetentionOptions, 'store'> = {
  log: silentLog,
  softDeleteAfterDays: 90,
  hardDeleteAfterDays: 365,
  checkIntervalHours: 24,
  batchSize: 10,
  maxBatchesPerRun: 0,
  rules: [],
  failOnError: false,
  now: () => nowMs,
}

for (const [name, open] of [
  ['SQLite', openSqlite],
  ['MongoDB', openMongo],
] as const) {
  describe(`retention on ${name}`, () => {
    async function start(
      context: { skip: (reason: string) => void },
      options: Partial<RetentionOptions> = {},
    ) {
      const source = await findMongo()
      if (name === 'MongoDB' && 'skip' in source) context.skip(source.skip)
      const store = await open()
      // Its first run, at the start, finds nothing.
      const retention = startRetention({ ...defaults, store, ...options })
      cleanups.push(() => retention.close())
      await retention.run()
      return { store, retention }
    }
    const archivedIds = async (store: EventStore) =>
      (await collect(store, { archived: 'only' })).map(({ id }) => id).sort()

    it('archives by age, a rule for each type or level first, in bounded commits, while events come in', async (context) => {
      const rules = [
        { types: ['node_status_update'], softDeleteAfterDays: 7 },
        { maxLevel: 10, softDeleteAfterDays: 30 },
        { types: ['experiment_complete'], softDeleteAfterDays: 3650 },
      ]
      const { store, retention } = await start(context, { rules })
      await store.write([
        makeEvent('status-8', { event_timestamp: ago(8), event_type: 'node_status_update' }),
        makeEvent('status-6', { event_timestamp: ago(6), event_type: 'node_status_update', log_level: 10 }),
        makeEvent('debug-31', { event_timestamp: ago(31), log_level: 10 }),
        makeEvent('debug-29', { event_timestamp: ago(29), log_level: 10 }),
        makeEvent('done-400', { event_timestamp: ago(400), event_type: 'experiment_complete' }),
        ...Array.from({ length: 25 }, (_, i) => makeEvent(`old-${i}`, { event_timestamp: ago(91 + i) })),
        makeEvent('new-89', { event_timestamp: ago(89) }),
      ])
      const writing = (async () => {
        for (let i = 0; i < 30; i++) await store.write([makeEvent(`late-${i}`, { event_timestamp: ago(0) })])
      })()
      const run = await retention.run()
      await writing
      expect(run).toEqual({ archived: 27, purged: 0, isDone: true })
      const wanted = ['status-8', 'debug-31', ...Array.from({ length: 25 }, (_, i) => `old-${i}`)]
      expect(await archivedIds(store)).toEqual(wanted.sort())
      expect((await store.health()).totalEvents).toBe(61)
      expect(await retention.run()).toEqual({ archived: 0, purged: 0, isDone: true })
    })

    it('deletes what was archived long ago, and leaves the rest to the next run', async (context) => {
      const { store, retention } = await start(context, { maxBatchesPerRun: 2, batchSize: 3 })
      await store.write([
        ...Array.from({ length: 4 }, (_, i) =>
          makeEvent(`gone-${i}`, { archived: true, archived_at: ago(366), event_timestamp: ago(500) }),
        ),
        makeEvent('kept', { archived: true, archived_at: ago(364), event_timestamp: ago(500) }),
      ])
      const first = await retention.run()
      expect(first.isDone).toBe(false)
      for (let i = 0; i < 3; i++) await retention.run()
      expect(await archivedIds(store)).toEqual(['kept'])
    })
  })
}
