import { EventError } from '@madsci-events/sdk/event'
import type { FindOptions, FindQuery, StoredEvent, SummaryQuery } from '../event-store.ts'
import { laneOf } from '../query-lane.ts'
import { createQueryPool } from '../query-pool.ts'
import type { SummaryOptions, SummaryPart } from '../summary.ts'
import { toParts } from '../summary-parts.ts'
import { workerUrl } from '../worker-url.ts'
import { redact, toClientOptions } from './connection.ts'
import { type FindCommand, toFindCommand, toWindows } from './filter.ts'
import type { FindWorkerData } from './find-worker.ts'

export interface Finder {
  /** `upTo`: as of a query. */
  summarize(
    query: SummaryQuery,
    summary: SummaryOptions,
    options?: FindOptions & { upTo?: string },
  ): AsyncIterable<SummaryPart>
  find(query: FindQuery, options?: FindOptions): AsyncIterable<StoredEvent[]>
  close(): Promise<void>
}

/** Queries in a thread with a client of its own. */
export function createFinder(options: { url: string; databaseName: string; collectionName: string }): Finder {
  // A heavy query may be silent for long; the driver's monitor tells when the server is gone.
  const clientOptions = toClientOptions(options.url, { maxPoolSize: 14, socketTimeoutMS: 0 })
  const data: FindWorkerData = { ...options, clientOptions }
  const thread = createQueryPool<FindCommand>({
    file: workerUrl('./mongo/find-worker'),
    workerData: data,
    // Fewer than connections, so that those that end queries find one.
    slots: [
      ['reserved'],
      ['reserved'],
      ['light'],
      ['light'],
      ['light'],
      ['light'],
      ['heavy', 'light'],
      ['heavy', 'light'],
      ['heavy', 'light'],
      ['heavy', 'light'],
    ],
    threads: 'one',
    toError: toQueryError,
  })
  const run = (
    command: FindCommand,
    query: SummaryQuery,
    { client = 'local', isReserved, signal, progress }: FindOptions = {},
  ) => {
    const { timeoutMs } = query
    const hasOneLimit = command.summary !== undefined
    const lane = laneOf(query, isReserved)
    return thread.find(command, { client, lane, timeoutMs, hasOneLimit, signal, progress })
  }
  return {
    find(query, options) {
      const command = toFindCommand(query, options?.isReserved)
      const windows = options?.progress && toWindows(query)
      return run({ ...command, ...(windows && { windows }) }, query, options)
    },
    summarize(wanted, summary, options) {
      const upTo = options?.upTo
      const query = {
        ...wanted,
        order: 'newest',
        limit: 0,
        offset: 0,
        ...(upTo !== undefined && { upTo }),
      } as const
      return toParts(run({ ...toFindCommand(query, options?.isReserved), summary }, query, options))
    },
    close: () => thread.close(),
  }
}

const maxTimeExpired = 50
// BadValue, FailedToParse, TypeMismatch, Overflow, InvalidLength, IllegalOperation, InvalidBSON, those of paths, operators and options.
const selectorFaults = new Set([2, 9, 14, 15, 16, 20, 22, 40, 52, 56, 57, 72, 168, 232, 241, 10334])
// Numbers from here on belong to single checks of the server, of what it was asked for, but for those of its state.
const firstCheck = 10_000
const stateChecks = new Set([10_058, 10_107, 11_600, 11_601, 11_602, 13_388, 13_435, 13_436, 14_031, 16_386])

function isSelectorFault(code: number): boolean {
  return selectorFaults.has(code) || (code >= firstCheck && !stateChecks.has(code))
}

function toQueryError({ message, code }: { message: string; code: number | undefined }): EventError {
  const text = redact(message)
  if (code === maxTimeExpired) return new EventError('EVT_QUERY_TIMEOUT')
  if (code !== undefined && isSelectorFault(code))
    return new EventError('EVT_SELECTOR', `the database refuses the selector: ${text}`)
  return new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`)
}
