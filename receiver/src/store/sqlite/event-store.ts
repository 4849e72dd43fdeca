import { statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { EventError } from '@madsci-events/sdk/event'
import { createThrottle, type Log } from '../../log.ts'
import { canaryEnd, canaryMark, createCanaryCount } from '../canary.ts'
import { columnsOff } from '../column/state.ts'
import { type SummaryRest, startColumns } from '../column/thread.ts'
import { withDeadline } from '../deadline.ts'
import type { EventStore, StoreHealth } from '../event-store.ts'
import { runJob } from '../job.ts'
import { laneOf } from '../query-lane.ts'
import { createQueryPool } from '../query-pool.ts'
import { shareCall } from '../shared-call.ts'
import { toParts } from '../summary-parts.ts'
import { workerUrl } from '../worker-url.ts'
import { createAlertStore } from './alert.ts'
import { runAlertTask } from './alert-task.ts'
import { createCommitCursors } from './commit-cursor.ts'
import { openReadable, openWritable, type Synchronous, toStoreError } from './connection.ts'
import type { CopyWorkerData } from './copy-worker.ts'
import { adviceForDamage, createDamage, isDamage } from './damage.ts'
import { prepareDatabaseFile } from './database-file.ts'
import { JsonWriter } from './document-writer.ts'
import { closeFiles, findFileTrouble, identifyFiles } from './file-identity.ts'
import { type FindCommand, type FindProgress, timeIsUp } from './find-command.ts'
import type { FindWorkerData } from './find-worker.ts'
import { startIndexer } from './indexer.ts'
import { type KeepResult, type KeepTask, type Place, usualCharacters } from './keep.ts'
import { lockFile } from './lock.ts'
import { claimDatabase, releaseDatabase } from './owner.ts'
import { toStoredEvent } from './row.ts'
import { deletedEventsSql, lastSeqSql, upgradeSchema } from './schema.ts'
import { createWriter } from './write.ts'

export interface SqliteStoreOptions {
  /** Its folder is made; `<path>.lock` lies beside it. */
  path: string
  /** Default 'full'. */
  synchronous?: Synchronous
  /** For columns of the stored events, from which summaries are made; none if not given or 0. */
  columnBytes?: number
  log: Log
}

const healthTimeoutMs = 1500
const leastRoomBytes = 4 * usualCharacters
// A start and a stop at once wait for this check. Reading a larger file whole takes too long beside the lab's work: damage there is found when somebody comes across it.
const checkedBytes = 256 * 1024 ** 2

/**
 * Events in one SQLite file, owned by this process: one thread writes, some answer queries, and this one reads single
 * rows. Throws EVT_STORE_LOCKED, EVT_SCHEMA_VERSION, and EVT_STORE_UNAVAILABLE for a file that cannot be opened.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<EventStore> {
  const { synchronous = 'full', columnBytes = 0, log } = options
  // By its own name: a link has another lock beside it, and SQLite keeps its log beside the file itself.
  const path = open(options.path, () => prepareDatabaseFile(options.path, log))
  const lock = open(path, () => lockFile(path))
  let reading: DatabaseSync
  try {
    reading = open(path, () => {
      const database = openWritable(path, synchronous)
      try {
        upgradeSchema(database, path)
        claimDatabase(database, path)
        runAlertTask(database, { kind: 'release' })
      } finally {
        database.close()
      }
      return openReadable(path)
    })
  } catch (error) {
    lock.release()
    throw error
  }
  const damage = createDamage(path, log)
  const closing = new AbortController()
  const checking =
    statSync(path).size > checkedBytes
      ? undefined
      : runJob<{ trouble?: string }>(workerUrl('./sqlite/check-worker'), path, closing.signal).then(
          ({ trouble }) => trouble !== undefined && damage.see(trouble),
          () => {},
        )
  // Health may be asked every second.
  const throttle = createThrottle()
  const data: FindWorkerData = { path }
  const queries = createQueryPool<FindCommand, FindProgress>({
    file: workerUrl('./sqlite/find-worker'),
    workerData: data,
    // A turn cannot be interrupted: what hangs is ended with its thread.
    slots: [['reserved'], ['light'], ['heavy', 'light'], ['heavy', 'light']],
    threads: 'each',
    toError: ({ message, code }) => {
      if (code === timeIsUp) return new EventError('EVT_QUERY_TIMEOUT')
      damage.see(message)
      return new EventError('EVT_STORE_UNAVAILABLE', `SQLite: ${message}`)
    },
  })
  const byId = reading.prepare('SELECT document, exact FROM events WHERE id = ?')
  const bySeq = reading.prepare('SELECT seq, id FROM events WHERE seq > ? ORDER BY seq LIMIT ?')
  const seqOf = reading.prepare('SELECT seq FROM events WHERE id = ?')
  const note = reading.prepare('SELECT version, text FROM notes WHERE name = ?')
  const lastSeq = reading.prepare(lastSeqSql)
  const commitCursors = createCommitCursors(reading)
  const deletedEvents = reading.prepare(deletedEventsSql)
  const canariesWithin = reading.prepare('SELECT count(*) AS value FROM events WHERE id >= ? AND id < ?')
  const countCanaries = createCanaryCount(
    () => (canariesWithin.get(canaryMark, canaryEnd) as { value: number }).value,
  )
  const readValue = (statement: StatementSync) => (statement.get() as { value: number }).value
  // The first read makes the log, if there is none.
  open(path, () => readValue(lastSeq))
  const files = identifyFiles(path, options.path)
  const writer = createWriter({ path, synchronous, files, onTrouble: damage.see })
  const indexer = startIndexer(path, { write: (task) => writer.keep(task), log })
  const columns =
    columnBytes > 0
      ? startColumns({ source: { kind: 'sqlite', path }, maxBytes: columnBytes }, log)
      : undefined

  async function archive(task: Extract<KeepTask, { kind: 'archive' }>): Promise<KeepResult> {
    // Nobody knows what became of a commit that failed.
    let newest: string | undefined = '\uffff'
    try {
      const kept = await writer.keep(task)
      newest = kept.newest
      return kept
    } finally {
      if (newest !== undefined) columns?.dropArchived(newest)
    }
  }

  async function guarded<T>(read: () => T): Promise<T> {
    try {
      return read()
    } catch (cause) {
      const error = toStoreError(cause)
      damage.see(error.message)
      throw error
    }
  }

  async function health(): Promise<StoreHealth> {
    try {
      // Only a commit shows whether a full disk has room: the log may still have some.
      if (writer.trouble !== undefined || isShortOfRoom(path))
        await withDeadline(writer.probe(), healthTimeoutMs, 'SQLite: no answer')
      const totalEvents = readValue(lastSeq) - readValue(deletedEvents) - (await countCanaries())
      return { connected: true, totalEvents, ...(damage.found !== undefined && { damage: damage.found }) }
    } catch (cause) {
      const reason = toStoreError(cause).message
      damage.see(reason)
      throttle('health', (suppressed) => log.warn({ reason, suppressed }, 'the store is not healthy'))
      return { connected: false, totalEvents: null, reason }
    }
  }

  return {
    kind: 'sqlite',
    // One commits while the next is made ready.
    writeConcurrency: 2,
    scanSource: { kind: 'sqlite', path },
    alerts: createAlertStore(reading, (task) => writer.alert(task)),
    following: { isShared: false },
    documents: new JsonWriter(),
    encoderUrl: workerUrl('./sqlite/encode-document'),
    notes: {
      read: (name) =>
        guarded(() => {
          const row = note.get(name) as { version: number; text: string } | undefined
          return row && { text: row.text, version: row.version }
        }),
      write: async (name, text, version) =>
        (await writer.keep({ kind: 'note', name, text, version })).changed === 1,
    },
    write: (events, matches, rest) => writer.write(events, matches, rest),
    get: (id) =>
      guarded(() => {
        const row = byId.get(id) as { document: string; exact: string | null } | undefined
        return row && toStoredEvent(id, row.document, row.exact)
      }),
    find(wanted, { client = 'local', isReserved, signal, progress } = {}) {
      const { selector, ...query } = wanted
      const { timeoutMs } = query
      const command = { query, selector: selector?.source }
      const lane = laneOf(wanted, isReserved)
      return queries.find(command, { client, lane, timeoutMs, signal, progress })
    },
    summarize(wanted, summary, { client = 'local', isReserved, signal } = {}) {
      const { selector, ...rest } = wanted
      const lane = laneOf(wanted, isReserved)
      const scan = (more: SummaryRest = rest) => {
        const query = {
          ...rest,
          order: 'newest',
          limit: 0,
          offset: 0,
          ...more,
        } as const
        const command = { query, selector: selector?.source, summary }
        const { timeoutMs } = query
        return toParts(queries.find(command, { client, lane, timeoutMs, hasOneLimit: true, signal }))
      }
      return columns ? columns.summarize(wanted, summary, scan) : scan()
    },
    columnState: () => columns?.state ?? columnsOff,
    commitsSince: (cursor, limit) =>
      guarded(() => {
        const from = commitCursors.read(cursor)
        const rows = bySeq.all(from, limit) as { seq: number; id: string }[]
        const cursors = rows.map(({ seq, id }) => commitCursors.write(seq, id))
        return {
          ids: rows.map(({ id }) => id),
          cursors,
          cursor: cursors.at(-1) ?? (cursor === '' ? '0' : cursor),
        }
      }),
    commitCursor: () => guarded(() => commitCursors.newest()),
    locate: (ids) =>
      guarded(() => {
        const found = new Map<string, string>()
        for (const id of ids) {
          const row = seqOf.get(id) as { seq: number } | undefined
          if (row) found.set(id, String(row.seq))
        }
        return found
      }),
    async *archive(selection, { batchSize }) {
      const atMs = Date.now()
      if ('ids' in selection) {
        for (let start = 0; start < selection.ids.length; start += batchSize) {
          const ids = selection.ids.slice(start, start + batchSize)
          const task = {
            kind: 'archive',
            selection: { ids },
            after: undefined,
            rows: batchSize,
            atMs,
          } as const
          yield (await archive(task)).changed
        }
        return
      }
      let after: Place | undefined
      do {
        const kept = await archive({ kind: 'archive', selection, after, rows: batchSize, atMs })
        after = kept.next
        yield kept.changed
      } while (after)
    },
    async *purge(beforeMs, { batchSize }) {
      let next: Place | undefined
      do {
        const kept = await writer.keep({ kind: 'purge', beforeMs, rows: batchSize })
        next = kept.next
        yield kept.changed
      } while (next)
    },
    async copyTo(folder) {
      const file = 'events.db'
      const data: CopyWorkerData = { path, target: join(folder, file) }
      const { events } = await runJob<{ events: number }>(workerUrl('./sqlite/copy-worker'), data)
      return { files: [file], events }
    },
    health: shareCall(health),
    size: () =>
      guarded(() =>
        ['', '-wal', '-shm'].reduce(
          (bytes, ending) => bytes + (statSync(`${path}${ending}`, { throwIfNoEntry: false })?.size ?? 0),
          0,
        ),
      ),
    async close() {
      closing.abort()
      await checking
      await queries.close()
      await indexer.close()
      await columns?.close()
      await writer.close()
      reading.close()
      // The last connection folds the log back into the file, which then stands alone. Not one of another file.
      if (!findFileTrouble(files)) {
        const last = openWritable(path, synchronous)
        releaseDatabase(last)
        last.close()
      }
      closeFiles(files)
      lock.release()
    },
  }
}

/** An event of usual size may find no room. */
function isShortOfRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path))
    return bavail * bsize < leastRoomBytes
  } catch {
    return false
  }
}

function open<T>(path: string, make: () => T): T {
  try {
    return make()
  } catch (cause) {
    if (cause instanceof EventError) throw cause
    const { message } = toStoreError(cause)
    const advice = isDamage(message) ? `; ${adviceForDamage}` : ''
    throw new EventError('EVT_STORE_UNAVAILABLE', `${path} cannot be opened: ${message}${advice}`, { cause })
  }
}
