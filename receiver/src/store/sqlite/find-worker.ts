import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers'
import { parentPort, workerData } from 'node:worker_threads'
import type { StoredEvent } from '../event-store.ts'
import { createMatcher } from '../matcher.ts'
import { packEvents } from '../packed-event.ts'
import {
  chunkLimit,
  chunksAhead,
  type FromQueryThread,
  type ToQueryThread,
  yieldToOthers,
} from '../query-thread.ts'
import { parseSelector } from '../selector.ts'
import { openReadable } from './connection.ts'
import { type FindCommand, timeIsUp } from './find-command.ts'
import { type Plan, toPlan, toWindow } from './plan.ts'
import { filterRow, type Row } from './row-filter.ts'

/**
 * The thread of the queries. Each gets its turn of some milliseconds; between turns it holds no read transaction, so
 * that the log of SQLite (WAL) can be cut while a report over a million events runs.
 */
export interface FindWorkerData {
  path: string
  turn: Int32Array
}

const turnMs = 20
const rowsAtOnce = 2000
// The clock is looked at after so many rows.
const rowsBetweenLooks = 32

const port = parentPort!
yieldToOthers()
const { path, turn } = workerData as FindWorkerData
let database: DatabaseSync | undefined

interface Running {
  number: number
  command: FindCommand
  plan: Plan
  matches: ReturnType<typeof createMatcher> | undefined
  credit: number
  /** When the chunk that is being filled was begun. */
  sinceMs: number
  events: StoredEvent[]
  characters: number
}
const running = new Map<number, Running>()
let scheduled = false

port.on('message', (message: ToQueryThread<FindCommand>) => {
  if (message.kind === 'find') begin(message.query, message.command)
  else if (message.kind === 'cancel') running.delete(message.query)
  else {
    const state = running.get(message.query)
    if (!state) return
    if (state.credit++ <= 0) state.sinceMs = performance.now()
  }
  schedule()
})

function post(message: FromQueryThread<FindCommand>): void {
  port.postMessage(message)
}

function begin(number: number, command: FindCommand): void {
  const selector = command.selector === undefined ? undefined : parseSelector(command.selector)
  running.set(number, {
    number,
    command: { ...command },
    plan: toPlan({ ...command.query, ...(selector && { selector }) }),
    matches: selector && createMatcher(selector),
    credit: chunksAhead,
    sinceMs: performance.now(),
    events: [],
    characters: 0,
  })
}

function schedule(): void {
  if (scheduled) return
  scheduled = true
  setImmediate(() => {
    scheduled = false
    let isWaiting = false
    for (const state of running.values()) {
      if (state.credit <= 0) continue
      isWaiting = true
      takeTurn(state)
    }
    if (isWaiting) schedule()
  })
}

function takeTurn(state: Running): void {
  Atomics.add(turn, 1, 1)
  Atomics.store(turn, 0, state.number)
  try {
    if (read(state, performance.now() + turnMs)) {
      flush(state)
      running.delete(state.number)
      post({ kind: 'end', query: state.number })
    }
  } catch (error) {
    running.delete(state.number)
    const code = error instanceof TimeUp ? timeIsUp : undefined
    post({ kind: 'failed', query: state.number, message: (error as Error).message, code })
    if (code === undefined) reopen()
  } finally {
    Atomics.store(turn, 0, 0)
  }
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

/** True when the query has no more rows to read. */
function read(state: Running, untilMs: number): boolean {
  const { command, plan } = state
  const { limit, timeoutMs } = command.query
  database ??= openReadable(path)
  const { sql, parameters } = toWindow(plan, command.position, rowsAtOnce)
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  let count = 0
  // Arrays, as setReturnArrays makes them: the declared type is that of objects.
  for (const row of statement.iterate(...parameters) as unknown as Iterable<Row>) {
    count++
    const event = filterRow(command, state.matches, row)
    if (event) {
      state.events.push(event)
      state.characters += event.json.length
      if (command.given === limit) return true
      if (state.events.length >= chunkLimit.events || state.characters >= chunkLimit.characters) {
        flush(state)
        if (state.credit <= 0) return false
      }
    }
    if (count % rowsBetweenLooks !== 0) continue
    const nowMs = performance.now()
    if (timeoutMs > 0 && nowMs - state.sinceMs > timeoutMs) throw new TimeUp('the time limit is over')
    if (nowMs > untilMs) return false
  }
  return count < rowsAtOnce
}

function flush(state: Running): void {
  const { events, number, command } = state
  if (events.length === 0) return
  post({ kind: 'chunk', query: number, events: packEvents(events), rest: { ...command } })
  state.credit--
  state.events = []
  state.characters = 0
  state.sinceMs = performance.now()
}
