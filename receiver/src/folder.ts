import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

/**
 * The `.madsci` folder that MADSci's programs share: the nearest one upwards (ten steps at most, not above the home folder),
 * else one beside the nearest `.git`, there or not. Undefined when there is neither.
 */
export function findMadsciFolder(start: string): string | undefined {
  let besideGit: string | undefined
  let current = start
  for (let step = 0; step <= 10; step++) {
    const folder = join(current, '.madsci')
    if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder
    if (statSync(join(current, '.git'), { throwIfNoEntry: false })) besideGit ??= folder
    if (current === homedir() || dirname(current) === current) break
    current = dirname(current)
  }
  return besideGit
}

/** `.madsci/…` lies in the folder that MADSci's programs share; any other relative path begins at the working directory. */
export function resolveDataPath(path: string, start: string, workingDirectory: string): string {
  const shared = /^\.madsci(\/|$)/.test(path) ? findMadsciFolder(start) : undefined
  return resolve(shared === undefined ? workingDirectory : dirname(shared), path)
}
