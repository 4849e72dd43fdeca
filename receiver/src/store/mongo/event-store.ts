import { type Event, EventError } from '@madsci-events/sdk/event'
import type { Db } from 'mongodb'
import type { Log } from '../../log.ts'
import { type Fact, type Match, toFacts } from '../alert-store.ts'
import { withDeadline } from '../deadline.ts'
import type { EventStore, StoredEvent, StoreHealth, WriteOutcome } from '../event-store.ts'
import { isWithin, type Ranges, toRanges } from '../range.ts'
import { workerUrl } from '../worker-url.ts'
import { createAlertStore } from './alert.ts'
import { createIntentLog } from './alert-intent.ts'
import { type Connection, callLimit, databaseOfUrl, openConnection } from './connection.ts'
import { copyCollection } from './copy.ts'
import { decodeStoredEvent } from './decode.ts'
import { BsonWriter } from './document-writer.ts'
import { createEventEncoder, type EventEncoder, room } from './encode.ts'
import { createFinder } from './find.ts'
import { createFollower } from './follow.ts'
import { createInserter, type Inserter, type InsertReply } from './insert.ts'
import { type Begun, createJournal } from './journal.ts'
import { createKeeper } from './keep.ts'
import { createNotes } from './note.ts'
import { ensureIndexes, ensureSchema, metaName } from './schema.ts'

export interface MongoStoreOptions {
  /** Connection string; may hold a password, which is never shown. */
  url: string
  /** That of the URL's path if not given, else madsci_events. */
  databaseName?: string
  collectionName?: string
  log: Log
  /** Writes under way at once. */
  writeConcurrency?: number
  /** How long followers can look back. */
  journalDays?: number
  /** Takes MADSci's TTL index away, because the caller's retention deletes archived events. */
  ownsDeletion?: boolean
  /** After that long followers pass over ids that did not come. */
  graceMs?: number
}

// One reply names every refused document, and must stay below 16 MB itself; the same for the ids of a journal entry.
const maxRunDocuments = 10_000
const maxRunIdCharacters = 4 * 1024 * 1024
const healthTimeoutMs = 1500
// A live receiver settles its intents within milliseconds.
const intentGraceMs = 5000
const followTimeoutMs = 30_000
const indexWaitMs = 1000

/**
 * Events in MongoDB: standalone, replica set or sharded cluster; no transactions, no change streams.
 * Resolves also when the server cannot be reached: the store is then unavailable, and heals when it comes.
 * Throws EVT_CONFIG for a wrong URL and EVT_SCHEMA_VERSION for a database of a newer release.
 */
