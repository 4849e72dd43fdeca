import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { toFacts } from '../alert-store.ts'
import { type AlertTask, addIntent, runAlertTask } from './alert-task.ts'
import { openWritable, type Synchronous, toStoreError } from './connection.ts'
import { type FileIdentity, findFileTrouble, isOverwritten, noteContent } from './file-identity.ts'
import { type KeepResult, type KeepTask, runTask } from './keep.ts'
import { noDate, type Rows } from './row.ts'
import { lastSeqSql } from './schema.ts'

export interface CommitterOptions {
  path: string
  synchronous: Synchronous
  /** As the files were when the store was opened: what is written into one that nobody can find any more would be lost. */
  files: FileIdentity
  /** Never longer than its own commit: it neither waits for a lock nor folds the log (WAL) back into the file. */
  isBrief?: boolean
}

/** One connection that writes, each call a transaction. Two may exist, in two threads: only one is used at a time. */
export interface Committer {
  /** 1 for each row that was stored, 0 for a duplicate. No rows: shows only whether a commit works. Throws EVT_STORE_UNAVAILABLE. */
  store(rows: Rows): Uint8Array
  /** Throws EVT_STORE_UNAVAILABLE. */
  keep(task: KeepTask): KeepResult
  /** Throws EVT_STORE_UNAVAILABLE. */
  alert(task: AlertTask): unknown
  /** Copies the log into the database file, both as this connection has them open, whatever their names. Never throws. */
  rescue(): void
  close(): void
}

// 8 MB. Folding costs two syncs, so SQLite's 4 MB are dear for small commits; a log that still grows is dear for large ones.
const pagesBetweenFolds = 2000

interface Open {
  database: DatabaseSync
  insert: StatementSync
  lastSeq: StatementSync
  begin: StatementSync
  commit: StatementSync
}

/** Opens with the first commit, and again after trouble. */
export function createCommitter(options: CommitterOptions): Committer {
  const { path, synchronous, files, isBrief = false } = options
  let open: Open | undefined

  function connect(): Open {
    const trouble = findFileTrouble(files)
    if (trouble) {
      rescue()
      throw new Error(trouble)
    }
    // Our log does not belong to this content: nothing is copied.
    if (isOverwritten(files))
      throw new Error('the database file was overwritten by another program; restart the receiver')
    if (open) return open
    const database = openWritable(path, synchronous)
    database.exec(
      isBrief
        ? 'PRAGMA wal_autocheckpoint = 0; PRAGMA busy_timeout = 0'
        : `PRAGMA wal_autocheckpoint = ${pagesBetweenFolds}`,
    )
    open = {
      database,
      insert: database.prepare(
        'INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
      ),
      lastSeq: database.prepare(lastSeqSql),
      begin: database.prepare('BEGIN IMMEDIATE'),
      commit: database.prepare('COMMIT'),
    }
    return open
  }

  function rescue(): void {
    try {
      open?.database.exec('PRAGMA wal_checkpoint(PASSIVE)')
      noteContent(files)
    } catch {
      // The disk may have gone with the file.
    }
  }

  function transact<T>(work: (connection: Open) => T): T {
    try {
      const connection = connect()
      connection.begin.run()
      const result = work(connection)
      connection.commit.run()
      if (!isBrief) noteContent(files)
      return result
    } catch (error) {
      close()
      throw toStoreError(error)
    }
  }

  /** After trouble nothing is known of a connection: rolled back, and opened again by the next commit. */
  function close(): void {
    try {
      open?.database.close()
    } catch {
      // A broken one cannot be closed; it is let go.
    }
    open = undefined
  }

  return {
    store: (rows) => transact((connection) => insertRows(connection, rows)),
    keep: (task) => transact(({ database }) => runTask(database, task)),
    alert: (task) => transact(({ database }) => runAlertTask(database, task)),
    rescue,
    close,
  }
}

function insertRows({ insert, lastSeq, database }: Open, rows: Rows): Uint8Array {
  const { ids, timestamps, levels, archived, archivedAt, documents, exacts, rest, intents } = rows
  const isStored = new Uint8Array(ids.length)
  const first = (lastSeq.get() as { value: number }).value + 1
  let count = 0
  for (let i = 0; i < ids.length; i++) {
    const { changes } = insert.run(
      first + count,
      ids[i]!,
      timestamps[i]!,
      levels[i]!,
      archived[i] ? 1 : 0,
      archivedAt[i] ?? noDate,
      documents[i]!,
      exacts[i] ?? null,
      rest[i] ? 1 : 0,
    )
    if (changes === 1) {
      isStored[i] = 1
      count++
    }
  }
  if (intents) {
    const facts = toFacts(intents.matches, (row) => (isStored[row] === 1 ? ids[row] : undefined), true)
    if (facts.length > 0) addIntent(database, intents.atMs, facts)
  }
  return isStored
}
