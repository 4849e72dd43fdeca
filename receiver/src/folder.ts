import { lstatSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { foreignOwner } from './private-file.ts'

/**
 * The `.madsci` folder that MADSci's programs share: the nearest one upwards (ten steps at most, not above the home folder),
 * else one beside the nearest `.git`, there or not. Undefined when there is neither. Throws EVT_CONFIG for a folder of another
 * user, to whom the folder where the search begins does not belong: whoever owns a folder can exchange what lies in it.
 */
export function findMadsciFolder(start: string): string | undefined {
  let besideGit: string | undefined
  let current = start
  for (let step = 0; step <= 10; step++) {
    const folder = join(current, '.madsci')
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
      refuseForeign(folder, start)
      return folder
    }
    if (statSync(join(current, '.git'), { throwIfNoEntry: false })) besideGit ??= folder
    if (current === homedir() || dirname(current) === current) break
    current = dirname(current)
  }
  return besideGit
}

function refuseForeign(folder: string, start: string): void {
  const owner = foreignOwner(lstatSync(folder)) ?? foreignOwner(statSync(folder))
  if (owner === undefined || statSync(start, { throwIfNoEntry: false })?.uid === owner) return
  throw new EventError(
    'EVT_CONFIG',
    `${folder} belongs to another user (uid ${owner}), so nothing is kept in it: give it to the user that runs the receiver (chown), or make a folder .madsci in ${start}`,
  )
}

/** `.madsci/…` lies in the folder that MADSci's programs share; any other relative path begins at the working directory. */
export function resolveDataPath(path: string, start: string, workingDirectory: string): string {
  const shared = /^\.madsci(\/|$)/.test(path) ? findMadsciFolder(start) : undefined
  return resolve(shared === undefined ? workingDirectory : dirname(shared), path)
}
