import { join, resolve } from 'node:path'
import { EventError } from '@madsci-events/sdk/event'
import { verifyBackup } from './backup/backup.ts'
import type { Config } from './config/config.ts'
import { hideCredentials } from './config/value.ts'
import type { Log } from './log.ts'
import type { EventSource, EventStore } from './store/event-store.ts'
import { readBsonFile } from './store/mongo/bson-file.ts'
import { findMadsciDatabase } from './store/mongo/detect.ts'
import { openMongoStore } from './store/mongo/event-store.ts'
import { createFinder } from './store/mongo/find.ts'
import { estimateCount } from './store/mongo/inspect.ts'
import { createNullStore } from './store/null-store.ts'
import { openSqliteStore } from './store/sqlite/event-store.ts'
import { openSqliteSource } from './store/sqlite/source.ts'

/** Which store the settings name. */

/**
 * A database or a backup to read from: `sqlite:PATH`, `mongodb://…`, or the folder of a backup.
 * Throws EVT_CONFIG and EVT_INVALID for what is neither.
 */
export async function openSource(
  from: string,
  { databaseName, collectionName, given }: Pick<Config, 'databaseName' | 'collectionName' | 'given'>,
  workingDirectory: string,
): Promise<EventSource> {
  if (/^mongodb(\+srv)?:/.test(from)) {
    const named = given.has('database_name') ? undefined : databaseIn(from)
    const source = { url: from, databaseName: named ?? databaseName, collectionName }
    return { ...createFinder(source), eventCount: await estimateCount(source) }
  }
  if (from.startsWith('sqlite:')) return openSqliteSource(resolve(workingDirectory, from.slice(7)))
  const folder = resolve(workingDirectory, from)
  const { files, events } = await verifyBackup(folder)
  const data = files.find((file) => file.endsWith('.db') || file.endsWith('.bson'))
  if (data === undefined) throw new EventError('EVT_INVALID', `${folder} holds no events`)
  const path = join(folder, data)
  if (data.endsWith('.db')) return openSqliteSource(path)
  return { find: () => readBsonFile(path), close: async () => {}, eventCount: events }
}

/** `other` of `mongodb://host/other?…`: of a source, that is the one that is meant. */
function databaseIn(url: string): string | undefined {
  const name = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(url)?.[1]
  return name === undefined ? undefined : decodeURIComponent(name)
}

export interface OpenStoreOptions {
  log: Log
  /** Where a relative database path begins. */
  workingDirectory: string
  /** The caller's retention deletes archived events: MongoDB must not do so beside it. */
  ownsDeletion?: boolean
  /** Nobody will ask for summaries. */
  isWithoutSummaries?: boolean
  /** See StartOptions. */
  leaseMs?: number | undefined
}

/** Throws EVT_STORE_LOCKED for an SQLite file that a receiver owns. */
export async function openStore(
  config: Config,
  { log, workingDirectory, ownsDeletion = false, isWithoutSummaries = false, leaseMs }: OpenStoreOptions,
): Promise<{ store: EventStore; storeText: string }> {
  const url = config.documentDbUrl
  const columnBytes = isWithoutSummaries ? 0 : config.summaryMemoryMb * 2 ** 20
  if (url === 'null:') return { store: createNullStore(), storeText: 'nowhere: nothing is kept' }
  if (url.startsWith('sqlite:')) {
    const path = resolve(workingDirectory, url.slice('sqlite:'.length))
    if (!config.given.has('document_db_url')) void tellOfMadsciDatabase(log)
    const synchronous = config.sqliteSynchronous
    const store = await openSqliteStore({ path, synchronous, columnBytes, log })
    return { store, storeText: `SQLite ${path}` }
  }
  const { databaseName, collectionName } = config
  const store = await openMongoStore({
    url,
    databaseName,
    collectionName,
    ownsDeletion,
    columnBytes,
    log,
    ...(leaseMs !== undefined && { leaseMs }),
  })
  // Neither user nor password nor options: hosts only.
  const hosts = hideCredentials(url).replace(/^(mongodb(?:\+srv)?:\/\/[^/]*).*$/s, '$1')
  return { store, storeText: `MongoDB ${hosts}/${databaseName}.${collectionName}` }
}

/** Who ran MADSci's own event manager here may expect its events. */
async function tellOfMadsciDatabase(log: Log): Promise<void> {
  const url = await findMadsciDatabase()
  if (url === undefined) return
  log.warn({ url }, `a MADSci database was found, and is not used; to use it: --document_db_url=${url}`)
}
