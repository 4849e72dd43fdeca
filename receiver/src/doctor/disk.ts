import { lstat, mkdtemp, open, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Finding, good, problem, warning } from '../finding.ts'

const gigabyte = 1024 ** 3
const slowSyncMs = 20
const syncs = 20
const writtenBytes = 8 * 1024 * 1024

/** Free space, and how fast a folder takes and keeps bytes; the nearest one upwards that is there. */
export async function inspectDisk(
  check: Finding['check'],
  folder: string,
  label: string,
): Promise<Finding[]> {
  const there = await findExisting(folder)
  const space = await inspectSpace(check, folder, label)
  try {
    return [space, await measure(check, there)]
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error)
    const text =
      there === folder
        ? `${there} cannot be written: ${code}`
        : `${label} ${folder} cannot be made: ${there} takes no new folder: ${code}`
    const rights = `give the user that runs the receiver the right to write ${there}`
    const advice =
      code === 'ENOSPC' ? 'make room' : there === folder ? rights : `${rights}, or name another folder`
    return [space, problem(check, text, advice)]
  }
}

/** Free space alone; nothing is written. */
export async function inspectSpace(check: Finding['check'], folder: string, label: string): Promise<Finding> {
  const there = await findExisting(folder)
  const where = there === folder ? `${label} ${folder}` : `${label} ${folder} (not there yet; ${there} is)`
  const obstacle = await findObstacle(folder, there)
  if (obstacle !== undefined)
    return problem(
      check,
      `${label} ${folder} cannot be made: ${obstacle} is no folder`,
      'name another folder, or move that file',
    )
  const { bavail, blocks, bsize } = await statfs(there)
  // /proc and its like.
  if (blocks === 0)
    return problem(check, `${where}: ${there} is on no disk, and keeps no files`, 'name a folder on a disk')
  const freeBytes = bavail * bsize
  const share = bavail / blocks
  const text = `${where}: ${(freeBytes / gigabyte).toFixed(1)} GB free (${Math.round(share * 100)} %)`
  const advice = 'make room, or archive and delete old events: retention_enabled'
  // To archive is to write, too.
  if (freeBytes < 0.1 * gigabyte)
    return problem(check, text, 'make room on that disk, by what is not ours first')
  if (freeBytes < gigabyte || share < 0.03) return warning(check, text, advice)
  return good(check, text)
}

async function findExisting(folder: string): Promise<string> {
  let current = folder
  while (current !== dirname(current)) {
    if (
      await stat(current).then(
        (one) => one.isDirectory(),
        () => false,
      )
    )
      return current
    current = dirname(current)
  }
  return current
}

/** What stands, as a file, where a folder is to be made below `there`. */
async function findObstacle(folder: string, there: string): Promise<string | undefined> {
  let below = folder
  if (below === there) return undefined
  while (dirname(below) !== there) below = dirname(below)
  const found = await lstat(below).catch(() => undefined)
  return found ? below : undefined
}

async function measure(check: Finding['check'], folder: string): Promise<Finding> {
  const own = await mkdtemp(join(folder, '.doctor-'))
  try {
    const file = await open(join(own, 'probe'), 'w', 0o600)
    try {
      const block = Buffer.alloc(1024 * 1024, 1)
      const writeMs = await time(async () => {
        for (let written = 0; written < writtenBytes; written += block.length) await file.write(block)
        await file.sync()
      })
      const times: number[] = []
      for (let i = 0; i < syncs; i++) {
        times.push(
          await time(async () => {
            await file.write(block, 0, 4096, i * 4096)
            await file.sync()
          }),
        )
      }
      const syncMs = times.sort((a, b) => a - b)[syncs / 2]!
      const speed = writtenBytes / 1024 ** 2 / (writeMs / 1000)
      const text = `${folder}: writes ${Math.round(speed)} MB/s, fsync ${syncMs.toFixed(2)} ms`
      if (syncMs < slowSyncMs) return good(check, text)
      return warning(
        check,
        text,
        'every commit waits for an fsync: a local SSD is ten times faster than this',
      )
    } finally {
      await file.close()
    }
  } finally {
    await rm(own, { recursive: true, force: true })
  }
}

async function time(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}
