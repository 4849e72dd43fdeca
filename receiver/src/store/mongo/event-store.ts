import { setTimeout } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import type { Db } from 'mongodb'
import type { NewEvent } from '../../document/event-document.ts'
import type { Log } from '../../log.ts'
import { type AlertAction, type Fact, type Match, toFacts } from '../alert-store.ts'
import { canaryEnd, canaryMark, createCanaryCount } from '../canary.ts'
import { columnsOff } from '../column/state.ts'
import { startColumns } from '../column/thread.ts'
import { withDeadline } from '../deadline.ts'
import type { EventStore, StoredEvent, StoreHealth, WriteOutcome } from '../event-store.ts'
import { isWithin, type Ranges, toRanges } from '../range.ts'
import { shareCall } from '../shared-call.ts'
import { workerUrl } from '../worker-url.ts'
import { createAlertStore } from './alert.ts'
import { createCloser } from './closer.ts'
import { metaName } from './collection-name.ts'
import { type Connection, callLimit, databaseOfUrl, openConnection } from './connection.ts'
import { copyCollection } from './copy.ts'
import { decodeStoredEvent } from './decode.ts'
import { BsonWriter } from './document-writer.ts'
import { createEventEncoder, type EventEncoder, room, toEntryElement } from './encode.ts'
import { createFinder } from './find.ts'
import { createFollower } from './follow.ts'
import { startIndexer } from './indexer.ts'
import { createInserter, type Inserter } from './insert.ts'
import { createEntryId, createJournal } from './journal.ts'
import { createKeeper } from './keep.ts'
import { createNotes } from './note.ts'
import { type Entry, type Step, type StoreReply, writeEntry } from './protocol.ts'
import { startRepairer } from './repairer.ts'
import { ensureIndexes, ensureSchema } from './schema.ts'

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
  /** After that long others repair what a receiver left unfinished. */
  leaseMs?: number
  /** For columns of the stored events, from which summaries are made; none if not given or 0. */
  columnBytes?: number
}

