import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventError, microsToTimestamp } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import { createColumnBuilder } from '../../../../receiver/src/store/column/builder.ts'
import { openColumnSource } from '../../../../receiver/src/store/column/open-source.ts'
import { startColumns } from '../../../../receiver/src/store/column/thread.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { openMongoStore } from '../../../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { Summary, type SummaryPart } from '../../../../receiver/src/store/summary.ts'
import { makeEvent } from '../../../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../../support/mongod.ts'
import { waitUntil } from '../../../support/wait.ts'

const folder = await mkdtemp(join(tmpdir(), 'madsci-columns-'))
const startMicros = Date.UTC(2026, 0, 1) * 1000
const timeOf = (second: number) => microsToTimestamp(startMicros + second * 1_000_000)
const eventAt = (second: number) =>
  makeEvent(String(second), { event_timestamp: timeOf(second), archived: false, archived_at: null })
const range = (from: number, until: number) => Array.from({ length: until - from }, (_, i) => from + i)

async function sumUp(store: EventStore): Promise<{ total: number; parts: SummaryPart[] }> {
  const parts: SummaryPart[] = []
  const summary = new Summary({ buckets: 10 })
  for await (const part of store.summarize({ archived: 'exclude', timeoutMs: 0 }, { buckets: 10 })) {
    parts.push(part)
    summary.addPart(part)
  }
  return { total: summary.total, parts }
}

/** Columns tell everything. */
const isTold = ({ parts }: { parts: SummaryPart[] }) => parts.length === 1 && parts[0]!.hasAllNames === true

afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(['sqlite', 'mongodb'] as const)('columns of %s', (kind) => {
  const stops: (() => Promise<void>)[] = []
  let stores: EventStore[] = []
  let skip: string | undefined

  beforeAll(async () => {
    const options = { columnBytes: 2 ** 24, log: silentLog }
    if (kind === 'sqlite') {
      stores = [await openSqliteStore({ path: join(folder, 'events.db'), ...options })]
    } else {
      const found = await findMongo()
      if ('skip' in found) {
        skip = found.skip
        return
      }
      const mongod = await startMongod()
      stops.push(() => mongod.stop())
      const where = { url: mongod.url, databaseName: freshDatabaseName() }
      stores = [
        await openMongoStore({ ...where, ...options }),
        await openMongoStore({ ...where, ...options }),
      ]
    }
  })
  afterAll(async () => {
    for (const store of stores) await store.close()
    for (const stop of stops) await stop()
  })

  it('tell what was acknowledged, archived and deleted before, by any receiver', async (context) => {
    if (skip !== undefined) return context.skip(skip)
    const first = stores[0]!
    const last = stores.at(-1)!
    const expectBoth = async (total: number) => {
      for (const store of stores) expect((await sumUp(store)).total).toBe(total)
    }
    await first.write(range(0, 50).map(eventAt))
    for (const store of stores) await waitUntil(async () => isTold(await sumUp(store)), 'the columns')
    await expectBoth(50)
    const ready = { phase: 'ready', events: 50, completeSinceMs: Number.NEGATIVE_INFINITY }
    for (const store of stores)
      await waitUntil(async () => store.columnState!().events === 50, 'the state of the columns')
    for (const store of stores) expect(store.columnState!()).toMatchObject(ready)
    await last.write(range(40, 60).map(eventAt))
    await expectBoth(60)
    for await (const _ of first.archive({ ids: ['59', '3'] }, { batchSize: 10 })) void _
    await expectBoth(58)
    for await (const _ of last.archive({ before: timeOf(20) }, { batchSize: 7 })) void _
    await expectBoth(39)
    await first.write([eventAt(60), eventAt(5)])
    await expectBoth(40)
    for await (const _ of last.purge(Date.now() + 60_000, { batchSize: 10 })) void _
    await first.write([eventAt(5)])
    await expectBoth(41)
    for (const store of stores)
      await waitUntil(async () => isTold(await sumUp(store)), 'the columns once more')
    await expectBoth(41)
  })
})

