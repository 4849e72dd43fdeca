import { realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Log } from '../../log.ts'
import { createPrivateFile, makePrivateFolder, refusePlanted, tighten } from '../../private-file.ts'

/** SQLite gives the first three the mode of the database itself. */
const endings = ['-wal', '-shm', '-journal', '.lock', '.lock-journal']

/**
 * Makes the folder and an empty file where there is none, and takes the rights of other users from the database and from what lies
 * beside it. Gives the name of the file without symbolic links. Throws EVT_CONFIG for what another user put into a folder of
 * everybody, and the error of the file system.
 */
export function prepareDatabaseFile(configured: string, log: Log): string {
  makePrivateFolder(dirname(configured))
  refusePlanted(dirname(configured))
  refusePlanted(configured)
  const path = toOwnName(configured)
  createPrivateFile(path)
  const files = [path, ...endings.map((ending) => path + ending)]
  for (const file of files) refusePlanted(file)
  const changed = files.flatMap(tighten)
  if (changed.length > 0)
    log.warn({ files: changed }, 'other users could read these files; their mode is 0600 now')
  return path
}

/** Also of a file that does not exist yet. */
function toOwnName(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return join(realpathSync(dirname(path)), basename(path))
  }
}
