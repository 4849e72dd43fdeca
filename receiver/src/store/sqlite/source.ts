import { existsSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import type { EventSource, FindQuery, StoredEvent } from '../event-store.ts'
import { createMatcher } from '../matcher.ts'
import { openReadable, toStoreError } from './connection.ts'
import type { FindProgress } from './find-command.ts'
import { toPlan, toWindow } from './plan.ts'
import { filterRow, type Row } from './row-filter.ts'
import { deletedEventsSql, lastSeqSql } from './schema.ts'

const rowsAtOnce = 500
const chunkEvents = 200
/** A window ends early with so much in memory: events may be large. */
const windowCharacters = 8 * 1024 * 1024

/**
 * Reads a file of events, also one that a receiver owns. Throws EVT_CONFIG when there is no such file. It reads in the thread
 * that calls, since nobody else waits there, and holds no read transaction between chunks of a window.
 */
export function openSqliteSource(path: string): EventSource {
  if (!existsSync(path)) throw new EventError('EVT_CONFIG', `there is no file ${path}`)
  return { eventCount: countEvents(path), find: (query) => readChunks(path, query), close: async () => {} }
}

async function* readChunks(path: string, { selector, ...query }: FindQuery): AsyncGenerator<StoredEvent[]> {
  const database = openReadable(path)
  try {
    const plan = toPlan({ ...query, ...(selector && { selector }) })
    const filter = { offset: query.offset, matches: selector && createMatcher(selector) }
    const progress: FindProgress = { position: undefined, passedOver: 0, given: 0 }
    for (let isDone = false; !isDone; ) {
      const events: StoredEvent[] = []
      const { sql, parameters } = toWindow(plan, progress.position, rowsAtOnce)
      const statement = database.prepare(sql)
      statement.setReturnArrays(true)
      let count = 0
      let characters = 0
      for (const row of statement.iterate(...parameters) as unknown as Iterable<Row>) {
        count++
        const event = filterRow(progress, filter, row)
        if (event) events.push(event)
        isDone = query.limit > 0 && progress.given === query.limit
        characters += row[3]?.length ?? 0
        if (isDone || characters > windowCharacters) break
      }
      if (count < rowsAtOnce && characters <= windowCharacters) isDone = true
      for (let at = 0; at < events.length; at += chunkEvents) yield events.slice(at, at + chunkEvents)
      // A signal to stop comes in here.
      await setImmediate()
    }
  } catch (error) {
    throw toStoreError(error)
  } finally {
    database.close()
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