describe('columns', () => {
  it('keep within their memory, and leave what is older to the store', async () => {
    const store = await openSqliteStore({ path: join(folder, 'many.db'), log: silentLog })
    const source = (await openColumnSource(store.scanSource))!
    const maxBytes = 3 * 2 ** 20
    const builder = createColumnBuilder(source, maxBytes)
    const count = 150_000
    try {
      const ask = () => builder.answer({ archived: 'exclude' }, { buckets: 10 })
      await builder.step()
      for (let at = 0; at < count; at += 5000) {
        await store.write(range(at, at + 5000).map(eventAt))
        while (!(await builder.step()).isDone) void 0
        expect(builder.state.bytes).toBeLessThanOrEqual(maxBytes)
      }
      const answer = (await ask())!
      expect(answer.upTo).toBeDefined()
      const held = count - 1 - (Date.parse(answer.upTo!) - startMicros / 1000) / 1000
      expect(held).toBeGreaterThan(65_536)
      expect(answer.part).toMatchObject({ total: held, hasAllNames: false })
      // What is later than the oldest that they hold is theirs alone.
      const startTime = timeOf(count - 10)
      expect(await builder.answer({ archived: 'exclude', startTime }, { buckets: 10 })).toMatchObject({
        part: { total: 10, scannedTo: startTime },
        upTo: undefined,
      })
    } finally {
      await source.close()
      await store.close()
    }
  })

  it('and the reading after them end at the time limit, with what is complete', async () => {
    const lines: { level: string; fields: object; text: string }[] = []
    const at = (level: string) => (fields: object, text: string) => lines.push({ level, fields, text })
    const log = { ...silentLog, info: at('info'), warn: at('warn') }
    const path = join(folder, 'many.db')
    const columns = startColumns({ source: { kind: 'sqlite', path }, maxBytes: 3 * 2 ** 20 }, log)
    const query = { archived: 'exclude', timeoutMs: 2000 } as const
    const ask = async (scan: Parameters<typeof columns.summarize>[2]) => {
      const summary = new Summary({ buckets: 10 })
      for await (const part of columns.summarize(query, { buckets: 10 }, scan)) summary.addPart(part)
      return summary
    }
    try {
      await waitUntil(async () => columns.state.phase === 'ready', 'the columns')
      const { events, completeSinceMs } = columns.state
      expect(completeSinceMs).toBeGreaterThan(startMicros / 1000)
      expect(lines).toMatchObject([{ level: 'info', fields: { events } }])
      const limits: number[] = []
      for (const code of ['EVT_QUERY_BUSY', 'EVT_QUERY_TIMEOUT'] as const) {
        const { total, isLate, scannedTo } = await ask(async function* ({ timeoutMs }) {
          limits.push(timeoutMs)
          yield* []
          throw new EventError(code)
        })
        expect({ total, isLate }).toEqual({ total: events - 1, isLate: true })
        expect(Date.parse(scannedTo!)).toBeGreaterThan(completeSinceMs!)
      }
      for (const limit of limits) expect(limit).toBeLessThan(query.timeoutMs)
      const failing = ask(async function* () {
        yield* []
        throw new EventError('EVT_STORE_UNAVAILABLE')
      })
      await expect(failing).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    } finally {
      await columns.close()
    }
  })

  it('that were given up say why', async () => {
    const lines: object[] = []
    const log = { ...silentLog, warn: (fields: object) => lines.push(fields) }
    const path = join(folder, 'many.db')
    const columns = startColumns({ source: { kind: 'sqlite', path }, maxBytes: 2 ** 10 }, log)
    try {
      await waitUntil(async () => columns.state.phase === 'given_up', 'the columns')
      expect(columns.state.reason).toContain('summary_memory_mb')
      expect(lines).toEqual([{ reason: columns.state.reason }])
    } finally {
      await columns.close()
    }
  })
})
