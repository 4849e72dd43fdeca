import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Event } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { createBackups, verifyBackup } from '../../../receiver/src/backup/backup.ts'
import { startSchedule } from '../../../receiver/src/backup/schedule.ts'
import { silentLog } from '../../../receiver/src/log.ts'
import { createMetric } from '../../../receiver/src/metric.ts'
import { openSqliteStore } from '../../../receiver/src/store/sqlite/event-store.ts'
import { makeEvent } from '../../contract/event-store.contract.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { waitUntil } from '../../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(maxCount = 10, now?: () => Date) {
  const root = await mkdtemp(join(tmpdir(), 'madsci-backup-'))
  const store = await openSqliteStore({ path: join(root, 'events.db'), log: silentLog })
  cleanups.push(async () => {
    await store.close()
    await rm(root, { recursive: true })
  })
  await store.write([makeEvent('a'), makeEvent('b')])
  const folder = join(root, 'backups')
  const options = { store, log: silentLog, folder, databaseName: 'madsci_events', maxCount }
  return { store, folder, backups: createBackups({ ...options, ...(now && { now }) }) }
}

const told = { log: silentLog, managerId: '01JJ4S0WNGEF5FQAZG5KDGJRBV', report: async () => {} }

describe('backups', () => {
  it('have the form of the original, and verify', async () => {
    const { folder, backups } = await start()
    const path = await backups.create('before the move')
    expect(path).toMatch(/madsci_events_backup_\d{8}_\d{6}_\d{6}_before_the_move$/)
    expect((await readdir(path)).sort()).toEqual(['backup.checksum', 'backup_metadata.json', 'events.db'])
    const metadata = await verifyBackup(path)
    expect(metadata).toMatchObject({ database_name: 'madsci_events', events: 2, store: 'sqlite' })
    expect((await readFile(join(path, 'backup.checksum'), 'utf8')).trim()).toBe(metadata.checksum)
    const listed = await backups.list()
    expect(listed).toEqual([
      { path, created_at: metadata.timestamp, size_bytes: metadata.backup_size, is_valid: true },
    ])
    expect(await readdir(folder)).toHaveLength(1)
    // A byte more, and it is no longer what it was.
    await appendFile(join(path, 'events.db'), 'x')
    expect((await backups.list())[0]!.is_valid).toBe(false)
    await expect(verifyBackup(path)).rejects.toMatchObject({ code: 'EVT_INVALID' })
  })

  it('that belong to another user say so, and what they need', async ({ skip }) => {
    const { backups } = await start()
    const path = await backups.create('of another user')
    const me = process.geteuid!()
    // Root reads everything, so the reading is done as another user.
    if (me === 0 && !process.seteuid) return skip('a thread cannot change its user')
    if (me === 0) process.seteuid!(65534)
    else await chmod(path, 0)
    const failed = await verifyBackup(path).catch((error: Error) => error)
    if (me === 0) process.seteuid!(0)
    else await chmod(path, 0o700)
    const [user, mode] = me === 0 ? [65534, '0700'] : [me, '00']
    expect(failed).toMatchObject({
      code: 'EVT_INVALID',
      message: expect.stringMatching(
        new RegExp(`cannot be read .* belongs to user ${me}, with mode ${mode}: user ${user} must own it`),
      ),
    })
  })

  it('never leave the folder, whatever the description', async () => {
    const { folder, backups } = await start()
    for (const description of [
      '../../outside',
      '/etc/x',
      '..',
      '',
      null,
      'a\0b',
      '\u00e4 \u00f6'.repeat(60),
    ]) {
      const path = await backups.create(description)
      expect(path.slice(folder.length + 1)).not.toMatch(/[/\\]/)
      expect(path.startsWith(folder)).toBe(true)
    }
    expect(await readdir(folder)).toHaveLength(7)
  })

  it('keep the newest, and clear away what a killed process left', async () => {
    let ms = Date.parse('2026-01-01T00:00:00Z')
    const { folder, backups } = await start(3, () => {
      ms += 1000
      return new Date(ms)
    })
    await mkdir(join(folder, 'madsci_events_backup_20250101_000000_000000_x.partial'), { recursive: true })
    await writeFile(join(folder, 'notes.txt'), 'not ours')
    const paths = []
    for (let i = 0; i < 5; i++) paths.push(await backups.create())
    expect((await backups.list()).map(({ path }) => path)).toEqual(paths.slice(2).reverse())
    expect((await readdir(folder)).length).toBe(4)
  })

  it('of one description are not pushed out by those of others', async () => {
    const { backups } = await start(2)
    const good = await backups.create('GOOD before upgrade')
    const manual = await backups.create()
    for (let i = 0; i < 4; i++) await backups.create('scheduled')
    for (let i = 0; i < 4; i++) await backups.create('x')
    const paths = (await backups.list()).map(({ path }) => path)
    expect(paths).toContain(good)
    expect(paths).toContain(manual)
    expect(paths).toHaveLength(6)
    for (let i = 0; i < 3; i++) await backups.create()
    expect((await backups.list()).map(({ path }) => path)).toContain(good)
  })

  it('that were due while nothing ran are made at the start', async () => {
    const { backups } = await start(10, () => new Date(Date.now() - 3 * 86_400_000))
    await backups.create()
    const schedule = startSchedule({ pattern: '@daily', backups, ...told })
    await schedule.close()
    expect(await backups.list()).toHaveLength(2)
  })

  it('follow the clock', async () => {
    const { backups } = await start()
    const schedule = startSchedule({ pattern: '* * * * * *', backups, ...told })
    expect(schedule.next()!.getTime()).toBeLessThanOrEqual(Date.now() + 1000)
    while ((await backups.list()).length < 2) await new Promise((resolve) => setTimeout(resolve, 100))
    await schedule.close()
  })
})

