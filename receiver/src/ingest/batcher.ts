import type { NewEvent } from '../document/event-document.ts'
import type { WriteOutcome } from '../store/event-store.ts'
import type { Ranges } from '../store/range.ts'
import { type Attributes, type Span, spanOfNow } from '../trace.ts'

export interface BatcherOptions {
  /**
   * `rest`: positions of events that came by REST. The batcher lets the events go as soon as this returns: who needs
   * them longer keeps them.
   */
  write: (events: readonly NewEvent[], rest: Ranges) => Promise<WriteOutcome[]>
  /** Writes under way at once. */
  concurrency: number
  /** Events of one write at most; a larger call is written in parts, between which others are. */
  maxEvents: number
  /** Of the store, for the spans of commits. */
  database?: Attributes
}

export interface Batcher {
  /** Outcomes in the order of the events. */
  add(events: readonly NewEvent[], isRest?: boolean): Promise<WriteOutcome[]>
  /** Settles when nothing is waiting or being written. */
  drain(): Promise<void>
  readonly waitingEvents: number
  readonly runningWrites: number
}

interface Call {
  /** None once they are being written. */
  events: readonly NewEvent[]
  size: number
  isRest: boolean
  /** Of its request, which waits and is written as steps of it. */
  span: Span | undefined
  addedMs: number
  resolve: (outcomes: WriteOutcome[]) => void
  reject: (error: unknown) => void
}

// A commit costs as much for one event as for fifty: fewer events wait for the commit that runs, and then go together.
const besideEvents = 50
// So many are worth a commit at once: company would save little, and they would only lie in memory, of which V8 copies
// what is in use twice.
const wholeEvents = 500
const none: readonly NewEvent[] = []
// Where a commit takes long, a small one waits for company, as with PostgreSQL's commit_delay.
const slowCommitMs = 1.25
const gatherMs = 1

/**
 * Group commit: calls that arrive while a write is running share the next write.
 *
 *     add a ─┐ write 1 [a]      ─▶ a settles
 *     add b ─┼┐
 *     add c ─┘└ write 2 [b c]   ─▶ b and c settle
 *
 * Promises (each has a test of the same name):
 *  1. A call settles only after its events are committed or refused.
 *  2. A bad event fails its own call, never a neighbour's.
 *  3. Calls are written in the order in which they came.
 *  4. A write that throws fails the calls in it and no other; the next write runs.
 *  5. A call of more than `maxEvents` is written in parts, in order; small calls wait for a part and not for the whole.
 */
