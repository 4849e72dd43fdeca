import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, lchown, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createBackups } from '../../receiver/src/backup/backup.ts'
import { runCommand } from '../../receiver/src/cli/command.ts'
import { readConfig } from '../../receiver/src/config/config.ts'
import { findMadsciFolder } from '../../receiver/src/folder.ts'
import { type Log, silentLog } from '../../receiver/src/log.ts'
import { openPrivateFile } from '../../receiver/src/private-file.ts'
import { openMongoStore } from '../../receiver/src/store/mongo/event-store.ts'
import { openSqliteStore } from '../../receiver/src/store/sqlite/event-store.ts'
import { saveReport } from '../../receiver/src/utilization/report-file.ts'
import { makeEvent } from '../contract/event-store.contract.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { spawnReceiver } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { startScript } from '../support/script.ts'

const isRoot = process.getuid?.() === 0
const asRoot = isRoot ? '' : ' (skipped: only root can give a file to another user)'
const nobody = 65534

const cleanups: (() => unknown)[] = []
let folder: string
let umask: number
beforeEach(async () => {
  // The most open one that there is.
  umask = process.umask(0)
  folder = await mkdtemp(join(tmpdir(), 'madsci-private-'))
  await mkdir(join(folder, '.git'), { mode: 0o700 })
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  process.umask(umask)
  await rm(folder, { recursive: true, force: true })
})

/** Everything below a folder that another user could read, write or enter. */
function openPaths(root: string): string[] {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name))
  expect(paths.length).toBeGreaterThan(1)
  return paths
    .filter((path) => (lstatSync(path).mode & 0o077) !== 0)
    .map((path) => `${path} ${(lstatSync(path).mode & 0o777).toString(8)}`)
}

async function run(args: string[], workingDirectory = folder) {
  let output = ''
  const stream = {
    write: (text: string) => {
      output += text
    },
  }
  const code = await runCommand(args, {
    environment: {},
    workingDirectory,
    stdout: stream,
    stderr: stream,
    stopping: new AbortController().signal,
  })
  return { code, output }
}

function createMemoryLog() {
  const lines: { fields: object; message: string }[] = []
  const write = (fields: object, message: string) => void lines.push({ fields, message })
  return { lines, log: { info: write, warn: write, error: write } satisfies Log }
}

async function fillOver(url: string): Promise<void> {
  const event = { event_type: 'log_info', event_data: { message: 'm' } }
  for (const [path, body] of [
    ['event', event],
    ['backup', {}],
  ] as const) {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    expect(answer.status).toBe(200)
  }
  const saved = await fetch(`${url}utilization/sessions?csv_format=true&save_to_file=true&output_path=a/b`)
  expect(saved.status).toBe(200)
}

describe('files are for the user that runs the receiver alone, whatever the umask', () => {
  it('those of a receiver inside a program: database, log, lock, backups, reports, registry', async () => {
    const receiver = await startTestReceiver()
    cleanups.push(() => receiver.close())
    await fillOver(receiver.url)
    const names = readdirSync(join(receiver.folder, '.madsci'), { recursive: true, encoding: 'utf8' })
    for (const ending of [
      'events.db',
      'events.db-wal',
      'events.db-shm',
      'events.db.lock',
      '.csv',
      'backup.checksum',
    ])
      expect(
        names.some((name) => name.endsWith(ending)),
        ending,
      ).toBe(true)
    expect(openPaths(receiver.folder)).toEqual([])
  })

  it.for(['serve', 'demo'] as const)('those of the program: %s', async (command) => {
    const receiver = await spawnReceiver({
      command,
      flags: { server_url: 'http://127.0.0.1:0/' },
      cwd: folder,
    })
    cleanups.push(async () => {
      receiver.kill('SIGTERM')
      await receiver.exited
    })
    await fillOver(receiver.url)
    expect(openPaths(join(folder, '.madsci'))).toEqual([])
  })

  it('those that the command line writes, also over a file that was open to all', async () => {
    const store = await openSqliteStore({ path: join(folder, 'a.db'), log: silentLog })
    await store.write([makeEvent('a')])
    await store.close()
    await writeFile(
      join(folder, 'old.csv'),
      'what was there before, and is longer than what comes now'.repeat(99),
    )
    for (const args of [
      ['export', 'new.ndjson', '--document_db_url=sqlite:a.db'],
      ['export', 'old.csv', '--format=csv', '--document_db_url=sqlite:a.db'],
      ['import', 'new.ndjson', '--document_db_url=sqlite:b.db', '--report=report.ndjson'],
      ['salvage', 'a.db', 'c.db', '--report=missing.ndjson'],
    ])
      expect(await run(args)).toMatchObject({ code: 0 })
    expect(openPaths(folder)).toEqual([])
    expect((await readFile(join(folder, 'old.csv'), 'utf8')).trim().split('\n')).toHaveLength(2)
  })

  it('those of a release that left them to the umask are tightened when they are opened, and the log says so', async () => {
    const path = join(folder, 'data/events.db')
    const store = await openSqliteStore({ path, log: silentLog })
    await store.write([makeEvent('a')])
    const options = {
      store,
      log: silentLog,
      folder: join(folder, 'backups'),
      databaseName: 'madsci_events',
      maxCount: 3,
    }
    const backup = await createBackups(options).create('old')
    await store.close()
    for (const one of [path, `${path}.lock`, join(backup, 'events.db')]) await chmod(one, 0o644)
    await chmod(backup, 0o755)
    const { lines, log } = createMemoryLog()
    const again = await openSqliteStore({ path, log })
    cleanups.push(() => again.close())
    createBackups({ ...options, log })
    expect(lines).toHaveLength(2)
    expect(lines[0]!.fields).toEqual({ files: [path, `${path}.lock`] })
    expect(openPaths(folder)).toEqual([])
  })

  it('those of a backup of MongoDB', async (context) => {
    const source = await findMongo()
    if ('skip' in source) return context.skip(source.skip)
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const databaseName = freshDatabaseName()
    const store = await openMongoStore({
      url: mongod.url,
      databaseName,
      collectionName: 'events',
      log: silentLog,
    })
    cleanups.push(() => store.close())
    await store.write([makeEvent('a')])
    const backups = createBackups({
      store,
      log: silentLog,
      folder: join(folder, 'backups'),
      databaseName,
      maxCount: 3,
    })
    await backups.create('x')
    expect(openPaths(folder)).toEqual([])
  })
})

