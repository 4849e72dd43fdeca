import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { Value } from '@madsci-events/sdk/event'
import {
  BSON,
  type ClientSession,
  type Document,
  type FindCursor,
  MongoClient,
  type MongoClientOptions,
} from 'mongodb'
import { yieldToOthers } from '../../thread.ts'
import type { StoredEvent } from '../event-store.ts'
import { createMatcher, toMatchDocument } from '../matcher.ts'
import { packEvents } from '../packed-event.ts'
import { chunkLimit, type FromQueryThread, type ToQueryThread } from '../query-thread.ts'
import { parseSelector, type Selector } from '../selector.ts'
import { createSummaryFold, type SummaryFold } from '../summary-fold.ts'
import { primaryOf } from './connection.ts'
import { decodeStoredEvent } from './decode.ts'
import type { FindCommand } from './filter.ts'
import { createIdCursor, type EventCursor, type IdSource } from './posting-reader.ts'
import { createWindowCursor } from './window-cursor.ts'

/**
 * The thread of the queries: its own client, and JSON is made here, so that a report over a million events takes
 * nothing from intake. A turn is one batch of a cursor; turns of several queries run side by side.
 */
export interface FindWorkerData {
  url: string
  clientOptions: MongoClientOptions
  databaseName: string
  collectionName: string
}

const port = parentPort!
yieldToOthers()
const { url, clientOptions, databaseName, collectionName } = workerData as FindWorkerData
const client = new MongoClient(url, clientOptions)
/** A query that has begun. */
interface Known {
  command: FindCommand
  choice: Choice | undefined
  summing: Summing | undefined
  isForgotten: boolean
  isRunning: boolean
  /** Of the turn under way; undefined without a limit. */
  untilMs: number | undefined
  session: ClientSession | undefined
  cursor: EventCursor | undefined
  closing: Promise<void> | undefined
}
const known = new Map<number, Known>()

interface Summing {
  fold: SummaryFold
  /** Time of the last event that was added. */
  scannedTo: string | null
}

port.on('message', (message: ToQueryThread<FindCommand, undefined>) => {
  const { query } = message
  if (message.kind === 'turn') {
    void takeTurn(query, message.command, message.remainingMs)
    return
  }
  const state = known.get(query)
  known.delete(query)
  if (!state) return
  state.isForgotten = true
  void close(state)
})
post({ kind: 'ready' })

function post(message: FromQueryThread<undefined>): void {
  port.postMessage(message)
}

/**
 * Once for each query. Its session is ours: the driver ends its own as soon as a batch comes for a cursor that is being
 * closed, and may then have none left to kill it with on the server. A command under way has no cursor yet that could be
 * closed: the session of it is killed.
 */
function close(state: Known): Promise<void> {
  state.closing ??= (async () => {
    const { session, cursor, isRunning } = state
    if (isRunning && session?.id)
      await client
        .db('admin')
        .command({ killSessions: [session.id] })
        .catch(() => {})
    await cursor?.close().catch(() => {})
    await session?.endSession().catch(() => {})
  })()
  return state.closing
}

/** Of events that MongoDB gives, those that are wanted, from `offset` on and no more than `limit`. */
interface Choice {
  takes(event: StoredEvent): boolean
  readonly isOver: boolean
}

// As mongod says it.
const maxTimeExpired = 50
// The queries of this thread wait for each other.
const regexTimeoutMs = 50

function createChoice(source: Selector['source'], { offset, limit }: FindCommand): Choice {
  const matches = createMatcher(parseSelector(source as Value, { regexTimeoutMs }))
  let toSkip = offset
  let left = limit > 0 ? limit : Number.POSITIVE_INFINITY
  return {
    takes(event) {
      if (left === 0 || !matches(toMatchDocument(event)) || --toSkip >= 0) return false
      left--
      return true
    },
    get isOver() {
      return left === 0
    },
  }
}

