import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { FindQuery } from '../../../../receiver/src/store/event-store.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { openSqliteSource } from '../../../../receiver/src/store/sqlite/source.ts'
import { makeEvents } from '../../../support/workload.ts'

let folder: string
let path: string
const events = makeEvents(5100)
// More than a window holds in characters.
for (const event of events.slice(10, 15)) event.event_data = { message: 'x'.repeat(3_000_000) }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-source-'))
  path = join(folder, 'events.db')
  const store = await openSqliteStore({ path, synchronous: 'off', log: silentLog })
  for (let at = 0; at < events.length; at += 1000) await store.write(events.slice(at, at + 1000))
  await store.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function find(query: Partial<FindQuery>): Promise<string[]> {
  const source = openSqliteSource(path)
  const ids: string[] = []
  const all = { archived: 'include', order: 'none', limit: 0, offset: 0, timeoutMs: 0 } as const
  for await (const chunk of source.find({ ...all, ...query })) ids.push(...chunk.map(({ id }) => id))
  await source.close()
  return ids
}

const ids = events.map(({ event_id }) => event_id)

it('gives every event once, over many windows', async () => {
  expect((await find({})).sort()).toEqual([...ids].sort())
})

it('keeps order, limit and offset over many windows', async () => {
  expect(await find({ order: 'oldest' })).toEqual(ids)
  expect(await find({ order: 'newest', limit: 2500, offset: 2400 })).toEqual(
    [...ids].reverse().slice(2400, 4900),
  )
})

it('honours level, times and selector', async () => {
  const errors = events.filter(({ log_level }) => log_level >= 40).map(({ event_id }) => event_id)
  expect(await find({ order: 'oldest', minLevel: 40 })).toEqual(errors)
  const [from, to] = [events[100]!.event_timestamp, events[3200]!.event_timestamp]
  expect(await find({ order: 'oldest', startTime: from, endTime: to })).toEqual(ids.slice(100, 3201))
  const wells = events.filter((_, i) => i % 96 === 7).map(({ event_id }) => event_id)
  expect(await find({ order: 'oldest', selector: parseSelector({ 'event_data.well': 7 }) })).toEqual(wells)
})

it('refuses a file that is not there', () => {
  expect(() => openSqliteSource(join(folder, 'nope.db'))).toThrow(/there is no file/)
})
