import { parentPort, workerData } from 'node:worker_threads'
import { BSON, type ClientSession, type FindCursor, MongoClient, type MongoClientOptions } from 'mongodb'
import type { StoredEvent } from '../event-store.ts'
import { packEvents } from '../packed-event.ts'
import {
  chunkLimit,
  chunksAhead,
  type FromQueryThread,
  type ToQueryThread,
  yieldToOthers,
} from '../query-thread.ts'
import { decodeStoredEvent } from './decode.ts'
import type { FindCommand } from './filter.ts'

/**
 * The thread of the queries: its own client, and JSON is made here, so that a report over a million events takes
 * nothing from intake. Each query keeps two chunks under way at most: one is read while the other is used.
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
/** A query under way. */
interface Running {
  /** Chunks that may still be sent before the reader asks for more. */
  credit: number
  isCancelled: boolean
  wake: () => void
  cursor: FindCursor<Uint8Array> | undefined
  closing: Promise<void> | undefined
}
const running = new Map<number, Running>()

port.on('message', (message: ToQueryThread<FindCommand>) => {
  if (message.kind === 'find') {
    void run(message.query, message.command)
    return
  }
  const state = running.get(message.query)
  if (!state) return
  if (message.kind === 'more') state.credit++
  else {
    state.isCancelled = true
    void close(state)
  }
  state.wake()
})

/**
 * Once for each cursor. Its session is ours: the driver ends its own as soon as a batch comes for a cursor that is being
 * closed, and may then have none left to kill it with on the server.
 */
function close(state: Running): Promise<void> {
  state.closing ??= state.cursor?.close().catch(() => {})
  return state.closing ?? Promise.resolve()
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

async function run(query: number, command: FindCommand): Promise<void> {
  const post = (message: FromQueryThread<FindCommand>) => port.postMessage(message)
  const state: Running = {
    credit: chunksAhead,
    isCancelled: false,
    wake: () => {},
    cursor: undefined,
    closing: undefined,
  }
  running.set(query, state)
  async function send(events: StoredEvent[]): Promise<void> {
    while (state.credit <= 0 && !state.isCancelled) {
      await new Promise<void>((resolve) => {
        state.wake = resolve
      })
    }
    state.credit--
    if (!state.isCancelled) post({ kind: 'chunk', query, events: packEvents(events) })
  }
  let session: ClientSession | undefined
  try {
    await connect()
    session = client.startSession({ causalConsistency: false })
    const cursor = createCursor(command, session)
    state.cursor = cursor
    let events: StoredEvent[] = []
    let characters = 0
    while (!state.isCancelled && (await cursor.hasNext())) {
      for (const document of cursor.readBufferedDocuments()) {
        const event = decodeStoredEvent(document)
        events.push(event)
        characters += event.json.length
        if (events.length < chunkLimit.events && characters < chunkLimit.characters) continue
        await send(events)
        if (state.isCancelled) return
        events = []
        characters = 0
      }
    }
    if (events.length > 0) await send(events)
    post({ kind: 'end', query })
  } catch (error) {
    const { message, code } = error as { message: string; code?: unknown }
    post({ kind: 'failed', query, message, code: typeof code === 'number' ? code : undefined })
  } finally {
    running.delete(query)
    await close(state)
    await session?.endSession().catch(() => {})
  }
}

function createCursor(command: FindCommand, session: ClientSession): FindCursor<Uint8Array> {
  const { filter, sort, limit, offset, timeoutMs } = command
  // promoteValues false: 64-bit integers and bytes of the filter keep their types on the way.
  const selector = BSON.deserialize(filter, { promoteValues: false })
  const cursor = client
    .db(databaseName)
    .collection(collectionName)
    // One chunk: mongod and this thread work in turns of a millisecond, and a lone request slips in between. With four
    // chunks the query is no faster, and the slowest such requests wait twice as long.
    .find(selector, { raw: true, batchSize: chunkLimit.events, session })
  if (sort) cursor.sort({ [sort[0]]: sort[1] }).allowDiskUse(true)
  if (offset > 0) cursor.skip(offset)
  if (limit > 0) cursor.limit(limit)
  if (timeoutMs > 0) cursor.maxTimeMS(timeoutMs)
  return cursor as unknown as FindCursor<Uint8Array>
}