let connecting: Promise<unknown> | undefined
/** A failed connect leaves a closed client behind; only connect() opens it again. */
function connect(): Promise<unknown> {
  connecting ??= client.connect().catch((error) => {
    connecting = undefined
    throw error
  })
  return connecting
}

async function takeTurn(query: number, command: FindCommand | undefined, remainingMs: number): Promise<void> {
  const state = command ? remember(query, command) : known.get(query)
  if (!state) {
    post({ kind: 'end', query })
    return
  }
  state.isRunning = true
  state.untilMs = remainingMs > 0 ? performance.now() + remainingMs : undefined
  let outcome: FromQueryThread<undefined> = { kind: 'end', query }
  try {
    await connect()
    const cursor = begin(state)
    if (!state.isForgotten && (await cursor.hasNext())) {
      await send(query, state, cursor.readBufferedDocuments())
      if (!state.choice?.isOver)
        outcome = { kind: 'pause', query, rest: undefined, scannedTo: cursor.scannedTo }
    }
  } catch (error) {
    const failure = toFailure(error)
    // A summary that runs out of time ends with what it has.
    if (state.summing && failure.code === maxTimeExpired) postSummary(query, state.summing, true)
    else outcome = { kind: 'failed', query, failure, scannedTo: state.cursor?.scannedTo }
  }
  state.isRunning = false
  // Ahead of closing, which talks to the database.
  post(outcome)
  if (outcome.kind === 'pause' && !state.isForgotten) return
  known.delete(query)
  await close(state)
}

function remember(query: number, command: FindCommand): Known {
  const state: Known = {
    command,
    choice: command.selector && createChoice(command.selector, command),
    summing: command.summary && { fold: createSummaryFold(command.summary), scannedTo: null },
    isForgotten: false,
    isRunning: false,
    untilMs: undefined,
    session: undefined,
    cursor: undefined,
    closing: undefined,
  }
  known.set(query, state)
  return state
}

function begin(state: Known): EventCursor {
  state.session ??= client.startSession({ causalConsistency: false })
  state.cursor ??= createCursor(state, state.session)
  return state.cursor
}

function toFailure(error: unknown): { message: string; code: number | undefined } {
  const { message, code } = error as { message: string; code?: unknown }
  if (code === 'EVT_QUERY_TIMEOUT') return { message, code: maxTimeExpired }
  return { message, code: typeof code === 'number' ? code : undefined }
}

/** A whole batch: what stays behind here would be in nobody's count. */
async function send(query: number, state: Known, documents: readonly Uint8Array[]): Promise<void> {
  if (state.summing) return addAll(query, state, state.summing, documents)
  let events: StoredEvent[] = []
  let characters = 0
  for (const document of documents) {
    if (state.isForgotten) return
    const event = decodeStoredEvent(document)
    if (state.choice && !state.choice.takes(event)) continue
    events.push(event)
    characters += event.json.length
    if (events.length < chunkLimit.events && characters < chunkLimit.characters) continue
    post({ kind: 'chunk', query, events: packEvents(events) })
    events = []
    characters = 0
    await setImmediate()
  }
  if (events.length > 0) post({ kind: 'chunk', query, events: packEvents(events) })
}

async function addAll(
  query: number,
  { choice }: Known,
  summing: Summing,
  documents: readonly Uint8Array[],
): Promise<void> {
  let last: StoredEvent | undefined
  for (const [index, document] of documents.entries()) {
    last = decodeStoredEvent(document)
    if (!choice || choice.takes(last)) summing.fold.add(last.json)
    if (index % chunkLimit.events === chunkLimit.events - 1) await setImmediate()
  }
  const time = last && (JSON.parse(last.json) as { event_timestamp?: unknown }).event_timestamp
  if (typeof time === 'string') summing.scannedTo = time
  postSummary(query, summing, false)
}

function postSummary(query: number, { fold, scannedTo }: Summing, isLate: boolean): void {
  post({ kind: 'chunk', query, events: packEvents([fold.take(scannedTo, isLate)]) })
}

/** A summary sends little, so that a batch of it may be larger. */
const summaryBatchEvents = 1000

