import { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'

export type Synchronous = 'full' | 'normal' | 'off'

/** How long a connection waits for another one of this process. */
const busyTimeoutMs = 5000

/** The connection that writes: WAL, and a commit that is durable as `synchronous` says. */
export function openWritable(path: string, synchronous: Synchronous): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs })
  try {
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous};`)
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

export function openReadable(path: string): DatabaseSync {
  return new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs })
}

/** What SQLite says went wrong, for the caller: trouble with the disk or the file passes, or an operator ends it. */
export function toStoreError(cause: unknown): EventError {
  if (cause instanceof EventError) return cause
  const { errstr, message } = cause as { errstr?: string; message: string }
  return new EventError('EVT_STORE_UNAVAILABLE', `SQLite: ${errstr ?? message}`, { cause })
}
