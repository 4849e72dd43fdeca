import { EventError } from '@madsci-events/sdk/event'
import type { Collection, Db, Document, IndexDescription } from 'mongodb'
import type { Log } from '../../log.ts'
import { alertName, commitsName, deliveryName, metaName } from './collection-name.ts'

/**
 * Two numbers. `schema_versions` is MADSci's own collection: it stays at 1.0.0, so that its tools keep opening the
 * database. Ours counts what we add (1: journal, meta; 2: alerts; 3: commits in one order) and lies in `<collection>_meta`, which MADSci does not look at.
 */
export const schemaVersion = 3
const madsciVersion = '1.0.0'

export interface SchemaOptions {
  collectionName: string
  journalDays: number
  /** Our own retention deletes what was archived: MongoDB must not do so beside it. */
  ownsDeletion: boolean
  log: Log
}

/** Records the versions where none is; throws EVT_SCHEMA_VERSION when one is unknown to this release. */
export async function ensureSchema(db: Db, options: SchemaOptions): Promise<void> {
  const meta = db.collection<{ _id: string; version: number }>(metaName(options.collectionName))
  const own = await meta.findOne({ _id: 'schema' })
  if (own && !(own.version <= schemaVersion)) {
    throw new EventError(
      'EVT_SCHEMA_VERSION',
      `the database has schema ${own.version} of madsci-events; this release knows ${schemaVersion}`,
    )
  }
  const versions = db.collection('schema_versions')
  const newest = await versions.findOne({}, { sort: { applied_at: -1 } })
  const version = newest === null ? undefined : String(newest.version)
  if (version !== undefined && !/^1\./.test(version)) {
    throw new EventError(
      'EVT_SCHEMA_VERSION',
      `the database has MADSci schema ${version}, not ${madsciVersion}`,
    )
  }
  if (version === undefined) await recordMadsciVersion(versions)
  await ensureCommitIndexes(db, options.collectionName)
  if (own?.version !== schemaVersion) {
    await meta.updateOne({ _id: 'schema' }, { $set: { version: schemaVersion } }, { upsert: true })
  }
}

/** Without these two numbers would not be unique, and what is unfinished not found: nothing is written before. */
async function ensureCommitIndexes(db: Db, collectionName: string): Promise<void> {
  const indexes = [
    { key: { n: 1 }, name: 'n_1', unique: true, sparse: true },
    { key: { open: 1 }, name: 'open_1', sparse: true },
  ]
  await db.command({ createIndexes: commitsName(collectionName), indexes })
}

async function recordMadsciVersion(versions: Collection): Promise<void> {
  await versions.createIndexes([
    { key: { version: 1 }, name: 'version_unique', unique: true },
    { key: { applied_at: -1 }, name: 'applied_at_desc' },
  ])
  await versions
    .updateOne(
      { version: madsciVersion },
      {
        $setOnInsert: {
          applied_at: new Date(),
          migration_notes: `Auto-initialized schema version ${madsciVersion}`,
        },
      },
      { upsert: true },
    )
    .catch((error: { code?: number }) => {
      // Another receiver was quicker.
      if (error.code !== 11000) throw error
    })
}

interface WantedIndex {
  key: { [path: string]: 1 | -1 }
  partial?: Document
  /** Keys of MADSci's own indexes that serve as well. */
  or?: { key: { [path: string]: 1 | -1 }; partial?: Document }[]
}

const whereArchived = { archived: true }
// Descending, so that it never has the key of MADSci's TTL index, which MADSci must be able to make and remake.
const wantedIndexes: WantedIndex[] = [
  { key: { event_timestamp: 1 } },
  { key: { log_level: 1, event_timestamp: 1 } },
  {
    key: { archived_at: -1 },
    partial: whereArchived,
    or: [{ key: { archived_at: 1 }, partial: whereArchived }, { key: { archived: 1, archived_at: 1 } }],
  },
]

/** Those of our indexes that neither we nor MADSci have made. */
export function missingIndexes(present: readonly Document[]): IndexDescription[] {
  const has = (key: object, partial: object = {}) =>
    present.some(
      (index) =>
        JSON.stringify(index.key) === JSON.stringify(key) &&
        JSON.stringify(index.partialFilterExpression ?? {}) === JSON.stringify(partial),
    )
  return wantedIndexes
    .filter((index) => ![index, ...(index.or ?? [])].some(({ key, partial }) => has(key, partial)))
    .map((index) => ({ key: index.key, ...(index.partial && { partialFilterExpression: index.partial }) }))
}

/** Makes the indexes that are missing. Large collections take minutes, writes go on; failures are only logged. */
export async function ensureIndexes(db: Db, options: SchemaOptions): Promise<void> {
  const { collectionName, log } = options
  const events = db.collection(collectionName)
  try {
    await settleDeletion(db, options)
    const present = await events.indexes().catch(() => [] as Document[])
    const missing = missingIndexes(present)
    // A socket timeout would cut the wait for a long build, not the build.
    for (const index of missing)
      await db.command({ createIndexes: collectionName, indexes: [named(index)] }, patient)
    await ensureAlertIndexes(db, collectionName)
  } catch (error) {
    log.warn({ reason: (error as Error).message }, 'an index could not be made')
  }
}

/**
 * MADSci's own retention leaves the deletion to a TTL index. Ours deletes in bounded commits that reports and logs know of, so it takes the
 * index away; MADSci makes it anew when it comes back. Without our retention the index stays, and the operator is told.
 */
async function settleDeletion(db: Db, { collectionName, ownsDeletion, log }: SchemaOptions): Promise<void> {
  const events = db.collection(collectionName)
  const present = await events.indexes().catch(() => [] as Document[])
  for (const { name, key, expireAfterSeconds } of present) {
    if (key?.archived_at === undefined || expireAfterSeconds === undefined) continue
    const index = { index: name, days: Number(expireAfterSeconds) / 86_400 }
    if (!ownsDeletion) {
      log.warn(
        index,
        'MongoDB itself deletes archived events (TTL index), although retention_enabled is false',
      )
      continue
    }
    await events.dropIndex(name).catch((error: { code?: number }) => {
      // Another receiver was quicker.
      if (error.code !== 27) throw error
    })
    log.info(index, 'the TTL index of MADSci was removed: the retention deletes archived events itself')
  }
}

const patient = { socketTimeoutMS: 0 } as object

function named(index: IndexDescription): Document {
  const name = Object.entries(index.key).flat().join('_')
  return { ...index, name }
}

async function ensureAlertIndexes(db: Db, collectionName: string): Promise<void> {
  await db.collection(alertName(collectionName)).createIndex({ openedMs: -1, _id: -1 })
  await db
    .collection(deliveryName(collectionName))
    .createIndexes([{ key: { state: 1, nextMs: 1 } }, { key: { alertId: 1 } }])
}
