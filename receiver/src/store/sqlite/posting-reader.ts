import type { DatabaseSync } from 'node:sqlite'
import type { FindQuery } from '../event-store.ts'
import { createTimeTest, toGreatestText, toKeyLists, toLeastText, unusualKey } from '../id-key.ts'
import { type Plan, type Position, toWanted } from './plan.ts'
import { blockEvents, decodePlaces } from './posting.ts'
import { indexedSeqSql } from './posting-task.ts'
import type { Row } from './row-filter.ts'
import { lastSeqSql } from './schema.ts'

/** With more events behind the index a walk along the time is as good. */
const mostUnindexed = 32 * blockEvents

/** Parts are walked one by one: each key of each part is one search of the primary key. */
export const toHeaderSql = (keys: number): string => `
  WITH RECURSIVE parts (n) AS (
    SELECT min(part) FROM event_postings UNION ALL
    SELECT n + 1 FROM parts WHERE n < (SELECT max(part) FROM event_postings)
  )
  SELECT part, key, block, oldest, newest FROM parts
  CROSS JOIN event_postings ON part = n AND key IN (${new Array(keys).fill('?').join(', ')})`

type Header = [part: number, key: number, block: number, oldest: number, newest: number]

interface Candidate {
  seq: number
  time: string
}

/**
 * Rows that may match, in the order of the plan, by the index of ids; undefined where that does not help. Rows behind the index
 * are read at once, and what is stored later is not seen.
 */
export function openPostings(database: DatabaseSync, query: FindQuery, plan: Plan): IdRows | undefined {
  const lists =
    query.selector && plan.column === 'event_timestamp' ? toKeyLists(query.selector.conditions) : []
  if (lists.length === 0 || plan.isById) return undefined
  const numberOf = (sql: string) => (database.prepare(sql).get() as { value: number }).value
  const indexed = numberOf(indexedSeqSql)
  if (indexed === 0 || numberOf(lastSeqSql) - indexed > mostUnindexed) return undefined
  const headers = leastHeaders(database, lists)
  const isWithin = createTimeTest(query)
  return { indexed, headers: headers.filter(([, , , oldest, newest]) => isWithin(oldest, newest)) }
}

export interface IdRows {
  indexed: number
  headers: Header[]
}

/** Of several conditions the one with the fewest blocks. */
function leastHeaders(database: DatabaseSync, lists: readonly number[][]): Header[] {
  let least: Header[] | undefined
  for (const list of lists) {
    const keys = [unusualKey, ...list]
    const statement = database.prepare(toHeaderSql(keys.length))
    statement.setReturnArrays(true)
    const headers = statement.all(...keys) as unknown as Header[]
    if (least === undefined || headers.length < least.length) least = headers
  }
  return least!
}

/** Behind the position. A row whose event is not wanted has no document. */
export function* readPostings(
  database: DatabaseSync,
  { indexed, headers }: IdRows,
  { plan, position }: { plan: Plan; position: Position | undefined },
): Generator<Row> {
  const isDown = plan.direction === 'DESC'
  const { text: wanted, parameters } = toWanted(plan)
  const isBefore = (a: Candidate, b: Candidate) =>
    a.time === b.time ? (isDown ? a.seq > b.seq : a.seq < b.seq) : isDown ? a.time > b.time : a.time < b.time
  const begin = position && { seq: position.seq, time: String(position.value) }
  const isLater = (one: Candidate) => begin === undefined || isBefore(begin, one)
  const whole = database.prepare(
    `SELECT seq, id, event_timestamp, CASE WHEN ${wanted} THEN document END, exact, archived_at FROM events WHERE seq = ?`,
  )
  whole.setReturnArrays(true)
  const resolve = createResolver(database)
  const tail = database.prepare(
    `SELECT seq, event_timestamp AS time FROM events WHERE seq > ? AND (${wanted})`,
  )
  // Popped from the end: the next one is the last.
  let pending = (tail.all(indexed, ...parameters) as unknown as Candidate[]).filter(isLater)
  const nearest = [...headers].sort((a, b) => (isDown ? b[4] - a[4] : a[3] - b[3]))
  let last: Candidate | undefined
  for (let at = 0; at <= nearest.length; at++) {
    const header = nearest[at]
    pending.sort((a, b) => (a.seq === b.seq ? 0 : isBefore(a, b) ? 1 : -1))
    const bound = header && (isDown ? toGreatestText(header[4]) : toLeastText(header[3]))
    for (let next = pending.at(-1); next !== undefined; next = pending.at(-1)) {
      if (bound !== undefined && !(isDown ? next.time > bound : next.time < bound)) break
      pending.pop()
      if (next.seq === last?.seq) continue
      last = next
      const row = whole.get(...parameters, next.seq) as unknown as Row | undefined
      if (row) yield row
    }
    if (header === undefined) return
    const isOver =
      begin && (isDown ? toLeastText(header[3]) > begin.time : toGreatestText(header[4]) < begin.time)
    if (isOver) continue
    const more = resolve(header)
    pending = pending.concat(more.filter(isLater))
  }
}

function createResolver(database: DatabaseSync): (header: Header) => Candidate[] {
  const posting = database.prepare(
    'SELECT places FROM event_postings WHERE part = ? AND key = ? AND block = ?',
  )
  const time = database.prepare('SELECT event_timestamp AS time FROM events WHERE seq = ?')
  return ([part, key, block]) => {
    const found = posting.get(part, key, block) as { places: Uint8Array } | undefined
    return decodePlaces(found?.places ?? new Uint8Array()).flatMap((place) => {
      const seq = block * blockEvents + place + 1
      const row = time.get(seq) as { time: string } | undefined
      return row ? { seq, time: row.time } : []
    })
  }
}