export async function openMongoStore(options: MongoStoreOptions): Promise<EventStore> {
  const {
    url,
    log,
    collectionName = 'events',
    writeConcurrency = 4,
    journalDays = 7,
    graceMs = 15_000,
    ownsDeletion = false,
  } = options
  const databaseName = options.databaseName ?? databaseOfUrl(url) ?? 'madsci_events'
  const schemaOptions = { collectionName, journalDays, ownsDeletion, log }
  const journal = createJournal(collectionName, log)
  const intents = createIntentLog(collectionName, { graceMs: Math.min(graceMs, intentGraceMs), log })
  const encoders: EventEncoder[] = []
  let inserter: Inserter = createInserter(collectionName)
  // The least that any server allows, until the server has told.
  let limits = { maxDocumentBytes: 16 * 1024 * 1024, maxRunBytes: 47_000_000, maxRunDocuments }

  async function setup(db: Db): Promise<void> {
    await ensureSchema(db, schemaOptions)
    const hello = await db.command({ hello: 1 })
    limits = {
      maxDocumentBytes: hello.maxBsonObjectSize ?? limits.maxDocumentBytes,
      maxRunBytes: (hello.maxMessageSizeBytes ?? 48_000_000) - 64 * 1024,
      maxRunDocuments: Math.min(hello.maxWriteBatchSize ?? maxRunDocuments, maxRunDocuments),
    }
    if (!(await isDirectAccepted(db))) {
      inserter = createInserter(collectionName, null)
      log.warn({}, 'this MongoDB driver takes no encoded documents; writes go the slower way')
    }
    const indexes = ensureIndexes(db, schemaOptions)
    await Promise.race([indexes, new Promise((resolve) => setTimeout(resolve, indexWaitMs).unref())])
  }

  /** One real document the short way, for the class may be there and mean something else. */
  async function isDirectAccepted(db: Db): Promise<boolean> {
    if (!inserter.isDirect) return false
    return probe(db).then(
      () => true,
      async (error) => {
        await db.command({ ping: 1 })
        if ((error as EventError).code === 'EVT_INTERNAL') return false
        throw error
      },
    )
  }

  const probeInserter = createInserter(metaName(collectionName))
  const probeBytes = toProbe()
  async function probe(db: Db): Promise<void> {
    const { outcomes } = await probeInserter.insert(db, { bytes: probeBytes, count: 1 })
    if (typeof outcomes[0] === 'object') throw new EventError('EVT_INTERNAL', outcomes[0].refused)
  }

  const connection: Connection = await openConnection({ url, databaseName, log, setup, probe })
  const { db } = connection
  const finder = createFinder({ url, databaseName, collectionName })
  const follower = createFollower({ db, collectionName, graceMs, log })

  /** Calls while the database is away fail at once; its errors become ours. */
  async function guarded<T>(call: () => Promise<T>): Promise<T> {
    connection.assertUp()
    return translated(call())
  }

  async function translated<T>(calling: Promise<T>): Promise<T> {
    try {
      return await calling
    } catch (cause) {
      throw connection.toError(cause)
    }
  }

  const keeper = createKeeper(db, collectionName, guarded)
  const bounded = <T>(call: () => Promise<T>): Promise<T> =>
    guarded(() => withDeadline(call(), followTimeoutMs, 'MongoDB: no answer'))

  /** Most writes are one run: then their events are not held while it is under way. */
  function write(
    events: readonly Event[],
    matches: readonly Match[] = [],
    rest: Ranges = [],
  ): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = new Array(events.length)
    const encoder = encoders.pop() ?? createEventEncoder()
    const run = encodeRun(encoder, events, 0, outcomes)
    const shared = { encoder, matches, rest, outcomes }
    const writing = run.end === events.length ? writeRun(run, shared) : writeRuns(events, run, shared)
    return writing
      .then(() => outcomes)
      .finally(() => {
        encoder.reset()
        encoders.push(encoder)
      })
  }

  async function writeRuns(events: readonly Event[], first: Run, shared: Write): Promise<void> {
    await writeRun(first, shared)
    for (let start = first.end; start < events.length; ) {
      shared.encoder.reset()
      const run = encodeRun(shared.encoder, events, start, shared.outcomes)
      await writeRun(run, shared)
      start = run.end
    }
  }

  /** As many events from `start` on as one command takes. */
  function encodeRun(
    encoder: EventEncoder,
    events: readonly Event[],
    start: number,
    outcomes: WriteOutcome[],
  ): Run {
    const ids: string[] = []
    const positions: number[] = []
    let idCharacters = 0
    let i = start
    while (i < events.length && ids.length < limits.maxRunDocuments && idCharacters < maxRunIdCharacters) {
      const event = events[i]!
      const { byteCount } = encoder
      const refused = encoder.add(event, limits.maxDocumentBytes)
      if (refused === undefined && encoder.byteCount > limits.maxRunBytes && byteCount > 0) {
        encoder.truncate(byteCount)
        break
      }
      if (refused !== undefined) outcomes[i] = { refused }
      else {
        ids.push(event.event_id)
        positions.push(i)
        idCharacters += event.event_id.length
      }
      i++
    }
    return { ids, positions, end: i }
  }

  async function writeRun(
    { ids, positions }: Run,
    { encoder, matches, rest, outcomes }: Write,
  ): Promise<void> {
    if (ids.length === 0) return
    const facts = matches.length > 0 ? toRunFacts(matches, ids, positions) : []
    const restOfRun = rest.length > 0 ? toRunRanges(rest, positions) : rest
    const [begun, intent] = await beginRun(ids, restOfRun, facts)
    const run = { bytes: encoder.bytes(), count: ids.length, room }
    const reply: InsertReply = await inserter.insert(db, run).catch((error) => {
      journal.doubt(begun)
      throw error
    })
    // Another primary took the events: the entry may have been rolled back with the old one.
    if (reply.electionId !== begun.electionId)
      await Promise.all([journal.repeat(db, ids, restOfRun), repeatIntent()])
    else if (reply.isRetried) await repeatIntent()
    const out: number[] = []
    for (let k = 0; k < ids.length; k++) {
      const outcome = reply.outcomes[k]!
      outcomes[positions[k]!] = outcome
      // Sent twice, a duplicate may be the event of this very entry.
      if (outcome !== 'stored' && !(outcome === 'duplicate' && reply.isRetried)) out.push(k)
    }
    if (out.length > 0) await journal.settle(db, begun, toRanges(out))
    if (intent === undefined) return
    const stored = new Set(ids.filter((_, k) => reply.outcomes[k] === 'stored'))
    // Whose duplicate it is, only the database can tell: that intent stays open, and is looked at later.
    const isDoubtful = reply.isRetried && reply.outcomes.includes('duplicate')
    if (!isDoubtful) intents.settle(db, intent, facts, stored)

    // Sent twice, the events may lie with a mongod that started anew and lost what it had not flushed: the intent.
    async function repeatIntent(): Promise<void> {
      if (intent !== undefined) await intents.open(db, facts, { id: intent, isDurable: true })
    }
  }

  /** Journal entry and intent side by side; both before their events. */
  async function beginRun(ids: string[], rest: Ranges, facts: Fact[]): Promise<[Begun, string | undefined]> {
    const beginning = journal.begin(db, ids, rest)
    if (facts.length === 0) return [await beginning, undefined]
    const [begun, intent] = await Promise.allSettled([beginning, intents.open(db, facts)])
    if (begun.status === 'rejected') throw begun.reason
    if (intent.status === 'fulfilled') return [begun.value, intent.value]
    journal.doubt(begun.value)
    throw intent.reason
  }

  async function get(id: string): Promise<StoredEvent | undefined> {
    const collection = db.collection<{ _id: string }>(collectionName)
    const document = (await collection.findOne(
      { _id: id },
      { raw: true, ...callLimit() },
    )) as unknown as Uint8Array | null
    return document ? decodeStoredEvent(document) : undefined
  }

  async function health(): Promise<StoreHealth> {
    try {
      const count = guarded(() => db.collection(collectionName).estimatedDocumentCount())
      count.catch(() => {})
      return {
        connected: true,
        totalEvents: await withDeadline(count, healthTimeoutMs, 'MongoDB: no answer'),
      }
    } catch (error) {
      return { connected: false, totalEvents: null, reason: (error as Error).message }
    }
  }

  return {
    kind: 'mongodb',
    writeConcurrency,
    scanSource: { kind: 'mongodb', url, databaseName, collectionName, graceMs },
    alerts: createAlertStore(db, collectionName, { intents, guard: bounded }),
    following: { isShared: true, keptMs: journalDays * 86_400_000 },
    documents: new BsonWriter(),
    encoderUrl: workerUrl('./mongo/encode-document'),
    notes: createNotes(db, collectionName, guarded),
    async write(events, matches, rest) {
      connection.assertUp()
      return translated(write(events, matches, rest))
    },
    get: (id) => guarded(() => get(id)),
    async *find(query, options) {
      connection.assertUp()
      yield* finder.find(query, options)
    },
    commitsSince: (cursor, limit) => bounded(() => follower.commitsSince(cursor, limit)),
    commitCursor: () => bounded(() => follower.commitCursor()),
    locate: (ids) => bounded(() => follower.locate(ids)),
    archive: (selection, { batchSize }) => keeper.archive(selection, batchSize),
    purge: (beforeMs, { batchSize }) => keeper.purge(beforeMs, batchSize),
    copyTo: (folder) => guarded(() => copyCollection(folder, { url, databaseName, collectionName })),
    health,
    async close() {
      await finder.close()
      await intents.drain()
      await connection.close()
    },
  }
}

