import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../log.ts'
import type { CounterName, Metric } from '../metric.ts'
import { countOf } from '../plural.ts'
import type { EventStore } from '../store/event-store.ts'
import { type CommitFinding, type CommitWatch, createCommitWatch } from './commit-watch.ts'

export interface ConservationTimes {
  /** Between two checks; 45 s if not given: with twice `lateMs` they are below a minute. */
  intervalMs?: number
  /** See CommitWatch; 5 s if not given. */
  lateMs?: number
}

export interface ConservationOptions extends ConservationTimes {
  store: Pick<EventStore, 'kind' | 'following' | 'commitCursor' | 'commitsSince' | 'locate'>
  metric: Metric
  log: Log
  /** Events that were counted as received, and whose outcome is not counted yet. */
  unsettledEvents: () => number
  /** See CommitWatch; 20,000 if not given. */
  maxCommits?: number | undefined
}

/** As /health shows it while it does not hold; counts are those since the start of the process. */
export interface ConservationHealth {
  /** Own commits that were found in the order of commit. */
  checked: number
  lost: number
  /** Of now. */
  late: number
  doubled: number
  unexpected: number
  /** received - (stored + duplicate + rejected + unavailable + those under way). */
  unaccounted: number
}

/**
 * Whether received = stored + duplicate + rejected + unavailable, and whether what was acknowledged as stored is stored once
 * and found by those who follow the commits. What does not hold is told: a line of the log, a counter, /health.
 */
export interface Conservation extends Pick<CommitWatch, 'begin' | 'notePurge'> {
  /** Undefined while it holds. */
  health(): ConservationHealth | undefined
  close(): Promise<void>
}

const outcomes: readonly CounterName[] = [
  'events_stored',
  'events_duplicate',
  'events_rejected',
  'events_unavailable',
]
const kinds = {
  lost: [
    'event was acknowledged as stored and is',
    'events were acknowledged as stored and are',
    'not in the store',
  ],
  late: [
    'event is',
    'events are',
    'stored and not in the order of commit: tail, fan-out and reports miss what is not',
  ],
  doubled: ['event is', 'events are', 'in the order of commit more than once'],
  unexpected: ['event is', 'events are', 'in the store that this receiver did not write'],
} as const
type Kind = keyof typeof kinds
const shownIds = 10
// A database that hangs must not keep the process.
const closeMs = 1000

export function startConservation(options: ConservationOptions): Conservation {
  const {
    store,
    metric,
    log,
    unsettledEvents,
    intervalMs = 45_000,
    lateMs = 5000,
    maxCommits = 20_000,
  } = options
  const isKept = store.kind !== 'null'
  const watch = createCommitWatch({ store, lateMs, maxCommits })
  const told = { lost: 0, doubled: 0, unexpected: 0 }
  let checked = 0
  let toldUnaccounted = 0

  function unaccounted(): number {
    let rest = metric.total('events_received') - unsettledEvents()
    for (const name of outcomes) rest -= metric.total(name)
    return rest
  }
  metric.gauge('events_unaccounted', unaccounted)
  metric.expect('conservation_violations', [...(isKept ? Object.keys(kinds) : []), 'unaccounted'])
  if (isKept) metric.gauge('events_late', () => watch.lateCount)

  function tell(finding: CommitFinding): void {
    checked += finding.found
    metric.add('commits_checked', finding.found)
    for (const kind of Object.keys(kinds) as Kind[]) {
      const [one, many, what] = kinds[kind]
      const ids = finding[kind]
      if (ids.length === 0) continue
      if (kind !== 'late') told[kind] += ids.length
      metric.add('conservation_violations', ids.length, kind)
      log.error(
        { kind, count: ids.length, event_ids: ids.slice(0, shownIds) },
        `${countOf(ids.length, one, many)} ${what}`,
      )
    }
  }

  /** Between two turns of the event loop no door is between an outcome and its count. */
  function account(): void {
    const rest = unaccounted()
    if (rest !== 0 && rest !== toldUnaccounted) {
      const count = Math.abs(rest - toldUnaccounted)
      metric.add('conservation_violations', count, 'unaccounted')
      log.error(
        { kind: 'unaccounted', count: rest },
        rest > 0
          ? `of ${countOf(rest, 'event that was', 'events that were')} received no outcome was counted`
          : `${countOf(-rest, 'more outcome was', 'more outcomes were')} counted than events received`,
      )
    }
    toldUnaccounted = rest
  }

  async function check(): Promise<void> {
    account()
    // A store that is away is told of by others; the next check goes on from there.
    if (isKept) await watch.look().then(tell, () => {})
  }

  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  let running = check().finally(schedule)
  function schedule(): void {
    if (isClosed) return
    timer = setTimeout(() => {
      running = check().finally(schedule)
    }, intervalMs)
    timer.unref()
  }

  return {
    begin: watch.begin,
    notePurge: watch.notePurge,
    health() {
      const late = watch.lateCount
      const rest = unaccounted()
      const holds = rest === 0 && late === 0 && told.lost + told.doubled + told.unexpected === 0
      return holds ? undefined : { checked, ...told, late, unaccounted: rest }
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      await Promise.race([running, sleep(closeMs, undefined, { ref: false })])
    },
  }
}
