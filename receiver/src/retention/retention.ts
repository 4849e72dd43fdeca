import { setTimeout as sleep } from 'node:timers/promises'
import { microsToTimestamp } from '@madsci-events/sdk/event'
import type { Log } from '../log.ts'
import type { EventMatch, EventStore } from '../store/event-store.ts'

/** Events that match rest shorter or longer than the others; the first rule that matches counts. */
export interface RetentionRule extends EventMatch {
  softDeleteAfterDays: number
}

export interface RetentionOptions {
  store: EventStore
  log: Log
  softDeleteAfterDays: number
  hardDeleteAfterDays: number
  checkIntervalHours: number
  /** Events of one commit at most. */
  batchSize: number
  /** Commits of one run at most; 0 = no limit. What is left waits for the next run. */
  maxBatchesPerRun: number
  rules: readonly RetentionRule[]
  /** A failed run ends the schedule. */
  failOnError: boolean
  now?: () => number
}

/** What a run did. */
export interface RetentionRun {
  archived: number
  purged: number
  /** False when `maxBatchesPerRun` left something. */
  isDone: boolean
}

export interface Retention {
  /** One run, after those that are under way. Throws what the store throws. */
  run(): Promise<RetentionRun>
  /** Ends the schedule; settles when no run is under way. */
  close(): Promise<void>
}

const dayMs = 86_400_000
// As the original: others get their turn between two commits.
const pauseMs = 100

/**
 * Archives what is older than `softDeleteAfterDays` (by event_timestamp, naive = UTC), deletes what was archived more than
 * `hardDeleteAfterDays` ago: at start, and at every interval. Several receivers may do so at once: each event changes once.
 */
export function startRetention(options: RetentionOptions): Retention {
  const { store, log, batchSize, maxBatchesPerRun, rules, failOnError, now = Date.now } = options
  const closing = new AbortController()
  const { signal } = closing

  let last: Promise<unknown> = Promise.resolve()
  function run(): Promise<RetentionRun> {
    const next = last.then(runOnce)
    last = next.catch(() => {})
    return next
  }

  async function runOnce(): Promise<RetentionRun> {
    const result: RetentionRun = { archived: 0, purged: 0, isDone: true }
    let batches = 0
    const spend = async (counts: AsyncIterable<number>, name: 'archived' | 'purged') => {
      for await (const count of counts) {
        result[name] += count
        if (count > 0) batches++
        if (signal.aborted) return
        if (maxBatchesPerRun > 0 && batches >= maxBatchesPerRun) {
          result.isDone = false
          return
        }
        if (count > 0) await sleep(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
    const before = (days: number) => microsToTimestamp((now() - days * dayMs) * 1000)
    const steps: { days: number; match: EventMatch; except: readonly EventMatch[] }[] = [
      ...rules.map((rule, index) => ({
        days: rule.softDeleteAfterDays,
        match: rule,
        except: rules.slice(0, index),
      })),
      { days: options.softDeleteAfterDays, match: {}, except: rules },
    ]
    for (const { days, match, except } of steps) {
      if (!result.isDone || signal.aborted) break
      await spend(store.archive({ before: before(days), match, except }, { batchSize }), 'archived')
    }
    if (result.isDone && !signal.aborted)
      await spend(store.purge(now() - options.hardDeleteAfterDays * dayMs, { batchSize }), 'purged')
    return result
  }

  async function keepRunning(): Promise<void> {
    while (!signal.aborted) {
      try {
        const result = await run()
        if (result.archived + result.purged > 0) log.info(result, 'old events were archived or deleted')
      } catch (error) {
        log.error({ reason: (error as Error).message }, 'a run of the retention failed')
        if (failOnError) return
      }
      await sleep(options.checkIntervalHours * 3_600_000, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  const running = keepRunning()
  return {
    run,
    async close() {
      closing.abort()
      await running
    },
  }
}
