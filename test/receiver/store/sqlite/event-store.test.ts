import { existsSync } from 'node:fs'
import {
  copyFile,
  link as hardLink,
  mkdir,
  mkdtemp,
  open as openFile,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '../../../../receiver/src/log.ts'
import { openCommitReader } from '../../../../receiver/src/store/commit-reader.ts'
import type { EventStore } from '../../../../receiver/src/store/event-store.ts'
import { parseSelector } from '../../../../receiver/src/store/selector.ts'
import { openSqliteStore } from '../../../../receiver/src/store/sqlite/event-store.ts'
import { collect, makeEvent } from '../../../contract/event-store.contract.ts'
import { runScript, startScript } from '../../../support/script.ts'

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

  for (const [what, damage] of [
    ['removed log', (file: string) => rm(`${file}-wal`)],
    ['removed index of the log', (file: string) => rm(`${file}-shm`)],
    [
      'log that was replaced by a link',
      async (file: string) => {
        await rename(`${file}-wal`, `${file}-wal.away`)
        await symlink(`${file}-wal.away`, `${file}-wal`)
      },
    ],
    ['removed lock', (file: string) => rm(`${file}.lock`)],
    [
      'file that was replaced by a link',
      async (file: string) => {
        await rename(file, `${file}.away`)
        await symlink(`${file}.away`, file)
      },
    ],
    [
      'file that was replaced by a copy',
      async (file: string) => {
        await copyFile(file, `${file}.copy`)
        await rename(`${file}.copy`, file)
      },
    ],
  ] as const) {
    for (const size of [1, 60]) {
      it(`a ${what} ends acknowledgement within a commit, and what was acknowledged is in the file (writes of ${size})`, async () => {
        const opened = await open()
        const toEvents = (name: string) => Array.from({ length: size }, (_, i) => makeEvent(`${name}-${i}`))
        for (let i = 0; i < 20; i++) await opened.write(toEvents(`before-${i}`))
        await damage(path)
        expect(await opened.health()).toMatchObject({
          connected: false,
          reason: expect.stringMatching(/replaced|removed/),
        })
        await expect(opened.write(toEvents('after'))).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
        await opened.close()
        store = undefined
        // SQLite opens no log that is a link.
        if (what.includes('log')) await rm(`${path}-wal`, { force: true })
        const moved = `${path}.away`
        const database = new DatabaseSync(existsSync(moved) ? moved : path)
        const { count } = database.prepare('SELECT count(*) AS count FROM events').get() as { count: number }
        database.close()
        if (!what.includes('copy')) expect(count).toBe(20 * size)
      })
    }
  }

  it('a file that was overwritten in place takes no more events; one whose time was changed does', async () => {
    const opened = await open()
    for (let i = 0; i < 2000; i++) await opened.write([makeEvent(`before-${i}`)])
    await utimes(path, new Date(), new Date())
    expect(await opened.write([makeEvent('touched')])).toEqual(['stored'])
    const backup = join(folder, 'backup')
    await mkdir(backup)
    await opened.copyTo(backup)
    expect(await opened.write([makeEvent('behind the backup')])).toEqual(['stored'])
    await writeFile(path, await readFile(join(backup, 'events.db')))
    await expect(opened.write([makeEvent('after')])).rejects.toMatchObject({
      code: 'EVT_STORE_UNAVAILABLE',
      message: expect.stringContaining('overwritten'),
    })
    expect(await opened.health()).toMatchObject({ connected: false })
  })

  it('a damaged file is told at the start, and while it runs when somebody comes across the damage', async () => {
    const filled = await open()
    for (let at = 0; at < 4; at++)
      await filled.write(Array.from({ length: 500 }, (_, i) => makeEvent(`event-${at}-${i}`)))
    await filled.close()
    store = undefined
    const whole = await readFile(path)
    const leaf = Array.from({ length: whole.length / 4096 }, (_, page) => page * 4096).filter(
      (at) => whole[at] === 0x0d,
    )
    const damaged = Buffer.from(whole)
    for (const at of leaf.slice(leaf.length / 2, -8)) damaged.fill(0xff, at, at + 4096)
    const errors: string[] = []
    const log = { ...silentLog, error: (_: object, message: string) => void errors.push(message) }
    await writeFile(path, damaged)
    store = await openSqliteStore({ path, log })
    await expect.poll(async () => (await store!.health()).damage, { timeout: 20_000 }).toContain('damaged')
    expect(await store.write([makeEvent('after')])).toEqual(['stored'])
    expect(await store.health()).toMatchObject({ connected: true })
    expect(errors).toEqual([expect.stringContaining('salvage')])
    await store.close()

    await writeFile(path, whole)
    store = await openSqliteStore({ path, log: silentLog })
    await sleep(500)
    expect((await store.health()).damage).toBeUndefined()
    // As a disk damages it: in place, below SQLite.
    const file = await openFile(path, 'r+')
    for (const at of leaf.slice(leaf.length / 2, -8)) await file.write(damaged, at, 4096, at)
    await file.close()
    await expect(collect(store, { order: 'oldest' })).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    expect((await store.health()).damage).toContain('malformed')
  })

  it('a second owner is refused by any name: a symbolic link, a hard link, a lock that was removed', async () => {
    const code = `
      import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
      import { silentLog } from '../../receiver/src/log.ts'
      await openSqliteStore({ path: ${JSON.stringify(path)}, log: silentLog })
      console.log('open')
      setInterval(() => {}, 1000)`
    const owner = startScript(code)
    try {
      await expect.poll(() => owner.stdout, { timeout: 10_000 }).toContain('open')
      const other = join(folder, 'other')
      await mkdir(other)
      const names = [join(other, 'link.db'), join(other, 'hard.db'), join(other, 'folder', 'events.db'), path]
      await symlink(path, names[0]!)
      await hardLink(path, names[1]!)
      await symlink(folder, join(other, 'folder'))
      await rm(`${path}.lock`)
      for (const name of names)
        await expect(openSqliteStore({ path: name, log: silentLog })).rejects.toMatchObject({
          code: 'EVT_STORE_LOCKED',
        })
    } finally {
      owner.kill('SIGKILL')
      await owner.ended
    }
    expect((await open()).kind).toBe('sqlite')
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
    // With lookaround, which only an engine that backtracks can read.
    const evil = parseSelector({ event_data: { $regex: '^(?=a)(a+)+$' } })
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

  it('a commit cursor from before an older backup was put back is refused, once its number is of another event', async () => {
    const write = async (...ids: string[]) => {
      await (await open()).write(ids.map((id) => makeEvent(id)))
      const { cursors = [] } = await store!.commitsSince('', 100)
      const newest = await store!.commitCursor()
      await store!.close()
      return { cursors, newest }
    }
    await write('a', 'b')
    await copyFile(path, `${path}.backup`)
    const before = await write('c', 'd')
    await copyFile(`${path}.backup`, path)
    const opened = await open()
    const refused = { code: 'EVT_INVALID' }
    const reader = openCommitReader({ source: opened.scanSource, restOnly: false })
    try {
      for (const number of [4, 8]) {
        for (const cursor of [before.newest, before.cursors[3]!]) {
          await expect(opened.commitsSince(cursor, 9)).rejects.toMatchObject(refused)
          const reading = reader.read(cursor, { limit: 9, characters: 9999 })
          await expect(reading).rejects.toMatchObject(refused)
        }
        // What both histories have in common is followed on.
        const { ids, cursors } = await opened.commitsSince(before.cursors[1]!, 9)
        expect(ids).toHaveLength(number - 4)
        expect(cursors).toHaveLength(number - 4)
        // So is a cursor of earlier releases, which says the number alone.
        expect((await opened.commitsSince('2', 9)).ids).toEqual(ids)
        await opened.write(Array.from({ length: 4 }, (_, k) => makeEvent(`e${number}.${k}`)))
      }
    } finally {
      await reader.close()
    }
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
