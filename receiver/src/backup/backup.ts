import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs'
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import type { Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import { makePrivateFolder, privateFileMode, refusePlanted, tighten } from '../private-file.ts'
import type { EventStore } from '../store/event-store.ts'

export interface BackupOptions {
  store: Pick<EventStore, 'copyTo' | 'kind'>
  log: Log
  metric?: Metric
  /** Absolute. */
  folder: string
  databaseName: string
  /** Of each description, the oldest beyond this number are deleted. */
  maxCount: number
  now?: () => Date
}

export interface BackupEntry {
  path: string
  /** Naive local time, as the original writes it. */
  created_at: string
  size_bytes: number
  is_valid: boolean
}

export interface Backups {
  /** Gives the path. One at a time: a second call waits for the first. */
  create(description?: string | null): Promise<string>
  /** Newest first. */
  list(): Promise<BackupEntry[]>
  /** What became of the last ones, as GET /health tells it. */
  health(): BackupHealth
}

export interface BackupHealth {
  /** ISO 8601 in UTC; null: there is none. */
  last_success: string | null
  /** Since the start; null: none. */
  last_failure: { at: string; reason: string } | null
}

/** What lies in backup_metadata.json; the names are MADSci's, `store`, `events` and `files` ours. */
export interface BackupMetadata {
  timestamp: string
  database_version: null
  backup_size: number
  checksum: string
  database_name: string
  collections_count: number
  store: string
  events: number
  files: string[]
}

const checksumFile = 'backup.checksum'
const metadataFile = 'backup_metadata.json'
const partial = '.partial'

/**
 * Copies of the store in folders of MADSci's form:
 *
 *     <folder>/<database>_backup_<local time>_<description>/
 *         events.db                       SQLite, or
 *         <database>/<collection>.bson    MongoDB, as mongodump writes it
 *         backup.checksum                 SHA-256 over the data files in the order of their names
 *         backup_metadata.json
 *
 * A folder has its name only when it is whole.
 */
export function createBackups(options: BackupOptions): Backups {
  const { store, log, metric, folder, databaseName, maxCount, now = () => new Date() } = options
  let last: Promise<unknown> = Promise.resolve()
  const verdicts = new Map<string, { stamp: string; isValid: boolean }>()

  async function make(description: string): Promise<string> {
    const date = now()
    const name = `${databaseName}_backup_${toNameTime(date)}_${description}`
    const path = join(folder, name)
    const unfinished = path + partial
    try {
      makePrivateFolder(folder)
      refusePlanted(folder)
      await removeUnfinished()
      makePrivateFolder(unfinished)
      const { files, events } = await store.copyTo(unfinished)
      const sizes = await Promise.all(files.map(async (file) => (await stat(join(unfinished, file))).size))
      const metadata: BackupMetadata = {
        timestamp: toLocalTime(date),
        database_version: null,
        backup_size: sizes.reduce((sum, size) => sum + size, 0),
        checksum: await hashFiles(unfinished, files),
        database_name: databaseName,
        collections_count: 1,
        store: store.kind,
        events,
        files,
      }
      const mode = privateFileMode
      await writeFile(join(unfinished, checksumFile), metadata.checksum, { flush: true, mode })
      await writeFile(join(unfinished, metadataFile), `${JSON.stringify(metadata, null, 2)}\n`, {
        flush: true,
        mode,
      })
      await rename(unfinished, path)
      log.info({ path, events, bytes: metadata.backup_size }, 'a backup was made')
    } catch (cause) {
      await rm(unfinished, { recursive: true, force: true }).catch(() => {})
      if (cause instanceof EventError) throw cause
      throw new EventError('EVT_BACKUP', `Failed to create backup: ${(cause as Error).message}`, { cause })
    }
    lastSuccess = date
    await rotate(description).catch((error: Error) =>
      log.error({ folder, reason: error.message }, 'backups beyond backup_max_count could not be deleted'),
    )
    return path
  }

  async function removeUnfinished(): Promise<void> {
    for (const name of await readdir(folder)) {
      if (name.startsWith(`${databaseName}_backup_`) && name.endsWith(partial))
        await rm(join(folder, name), { recursive: true, force: true })
    }
  }

  /** Among those of one description alone: what somebody made and named is not pushed out by what others make. */
  async function rotate(description: string): Promise<void> {
    const alike = (await list()).filter(({ path }) => descriptionOf(basename(path)) === description)
    for (const { path } of alike.slice(maxCount)) {
      await rm(path, { recursive: true, force: true })
      log.info({ path }, 'an old backup was deleted')
    }
  }

  async function list(): Promise<BackupEntry[]> {
    const entries: BackupEntry[] = []
    for (const name of await readNames()) {
      const path = join(folder, name)
      const metadata = name.endsWith(partial) ? undefined : await readMetadata(path).catch(() => undefined)
      if (!metadata) continue
      entries.push({
        path,
        created_at: metadata.timestamp,
        size_bytes: metadata.backup_size,
        is_valid: await isValid(path),
      })
    }
    return entries.sort((a, b) => (a.created_at < b.created_at ? 1 : -1))
  }

  async function readNames(): Promise<string[]> {
    try {
      makePrivateFolder(folder)
      return await readdir(folder)
    } catch (cause) {
      const text = `the folder of the backups cannot be read: ${(cause as Error).message}`
      throw new EventError('EVT_BACKUP', text, { cause })
    }
  }

  /** Hashed again only when the files have changed. */
  async function isValid(path: string): Promise<boolean> {
    try {
      const stamps = await Promise.all(
        (await dataFiles(path)).map(async (file) => {
          const { size, mtimeMs } = await stat(join(path, file))
          return `${file} ${size} ${mtimeMs}`
        }),
      )
      const stamp = stamps.join('\n')
      const known = verdicts.get(path)
      if (known?.stamp === stamp) return known.isValid
      const isSound = await verifyBackup(path).then(
        () => true,
        () => false,
      )
      verdicts.set(path, { stamp, isValid: isSound })
      return isSound
    } catch {
      return false
    }
  }

  tightenOlder()
  let lastSuccess = findNewest()
  let lastFailure: BackupHealth['last_failure'] = null
  metric?.expect('backup_failures', [''])
  metric?.gauge('backup_last_success_timestamp_seconds', () => lastSuccess && lastSuccess.getTime() / 1000)

  /** When the newest that is there was begun; whether it is whole is not looked at. */
  function findNewest(): Date | undefined {
    const isOurs = (name: string) => name.startsWith(`${databaseName}_backup_`) && !name.endsWith(partial)
    try {
      const newest = readdirSync(folder).filter(isOurs).sort().at(-1)
      if (newest === undefined) return undefined
      const { timestamp } = JSON.parse(readFileSync(join(folder, newest, metadataFile), 'utf8'))
      const date = new Date(timestamp)
      return Number.isNaN(date.getTime()) ? undefined : date
    } catch {
      return undefined
    }
  }

  /** Of a release that left the modes to the umask. */
  function tightenOlder(): void {
    const names = existsSync(folder) ? readdirSync(folder) : []
    const ours = names.filter((name) => name.startsWith(`${databaseName}_backup_`))
    const changed = ours.flatMap((name) => tighten(join(folder, name)))
    if (changed.length > 0)
      log.warn({ folder, count: changed.length }, 'other users could read these backups; they no longer can')
  }

  return {
    create(description) {
      const next = last.then(() => make(toFileName(description)))
      last = next.catch((error: Error) => {
        lastFailure = { at: now().toISOString(), reason: error.message }
        metric?.add('backup_failures', 1)
      })
      return next
    },
    list,
    health: () => ({ last_success: lastSuccess?.toISOString() ?? null, last_failure: lastFailure }),
  }
}

/** Throws EVT_INVALID when the folder is no whole backup. Reads every byte. */
export async function verifyBackup(path: string): Promise<BackupMetadata> {
  const metadata = await readMetadata(path).catch(async (cause) => {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'EACCES') throw new EventError('EVT_INVALID', await explainAccess(path), { cause })
    throw new EventError('EVT_INVALID', `${path} is no backup: ${message}`, { cause })
  })
  const expected = (await readFile(join(path, checksumFile), 'utf8').catch(() => '')).trim()
  const found = await hashFiles(path, await dataFiles(path))
  // The original hashes its .bson files; ours all data files, of which there are more.
  const bson = (await dataFiles(path)).filter((file) => file.endsWith('.bson'))
  if (found !== expected && (bson.length === 0 || (await hashFiles(path, bson)) !== expected))
    throw new EventError('EVT_INVALID', `${path} is damaged: its checksum is ${found}, not ${expected}`)
  return { ...metadata, files: await dataFiles(path) }
}

