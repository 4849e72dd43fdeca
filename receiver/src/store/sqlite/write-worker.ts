import { statSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { openWritable, type Synchronous, toStoreError } from './connection.ts'
import { type KeepResult, type KeepTask, runTask } from './keep.ts'
import { noDate, type Rows } from './row.ts'
import { lastSeqSql } from './schema.ts'

/** The thread that writes: a commit waits for the disk, and nothing else should wait with it. */
export interface WriteWorkerData {
  path: string
  synchronous: Synchronous
}

/** No rows: shows only whether a commit works. */
export type ToWriter = { write: number; rows: Rows } | { write: number; task: KeepTask }

/** `isStored`: 1 for each row that was stored, 0 for a duplicate. */
export type FromWriter =
  | { write: number; isStored: Uint8Array }
  | { write: number; kept: KeepResult }
  | { write: number; failed: string }

interface Open {
  database: DatabaseSync
  insert: StatementSync
  lastSeq: StatementSync
  begin: StatementSync
  commit: StatementSync
}

const port = parentPort!
const { path, synchronous } = workerData as WriteWorkerData
const expectedFile = fileNumber()
let open: Open | undefined

port.on('message', (message: ToWriter) => {
  const { write } = message
  let reply: FromWriter
  try {
    reply = 'rows' in message ? { write, isStored: store(message.rows) } : { write, kept: keep(message.task) }
  } catch (error) {
    close()
    reply = { write, failed: toStoreError(error).message }
  }
  port.postMessage(reply)
})

/** The inode: what is written into a file that nobody can find any more would be lost. */
function fileNumber(): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

function connect(): Open {
  if (fileNumber() !== expectedFile)
    throw new Error('the database file was moved or replaced; put it back, or restart the receiver')
  if (open) return open
  const database = openWritable(path, synchronous)
  open = {
    database,
    insert: database.prepare(
      'INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    ),
    lastSeq: database.prepare(lastSeqSql),
    begin: database.prepare('BEGIN IMMEDIATE'),
    commit: database.prepare('COMMIT'),
  }
  return open
}

function store(rows: Rows): Uint8Array {
  const { begin, commit, insert, lastSeq } = connect()
  const { ids, timestamps, levels, archived, archivedAt, documents, exacts } = rows
  const isStored = new Uint8Array(ids.length)
  begin.run()
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
    )
    if (changes === 1) {
      isStored[i] = 1
      count++
    }
  }
  commit.run()
  return isStored
}

function keep(task: KeepTask): KeepResult {
  const { begin, commit, database } = connect()
  begin.run()
  const result = runTask(database, task)
  commit.run()
  return result
}

/** After trouble nothing is known of a connection: rolled back, and opened again by the next write. */
function close(): void {
  try {
    open?.database.close()
  } catch {
    // A broken one cannot be closed; it is let go.
  }
  open = undefined
}