describe('a backup that cannot be made', () => {
  async function makeBlocked(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'madsci-backup-'))
    cleanups.push(() => rm(root, { recursive: true }))
    await writeFile(join(root, 'file'), '')
    return join(root, 'file', 'nope')
  }

  it('is told by the routes, the metrics and the health', async () => {
    const receiver = await startTestReceiver({
      flags: { backup_enabled: 'true', backup_schedule: '@monthly', backup_dir: await makeBlocked() },
    })
    cleanups.push(() => receiver.close())
    const get = async (path: string) => (await fetch(`${receiver.url}${path}`)).json()
    const post = await fetch(`${receiver.url}backup`, { method: 'POST' })
    expect(post.status).toBe(500)
    expect(((await post.json()) as { detail: string }).detail).toMatch(/^Failed to create backup: .*nope/)
    expect(await get('backup/status')).toEqual({ detail: expect.stringMatching(/ENOTDIR.*nope/) })
    expect(await get('health')).toMatchObject({
      backup: { last_success: null, last_failure: { reason: expect.stringContaining('nope') } },
    })
    const metrics = await (await fetch(`${receiver.url}metrics`)).text()
    expect(metrics).toMatch(/^madsci_backup_failures_total [1-9]/m)
    expect(metrics).not.toContain('madsci_backup_last_success_timestamp_seconds ')
  })

  it('by the schedule, is an event at the level of an error', async () => {
    const { store } = await start()
    const metric = createMetric()
    const options = { store, log: silentLog, metric, databaseName: 'madsci_events', maxCount: 2 }
    const backups = createBackups({ ...options, folder: await makeBlocked() })
    const events: Event[] = []
    const report = async (event: Event) => void events.push(event)
    const schedule = startSchedule({ pattern: '* * * * * *', backups, ...told, report })
    await waitUntil(async () => events.length > 0, 'an event of the failure')
    const failures = () => metric.total('backup_failures')
    const before = failures()
    await waitUntil(async () => failures() > before + 1, 'two further failures')
    await schedule.close()
    // A failure that goes on is told again after an hour, and counted each time.
    expect(events).toHaveLength(1)
    expect(events[0]).toMatchObject({
      event_type: 'manager_error',
      log_level: 40,
      source: { manager_id: told.managerId },
      event_data: { message: expect.stringMatching(/^a scheduled backup failed: .*nope/) },
    })
  })

  it('says when the newest was made, also after a new start', async () => {
    const { store, folder, backups } = await start()
    expect(backups.health()).toEqual({ last_success: null, last_failure: null })
    await backups.create()
    const { last_success } = backups.health()
    expect(last_success).not.toBeNull()
    const metric = createMetric()
    const options = { store, log: silentLog, metric, folder, databaseName: 'madsci_events', maxCount: 2 }
    expect(createBackups(options).health()).toEqual({ last_success, last_failure: null })
    expect(metric.readGauges()).toContainEqual({
      name: 'backup_last_success_timestamp_seconds',
      label: '',
      value: Date.parse(last_success!) / 1000,
    })
  })
})
