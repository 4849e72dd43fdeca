import { diag } from './diagnostic.ts'

/** Why an event did not reach the receiver. */
export const dropReasons = [
  'queue_full',
  'too_large',
  'refused',
  'expired',
  'corrupt',
  'taken_over',
  'closed',
  'disabled',
  'failed',
] as const
export type DropReason = (typeof dropReasons)[number]

/**
 * What became of the events. Nothing is missing from the sum:
 * emitted + recovered = waiting + exported + rejected + dropped + left.
 */
export interface Stats {
  /** Calls that made an event. */
  emitted: number
  /** Found in the spool, left behind by an earlier process (or client) of the same name. */
  recovered: number
  /** In the spool or the queue, or in a request that has no answer yet. */
  waiting: number
  /**
   * How many of these are in memory only, and would go with the process: all with `spool: false`, else those that came
   * while the spool could not be written.
   */
  readonly inMemory: number
  /** Accepted by the endpoint: a receiver has stored them, a Collector has queued them. */
  exported: number
  /** Refused one by one by the receiver, in the partial success of an otherwise good answer. */
  rejected: number
  /** Never to be sent; the sum of `droppedBy`. */
  dropped: number
  droppedBy: { [reason in DropReason]: number }
  /** In the spool when the client was closed: the next process of this name sends them. */
  left: number
  /** Segments of the spool in which something could not be read: set aside, after what could be read was sent. */
  damaged: number
  /** Values that no event can hold as they were (a function, a cycle, an id that is no ULID, …): left out or replaced. */
  altered: number
}

/** Counts what happens to events, and tells each kind of trouble once through OpenTelemetry's diag. */
export interface Tally {
  readonly stats: Stats
  /** Who knows what is in memory only. */
  watchMemory(count: () => number): void
  drop(reason: DropReason, count: number, why: string): void
  alter(why: string): void
  damage(text: string): void
  /** Warns unless `topic` was told since it was last cleared. */
  tell(topic: string, message: string): void
  /** Always. */
  say(message: string): void
  /** The trouble is over: says so, if it had been told, and may be told again. */
  clear(topic: string, message?: string): void
}

/** Why the last events that were lost were lost, by id. */
export interface Losses {
  note(id: string, why: string): void
  get(id: string): string | undefined
}

const maxLosses = 10_000

export function createLosses(): Losses {
  const reasons = new Map<string, string>()
  return {
    note(id, why) {
      if (reasons.size >= maxLosses) reasons.delete(reasons.keys().next().value!)
      reasons.set(id, why)
    },
    get: (id) => reasons.get(id),
  }
}

const maxTold = 200

/** `label` tells warnings of several apart. */
export function createTally(label = ''): Tally {
  const warn = (message: string) => diag.warn('madsci-events', message)
  const told = new Set<string>()
  const prefix = label === '' ? '' : `${label}: `
  const droppedBy = Object.fromEntries(dropReasons.map((reason) => [reason, 0])) as Stats['droppedBy']
  let countMemory = () => 0
  const stats: Stats = {
    emitted: 0,
    recovered: 0,
    waiting: 0,
    get inMemory() {
      return countMemory()
    },
    exported: 0,
    rejected: 0,
    dropped: 0,
    droppedBy,
    left: 0,
    damaged: 0,
    altered: 0,
  }
  const tell = (topic: string, message: string) => {
    if (told.has(topic)) return
    told.add(topic)
    warn(prefix + message)
  }
  return {
    stats,
    watchMemory(count) {
      countMemory = count
    },
    drop(reason, count, why) {
      stats.dropped += count
      droppedBy[reason] += count
      // Switched off is what the operator asked for: counted, not complained of.
      if (reason !== 'disabled') tell(`drop ${reason}`, `events are being dropped: ${why}`)
    },
    damage(text) {
      stats.damaged++
      tell('damage', `${text} (told once, counted in stats.damaged)`)
    },
    alter(why) {
      stats.altered++
      // Reasons may quote what was given: there is no end to them.
      if (told.size < maxTold)
        tell(`alter ${why}`, `an event was altered: ${why} (told once, counted in stats.altered)`)
    },
    tell,
    say: (message) => warn(prefix + message),
    clear(topic, message) {
      if (told.delete(topic) && message) warn(prefix + message)
    },
  }
}