const fresh = { readPreference: 'primary', readConcern: { level: 'local' } } as const

function createCursor(state: Known, session: ClientSession): EventCursor {
  const { command } = state
  const { sort, limit, offset, ids, windows } = command
  // What a matcher chooses from is counted there.
  const isCounted = command.selector === undefined
  const plain = () => {
    const cursor = findEvents(command, session, state)
    if (sort) cursor.sort({ [sort[0]]: sort[1] }).allowDiskUse(true)
    if (offset > 0 && isCounted) cursor.skip(offset)
    if (limit > 0 && isCounted) cursor.limit(limit)
    return cursor
  }
  const whole = windows
    ? () =>
        createWindowCursor({
          windows,
          find: (beside, direction) =>
            findEvents(command, session, { untilMs: state.untilMs, beside }).sort({
              event_timestamp: direction,
            }),
          timeBehind: (range, direction, count) => timeBehind(state, { session, range, direction, count }),
          offset: isCounted ? offset : 0,
          limit: isCounted ? limit : 0,
        })
    : plain
  if (!ids) return whole()
  const source: IdSource = {
    db: primaryOf(client, databaseName),
    collectionName,
    session,
    find: (beside, direction) =>
      findEvents(command, session, { untilMs: state.untilMs, beside }).sort({ event_timestamp: direction }),
    async times(beside) {
      const found = findEvents(command, session, { untilMs: state.untilMs, beside, isBrief: true })
      const times = (await found.toArray()).map(
        (event) => (event as { event_timestamp?: unknown }).event_timestamp,
      )
      return times.every((time) => typeof time === 'string') ? times : undefined
    },
  }
  return createIdCursor({
    question: ids,
    source,
    plain: whole,
    offset: isCounted ? offset : 0,
    limit: isCounted ? limit : 0,
  })
}

/** From the index of time alone. */
async function timeBehind(
  { command, untilMs }: Known,
  {
    session,
    range,
    direction,
    count,
  }: { session: ClientSession; range: Document; direction: 1 | -1; count: number },
): Promise<string | undefined> {
  const found = client
    .db(databaseName)
    .collection(collectionName)
    .find(
      { event_timestamp: range },
      { projection: { _id: 0, event_timestamp: 1 }, session, ...(command.isFresh && fresh) },
    )
    .sort({ event_timestamp: direction })
    .skip(count)
    .limit(1)
  if (untilMs !== undefined) found.maxTimeMS(Math.max(1, Math.ceil(untilMs - performance.now())))
  const [behind] = await found.toArray()
  const time: unknown = behind?.event_timestamp
  return typeof time === 'string' ? time : undefined
}

interface FindEventsOptions {
  untilMs: number | undefined
  /** A condition beside that of the command. */
  beside?: Document
  /** Gives objects of the time alone. */
  isBrief?: boolean
}

function findEvents(
  { filter, isFresh, summary }: FindCommand,
  session: ClientSession,
  { untilMs, beside, isBrief = false }: FindEventsOptions,
): FindCursor<Uint8Array> {
  // promoteValues false: 64-bit integers and bytes of the filter keep their types on the way.
  const selector = BSON.deserialize(filter, { promoteValues: false })
  const cursor = client
    .db(databaseName)
    .collection(collectionName)
    // One chunk: mongod and this thread work in turns of a millisecond, and a lone request slips in between. With four
    // chunks the query is no faster, and the slowest such requests wait twice as long.
    .find(beside ? { $and: [selector, beside] } : selector, {
      raw: !isBrief,
      ...(isBrief && { projection: { event_timestamp: 1 } }),
      batchSize: summary ? summaryBatchEvents : chunkLimit.events,
      session,
      ...(isFresh && fresh),
    })
  // No time is no limit to the server: what is late has the least.
  if (untilMs !== undefined) cursor.maxTimeMS(Math.max(1, Math.ceil(untilMs - performance.now())))
  return cursor as unknown as FindCursor<Uint8Array>
}
