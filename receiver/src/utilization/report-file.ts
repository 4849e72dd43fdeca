import { constants, existsSync } from 'node:fs'
import { lstat, mkdir, open, realpath } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'

/**
 * Writes a report into a folder at or below `root`, which is made when missing; an older file of the name is overwritten.
 * Throws EVT_INVALID for a folder that is not below the root: with `..` in it, or behind a link that leads out.
 */
export async function saveReport(root: string, folder: string, name: string, text: string): Promise<string> {
  const outside = () =>
    new EventError('EVT_INVALID', 'output_path must be the folder of the setting report_dir, or lie below it')
  if (folder.split(/[\\/]/).includes('..') || folder.includes('\0')) throw outside()
  const target = resolve(root, folder)
  if (!isBelow(target, root)) throw outside()
  await mkdir(root, { recursive: true })
  const realRoot = await realpath(root)
  // What is there already may be a link; what is made now is not.
  let present = target
  while (!existsSync(present)) {
    if (await isLink(present)) throw outside()
    present = dirname(present)
  }
  if (!isBelow(await realpath(present), realRoot)) throw outside()
  await mkdir(target, { recursive: true })
  if (!isBelow(await realpath(target), realRoot)) throw outside()
  const path = join(target, name)
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | (constants.O_NOFOLLOW ?? 0)
  const file = await open(path, flags, 0o644)
  try {
    await file.writeFile(text)
  } finally {
    await file.close()
  }
  return path
}

/** A link that leads nowhere exists for lstat alone. */
async function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  )
}

const isBelow = (path: string, root: string) =>
  path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