describe('the sources', () => {
  it('make no file or folder but with a mode, or by the functions that give one', () => {
    const root = join(import.meta.dirname, '../../receiver/src')
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    )
    const makes =
      /\b(mkdir|mkdirSync|writeFile|writeFileSync|appendFile|appendFileSync|createWriteStream|copyFile|cp)\(/
    // An open for reading is none; a file descriptor was opened elsewhere.
    const hasMode = /mode|privateFileMode|\{ fd,|promisify\(writeFile\)/
    const loose = names.flatMap((name) => {
      const lines = readFileSync(join(root, name), 'utf8').split('\n')
      return lines.flatMap((line, index) =>
        makes.test(line) && !hasMode.test(lines.slice(index, index + 4).join(' '))
          ? [`${name}: ${line.trim()}`]
          : [],
      )
    })
    expect(names.length).toBeGreaterThan(200)
    expect(loose).toEqual([])
  })
})

describe('the lock of a database', () => {
  it('is not held by somebody who reads it', async () => {
    const path = join(folder, 'events.db')
    await (await openSqliteStore({ path, log: silentLog })).close()
    const reader = new DatabaseSync(`${path}.lock`, { readOnly: true })
    cleanups.push(() => reader.close())
    reader.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    const store = await openSqliteStore({ path, log: silentLog })
    await expect(openSqliteStore({ path, log: silentLog })).rejects.toMatchObject({
      code: 'EVT_STORE_LOCKED',
    })
    await store.close()
    await (await openSqliteStore({ path, log: silentLog })).close()
  })

  it('keeps out a receiver of the release that locked exclusively, and is kept out by one', async () => {
    const path = join(folder, 'events.db')
    const store = await openSqliteStore({ path, log: silentLog })
    const older = new DatabaseSync(`${path}.lock`)
    cleanups.push(() => older.close())
    expect(() => older.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')).toThrow(/locked/)
    await store.close()
    older.exec('BEGIN EXCLUSIVE')
    await expect(openSqliteStore({ path, log: silentLog })).rejects.toMatchObject({
      code: 'EVT_STORE_LOCKED',
    })
  })
})

describe('what another user put into a folder of everybody', () => {
  const plant = async (path: string, make: (path: string) => Promise<unknown>) => {
    await make(path)
    await lchown(path, nobody, nobody)
  }
  const touch = (path: string) => writeFile(path, '')

  it.runIf(isRoot)(
    `is neither written nor followed: a database, its files, an export, a report${asRoot}`,
    async () => {
      await chmod(folder, 0o1777)
      const secret = join(folder, '.git/mine')
      await writeFile(secret, 'mine', { mode: 0o600 })
      for (const name of ['a.db', 'b.db.lock', 'c.db-wal', 'd.db-journal']) {
        await plant(join(folder, name), touch)
        const path = join(folder, `${name[0]}.db`)
        await expect(openSqliteStore({ path, log: silentLog }), name).rejects.toMatchObject({
          code: 'EVT_CONFIG',
        })
      }
      await plant(join(folder, 'e.db'), (path) => symlink(secret, path))
      await expect(openSqliteStore({ path: join(folder, 'e.db'), log: silentLog })).rejects.toThrow(
        /another user/,
      )
      await plant(join(folder, 'out.ndjson'), (path) => symlink(secret, path))
      expect(() => openPrivateFile(join(folder, 'out.ndjson'), { followsLinks: true })).toThrow(
        /another user/,
      )
      await plant(join(folder, 'reports'), (path) => mkdir(path))
      await expect(saveReport(join(folder, 'reports'), '', 'x.csv', 'text')).rejects.toThrow(/another user/)
      await plant(join(folder, 'data'), (path) => mkdir(path))
      const inside = join(folder, 'data/events.db')
      await expect(openSqliteStore({ path: inside, log: silentLog })).rejects.toThrow(/another user/)
      expect(await readFile(secret, 'utf8')).toBe('mine')
    },
  )

  it.runIf(isRoot)(
    `a link of the user's own is followed by an export, not by a report${asRoot}`,
    async () => {
      await symlink(join(folder, 'real'), join(folder, 'link'))
      await chmod(folder, 0o1777)
      expect(openPrivateFile(join(folder, 'link'), { followsLinks: true })).toBeGreaterThan(2)
      await expect(saveReport(folder, '', 'link', 'text')).rejects.toThrow(/ELOOP/)
    },
  )

  it.runIf(isRoot)(
    `settings are refused, and read with a warning when their folder was named${asRoot}`,
    async () => {
      await mkdir(join(folder, 'work'), { mode: 0o700 })
      for (const name of ['.env', 'settings.yaml', 'event.settings.toml', 'events.settings.json']) {
        const path = join(folder, name)
        await writeFile(path, name.endsWith('json') ? '{}' : '', { mode: 0o644 })
        await chown(path, nobody, nobody)
        const read = () => readConfig({ environment: {}, workingDirectory: join(folder, 'work') })
        expect(read, name).toThrow(new RegExp(`${path} belongs to another user \\(uid 65534\\)`))
        const doctor = await run(['doctor', '--document_db_url=null:'], join(folder, 'work'))
        expect(doctor.output).toContain(`${path} belongs to another user`)
        const named = readConfig({
          environment: { MADSCI_SETTINGS_DIR: folder },
          workingDirectory: join(folder, 'work'),
        })
        expect(named.warnings).toEqual([expect.stringContaining(path)])
        const below = { MADSCI_SETTINGS_DIR: join(folder, 'work') }
        expect(() => readConfig({ environment: below, workingDirectory: folder })).toThrow(/another user/)
        await rm(path)
      }
    },
  )

  it('settings that everybody may change are refused, those of another group are told', async () => {
    const path = join(folder, '.env')
    await writeFile(path, 'EVENT_DATABASE_NAME=theirs', { mode: 0o666 })
    const read = () => readConfig({ environment: {}, workingDirectory: folder })
    expect(read).toThrow(/can be written by every user/)
    await chmod(path, 0o660)
    expect(read()).toMatchObject({ databaseName: 'theirs', warnings: [] })
    if (!isRoot) return
    await chown(path, 0, nobody)
    expect(read().warnings).toEqual([expect.stringContaining('group 65534')])
  })

  it.runIf(isRoot)(`a link to settings of the user's own is refused as well${asRoot}`, async () => {
    await mkdir(join(folder, 'mine'), { mode: 0o700 })
    await writeFile(join(folder, 'mine/x'), 'EVENT_DATABASE_NAME=mine', { mode: 0o600 })
    await plant(join(folder, '.env'), (path) => symlink('mine/x', path))
    expect(() => readConfig({ environment: {}, workingDirectory: folder })).toThrow(/another user/)
  })

  it.runIf(isRoot)(
    `a folder .madsci is not used, unless the folder below it is theirs too${asRoot}`,
    async () => {
      await rm(join(folder, '.git'), { recursive: true })
      await mkdir(join(folder, 'work'), { mode: 0o700 })
      await plant(join(folder, '.madsci'), (path) => mkdir(path))
      expect(() => findMadsciFolder(join(folder, 'work'))).toThrow(/belongs to another user/)
      const doctor = await run(['doctor', '--document_db_url=null:'], join(folder, 'work'))
      expect(doctor.output).toMatch(/PROBLEM +backup +.*belongs to another user/)
      await chown(join(folder, 'work'), nobody, nobody)
      expect(findMadsciFolder(join(folder, 'work'))).toBe(join(folder, '.madsci'))
    },
  )
})

describe.skipIf(process.platform !== 'linux')('makePrivateFolder', () => {
  it('gives up where the system answers ENOENT below a folder that is there', async () => {
    const program = startScript(`
      import { makePrivateFolder } from '${new URL('../../receiver/src/private-file.ts', import.meta.url)}'
      makePrivateFolder('${folder}/a/b/c')
      try { makePrivateFolder('/proc/nope/deep') } catch (error) { console.log(error.code) }`)
    // It would make folders for ever.
    const timer = setTimeout(() => program.kill('SIGKILL'), 20_000)
    const { stdout, stderr } = await program.ended
    clearTimeout(timer)
    expect(stdout, stderr).toBe('ENOENT\n')
    expect(openPaths(folder)).toEqual([])
    expect(lstatSync(join(folder, 'a/b/c')).isDirectory()).toBe(true)
  })
})
