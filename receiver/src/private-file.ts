import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'

/** Files that only this user may read, whatever the umask says, and files of other users that must not be used. */

export const privateFileMode = 0o600
export const privateFolderMode = 0o700

const noFollow = constants.O_NOFOLLOW ?? 0
const ownUser = process.getuid?.()

/** The owner when it is neither this process's user nor root; undefined otherwise, and where there are no owners (Windows). */
export function foreignOwner({ uid }: Pick<Stats, 'uid'>): number | undefined {
  return ownUser === undefined || uid === ownUser || uid === 0 ? undefined : uid
}

/**
 * Creates the folder, and those above it that are missing, with mode 0700. One that exists stays as it is. One after the other,
 * because Node's `recursive` tries for ever where a folder is there and what is made in it is answered with ENOENT, as in /proc.
 */
export function makePrivateFolder(path: string): void {
  let error = tryToMake(path)
  if (error?.code === 'ENOENT' && dirname(path) !== path) {
    makePrivateFolder(dirname(path))
    error = tryToMake(path)
  }
  if (error !== undefined) throw error
}

/** Gives the error, unless there is the folder afterwards. */
function tryToMake(path: string): NodeJS.ErrnoException | undefined {
  try {
    mkdirSync(path, { mode: privateFolderMode })
    return undefined
  } catch (error) {
    const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory()
    return isThere ? undefined : (error as NodeJS.ErrnoException)
  }
}

/**
 * Throws EVT_CONFIG for a file, folder or link of another user in a folder that everybody may write, such as /tmp: who put
 * it there could read what we write, or lead it elsewhere.
 */
export function refusePlanted(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  const owner = found && foreignOwner(found)
  if (owner === undefined) return
  const folder = dirname(path)
  const isShared = (lstatSync(folder).mode & 0o002) !== 0
  if (!isShared) return
  throw new EventError(
    'EVT_CONFIG',
    `${path} belongs to another user (uid ${owner}), and everybody may write in ${folder}: remove it, or choose a folder of your own`,
  )
}

/**
 * Opens a file for writing, mode 0600, and gives its descriptor; what it held is gone. Devices and pipes are opened as they are.
 * No link is followed, but with `followsLinks` one that another user did not plant. Throws EVT_CONFIG, and the error of the file
 * system.
 */
export function openPrivateFile(path: string, { followsLinks = false } = {}): number {
  refusePlanted(path)
  const isLink = followsLinks && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
  const flags = constants.O_WRONLY | constants.O_CREAT | (isLink ? 0 : noFollow)
  const descriptor = openSync(path, flags, privateFileMode)
  try {
    const found = fstatSync(descriptor)
    if (found.isFile()) {
      if (isTooOpen(found)) fchmodSync(descriptor, privateFileMode)
      ftruncateSync(descriptor)
    }
    return descriptor
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

/** Creates an empty file of mode 0600 when there is none. Throws EVT_CONFIG, and the error of the file system. */
export function createPrivateFile(path: string): void {
  refusePlanted(path)
  try {
    closeSync(openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, privateFileMode))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/**
 * Takes the rights of group and others from a file or a folder, and from what lies in it, of this user; links are left alone.
 * Gives the paths that were changed. What cannot be changed stays as it is.
 */
export function tighten(path: string): string[] {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found || found.isSymbolicLink()) return []
  const changed: string[] = []
  const isFolder = found.isDirectory()
  if ((isFolder || found.isFile()) && isTooOpen(found)) {
    try {
      chmodSync(path, found.mode & privateFolderMode)
      changed.push(path)
    } catch {
      // a file system without rights
    }
  }
  if (isFolder) for (const name of readdirSync(path)) changed.push(...tighten(join(path, name)))
  return changed
}

const isTooOpen = ({ mode, uid }: Stats) =>
  ownUser !== undefined && (uid === ownUser || ownUser === 0) && (mode & 0o077) !== 0
