import type { EventError } from '@madsci-events/sdk/event'
import type { Db, Document } from 'mongodb'
import { type Finding, good, problem, warning } from '../../finding.ts'
import { countOf } from '../../plural.ts'
import { withDeadline } from '../deadline.ts'
import type { Inspection } from '../inspection.ts'
import { metaName } from './collection-name.ts'
import { createClient, redact } from './connection.ts'
import type { CopySource } from './copy.ts'
import { durable } from './insert.ts'
import { missingIndexes, schemaVersion } from './schema.ts'

const deadlineMs = 15_000
const slowCommitMs = 50
const probes = 5

/** Looks at a database of events, and for an event of this id; leaves nothing behind. Throws EVT_CONFIG for a URL that the driver does not take. */
export async function inspectMongo(
  { url, databaseName, collectionName }: CopySource,
  soughtId?: string,
): Promise<Inspection> {
  const client = createClient(url, { serverSelectionTimeoutMS: 3000, maxPoolSize: 1 })
  const inspection: Inspection = { findings: [] }
  const look = async () => {
    await client.connect()
    const db = client.db(databaseName)
    await inspectServer(db, inspection)
    inspection.findings.push(...(await inspectSchema(db, collectionName)))
    inspection.findings.push(await inspectWrite(db, collectionName))
    await inspectEvents(db, collectionName, inspection)
    if (soughtId === undefined) return
    const found = await db
      .collection<{ _id: string }>(collectionName)
      .findOne({ _id: soughtId }, { projection: { _id: 1 } })
    inspection.isInUse = found !== null
  }
  try {
    await withDeadline(look(), deadlineMs, 'no answer')
  } catch (error) {
    inspection.findings.push(toProblem(error))
  } finally {
    await client.close().catch(() => {})
  }
  return inspection
}

/** MongoDB's own estimate, in constant time; undefined when it does not answer soon. */
export async function estimateCount({
  url,
  databaseName,
  collectionName,
}: CopySource): Promise<number | undefined> {
  const client = createClient(url, { maxPoolSize: 1 })
  try {
    const count = client.db(databaseName).collection(collectionName).estimatedDocumentCount()
    return await withDeadline(count, 3000, 'no answer')
  } catch {
    return undefined
  } finally {
    await client.close().catch(() => {})
  }
}

async function inspectServer(db: Db, inspection: Inspection): Promise<void> {
  const sentMs = Date.now()
  const hello = await db.command({ hello: 1 })
  const receivedMs = Date.now()
  const { version } = await db.command({ buildInfo: 1 })
  const kind =
    hello.msg === 'isdbgrid'
      ? 'sharded cluster'
      : hello.setName
        ? `replica set ${hello.setName}`
        : 'standalone'
  inspection.findings.push(
    good('database', `MongoDB ${version}, ${kind}, answers within ${receivedMs - sentMs} ms`),
  )
  if (hello.localTime instanceof Date) {
    inspection.clock = {
      offsetMs: Math.round(hello.localTime.getTime() - (sentMs + receivedMs) / 2),
      toleranceMs: Math.ceil((receivedMs - sentMs) / 2) + 1,
    }
  }
}

async function inspectSchema(db: Db, collectionName: string): Promise<Finding[]> {
  const advice = 'install the release that wrote it, or name another database_name'
  const own = await db
    .collection<{ _id: string; version: number }>(metaName(collectionName))
    .findOne({ _id: 'schema' })
  const newest = await db.collection('schema_versions').findOne({}, { sort: { applied_at: -1 } })
  if (own && !(own.version <= schemaVersion))
    return [problem('database', `it has schema ${own.version} of a newer release of madsci-events`, advice)]
  if (newest && !/^1\./.test(String(newest.version)))
    return [
      problem(
        'database',
        `it has MADSci's schema ${newest.version}, which this release does not know`,
        advice,
      ),
    ]
  if (!own && !newest)
    return [good('database', `${db.databaseName} is new; the first start records its schema`)]
  return [
    good(
      'database',
      `schema ${own?.version ?? 'not recorded yet'}, MADSci's schema ${newest?.version ?? 'not recorded yet'}`,
    ),
  ]
}

/** A few writes, as durable as those of events. */
async function inspectWrite(db: Db, collectionName: string): Promise<Finding> {
  const collection = metaName(collectionName)
  const times: number[] = []
  for (let i = 0; i < probes; i++) {
    const startMs = performance.now()
    const q = { _id: 'doctor' as never }
    await db.command({
      update: collection,
      updates: [{ q, u: { $set: { i } }, upsert: true }],
      writeConcern: durable,
    })
    times.push(performance.now() - startMs)
  }
  await db.command({
    delete: collection,
    deletes: [{ q: { _id: 'doctor' }, limit: 1 }],
    writeConcern: durable,
  })
  const ms = times.sort((a, b) => a - b)[Math.floor(probes / 2)]!
  const text = `a durable write takes ${ms.toFixed(1)} ms`
  if (ms < slowCommitMs) return good('database', text)
  return warning('database', text, 'give MongoDB a faster disk, or look for what else keeps it busy')
}

async function inspectEvents(db: Db, collectionName: string, inspection: Inspection): Promise<void> {
  const events = db.collection(collectionName)
  const present = await events.indexes().catch(() => [] as Document[])
  const missing = missingIndexes(present).map(({ key }) => Object.keys(key).join(' + '))
  const count = await events.estimatedDocumentCount()
  const { findings } = inspection
  findings.push(
    good('database', `${db.databaseName}.${collectionName} holds about ${countOf(count, 'event')}`),
  )
  if (missing.length > 0 && count > 0) {
    findings.push(
      warning(
        'database',
        `indexes are missing: ${missing.join(', ')}`,
        'the next start of the receiver makes them; on a large collection that takes minutes',
      ),
    )
  } else if (count > 0) findings.push(good('database', 'all indexes are there'))
  for (const { name, key, expireAfterSeconds } of present) {
    if (key?.archived_at === undefined || expireAfterSeconds === undefined) continue
    findings.push(
      warning(
        'database',
        `MongoDB itself deletes archived events after ${countOf(Number(expireAfterSeconds) / 86_400, 'day')} (TTL index ${name})`,
        'set retention_enabled=true with hard_delete_after_days, and the receiver takes over; or drop the index to keep them',
      ),
    )
  }
  const newest = await events.findOne(
    {},
    { sort: { event_timestamp: -1 }, projection: { event_timestamp: 1 }, maxTimeMS: 5000 },
  )
  if (typeof newest?.event_timestamp === 'string') inspection.newest = newest.event_timestamp
}

function toProblem(error: unknown): Finding {
  const text = redact((error as EventError).message)
  const name = String((error as { codeName?: string }).codeName ?? '')
  const advice = /Authentication|Unauthorized/i.test(name + text)
    ? 'check user, password and authSource in document_db_url; the user needs readWrite on the database'
    : /ENOTFOUND|EAI_AGAIN/.test(text)
      ? 'check the name of the host in document_db_url'
      : 'start MongoDB, or correct document_db_url'
  return problem('database', `MongoDB cannot be used: ${text}`, advice)
}
