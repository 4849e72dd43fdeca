import { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'
import { createPrivateFile } from '../../private-file.ts'
import { findOwner } from './owner.ts'

/**
 * One process owns a database file: its lock is an open write transaction on `<path>.lock`, which the operating system
 * ends with the process, however that dies. Of write transactions there is one at a time, and only who may write the file can
 * begin one; readers do not matter to it, as they would to an exclusive transaction. Throws EVT_STORE_LOCKED.
 */
export function lockFile(path: string): { release(): void } {
  createPrivateFile(`${path}.lock`)
  const lock = new DatabaseSync(`${path}.lock`)
  try {
    // Nothing is written, so no journal has to outlive a crash.
    lock.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE')
  } catch (cause) {
    lock.close()
    if (!isBusy(cause)) throw cause
    const pid = findOwner(path)
    const who = pid === undefined ? 'another process' : `process ${pid}`
    throw new EventError('EVT_STORE_LOCKED', `${who} owns the database file ${path}`, { cause })
  }
  return { release: () => lock.close() }
}

const busy = 5

function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === busy
}
