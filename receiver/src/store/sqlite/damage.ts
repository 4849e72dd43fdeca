import type { Log } from '../../log.ts'

export interface Damage {
  /** Undefined until damage was seen; it stays until the restart. */
  readonly found: string | undefined
  /** Takes note of what SQLite said when that means a damaged file. */
  see(message: string): void
}

// What SQLITE_CORRUPT and SQLITE_NOTADB say; a thread hands on the text alone.
const damaged = ['database disk image is malformed', 'file is not a database', 'malformed database schema']

export const isDamage = (message: string) => damaged.some((one) => message.includes(one))

export const adviceForDamage = 'copy what is readable with `madsci-events salvage`, or restore a backup'

/** Damage of the file, told once in the log: SQLite goes on where the damaged pages are not touched. */
export function createDamage(path: string, log: Log): Damage {
  let found: string | undefined
  return {
    get found() {
      return found
    },
    see(message) {
      if (found !== undefined || !isDamage(message)) return
      found = `the database file ${path} is damaged: ${message}`
      log.error(
        { path, reason: message },
        `the database file is damaged: stop the receiver, then ${adviceForDamage}`,
      )
    },
  }
}
