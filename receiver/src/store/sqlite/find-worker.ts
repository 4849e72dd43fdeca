import type { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import { yieldToOthers } from '../../thread.ts'
import type { StoredEvent } from '../event-store.ts'
import { toKeyLists } from '../id-key.ts'
import { createMatcher } from '../matcher.ts'
import { packEvents } from '../packed-event.ts'
import {
  aheadLimit,
  chunkLimit,
  type FromQueryThread,
  sharedAt,
  type ToQueryThread,
} from '../query-thread.ts'
import { parseSelector } from '../selector.ts'
import { createSummaryFold, type SummaryFold } from '../summary-fold.ts'
import { openReadable } from './connection.ts'
import { type FindCommand, type FindProgress, timeIsUp } from './find-command.ts'
import { type Plan, toPlan, toWindow } from './plan.ts'
import { openPostings, readPostings } from './posting-reader.ts'
import { filterRow, type Row } from './row-filter.ts'

/**
 * A thread of the queries. It runs one turn of one query at a time; between windows of rows it holds no read
 * transaction, so that the log of SQLite (WAL) can be cut while a report over a million events runs.
 */
export interface FindWorkerData {
  path: string
}

type Turn = Extract<ToQueryThread<FindCommand, FindProgress>, { kind: 'turn' }>

// A turn lasts that long while others wait, and longer when nobody does.
const turnMs = 20
const lonelyTurnMs = 200
const rowsAtOnce = 2000
// The clock is looked at after so many rows, or so many characters.
const rowsBetweenLooks = 32
const charactersBetweenLooks = 256 * 1024

const port = parentPort!
yieldToOthers()
const { path, shared } = workerData as FindWorkerData & { shared: Int32Array }
let database: DatabaseSync | undefined

interface Known {
  command: FindCommand
  plan: Plan
  matches: ReturnType<typeof createMatcher> | undefined
  progress: FindProgress
  /** Rows by the index of ids; undefined where the plan alone finds them. */
  rows: Iterator<Row> | undefined
}
const known = new Map<number, Known>()

interface Running extends Known {
  number: number
  chunks: number
  sentCharacters: number
  timeoutMs: number
  startedMs: number
  /** When the time limit is over for the chunk that is being filled; Infinity without one. */
  untilMs: number
  events: StoredEvent[]
  characters: number
  fold: SummaryFold | undefined
}

port.on('message', (message: ToQueryThread<FindCommand, FindProgress>) => {
  if (message.kind === 'forget') known.delete(message.query)
  else takeTurn(message)
})
post({ kind: 'ready' })

function post(message: FromQueryThread<FindProgress>): void {
  port.postMessage(message)
}

function remember(number: number, command: FindCommand, rest: FindProgress | undefined): Known {
  const selector = command.selector === undefined ? undefined : parseSelector(command.selector)
  const hasIds = selector !== undefined && toKeyLists(selector.conditions).length > 0
  // What promises no order comes in one that the index of ids gives.
  const order = command.query.order === 'none' && hasIds ? 'oldest' : command.query.order
  const query = { ...command.query, order, ...(selector && { selector }) }
  const plan = toPlan(query)
  const progress = rest ?? { position: undefined, passedOver: 0, given: 0 }
  database ??= openReadable(path)
  const found = openPostings(database, query, plan)
  const one: Known = {
    command,
    plan,
    matches: selector && createMatcher(selector),
    progress,
    rows: found && readPostings(database, found, { plan, position: progress.position }),
  }
  known.set(number, one)
  return one
}

function takeTurn({ query: number, command, rest, chunks, remainingMs }: Turn): void {
  let turn: Running | undefined
  try {
    const one = command ? remember(number, command, rest) : known.get(number)!
    if (rest) one.progress = rest
    const startedMs = performance.now()
    const { timeoutMs } = one.command.query
    const untilMs = remainingMs > 0 ? startedMs + remainingMs : Number.POSITIVE_INFINITY
    turn = {
      ...one,
      number,
      chunks,
      sentCharacters: 0,
      timeoutMs,
      startedMs,
      untilMs,
      events: [],
      characters: 0,
      fold: one.command.summary && createSummaryFold(one.command.summary),
    }
    let outcome: ReturnType<typeof read>
    do outcome = read(turn)
    while (outcome === 'window')
    if (turn.fold) flushSummary(turn, outcome === 'late')
    else flush(turn)
    if (outcome === 'pause') {
      post({ kind: 'pause', query: number, rest: turn.progress, scannedTo: scannedTo(turn) })
      return
    }
    known.delete(number)
    post({ kind: 'end', query: number })
  } catch (error) {
    known.delete(number)
    const isLate = error instanceof TimeUp && turn !== undefined
    // What was found is of use to who goes on from there.
    if (isLate && !turn!.fold) flush(turn!)
    const failure = { message: (error as Error).message, code: isLate ? timeIsUp : undefined }
    post({ kind: 'failed', query: number, failure, scannedTo: isLate ? scannedTo(turn!) : undefined })
    if (!isLate) reopen()
  }
}

function scannedTo({ plan, progress }: Running): string | undefined {
  const { position } = progress
  return plan.column === 'event_timestamp' && position ? String(position.value) : undefined
}

class TimeUp extends Error {}

/** After trouble nothing is known of a connection. */
function reopen(): void {
  try {
    database?.close()
  } finally {
    database = undefined
  }
}

/** One window of rows: 'end' when there are no more, 'pause' when the turn is over, 'late' when a summary ends early, else 'window'. */
function read(turn: Running): 'end' | 'pause' | 'window' | 'late' {
  const { command, progress } = turn
  const { limit, offset } = command.query
  const filter = { offset, matches: turn.matches }
  let count = 0
  let unseenRows = 0
  let unseenCharacters = 0
  for (const row of rowsOf(turn)) {
    count++
    const event = filterRow(progress, filter, row)
    if (event && turn.fold) turn.fold.add(event.json)
    else if (event) {
      turn.events.push(event)
      turn.characters += event.json.length
      if (progress.given === limit) return 'end'
      if (turn.events.length >= chunkLimit.events || turn.characters >= chunkLimit.characters) {
        flush(turn)
        if (turn.chunks <= 0 || turn.sentCharacters >= aheadLimit.characters) return 'pause'
      }
    }
    unseenCharacters += row[3]?.length ?? 0
    if (++unseenRows < rowsBetweenLooks && unseenCharacters < charactersBetweenLooks) continue
    unseenRows = 0
    unseenCharacters = 0
    const over = overOf(turn)
    if (over) return over
  }
  if (count < rowsAtOnce) return 'end'
  return overOf(turn) ?? 'window'
}

/** Of the next window, or all that the index of ids still finds: leaving the loop early does not end those. */
function rowsOf({ plan, progress, rows }: Running): Iterable<Row> {
  if (rows) return { [Symbol.iterator]: () => ({ next: () => rows.next() }) }
  database ??= openReadable(path)
  const { sql, parameters } = toWindow(plan, progress.position, rowsAtOnce)
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  // Arrays, as setReturnArrays makes them: the declared type is that of objects.
  return statement.iterate(...parameters) as unknown as Iterable<Row>
}

/** A summary that runs out of time ends with what it has. */
function overOf(turn: Running): 'pause' | 'late' | undefined {
  if (turn.fold && performance.now() > turn.untilMs) return 'late'
  return isOver(turn) ? 'pause' : undefined
}

/** Whether the turn is over. Throws TimeUp at the time limit. */
function isOver({ number, startedMs, untilMs }: Running): boolean {
  const nowMs = performance.now()
  if (nowMs > untilMs) throw new TimeUp('the time limit is over')
  if (Atomics.load(shared, sharedAt.cancelled) === number) return true
  return nowMs - startedMs > (Atomics.load(shared, sharedAt.contended) === 1 ? turnMs : lonelyTurnMs)
}

function flushSummary({ fold, number, progress }: Running, isLate: boolean): void {
  const time = progress.position?.value
  const part = fold!.take(time === undefined ? null : String(time), isLate)
  post({ kind: 'chunk', query: number, events: packEvents([part]) })
}

function flush(turn: Running): void {
  const { events, number, timeoutMs } = turn
  if (events.length === 0) return
  post({ kind: 'chunk', query: number, events: packEvents(events) })
  const isWhole = events.length >= chunkLimit.events || turn.characters >= chunkLimit.characters
  if (isWhole && timeoutMs > 0) turn.untilMs = performance.now() + timeoutMs
  turn.chunks--
  turn.sentCharacters += turn.characters
  turn.events = []
  turn.characters = 0
}