export function createBatcher(options: BatcherOptions): Batcher {
  let waiting: Call[] = []
  let running = 0
  let idle: (() => void)[] = []

  // Who has just been answered will soon send again: so many calls are expected until that time.
  let expectedCalls = 0
  let expectedUntilMs = 0
  let gathering: NodeJS.Timeout | undefined

  function start(): void {
    clearTimeout(gathering)
    while (waiting.length > 0 && mayStart()) {
      const calls = takeCalls()
      const startedMs = performance.now()
      running++
      void writeCalls(calls).finally(() => {
        running--
        const nowMs = performance.now()
        expectedCalls = calls.length + waiting.length
        expectedUntilMs = nowMs - startedMs > slowCommitMs ? nowMs + gatherMs : 0
        start()
      })
    }
    if (running === 0 && waiting.length > 0) {
      gathering = setTimeout(start, Math.max(0, expectedUntilMs - performance.now()))
    } else if (running === 0) {
      for (const resolve of idle) resolve()
      idle = []
    }
  }

  function mayStart(): boolean {
    if (isWorthIt()) return running < options.concurrency
    if (running > 0) return false
    return waiting.length >= expectedCalls || performance.now() >= expectedUntilMs
  }

  function isWorthIt(): boolean {
    const enough = Math.min(besideEvents, options.maxEvents)
    let count = 0
    for (const { size } of waiting) {
      count += size
      if (count >= enough) return true
    }
    return false
  }

  function takeCalls(): Call[] {
    let count = 0
    let end = 0
    while (end < waiting.length) {
      const { size } = waiting[end]!
      if (end > 0 && count + size > options.maxEvents) break
      count += size
      end++
    }
    const calls = waiting.slice(0, end)
    waiting = waiting.slice(end)
    return calls
  }

  function writeCalls(calls: Call[]): Promise<void> {
    const rest = restOf(calls)
    const events = calls.length === 1 ? calls[0]!.events : calls.flatMap((call) => call.events)
    const startedMs = performance.now()
    for (const call of calls) {
      call.events = none
      call.span?.step('wait', call.addedMs, { endMs: startedMs })
    }
    const writing = startWrite(events, rest)
    return settle(
      calls,
      calls.some(({ span }) => span) ? told(writing, calls, startedMs, events.length) : writing,
    )
  }

  async function told(
    writing: Promise<WriteOutcome[]>,
    calls: readonly Call[],
    startedMs: number,
    count: number,
  ): Promise<WriteOutcome[]> {
    const attributes = {
      ...options.database,
      'db.operation.name': 'insert',
      'db.operation.batch.size': count,
    }
    const tell = (error?: unknown) => {
      for (const { span } of calls)
        span?.step('commit', startedMs, { attributes, ...(error !== undefined && { error }) })
    }
    try {
      const outcomes = await writing
      tell()
      return outcomes
    } catch (error) {
      tell(error)
      throw error
    }
  }

  function startWrite(events: readonly NewEvent[], rest: Ranges): Promise<WriteOutcome[]> {
    try {
      return options.write(events, rest)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async function settle(calls: Call[], writing: Promise<WriteOutcome[]>): Promise<void> {
    try {
      const outcomes = await writing
      let offset = 0
      for (const call of calls) {
        call.resolve(calls.length === 1 ? outcomes : outcomes.slice(offset, offset + call.size))
        offset += call.size
      }
    } catch (error) {
      for (const call of calls) call.reject(error)
    }
  }

  // Calls of one turn of the event loop go together: without this the first of ten would be written alone. As long as
  // each turn brings some of those that are expected, the next one is waited for as well.
  let scheduled = false
  function schedule(seen = 0): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      const isComing = waiting.length > seen && waiting.length < expectedCalls && running === 0
      if (isComing && !isWorthIt()) schedule(waiting.length)
      else start()
    })
  }

  function addOne(events: readonly NewEvent[], isRest: boolean): Promise<WriteOutcome[]> {
    return new Promise((resolve, reject) => {
      const span = spanOfNow()
      const addedMs = span ? performance.now() : 0
      waiting.push({ events, size: events.length, isRest, span, addedMs, resolve, reject })
      if (events.length >= wholeEvents && running < options.concurrency) start()
      else schedule()
    })
  }

  /** So many parts are under way as writes may be: the rest is not in the line, and others get their turn between. */
  async function addInParts(events: readonly NewEvent[], isRest: boolean): Promise<WriteOutcome[]> {
    const { maxEvents, concurrency } = options
    const outcomes: WriteOutcome[] = []
    const writing: Promise<WriteOutcome[]>[] = []
    const settleNext = async () => {
      for (const outcome of await writing.shift()!) outcomes.push(outcome)
    }
    try {
      for (let at = 0; at < events.length; at += maxEvents) {
        const part = addOne(events.slice(at, at + maxEvents), isRest)
        // It may fail ahead of an earlier one, which is awaited first.
        part.catch(() => {})
        writing.push(part)
        if (writing.length >= concurrency) await settleNext()
      }
      while (writing.length > 0) await settleNext()
      return outcomes
    } finally {
      // Parts that are still under way may fail too; the first failure is the answer.
      await Promise.allSettled(writing)
    }
  }

  return {
    add(events, isRest = false) {
      if (events.length === 0) return Promise.resolve([])
      return events.length > options.maxEvents ? addInParts(events, isRest) : addOne(events, isRest)
    },
    drain() {
      if (running === 0 && waiting.length === 0) return Promise.resolve()
      return new Promise((resolve) => {
        idle.push(resolve)
        schedule()
      })
    },
    get waitingEvents() {
      let count = 0
      for (const { size } of waiting) count += size
      return count
    },
    get runningWrites() {
      return running
    },
  }
}

/** Places of the events of the calls that came by REST, when these are written together. */
function restOf(calls: readonly Call[]): number[] {
  const ranges: number[] = []
  let place = 0
  for (const { size, isRest } of calls) {
    const end = place + size
    if (isRest && ranges.at(-1) === place) ranges[ranges.length - 1] = end
    else if (isRest) ranges.push(place, end)
    place = end
  }
  return ranges
}
