import type { Worker } from 'node:worker_threads'
import { EventError } from '@madsci-events/sdk/event'
import { createFairLine, type FairLine } from '../fair-line.ts'
import { startThread } from '../thread.ts'
import type { ScanProgress, StoredEvent } from './event-store.ts'
import { createHeldBudget } from './held-budget.ts'
import { OpenQuery } from './open-query.ts'
import { unpackEvents } from './packed-event.ts'
import type { QueryLane } from './query-lane.ts'
import {
  aheadLimit,
  type FromQueryThread,
  type QueryThreadOptions,
  sharedAt,
  type ToQueryThread,
} from './query-thread.ts'

export interface QueryPoolOptions extends QueryThreadOptions {
  /** For each place where a query can have its turn, the lanes that may use it, first choice first. */
  slots: readonly (readonly QueryLane[])[]
  /** A thread for each slot, which is ended when a turn hangs; or one thread for all of them. */
  threads: 'each' | 'one'
}

export interface PooledFind {
  client: string
  lane: QueryLane
  timeoutMs: number
  /** The time limit is one for all of it, not for each chunk. */
  hasOneLimit?: boolean
  signal: AbortSignal | undefined
  progress?: ScanProgress | undefined
}

export interface QueryPool<Command> {
  find(command: Command, options: PooledFind): AsyncGenerator<StoredEvent[]>
  close(): Promise<void>
}

interface Thread {
  worker: Worker | undefined
  isReady: boolean
  shared: Int32Array
  /** Queries whose command it remembers. */
  known: Set<number>
}

interface Slot<Command, Rest> {
  lanes: readonly QueryLane[]
  thread: Thread
  running: OpenQuery<Command, Rest> | undefined
  startedMs: number
}

const watchIntervalMs = 20
// A turn looks at the clock itself; one that cannot is ended by us.
const graceOf = (timeoutMs: number) => Math.max(30, timeoutMs * 0.08)
const cancelGraceMs = 250
// While others wait, one event may take a query no longer than this.
const contendedTurnMs = 3000
const startTimeoutMs = 30_000
/** Queries that are open at once, of all clients and of one; those of the reserve are not counted. */
const maxOpen = { all: 1000, client: 500 }

/**
 * Queries in threads, in turns of some milliseconds.
 *
 *     find ──▶ line of its lane ──turn──▶ slot ──▶ thread ──chunks──▶ reader
 *                    ▲                     │
 *                    └── more to do, and the reader wants more
 *
 * Promises (each has a test of the same name in test/receiver/store/query-pool.long.test.ts):
 *  1. A query that hangs ends at its time limit, within 20 %, and holds up only queries of its own lane.
 *  2. Clients share the time of the threads, however many queries one of them has.
 *  3. A query without a turn within its time limit ends with EVT_QUERY_BUSY.
 *  4. A query whose client is gone is ended.
 *  5. What waits for readers is bounded in bytes.
 */
