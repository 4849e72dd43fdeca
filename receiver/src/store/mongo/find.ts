import { EventError } from '@madsci-events/sdk/event'
import type { FindOptions, FindQuery, StoredEvent } from '../event-store.ts'
import { laneOf } from '../query-lane.ts'
import { createQueryPool } from '../query-pool.ts'
import { workerUrl } from '../worker-url.ts'
import { redact, toClientOptions } from './connection.ts'
import { type FindCommand, toFindCommand } from './filter.ts'
import type { FindWorkerData } from './find-worker.ts'

export interface Finder {
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
  return {
    find: (query, { client = 'local', isReserved, signal } = {}) => {
      const { timeoutMs } = query
      return thread.find(toFindCommand(query), { client, lane: laneOf(query, isReserved), timeoutMs, signal })
    },
    close: () => thread.close(),
  }
}

const maxTimeExpired = 50
// BadValue, FailedToParse, TypeMismatch, and the codes of broken regular expressions and expressions.
const selectorFaults = new Set([2, 9, 14, 40, 168, 241, 51091, 51108])

function toQueryError({ message, code }: { message: string; code: number | undefined }): EventError {
  const text = redact(message)
  if (code === maxTimeExpired) return new EventError('EVT_QUERY_TIMEOUT')
  if (code !== undefined && selectorFaults.has(code))
    return new EventError('EVT_SELECTOR', `the database refuses the selector: ${text}`)
  return new EventError('EVT_STORE_UNAVAILABLE', `MongoDB: ${text}`)
}
