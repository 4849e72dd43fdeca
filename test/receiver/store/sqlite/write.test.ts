import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openWritable } from '../../../../receiver/src/store/sqlite/connection.ts'
import {
  closeFiles,
  type FileIdentity,
  identifyFiles,
} from '../../../../receiver/src/store/sqlite/file-identity.ts'
import { upgradeSchema } from '../../../../receiver/src/store/sqlite/schema.ts'
import { createWriter, type Writer } from '../../../../receiver/src/store/sqlite/write.ts'
import { makeEvent } from '../../../contract/event-store.contract.ts'

describe('the writer of SQLite', () => {
  let folder: string
  let path: string
  let writer: Writer
  let files: FileIdentity
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'madsci-write-'))
    path = join(folder, 'events.db')
    const database = openWritable(path, 'full')
    upgradeSchema(database, path)
    database.close()
    // No disk is too slow for this test, but for the last one.
    files = identifyFiles(path)
    writer = createWriter({ path, synchronous: 'full', files, quickMs: 1e6 })
  })
  afterEach(async () => {
    await writer.close()
    closeFiles(files)
    await rm(folder, { recursive: true })
  })
  const sequence = () => {
    const database = new DatabaseSync(path, { readOnly: true })
    const rows = database.prepare('SELECT seq, id FROM events ORDER BY seq').all() as {
      seq: number
      id: string
    }[]
    database.close()
    return rows
  }

  it('small writes are committed by the caller, large ones by the thread, in one order without gaps', async () => {
    const large = (name: string) => Array.from({ length: 60 }, (_, i) => makeEvent(`${name}-${i}`))
    await writer.write(large('first'))
    for (let i = 0; i < 300; i++) {
      expect(await writer.write([makeEvent(`small-${i}`), makeEvent('same')])).toEqual([
        'stored',
        i === 0 ? 'stored' : 'duplicate',
      ])
    }
    // A small one behind a large one that is under way waits for it, and does not go beside it.
    const [, outcome] = await Promise.all([writer.write(large('last')), writer.write([makeEvent('behind')])])
    expect(outcome).toEqual(['stored'])
    const rows = sequence()
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 60 + 301 + 61 }, (_, i) => i + 1))
    expect(rows.at(-1)!.id).toBe('behind')
    expect(writer.commits.here).toBeGreaterThan(250)
    // The two large ones, the small one behind, and one turn at folding the log.
    expect(writer.commits.thread).toBe(4)
  })

  it.each([
    ['full', 2],
    ['normal', 1],
    ['off', 0],
  ] as const)(
    'what the caller commits is as durable as `synchronous` says: %s',
    async (synchronous, number) => {
      await writer.close()
      const prepare = vi.spyOn(DatabaseSync.prototype, 'prepare')
      writer = createWriter({ path, synchronous, files, quickMs: 1e6 })
      await writer.write([makeEvent('a')])
      expect(writer.commits).toEqual({ here: 1, thread: 0 })
      const at = prepare.mock.calls.findIndex(([sql]) => sql === 'COMMIT')
      const connection = prepare.mock.contexts[at] as DatabaseSync
      prepare.mockRestore()
      expect(connection.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: number })
    },
  )

  it('what fails on the connection of the caller is tried again by the thread', async () => {
    await writer.write([makeEvent('a')])
    expect(writer.commits).toEqual({ here: 1, thread: 0 })
    await rename(path, `${path}.away`)
    await expect(writer.write([makeEvent('b')])).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    expect(writer.trouble).toContain('moved')
    await rename(`${path}.away`, path)
    expect(await writer.write([makeEvent('b')])).toEqual(['stored'])
    expect(writer.commits).toEqual({ here: 1, thread: 1 })
    expect(await writer.write([makeEvent('c')])).toEqual(['stored'])
    expect(writer.commits).toEqual({ here: 2, thread: 1 })
    expect(sequence().map(({ id }) => id)).toEqual(['a', 'b', 'c'])
  })

  it('trouble ends with a commit of the size that failed, not with a smaller one', async () => {
    const large = () => [makeEvent('large', { event_data: { message: 'x'.repeat(200_000) } })]
    await rename(path, `${path}.away`)
    await expect(writer.write(large())).rejects.toMatchObject({ code: 'EVT_STORE_UNAVAILABLE' })
    await rename(`${path}.away`, path)
    expect(await writer.write([makeEvent('small')])).toEqual(['stored'])
    expect(writer.trouble).toContain('moved')
    await writer.probe()
    expect(writer.trouble).toBeUndefined()
  })

  it('a slow disk has the thread to itself', async () => {
    await writer.close()
    writer = createWriter({ path, synchronous: 'full', files, quickMs: 0 })
    for (let i = 0; i < 20; i++) await writer.write([makeEvent(`e${i}`)])
    expect(writer.commits).toEqual({ here: 0, thread: 20 })
  })
})
