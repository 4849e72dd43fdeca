import { existsSync } from 'node:fs'
import { EventError } from '@madsci-events/sdk/event'
import type { EventSource } from '../event-store.ts'
import { createQueryThread } from '../query-thread.ts'
import { workerUrl } from '../worker-url.ts'
import { openReadable } from './connection.ts'
import type { FindCommand } from './find-command.ts'
import type { FindWorkerData } from './find-worker.ts'
import { deletedEventsSql, lastSeqSql } from './schema.ts'

/** Reads a file of events, also one that a receiver owns. Throws EVT_CONFIG when there is no such file. */
export function openSqliteSource(path: string): EventSource {
  if (!existsSync(path)) throw new EventError('EVT_CONFIG', `there is no file ${path}`)
  const turn = new Int32Array(new SharedArrayBuffer(8))
  const data: FindWorkerData = { path, turn }
  const thread = createQueryThread<FindCommand>({
    file: workerUrl('./sqlite/find-worker'),
    workerData: data,
    turn,
    toError: ({ message }) => new EventError('EVT_STORE_UNAVAILABLE', `SQLite: ${message}`),
  })
  return {
    eventCount: countEvents(path),
    find({ selector, ...query }) {
      const command = { query, selector: selector?.source, position: undefined, passedOver: 0, given: 0 }
      return thread.find(command, query.timeoutMs)
    },
    close: () => thread.close(),
  }
}

/** In constant time: seq has no gaps but for what was deleted. */
function countEvents(path: string): number | undefined {
  try {
    const database = openReadable(path)
    try {
      const [last, deleted] = [lastSeqSql, deletedEventsSql].map((sql) => database.prepare(sql).get()?.value)
      return Number(last) - Number(deleted)
    } finally {
      database.close()
    }
  } catch {
    return undefined
  }
}
