import { readFileSync, readlinkSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'

/** A process, so that another one can tell whether it still lives. */
interface Owner {
  pid: number
  /** Clock ticks between the boot and the start of the process. */
  startTicks: number
  bootId: string
  pidNamespace: string
}

const noteName = '.owner'

/**
 * Writes into the database who owns it. The lock is found by the name of the file; this is found by any name: a second
 * hard link has another lock and another write-ahead log, and the events of one of the two would be lost.
 * Without effect where there is no /proc. Throws EVT_STORE_LOCKED.
 */
export function claimDatabase(database: DatabaseSync, path: string): void {
  const own = findProcess(process.pid)
  if (!own) return
  const row = database.prepare('SELECT text FROM notes WHERE name = ?').get(noteName) as
    | { text: string }
    | undefined
  const before = row && (JSON.parse(row.text) as Owner)
  if (before && before.pid !== own.pid && isAlive(before, own))
    throw new EventError(
      'EVT_STORE_LOCKED',
      `process ${before.pid} owns the database file ${path}, under this name or another one`,
    )
  database
    .prepare(
      'INSERT INTO notes VALUES (?, 1, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text, version = version + 1',
    )
    .run(noteName, JSON.stringify(own))
}

/** The number of the process that owns a database file, where it can be had. */
export function findOwner(path: string): number | undefined {
  try {
    const database = new DatabaseSync(path, { readOnly: true })
    try {
      const row = database.prepare('SELECT text FROM notes WHERE name = ?').get(noteName)
      const { pid } = JSON.parse(String(row?.text)) as Owner
      return Number.isInteger(pid) ? pid : undefined
    } finally {
      database.close()
    }
  } catch {
    return undefined
  }
}

/** The next owner need not look whether we live. */
export function releaseDatabase(database: DatabaseSync): void {
  database.prepare('DELETE FROM notes WHERE name = ?').run(noteName)
}

// The numbers of processes say nothing after a boot, and nothing in another container.
function isAlive(owner: Owner, own: Owner): boolean {
  if (owner.bootId !== own.bootId || owner.pidNamespace !== own.pidNamespace) return false
  return findProcess(owner.pid)?.startTicks === owner.startTicks
}

function findProcess(pid: number): Owner | undefined {
  try {
    // The name of the program stands in brackets and may hold anything.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const startTicks = Number(fields.slice(fields.lastIndexOf(')') + 2).split(' ')[19])
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return { pid, startTicks, bootId, pidNamespace: readlinkSync('/proc/self/ns/pid') }
  } catch {
    return undefined
  }
}
