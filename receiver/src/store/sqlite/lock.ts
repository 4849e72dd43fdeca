import { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'

/**
 * One process owns a database file: its lock is an open exclusive transaction on `<path>.lock`, which the operating
 * system ends with the process, however that dies. Throws EVT_STORE_LOCKED.
 */
export function lockFile(path: string): { release(): void } {
  const lock = new DatabaseSync(`${path}.lock`)
  try {
    lock.exec('PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (!isBusy(cause)) throw cause
    throw new EventError('EVT_STORE_LOCKED', `another process owns the database file ${path}`, { cause })
  }
  return { release: () => lock.close() }
}

const busy = 5

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === busy
}