/** Whose the folder is, or the nearest one above it that shows its owner, and what the reading needs. */
async function explainAccess(path: string): Promise<string> {
  let shown = path
  let found = await stat(shown).catch(() => undefined)
  while (!found && dirname(shown) !== shown) {
    shown = dirname(shown)
    found = await stat(shown).catch(() => undefined)
  }
  const owner = found
    ? `; ${shown} belongs to user ${found.uid}, with mode 0${(found.mode & 0o777).toString(8)}`
    : ''
  return `${path} cannot be read (EACCES)${owner}: user ${process.geteuid?.()} must own it, with mode 0700 of folders and 0600 of files`
}

async function readMetadata(path: string): Promise<BackupMetadata> {
  return JSON.parse(await readFile(join(path, metadataFile), 'utf8')) as BackupMetadata
}

async function dataFiles(path: string): Promise<string[]> {
  const names = await readdir(path, { recursive: true, withFileTypes: true })
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .filter((name) => name !== checksumFile && name !== metadataFile)
}

async function hashFiles(path: string, files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [...files].sort()) {
    if (file.endsWith('.metadata.json')) continue
    for await (const chunk of createReadStream(join(path, file))) hash.update(chunk as Buffer)
  }
  return hash.digest('hex')
}

/** Nothing that leaves the folder. */
// The name of a file has 255 bytes at most, with that of the database and the time.
const maxNameBytes = 80

function toFileName(description: string | null | undefined): string {
  let name = ''
  for (const char of (description ?? '').replace(/[^\p{L}\p{N}_-]+/gu, '_')) {
    if (Buffer.byteLength(name + char) > maxNameBytes) break
    name += char
  }
  return name.replace(/^_+|_+$/g, '') || 'manual_backup'
}

/** Undefined for a folder of another form. */
function descriptionOf(name: string): string | undefined {
  return /_backup_\d{8}_\d{6}_\d{6}_(.+)$/s.exec(name)?.[1]
}

const two = (number: number) => String(number).padStart(2, '0')

function toLocalTime(date: Date): string {
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  return `${day}T${time}.${String(date.getMilliseconds()).padStart(3, '0')}000`
}

const toNameTime = (date: Date) =>
  toLocalTime(date).replace('T', '_').replace('.', '_').replaceAll(/[-:]/g, '')
