import type { Db } from 'mongodb'
import { createThrottle, type Log } from '../../log.ts'
import type { Closer } from './closer.ts'
import { commitsName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { expireEntries } from './expire.ts'
import type { EntryDocument, Journal } from './journal.ts'
import { repair } from './protocol.ts'

export interface RepairerOptions {
  db: Db
  collectionName: string
  journal: Journal
  closer: Pick<Closer, 'hasClosed'>
  /** So long an entry that somebody else began is left to him, by our own clock from when we saw it. */
  leaseMs: number
  journalDays: number
  /** Throws while the database is away. */
  assertUp: () => void
  log: Log
}

/** Looks after entries that nobody closes, and lets the oldest expire. */
export interface Repairer {
  /** Our own write of this entry failed: its events may be stored, now or soon. */
  doubt(entry: string): void
  close(): Promise<void>
}

interface Watched {
  nextMs: number
  waitMs: number
  /** Looked at before its time, once. */
  isHurried?: boolean
}

const roundMs = 1000
const doubtMs = 250
const longestWaitMs = 300_000
const maxListed = 10_000
const expireIntervalMs = 3_600_000

export function startRepairer(options: RepairerOptions): Repairer {
  const { db, collectionName, journal, closer, leaseMs, journalDays, assertUp, log } = options
  const entries = db.collection<EntryDocument>(commitsName(collectionName))
  const throttle = createThrottle()
  let watched = new Map<string, Watched>()
  let running: Promise<void> | undefined
  let expiredMs = performance.now() - expireIntervalMs / 2
  let isClosed = false

  async function round(): Promise<void> {
    assertUp()
    const beganMs = performance.now()
    const found = await entries
      .find({ open: true }, { projection: { _id: 1 }, ...callLimit() })
      .limit(maxListed)
      .toArray()
    const nowMs = performance.now()
    const fresh = (): Watched => ({ nextMs: nowMs + leaseMs, waitMs: leaseMs })
    // Ours in doubt stay, for their entry may come late.
    const doubts = [...watched].filter(([, { waitMs }]) => waitMs < leaseMs)
    watched = new Map([...doubts, ...found.map(({ _id }) => [_id, watched.get(_id) ?? fresh()] as const)])
    for (const [id, state] of watched) {
      if (isClosed) return
      // That we numbered it and it has no number is a crash of the database, and nobody else is at it.
      if (!state.isHurried && closer.hasClosed(id, beganMs)) {
        state.isHurried = true
        state.nextMs = nowMs
      }
      if (state.nextMs > nowMs) continue
      await journal.run(repair(id))
      state.waitMs = Math.min(state.waitMs * 2, longestWaitMs)
      state.nextMs = performance.now() + state.waitMs
    }
    if (performance.now() - expiredMs < expireIntervalMs) return
    expiredMs = performance.now()
    await expireEntries({ db, collectionName, clock: journal.clock, journalDays })
  }

  function start(): void {
    running ??= round()
      .catch((error) =>
        throttle('repair', (suppressed) =>
          log.warn(
            { reason: (error as Error).message, suppressed },
            'the order of commits waits for the store',
          ),
        ),
      )
      .finally(() => {
        running = undefined
      })
  }

  const timer = setInterval(start, Math.min(roundMs, leaseMs))
  timer.unref()
  return {
    doubt(entry) {
      watched.set(entry, { nextMs: performance.now() + doubtMs, waitMs: Math.min(doubtMs, leaseMs / 2) })
    },
    async close() {
      isClosed = true
      clearInterval(timer)
      await running
    },
  }
}
