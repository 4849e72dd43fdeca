import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'
import { runScript } from '../../../support/script.ts'

describe('SQLite store', () => {
  let folder: string
  let path: string
  let store: EventStore | undefined
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-sqlite-'))
    path = join(folder, 'events.db')
  })
  afterEach(async () => {
    await store?.close()
    store = undefined
    await rm(folder, { recursive: true })
  })
  const open = async () => {
    store = await openSqliteStore({ path, log: silentLog })
    return store
  }

  it('a file has one owner; the next may have it when that one is gone, closed or killed', async () => {
    const first = await open()
    await first.write([makeEvent('a')])
    await expect(openSqliteStore({ path, log: silentLog })).rejects.toMatchObject({
      code: 'EVT_STORE_LOCKED',
      message: expect.stringContaining(path),
    })
    await first.close()
    const code = `
      import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
      import { silentLog } from '../../receiver/src/log.ts'
      await openSqliteStore({ path: ${JSON.stringify(path)}, log: silentLog })
      console.log('open')
      process.kill(process.pid, 'SIGKILL')`
    expect((await runScript(code, {})).stdout).toContain('open')
    expect(await (await open()).get('a')).toBeDefined()
  })

  it('refuses a file of another program, and one that is no database', async () => {
    const other = new DatabaseSync(path)
    other.exec('CREATE TABLE mine (a)')
    other.close()
    await expect(openSqliteStore({ path, log: silentLog })).rejects.toMatchObject({
      code: 'EVT_SCHEMA_VERSION',
    })
    const text = join(folder, 'text.db')
    await writeFile(text, 'this is no database, but long enough to be looked at'.repeat(100))
    await expect(openSqliteStore({ path: text, log: silentLog })).rejects.toMatchObject({
      code: 'EVT_STORE_UNAVAILABLE',
      message: expect.stringContaining(text),
    })
  })

  it('writes nothing into a file that was moved away, and goes on when it is back', async () => {
    const opened = await open()
    await opened.write([makeEvent('a')])
    await rename(path, `${path}.away`)
    await expect(opened.write([makeEvent('b')])).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    expect(await opened.health()).toMatchObject({ connected: false })
    await rename(`${path}.away`, path)
    expect(await opened.write([makeEvent('b')])).toEqual(['stored'])
    expect(await opened.health()).toEqual({ connected: true, totalEvents: 2 })
  })

  it('trouble is told once in ten seconds, however often health is asked', async () => {
    const lines: object[] = []
    store = await openSqliteStore({
      path,
      log: { ...silentLog, warn: (fields, message) => void lines.push({ ...fields, message }) },
    })
    await rename(path, `${path}.away`)
    await expect(store.write([makeEvent('a')])).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    for (let i = 0; i < 5; i++) expect(await store.health()).toMatchObject({ connected: false })
    expect(lines).toMatchObject([{ message: 'the store is not healthy', suppressed: 0 }])
    await rename(`${path}.away`, path)
    expect(await store.health()).toMatchObject({ connected: true })
  })

  it('a selector that never ends is ended, and the queries beside it come to their end', async () => {
    const opened = await open()
    await opened.write([
      makeEvent('evil', { event_data: `${'a'.repeat(60)}!` }),
      ...Array.from({ length: 3000 }, (_, i) => makeEvent(`e${i}`)),
    ])
    const evil = parseSelector({ event_data: { $regex: '^(a+)+$' } })
    const started = performance.now()
    const [bad, good] = await Promise.allSettled([
      collect(opened, { selector: evil, timeoutMs: 300 }),
      collect(opened, { order: 'oldest' }),
    ])
    expect(bad).toMatchObject({ status: 'rejected', reason: { code: 'EVT_QUERY_TIMEOUT' } })
    expect(good.status === 'fulfilled' && new Set(good.value.map(({ id }) => id)).size).toBe(3001)
    expect(performance.now() - started).toBeLessThan(15_000)
    expect(await collect(opened, { limit: 2 })).toHaveLength(2)
  })

  it('a query that finds nothing for too long ends with EVT_QUERY_TIMEOUT', async () => {
    const opened = await open()
    await opened.write(Array.from({ length: 20_000 }, (_, i) => makeEvent(`e${i}`)))
    const selector = parseSelector({ 'event_data.message': { $regex: 'nothing has this' } })
    await expect(collect(opened, { selector, timeoutMs: 1 })).rejects.toMatchObject({
      code: 'EVT_QUERY_TIMEOUT',
    })
  })

  it('closed, the database is one file', async () => {
    const opened = await open()
    await opened.write([makeEvent('a')])
    await opened.close()
    store = undefined
    const alone = join(folder, 'copy.db')
    await rename(path, alone)
    const database = new DatabaseSync(alone, { readOnly: true })
    expect(database.prepare('SELECT count(*) AS n FROM events').get()).toEqual({ n: 1 })
    database.close()
  })
})