// One reply names every refused document, and must stay below 16 MB itself; the same for the ids of a journal entry.
const maxRunDocuments = 10_000
const maxRunIdCharacters = 4 * 1024 * 1024
const healthTimeoutMs = 1500
const followTimeoutMs = 30_000
const indexWaitMs = 1000
// What was just written has its place in the order when somebody asks, or soon.
const closeWaitMs = 500
const drainMs = 3000

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
    leaseMs = 15_000,
    ownsDeletion = false,
    columnBytes = 0,
  } = options
  const databaseName = options.databaseName ?? databaseOfUrl(url) ?? 'madsci_events'
  const schemaOptions = { collectionName, journalDays, ownsDeletion, log }
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
    await Promise.race([indexes, setTimeout(indexWaitMs, undefined, { ref: false })])
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
  const journal = createJournal(db, collectionName)
  const closer = createCloser(journal, log)
  const { assertUp } = connection
  const repairer = startRepairer({ db, collectionName, journal, closer, leaseMs, journalDays, assertUp, log })
  const follower = createFollower({ db, collectionName, journal })
  const indexer = startIndexer({ url, databaseName, collectionName, log })
  const scanSource = { kind: 'mongodb', url, databaseName, collectionName } as const
  const columns =
    columnBytes > 0 ? startColumns({ source: scanSource, maxBytes: columnBytes }, log) : undefined

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

  const followed = <T>(call: () => Promise<T>): Promise<T> =>
    bounded(async () => {
      await numbered()
      return call()
    })

  /** What was written before has its place in the order of commits, or soon. */
  const numbered = () => Promise.race([closer.flush(), setTimeout(closeWaitMs, undefined, { ref: false })])

  /** Most writes are one run: then their events are not held while it is under way. */
  function write(
    events: readonly NewEvent[],
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

  async function writeRuns(events: readonly NewEvent[], first: Run, shared: Write): Promise<void> {
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
    events: readonly NewEvent[],
    start: number,
    outcomes: WriteOutcome[],
  ): Run {
    const entry = createEntryId()
    const tail = toEntryElement(entry)
    const ids: string[] = []
    const positions: number[] = []
    let idCharacters = 0
    let i = start
    while (i < events.length && ids.length < limits.maxRunDocuments && idCharacters < maxRunIdCharacters) {
      const event = events[i]!
      const { byteCount } = encoder
      const refused = encoder.add(event, limits.maxDocumentBytes, tail)
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
    return { entry, ids, positions, end: i }
  }

  async function writeRun(
    { entry: id, ids, positions }: Run,
    { encoder, matches, rest, outcomes }: Write,
  ): Promise<void> {
    if (ids.length === 0) return
    const facts = matches.length > 0 ? toRunFacts(matches, ids, positions) : []
    const restOfRun = rest.length > 0 ? toRunRanges(rest, positions) : []
    const entry: Entry = {
      id,
      ids,
      ...(restOfRun.length > 0 && { rest: restOfRun }),
      ...(facts.length > 0 && { facts }),
    }
    let isSent = false
    const store = (): Promise<StoreReply> => {
      isSent = true
      return inserter.insert(db, { bytes: encoder.bytes(), count: ids.length, room })
    }
    const outcomesOfRun = await journal.run(writeEntry(entry), { store }).catch((error) => {
      if (isSent) repairer.doubt(id)
      else if (!(error instanceof EventError)) closer.close({ entry, out: [0, ids.length] })
      throw error
    })
    const out: number[] = []
    for (const [k, outcome] of outcomesOfRun.entries()) {
      outcomes[positions[k]!] = outcome
      if (outcome !== 'stored') out.push(k)
    }
    closer.close({ entry, out: toRanges(out) })
  }

  async function act(action: AlertAction): Promise<void> {
    const entry: Entry = { id: createEntryId(), ids: [], action }
    await journal.run(beginEntry(entry))
    closer.close({ entry, out: [] })
  }

  async function get(id: string): Promise<StoredEvent | undefined> {
    const collection = db.collection<{ _id: string }>(collectionName)
    const document = (await collection.findOne(
      { _id: id },
      { raw: true, ...callLimit() },
    )) as unknown as Uint8Array | null
    return document ? decodeStoredEvent(document) : undefined
  }

  const countCanaries = createCanaryCount(() =>
    db
      .collection<{ _id: string }>(collectionName)
      .countDocuments({ _id: { $gte: canaryMark, $lt: canaryEnd } }, callLimit()),
  )

  async function health(): Promise<StoreHealth> {
    try {
      const count = guarded(async () => {
        const [all, canaries] = await Promise.all([
          db.collection(collectionName).estimatedDocumentCount(),
          countCanaries(),
        ])
        return Math.max(0, all - canaries)
      })
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
    scanSource,
    alerts: createAlertStore(db, collectionName, { journal, act, guard: bounded }),
    following: { isShared: true },
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
    async *summarize(query, summary, options) {
      connection.assertUp()
      if (!columns) return yield* finder.summarize(query, summary, options)
      await numbered()
      yield* columns.summarize(query, summary, ({ upTo, timeoutMs }) =>
        finder.summarize({ ...query, timeoutMs }, summary, {
          ...options,
          ...(upTo !== undefined && { upTo }),
        }),
      )
    },
    columnState: () => columns?.state ?? columnsOff,
    commitsSince: (cursor, limit) => followed(() => follower.commitsSince(cursor, limit)),
    commitCursor: () => followed(() => follower.commitCursor()),
    locate: (ids) => followed(() => follower.locate(ids)),
    archive: (selection, { batchSize }) => keeper.archive(selection, batchSize),
    purge: (beforeMs, { batchSize }) => keeper.purge(beforeMs, batchSize),
    copyTo: (folder) => guarded(() => copyCollection(folder, { url, databaseName, collectionName })),
    health: shareCall(health),
    async size() {
      const { totalSize } = await guarded(() => {
        const stats = db.command({ dbStats: 1, maxTimeMS: healthTimeoutMs })
        return withDeadline(stats, healthTimeoutMs, 'MongoDB: no answer')
      })
      return Number(totalSize)
    },
    async close() {
      await Promise.all([finder.close(), indexer.close(), columns?.close()])
      await repairer.close()
      await Promise.race([closer.flush(), setTimeout(drainMs, undefined, { ref: false })])
      await connection.close()
    },
  }
}

/** Documents of one command: `ids` and `positions` name them, `end` is the position behind them. */
interface Run {
  /** Of the journal. */
  entry: string
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

function* beginEntry(entry: Entry): Generator<Step, void> {
  yield { do: 'begin', entry }
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
