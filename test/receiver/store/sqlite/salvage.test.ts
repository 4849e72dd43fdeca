import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { openSalvage } from '../../../../receiver/src/store/sqlite/salvage.ts'
import { makeEvent } from '../../../contract/event-store.contract.ts'

const count = 3000
const pageSize = 4096
/** Some events have a text of several pages, one has numbers that JSON alone would not keep. */
const textOf = (number: number) => 'x'.repeat(number % 50 === 0 ? 20_000 : 100)

describe('salvage of a damaged database file', () => {
  let folder: string
  let whole: string
  const written = new Map<string, string>()
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-salvage-'))
    whole = join(folder, 'events.db')
    const store = await openSqliteStore({ path: whole, log: silentLog })
    for (let at = 0; at < count; at += 500) {
      const events = Array.from({ length: 500 }, (_, i) =>
        makeEvent(`event-${String(at + i).padStart(6, '0')}`, {
          event_data: { text: textOf(at + i), big: at + i === 7 ? 2n ** 60n : 1 },
        }),
      )
      await store.write(events)
    }
    for await (const chunk of store.find({
      order: 'none',
      archived: 'include',
      minLevel: 0,
      limit: 0,
      offset: 0,
      timeoutMs: 0,
    }))
      for (const { id, json, exact = '' } of chunk) written.set(id, json + exact)
    await store.close()
  })
  afterAll(() => rm(folder, { recursive: true }))

  async function salvage(damage: (bytes: Buffer) => void, log?: Buffer) {
    const path = join(folder, 'damaged.db')
    const bytes = readFileSync(whole)
    damage(bytes)
    writeFileSync(path, bytes)
    if (log) writeFileSync(`${path}-wal`, log)
    const source = openSalvage(path)
    const events: string[] = []
    for await (const chunk of source.find()) {
      for (const { id, json, exact = '' } of chunk) {
        expect(json + exact).toBe(written.get(id))
        events.push(id)
      }
    }
    const ids = new Set<string>()
    for await (const chunk of source.ids()) for (const id of chunk) ids.add(id)
    source.close()
    await rm(`${path}-wal`, { force: true })
    return { events, ids, damagedPages: source.damagedPages }
  }
  const pagesOf = (kind: number) => {
    const bytes = readFileSync(whole)
    return Array.from({ length: bytes.length / pageSize }, (_, page) => page).filter(
      (page) => page > 0 && bytes[page * pageSize] === kind,
    )
  }
  const garbage = (bytes: Buffer, page: number) =>
    bytes.subarray(page * pageSize, (page + 1) * pageSize).fill(0xa5)

  it('a whole file gives every event, in order of commit, and no other', async () => {
    const { events, ids, damagedPages } = await salvage(() => {})
    expect(events).toEqual([...written.keys()].sort())
    expect([...ids].sort()).toEqual(events)
    expect(damagedPages).toBe(0)
  })

  it('each damaged page costs the events that it touches, and they are named', async () => {
    for (const page of pagesOf(0x0d)
      .slice(5, 400)
      .filter((_, n) => n % 40 === 0)) {
      const { events, ids, damagedPages } = await salvage((bytes) => garbage(bytes, page))
      expect(count - events.length).toBeLessThan(20)
      expect(damagedPages).toBeLessThanOrEqual(1)
      expect(ids.size).toBe(count)
    }
  })

  it('a damaged page between the root and the leaves costs nothing, where SQLite loses what lies behind', async () => {
    const interior = pagesOf(0x05)
    expect(interior.length).toBeGreaterThan(0)
    const { events, damagedPages } = await salvage((bytes) => {
      for (const page of interior) garbage(bytes, page)
    })
    expect(events).toHaveLength(count)
    expect(damagedPages).toBeGreaterThan(0)
  })

  it('a damaged header and schema cost no event', async () => {
    const { events, damagedPages } = await salvage((bytes) => void bytes.fill(0, 0, pageSize))
    expect(events).toHaveLength(count)
    expect(damagedPages).toBeGreaterThan(0)
  })

  it('a file that was cut gives what is left', async () => {
    const path = join(folder, 'cut.db')
    const bytes = readFileSync(whole)
    writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / 2)))
    const source = openSalvage(path)
    let read = 0
    for await (const chunk of source.find()) read += chunk.length
    source.close()
    expect(read).toBeGreaterThan(count / 4)
  })

  it('commits that are only in the log are there, and purged events are not', async () => {
    const path = join(folder, 'logged.db')
    copyFileSync(whole, path)
    const database = new DatabaseSync(path)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0')
    database.exec("DELETE FROM events WHERE id < 'event-001000'")
    database.exec(
      "UPDATE events SET id = 'renamed', document = replace(document, 'event-002000', 'renamed') WHERE id = 'event-002000'",
    )
    copyFileSync(path, `${path}.copy`)
    copyFileSync(`${path}-wal`, `${path}.copy-wal`)
    database.close()
    const source = openSalvage(`${path}.copy`)
    const ids: string[] = []
    for await (const chunk of source.find()) ids.push(...chunk.map(({ id }) => id))
    source.close()
    expect(ids).toHaveLength(2000)
    expect(ids).toContain('renamed')
  })
})
