import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { EventError } from '@madsci-events/sdk/event'
import type { EventStore, WriteOutcome } from '../store/event-store.ts'

export interface CommitWatchOptions {
  store: Pick<EventStore, 'following' | 'commitCursor' | 'commitsSince' | 'locate'>
  /**
   * Commits that are not in the order of commit so long after their acknowledgement, and so long after they were first
   * missed, are late: a database that was away has that time to bring them in.
   */
  lateMs: number
  /** Of one look: of more commits between two looks, only so many are looked for. */
  maxCommits: number
  now?: () => number
}

/** What one look found. */
export interface CommitFinding {
  /** Own commits that were found in the order of commit, once. */
  found: number
  /** Acknowledged as stored, and not in the store. */
  lost: string[]
  /** Stored, but not in the order of commit, where tail and fan-out would find them. */
  late: string[]
  /** In the order of commit more than once. */
  doubled: string[]
  /** In the order of commit of a store that nobody shares, and of no write of this process. */
  unexpected: string[]
}

/**
 * Looks for the own commits in the store's order of commit, which its followers read. It reads each commit once:
 *
 *     write begins ─▶ stored: awaited ──────────────▶ read: found       read again: doubled
 *                        │   read first: early ─▶ stored: found          early for long: unexpected
 *                        └── not read for `lateMs` ─▶ the store has it: late; it has not: lost
 *
 * What is deleted on purpose is not lost: after a purge a look judges nothing. Memory and reading are bounded by
 * `maxCommits`; beyond it the watch begins anew behind the newest commit, and no write is noted until then.
 */
export interface CommitWatch {
  /** Ask before a write, while its events are at hand; call what it returns with the outcomes, or without any after a failure. */
  begin(events: readonly { event_id: string }[]): ((outcomes?: readonly WriteOutcome[]) => void) | undefined
  /** Events were deleted on purpose. */
  notePurge(): void
  /** Throws EVT_STORE_UNAVAILABLE; the next look then goes on from there. */
  look(): Promise<CommitFinding>
  /** Of those that were late, so many are not in the order yet. */
  readonly lateCount: number
}

// In one turn of the event loop.
const pageCommits = 500

export function createCommitWatch(options: CommitWatchOptions): CommitWatch {
  const { store, lateMs, maxCommits, now = Date.now } = options
  let cursor: string | undefined
  /** Writes that began in another one are not noted. */
  let generation = 0
  let isFull = false
  let isPurged = false
  /** Of looks: until then a commit without an acknowledgement may be that of a failed write. */
  let failedLooks = 0
  const awaited = new Map<string, number>()
  const late = new Set<string>()
  let seen = createRecent()
  let early = createRecent()
  let underWay = 0
  /** Since the last look. */
  let found = 0

  async function restart(): Promise<void> {
    generation++
    cursor = undefined
    underWay = 0
    awaited.clear()
    late.clear()
    seen = createRecent()
    early = createRecent()
    const from = await store.commitCursor()
    generation++
    isFull = false
    isPurged = false
    cursor = from
  }

  function end(ids: readonly string[], outcomes: readonly WriteOutcome[] | undefined): void {
    underWay -= ids.length
    if (!outcomes) failedLooks = 3
    else for (const [index, id] of ids.entries()) if (outcomes[index] === 'stored') acknowledge(id)
  }

  function acknowledge(id: string): void {
    if (early.delete(id)) take(id)
    else awaited.set(id, now())
  }

  function take(id: string): void {
    seen.add(id)
    found++
  }

  function read(id: string, finding: CommitFinding): void {
    if (seen.has(id)) finding.doubled.push(id)
    else if (awaited.delete(id)) {
      late.delete(id)
      take(id)
    } else if (early.has(id)) finding.doubled.push(id)
    else early.add(id)
  }

  /** Whether the newest commit was read. */
  async function readOrder(finding: CommitFinding): Promise<boolean> {
    for (let count = 0; count < maxCommits; ) {
      const page = await store.commitsSince(cursor!, pageCommits)
      cursor = page.cursor
      for (const id of page.ids) read(id, finding)
      count += page.ids.length
      if (page.ids.length === 0) return true
      await setImmediate()
    }
    return false
  }

  /** Those that were acknowledged before that time and not read. */
  const missingSince = (beforeMs: number): string[] =>
    [...awaited].filter(([, atMs]) => atMs < beforeMs).map(([id]) => id)

  async function judge(missing: readonly string[], isWhole: boolean, finding: CommitFinding): Promise<void> {
    for (let at = 0; at < missing.length; at += pageCommits) {
      const ids = missing.slice(at, at + pageCommits)
      const places = await store.locate(ids)
      for (const id of ids) {
        if (!awaited.has(id)) continue
        if (!places.has(id)) {
          awaited.delete(id)
          late.delete(id)
          finding.lost.push(id)
        } else if (isWhole && !late.has(id)) {
          late.add(id)
          finding.late.push(id)
        }
      }
      await setImmediate()
    }
  }

  return {
    begin(events) {
      if (cursor === undefined || isFull) return undefined
      if (awaited.size + underWay + events.length > maxCommits) {
        isFull = true
        return undefined
      }
      // Copies: a text that was cut out of a body would keep the whole body.
      const ids = events.map(({ event_id }) => Buffer.from(event_id).toString())
      const own = generation
      underWay += ids.length
      return (outcomes) => {
        if (own === generation) end(ids, outcomes)
      }
    },
    notePurge() {
      isPurged = true
    },
    async look() {
      const finding: CommitFinding = { found: 0, lost: [], late: [], doubled: [], unexpected: [] }
      if (cursor === undefined) {
        await restart()
        return finding
      }
      const wasFull = isFull
      const beforeMs = now() - lateMs
      let isWhole = false
      try {
        isWhole = await readOrder(finding)
        if (isWhole && missingSince(beforeMs).some((id) => !late.has(id))) {
          await sleep(lateMs, undefined, { ref: false })
          isWhole = await readOrder(finding)
        }
      } catch (error) {
        // The newest commits are gone, the last that was read among them.
        if (!(error instanceof EventError && error.code === 'EVT_INVALID')) throw error
        isWhole = true
        isFull = true
      }
      if (!isPurged) await judge(missingSince(beforeMs), isWhole, finding)
      const strangers = early.turn()
      seen.turn()
      if (!isWhole || isFull || isPurged) {
        if (isPurged) finding.doubled = []
        await restart()
      } else if (!store.following.isShared && failedLooks === 0 && !wasFull) finding.unexpected = strangers
      if (failedLooks > 0) failedLooks--
      finding.found = found
      found = 0
      return finding
    },
    get lateCount() {
      return late.size
    },
  }
}

/** Ids of this look and the one before. */
function createRecent() {
  let young = new Set<string>()
  let old = new Set<string>()
  return {
    has: (id: string) => young.has(id) || old.has(id),
    add: (id: string) => void young.add(id),
    delete: (id: string) => young.delete(id) || old.delete(id),
    /** Forgets and gives those that were there at the last turn. */
    turn(): string[] {
      const gone = [...old]
      old = young
      young = new Set()
      return gone
    },
  }
}
