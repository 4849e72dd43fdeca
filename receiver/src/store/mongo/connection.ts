import { EventError } from '@madsci-events/sdk/event'
import {
  type Db,
  MongoClient,
  type MongoClientOptions,
  MongoError,
  MongoNetworkError,
  ReadConcern,
} from 'mongodb'
import { createThrottle, type Log } from '../../log.ts'
import { showUrlsIn } from '../../url.ts'
import { withDeadline } from '../deadline.ts'

export interface ConnectionOptions {
  url: string
  databaseName: string | undefined
  log: Log
  /** What must be done once before the first operation; throws when the database cannot be used. */
  setup: (db: Db) => Promise<void>
  /** Proves that a durable write goes through; asked again and again while the database is away. */
  probe: (db: Db) => Promise<void>
}

/**
 * The client, and whether the database is there.
 *
 *     connecting ──setup──▶ up ──trouble──▶ down ──probe──▶ up
 *                                            └ every call fails at once, none waits for a timeout of its own
 */
export interface Connection {
  readonly db: Db
  /** Throws the error of the trouble while the database is away or unusable. */
  assertUp(): void
  /** Any error of the driver → EventError; notes when it says that the database is away. */
  toError(cause: unknown): EventError
  close(): Promise<void>
}

const probeIntervalMs = 500
const refusedProbeIntervalMs = 10_000
const establishTimeoutMs = 30_000

/** Short timeouts: a dead database becomes a 503 within seconds. What the URL sets itself stays as it is. */
export function toClientOptions(url: string, options: MongoClientOptions = {}): MongoClientOptions {
  const chosen: MongoClientOptions = {
    appName: 'madsci-events',
    serverSelectionTimeoutMS: 2000,
    connectTimeoutMS: 2000,
    heartbeatFrequencyMS: 2000,
    socketTimeoutMS: 10_000,
    waitQueueTimeoutMS: 5000,
    ...options,
  }
  const said = [...new URLSearchParams(url.split('?')[1] ?? '').keys()].map((key) => key.toLowerCase())
  return Object.fromEntries(
    Object.entries(chosen).filter(([key]) => !said.includes(key.toLowerCase())),
  ) as MongoClientOptions
}

/** Database name of a connection string; undefined when it has none. */
export function databaseOfUrl(url: string): string | undefined {
  const path = /^mongodb(?:\+srv)?:\/\/[^/]*\/([^?]*)/.exec(url)?.[1]
  return path ? decodeURIComponent(path) : undefined
}

/** Text without the user and password of any connection string in it. */
export function redact(text: string): string {
  return showUrlsIn(text)
}

/** For what must see what was acknowledged: `readPreference` and `readConcernLevel` of the URL are for queries alone. */
export const primaryOf = (client: MongoClient, databaseName: string | undefined): Db =>
  client.db(databaseName, { readPreference: 'primary', readConcern: new ReadConcern('local') })

/** Throws EVT_CONFIG for a connection string that the driver does not take. */
export function createClient(url: string, options: MongoClientOptions = {}): MongoClient {
  try {
    return new MongoClient(url, toClientOptions(url, options))
  } catch (error) {
    // The driver's text may quote the string, and its cause surely does.
    throw new EventError('EVT_CONFIG', `the MongoDB URL is wrong: ${redact((error as Error).message)}`)
  }
}

const callTimeoutMs = 12_000
let callDeadline: { signal: AbortSignal; untilMs: number } | undefined

/**
 * Option of a command: it ends within 12 to 13 seconds. A command that the driver (7.9) writes to a socket between its
 * end and the event that tells of it would wait for ever, and keep its place in the pool; no timeout of the driver's
 * settings holds there. Commands of one second share a timer.
 */
export function callLimit(): { signal: AbortSignal } {
  const nowMs = performance.now()
  if (!callDeadline || nowMs > callDeadline.untilMs)
    callDeadline = { signal: AbortSignal.timeout(callTimeoutMs + 1000), untilMs: nowMs + 1000 }
  return callDeadline
}

const awayCodeNames = new Set([
  'InterruptedAtShutdown',
  'InterruptedDueToReplStateChange',
  'NotWritablePrimary',
  'NotPrimaryNoSecondaryOk',
  'NotPrimaryOrSecondary',
  'PrimarySteppedDown',
  'ShutdownInProgress',
  'HostNotFound',
  'HostUnreachable',
  'NetworkTimeout',
  'SocketException',
  'WriteConcernFailed',
  'WriteConcernTimeout',
  'UnsatisfiableWriteConcern',
  'CannotSatisfyWriteConcern',
  'OutOfDiskSpace',
  'DiskFull',
  'Unauthorized',
  'AuthenticationFailed',
])

/** True when other calls would fail as well. */
function isAway(cause: unknown): boolean {
  if ((cause as Error | undefined)?.name === 'TimeoutError') return true
  if (!(cause instanceof MongoError)) return false
  if (cause instanceof MongoNetworkError || cause.name.includes('ServerSelection')) return true
  return awayCodeNames.has(String((cause as { codeName?: unknown }).codeName))
}

/** Resolves when the first attempt has ended, well or not. Rejects only with EVT_CONFIG and EVT_SCHEMA_VERSION. */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const { log } = options
  const client = createClient(options.url, { maxPoolSize: 20 })
  const db = primaryOf(client, options.databaseName)
  const throttle = createThrottle()
  let trouble: EventError | undefined = new EventError('EVT_STORE_UNAVAILABLE', 'MongoDB: connecting')
  let isSetUp = false
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  function toError(cause: unknown): EventError {
    if (cause instanceof EventError) return cause
    const text = redact(cause instanceof Error ? cause.message : String(cause))
    const error = new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`, { cause })
    if (isAway(cause)) leave(error)
    return error
  }

  function leave(error: EventError): void {
    const wasUp = trouble === undefined
    trouble = error
    throttle('away', () => log.warn({ reason: error.message }, 'the database is away'))
    if (wasUp) schedule()
  }

  function schedule(): void {
    if (isClosed) return
    timer = setTimeout(attempt, trouble?.retry === false ? refusedProbeIntervalMs : probeIntervalMs)
    timer.unref()
  }

  async function attempt(): Promise<void> {
    try {
      await withDeadline(establish(), establishTimeoutMs, 'MongoDB: no answer')
      if (isClosed) return
      trouble = undefined
      log.info({ database: db.databaseName }, 'the database is there')
    } catch (cause) {
      if (isClosed) return
      trouble = toError(cause)
      throttle(trouble.code, () => log.warn({ reason: trouble?.message }, 'the database cannot be used'))
      schedule()
    }
  }

  async function establish(): Promise<void> {
    // A failed connect leaves a closed client behind; only connect() opens it again.
    await client.connect()
    if (!isSetUp) await options.setup(db)
    isSetUp = true
    await options.probe(db)
  }

  async function close(): Promise<void> {
    isClosed = true
    trouble = new EventError('EVT_CLOSING')
    clearTimeout(timer)
    await client.close().catch(() => {})
  }

  await attempt()
  if (trouble?.code === 'EVT_SCHEMA_VERSION') {
    const error = trouble
    await close()
    throw error
  }
  return {
    db,
    assertUp() {
      if (trouble) throw trouble
    },
    toError,
    close,
  }
}
