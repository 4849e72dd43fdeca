import { closeSync, existsSync, readdirSync, writeFile } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { promisify } from 'node:util'
import { EventError } from '@madsci-events/sdk/event'
import { makePrivateFolder, openPrivateFile, refusePlanted, tighten } from '../private-file.ts'

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
  makePrivateFolder(root)
  const realRoot = await realpath(root)
  // What is there already may be a link; what is made now is not.
  let present = target
  while (!existsSync(present)) {
    if (await isLink(present)) throw outside()
    present = dirname(present)
  }
  if (!isBelow(await realpath(present), realRoot)) throw outside()
  makePrivateFolder(target)
  if (!isBelow(await realpath(target), realRoot)) throw outside()
  refusePlanted(target)
  const path = join(target, name)
  const file = openPrivateFile(path)
  try {
    await promisify(writeFile)(file, text)
  } finally {
    closeSync(file)
  }
  return path
}

/** Takes the rights of other users from the reports of a release that left them to the umask. Gives how many there were. */
export function tightenReports(root: string): number {
  if (!existsSync(root)) return 0
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
  const reports = names.filter((name) => /^madsci_\w+_\d{8}\.csv$/.test(basename(name)))
  return reports.flatMap((name) => tighten(join(root, name))).length
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