/** Documents of one command: `ids` and `positions` name them, `end` is the position behind them. */
interface Run {
  ids: string[]
  positions: number[]
  end: number
}

/** What the runs of a write share; matches are those of the whole write. */
interface Write {
  encoder: EventEncoder
  matches: readonly Match[]
  rest: Ranges
  outcomes: WriteOutcome[]
}

/** Positions among the events → places in the run. */
function toRunRanges(rest: Ranges, positions: readonly number[]): number[] {
  const places: number[] = []
  for (const [place, position] of positions.entries()) if (isWithin(rest, position)) places.push(place)
  return toRanges(places)
}

/** An id that comes twice in a run is that of its first event. */
function toRunFacts(matches: readonly Match[], ids: string[], positions: number[]): Fact[] {
  const idAt = new Map<number, string>()
  const seen = new Set<string>()
  for (const [place, id] of ids.entries()) {
    if (!seen.has(id)) idAt.set(positions[place]!, id)
    seen.add(id)
  }
  return toFacts(matches, (position) => idAt.get(position))
}

/** {_id: 'probe'} as BSON. */
function toProbe(): Buffer {
  const document = Buffer.from('\0\0\0\0\x02_id\0\x06\0\0\0probe\0\0', 'latin1')
  document.writeInt32LE(document.length)
  return document
}
