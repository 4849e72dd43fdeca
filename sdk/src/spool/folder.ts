import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { createEventId } from '../event/id.ts'
import { isAbandoned, type Owner, parseOwner, thisOwner, toOwnerText } from './owner.ts'

/**
 *     <spoolDir>/liquid-handler-1f0c9a7e/           a stream: one name and one endpoint; stream.json says which
 *         01K…@<owner>/00000001.seg, 00000002.seg   a home: written by one client of one process
 *         01K…@free/00000001.seg                    left behind by a client that was closed
 *         corrupt/                                  segments in which something could not be read
 *
 * The owner is in the home's name, so taking a home over is a rename, in which only one can succeed.
 */
const free = 'free'
export const corruptName = 'corrupt'
const suffix = '.seg'

interface Synced {
  /** What was made is on the disk, not only in the system's memory, when the call returns. */
  isSynced: boolean
}

/** Without what lets somebody in. */
export function endpointOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname
}

/**
 * Makes a folder, and those above it that are missing, with mode 0700: events are nobody else's business. One after the other,
 * because Node's `recursive` tries for ever where a folder is there and what is made in it is answered with ENOENT, as in /proc.
 */
export function makeFolder(path: string): void {
  let error = tryToMake(path)
  if (error?.code === 'ENOENT' && dirname(path) !== path) {
    makeFolder(dirname(path))
    error = tryToMake(path)
  }
  if (error !== undefined) throw error
}

/** Gives the error, unless there is the folder afterwards. */
function tryToMake(path: string): NodeJS.ErrnoException | undefined {
  try {
    mkdirSync(path, { mode: 0o700 })
    return undefined
  } catch (error) {
    const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory()
    return isThere ? undefined : (error as NodeJS.ErrnoException)
  }
}

/** Makes the folder of a stream, and gives its path. */
export function openStream(spoolDir: string, name: string, url: string, { isSynced }: Synced): string {
  const endpoint = endpointOf(url)
  const key = createHash('sha256').update(`${name}\n${endpoint}`).digest('hex').slice(0, 8)
  const slug = name.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60) || '_'
  const stream = resolve(spoolDir, `${slug}-${key}`)
  makeFolder(stream)
  if (isSynced) syncAbove(stream)
  const about = join(stream, 'stream.json')
  if (!existsSync(about)) writeFileSync(about, `${JSON.stringify({ name, endpoint })}\n`, { mode: 0o600 })
  return stream
}

export function createHome(stream: string, { isSynced }: Synced): string {
  const home = join(stream, `${createEventId()}@${toOwnerText(thisOwner())}`)
  mkdirSync(home, { mode: 0o700 })
  if (!isSynced) return home
  try {
    syncFolder(stream)
    return home
  } catch (error) {
    rmdirSync(home)
    throw error
  }
}

// Not every system lets a folder be opened or synced; there its names are its own business.
const unable = new Set(['EACCES', 'EBADF', 'EINVAL', 'EISDIR', 'ENOSYS', 'ENOTSUP', 'EPERM', 'EROFS'])

/** Whichever of them are new: a synced file in a folder without a name would be lost. */
function syncAbove(path: string): void {
  const above = dirname(path)
  syncFolder(above)
  if (above !== path) syncAbove(above)
}

/** A file that is synced is lost all the same when its name is not. Throws when the disk fails. */
export function syncFolder(path: string): void {
  let fd: number | undefined
  try {
    fd = openSync(path, 'r')
    fsyncSync(fd)
  } catch (error) {
    if (!unable.has((error as { code?: string }).code ?? '')) throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** The sign of life. False when the home is gone: somebody took us for dead. */
export function touch(home: string): boolean {
  try {
    const now = new Date()
    utimesSync(home, now, now)
    return true
  } catch (error) {
    return (error as { code?: string }).code !== 'ENOENT'
  }
}

/** The homes of a stream, oldest first; without an owner those that were left. */
export function listHomes(stream: string): { home: string; id: string; owner: Owner | undefined }[] {
  return readdirSync(stream)
    .sort()
    .flatMap((name) => {
      const [id, text] = name.split('@')
      if (!id || text === undefined) return []
      const owner = text === free ? undefined : parseOwner(text)
      // Whatever it is, it is none that we can judge.
      return owner === undefined && text !== free ? [] : [{ home: join(stream, name), id, owner }]
    })
}

/** Takes homes over whose owners are gone, and were for `idleMs`; oldest first. */
export function claimHomes(stream: string, { idleMs = 0 } = {}): string[] {
  const claimed: string[] = []
  for (const { home, id, owner } of listHomes(stream)) {
    try {
      if (!isAbandoned(owner, statSync(home).mtimeMs, idleMs)) continue
      // Alive before it is ours, or the next one would take it from us.
      touch(home)
      const mine = join(stream, `${id}@${toOwnerText(thisOwner())}`)
      renameSync(home, mine)
      claimed.push(mine)
    } catch {
      // Another process was faster.
    }
  }
  return claimed
}

/** Removes a stream in which nothing is any more. Another process may be about to use it. */
export function leaveStream(stream: string): void {
  const about = join(stream, 'stream.json')
  try {
    if (readdirSync(stream).some((name) => name !== 'stream.json')) return
    const text = readFileSync(about)
    rmSync(about)
    try {
      rmdirSync(stream)
    } catch {
      // Somebody made a home in it meanwhile.
      writeFileSync(about, text, { mode: 0o600 })
    }
  } catch {
    // Somebody was faster.
  }
}

/** Removes a home, or leaves what is in it to the next one. */
export function leaveHome(home: string): void {
  try {
    rmdirSync(home)
  } catch {
    try {
      const [id] = basename(home).split('@')
      renameSync(home, join(dirname(home), `${id}@${free}`))
    } catch {
      // It is not ours any more.
    }
  }
}

export const segmentName = (number: number) => String(number).padStart(8, '0') + suffix

/** Plain files alone: to read a pipe would take for ever. */
export function listSegments(home: string): string[] {
  return readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(home, entry.name))
    .sort()
}

/** Moves a segment out of the way; gives its new path. */
export function setAside(path: string): string {
  const home = dirname(path)
  const folder = join(dirname(home), corruptName)
  makeFolder(folder)
  const [id] = basename(home).split('@')
  const target = join(folder, `${id}-${basename(path)}`)
  renameSync(path, target)
  return target
}