export function createQueryPool<Command, Rest = undefined>(options: QueryPoolOptions): QueryPool<Command> {
  const { file, workerData, toError, threads } = options
  type Query = OpenQuery<Command, Rest>
  const open = new Map<number, Query>()
  const openOf = new Map<string, number>()
  const lines: { [lane in QueryLane]: FairLine<Query> } = {
    reserved: createFairLine(),
    light: createFairLine(),
    heavy: createFairLine(),
  }
  // The reserve is not held up by what strangers do not read.
  const budgets = { reserved: createHeldBudget(), other: createHeldBudget() }
  const budgetOf = ({ lane }: { lane: QueryLane }) => (lane === 'reserved' ? budgets.reserved : budgets.other)
  const createThread = (): Thread => ({
    worker: undefined,
    isReady: false,
    shared: new Int32Array(new SharedArrayBuffer(8)),
    known: new Set(),
  })
  const single = createThread()
  const slots = options.slots.map((lanes): Slot<Command, Rest> => {
    const thread = threads === 'one' ? single : createThread()
    return { lanes, thread, running: undefined, startedMs: 0 }
  })
  let watch: NodeJS.Timeout | undefined
  let lastQuery = 0
  let isClosed = false

  function start(thread: Thread): void {
    const worker = startThread(file, {
      workerData: { ...workerData, shared: thread.shared },
      maxHeapMb: 256,
    })
    worker.unref()
    thread.worker = worker
    thread.isReady = false
    thread.known.clear()
    thread.shared.fill(0)
    worker.on('message', (message: FromQueryThread<Rest>) => {
      if (thread.worker !== worker) return
      if (message.kind === 'ready') begin(thread)
      else take(message)
    })
    const died = (cause?: unknown) => {
      if (thread.worker === worker)
        replace(thread, new EventError('EVT_STORE_UNAVAILABLE', undefined, { cause }))
    }
    worker.on('error', died)
    worker.on('exit', () => died())
  }

  /** Its start is nobody's waiting time. */
  function begin(thread: Thread): void {
    thread.isReady = true
    const nowMs = performance.now()
    for (const slot of slots) {
      if (slot.thread !== thread || !slot.running) continue
      slot.running.sinceMs += nowMs - slot.startedMs
      postTurn(slot, slot.running, nowMs)
    }
  }

  function post(thread: Thread, message: ToQueryThread<Command, Rest>): void {
    thread.worker?.postMessage(message)
  }

  function postTurn(slot: Slot<Command, Rest>, query: Query, nowMs: number): void {
    const { thread } = slot
    slot.startedMs = nowMs
    const { number, timeoutMs } = query
    const isKnown = thread.known.has(number)
    thread.known.add(number)
    query.threads.add(thread.known)
    post(thread, {
      kind: 'turn',
      query: number,
      command: isKnown ? undefined : query.command,
      rest: query.rest,
      chunks: Math.max(1, aheadLimit.chunks - query.arrived.length),
      remainingMs: timeoutMs > 0 ? Math.max(1, timeoutMs - (nowMs - query.sinceMs)) : 0,
    })
  }

  /** Gives every free slot a query. */
  function pump(): void {
    for (const slot of slots) if (!slot.running) fill(slot)
    for (const slot of slots)
      if (slot.running && threads === 'each')
        Atomics.store(slot.thread.shared, sharedAt.contended, slot.lanes.some(hasWaiting) ? 1 : 0)
  }

  const waiting = { reserved: 0, light: 0, heavy: 0 }
  const hasWaiting = (lane: QueryLane) => waiting[lane] > 0

  function fill(slot: Slot<Command, Rest>): void {
    for (const lane of slot.lanes) {
      if (waiting[lane] === 0) continue
      const query = lines[lane].take(budgetOf({ lane }).hasRoom)
      if (!query) continue
      const nowMs = performance.now()
      waiting[lane]--
      query.state = 'running'
      query.waitedMs += nowMs - query.waitingSinceMs
      slot.running = query
      slot.startedMs = nowMs
      if (!slot.thread.worker) start(slot.thread)
      else if (slot.thread.isReady) postTurn(slot, query, nowMs)
      return
    }
  }

  /** The query waits for its next turn, if its reader wants more. */
  function queue(query: Query): void {
    if (query.state !== 'idle') return
    if (query.arrived.length >= aheadLimit.chunks || query.held >= aheadLimit.characters) return
    query.state = 'waiting'
    query.waitingSinceMs = performance.now()
    // While its reader was busy the clock stood still.
    query.sinceMs += query.waitingSinceMs - query.idleSinceMs
    waiting[query.lane]++
    lines[query.lane].add(query)
    pump()
  }

  function take(message: Exclude<FromQueryThread<Rest>, { kind: 'ready' }>): void {
    const query = open.get(message.query)
    if (message.kind === 'chunk') {
      if (query?.state !== 'running') return
      query.add(message.events, performance.now())
      budgetOf(query).hold(query, message.events.text.length)
      return
    }
    const slot = slots.find(({ running }) => running?.number === message.query)
    if (slot) {
      empty(slot)
      if (threads === 'each') slot.thread.shared.fill(0)
    }
    if (slot && message.kind !== 'pause') slot.thread.known.delete(message.query)
    if (query && query.state === 'running') {
      if (query.progress && message.kind !== 'end' && message.scannedTo !== undefined)
        query.progress.scannedTo = message.scannedTo
      if (message.kind === 'pause') {
        query.rest = message.rest
        query.state = 'idle'
        query.idleSinceMs = performance.now()
        queue(query)
      } else if (message.kind === 'end') query.end()
      else query.fail(query.lateError(toError(message.failure)))
    }
    pump()
  }

  /** Its turn is over. */
  function empty(slot: Slot<Command, Rest>): void {
    const { running } = slot
    slot.running = undefined
    if (running) lines[running.lane].charge(running.client, performance.now() - slot.startedMs)
  }

  /** The thread ends, and with it the turn in it. */
  function replace(thread: Thread, error: EventError): void {
    const worker = thread.worker
    thread.worker = undefined
    thread.isReady = false
    thread.known.clear()
    void worker?.terminate()
    for (const slot of slots) {
      if (slot.thread !== thread || !slot.running) continue
      const query = slot.running
      empty(slot)
      settle(query, error)
    }
    // A thread that several queries share remembers what each of them has left to do.
    if (threads === 'one') for (const query of open.values()) if (query.threads.size > 0) settle(query, error)
    pump()
  }

  function settle(query: Query, error: EventError): void {
    if (query.state === 'waiting') waiting[query.lane]--
    if (query.state !== 'done') query.fail(error)
  }

  function look(): void {
    const nowMs = performance.now()
    for (const query of open.values()) {
      if (query.state !== 'waiting' || !query.isLate(nowMs)) continue
      query.waitedMs += nowMs - query.waitingSinceMs
      settle(query, query.lateError(new EventError('EVT_QUERY_TIMEOUT')))
    }
    for (const slot of slots) {
      const query = slot.running
      if (!query) continue
      const turnMs = nowMs - slot.startedMs
      if (!slot.thread.isReady) {
        if (turnMs > startTimeoutMs)
          replace(slot.thread, new EventError('EVT_STORE_UNAVAILABLE', 'a thread of queries does not start'))
        continue
      }
      const isOver = query.state === 'running' && query.isLate(nowMs, graceOf(query.timeoutMs))
      const isUnwanted = query.state === 'done' && nowMs - query.doneMs > cancelGraceMs
      const isHeldUp =
        threads === 'each' &&
        turnMs > contendedTurnMs &&
        slot.lanes.some((lane) => lane === query.lane && hasWaiting(lane))
      if (!isOver && !isUnwanted && !isHeldUp) continue
      if (isOver) settle(query, query.lateError(new EventError('EVT_QUERY_TIMEOUT')))
      else if (isHeldUp)
        settle(query, new EventError('EVT_QUERY_BUSY', 'One event took this query long while others waited'))
      if (threads === 'each') replace(slot.thread, new EventError('EVT_QUERY_TIMEOUT'))
      else forget(query)
    }
    if (open.size === 0 && slots.every(({ running }) => !running)) {
      clearInterval(watch)
      watch = undefined
    }
  }

  /** Its threads let go of it; a turn under way ends at its next look. */
  function forget(query: Query): void {
    for (const slot of slots) {
      const { thread, running } = slot
      if (running === query) Atomics.store(thread.shared, sharedAt.cancelled, query.number)
      if (thread.known.delete(query.number)) post(thread, { kind: 'forget', query: query.number })
    }
  }

  function admit({ client, lane }: PooledFind): void {
    if (isClosed) throw new EventError('EVT_CLOSING')
    if (lane === 'reserved') return
    if (open.size >= maxOpen.all || (openOf.get(client) ?? 0) >= maxOpen.client)
      throw new EventError('EVT_QUERY_BUSY', 'Too many queries are open')
  }

  async function* find(command: Command, options: PooledFind): AsyncGenerator<StoredEvent[]> {
    admit(options)
    const { client, signal } = options
    const query = new OpenQuery<Command, Rest>(++lastQuery, command, options)
    const gone = () => {
      settle(query, new EventError('EVT_CLIENT_GONE'))
      leave()
    }
    const leave = () => {
      if (!open.delete(query.number)) return
      if (query.state === 'waiting') waiting[query.lane]--
      query.end()
      signal?.removeEventListener('abort', gone)
      const left = (openOf.get(client) ?? 1) - 1
      if (left > 0) openOf.set(client, left)
      else openOf.delete(client)
      budgetOf(query).releaseAll(query)
      forget(query)
      pump()
    }
    open.set(query.number, query)
    openOf.set(client, (openOf.get(client) ?? 0) + 1)
    signal?.addEventListener('abort', gone, { once: true })
    watch ??= setInterval(look, watchIntervalMs).unref()
    try {
      if (signal?.aborted) throw new EventError('EVT_CLIENT_GONE')
      queue(query)
      for (;;) {
        const chunk = query.arrived.shift()
        if (chunk) {
          const events = unpackEvents(chunk)
          queue(query)
          yield events
          budgetOf(query).release(query, chunk.text.length)
          queue(query)
          pump()
        } else if (query.error) throw query.error
        else if (query.isEnded) return
        else await query.news()
      }
    } finally {
      leave()
    }
  }

  return {
    find,
    async close() {
      isClosed = true
      clearInterval(watch)
      for (const query of open.values()) settle(query, new EventError('EVT_CLOSING'))
      const ending = [...new Set(slots.map(({ thread }) => thread))].map(async (thread) => {
        const worker = thread.worker
        thread.worker = undefined
        await worker?.terminate()
      })
      await Promise.all(ending)
    },
  }
}
