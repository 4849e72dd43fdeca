import type { JournalEntry, Numbering, Step, StoreReply } from '../../receiver/src/store/mongo/protocol.ts'

/** The connection was lost: the command may have been executed, or not, or will be. */
export class LostReply extends Error {}

interface State {
  entries: Map<string, JournalEntry>
  /** Event → entry with which it is stored. */
  events: Map<string, string>
}

type Put = ['entries', string, JournalEntry | undefined] | ['events', string, string | undefined]

/**
 * A database with one log: a crash (or a failover, which is the same to its clients) cuts off an end of the log that was not
 * durable. `incarnation` counts the crashes; what was sent to an earlier one is lost.
 */
export class ModelDatabase {
  readonly #durable: State = { entries: new Map(), events: new Map() }
  #now: State = { entries: new Map(), events: new Map() }
  #log: Put[] = []
  incarnation = 0

  get now(): State {
    return this.#now
  }

  flush(): void {
    for (const put of this.#log) apply(this.#durable, put)
    this.#log = []
  }

  /** Keeps so much of what is not durable. Gives the events that are lost, as `ID of ENTRY`. */
  crash(share: number): string[] {
    const kept = Math.floor(share * (this.#log.length + 1))
    for (const put of this.#log.slice(0, kept)) apply(this.#durable, put)
    const lost = this.#log
      .slice(kept)
      .flatMap(([name, id, value]) => (name === 'events' && value !== undefined ? [`${id} of ${value}`] : []))
    this.#log = []
    this.#now = { entries: new Map(this.#durable.entries), events: new Map(this.#durable.events) }
    this.incarnation++
    return lost
  }

  #put(put: Put): void {
    apply(this.#now, put)
    this.#log.push(put)
  }

  purge(id: string): void {
    if (this.#now.events.has(id)) this.#put(['events', id, undefined])
  }

  /** `isMajority`: what is told durable is read as of the last flush, else it is flushed before the reply. */
  execute(step: Step, isMajority: boolean): unknown {
    const { entries } = this.#now
    const seen = isMajority ? this.#durable : this.#now
    switch (step.do) {
      case 'begin':
        if (!entries.has(step.entry.id))
          this.#put(['entries', step.entry.id, { ...step.entry, isPending: true }])
        return undefined
      case 'store': {
        const outcomes = step.entry.ids.map((id) => {
          if (this.#now.events.has(id)) return 'duplicate' as const
          this.#put(['events', id, step.entry.id])
          return 'stored' as const
        })
        return { outcomes, isRetried: false } satisfies StoreReply
      }
      case 'owned':
        return new Set(step.ids.filter((id) => seen.events.get(id) === step.entry))
      case 'last':
        return Math.max(0, ...[...entries.values()].map(({ n = 0 }) => n))
      case 'number':
        return step.changes.every((change) => this.#number(change))
      case 'entries':
        return step.ids.flatMap((id) => seen.entries.get(id) ?? [])
      case 'drop':
        for (const id of step.ids) {
          if (entries.get(id)?.n === undefined) this.#put(['entries', id, undefined])
        }
        return undefined
      case 'shrink': {
        const entry = entries.get(step.id)
        if (entry && (entry.parts ?? 0) === step.parts) {
          const { missing } = step
          this.#put([
            'entries',
            step.id,
            { ...entry, parts: step.parts + 1, missing, isPending: missing.length > 0 },
          ])
        }
        return undefined
      }
      case 'look':
        return undefined
      case 'read':
        return [...seen.entries.values()]
          .filter(({ n }) => n !== undefined && n >= step.from)
          .sort((a, b) => a.n! - b.n!)
          .slice(0, step.limit)
      case 'first':
        return 1
      case 'fill':
        if (![...entries.values()].some(({ n }) => n === step.n)) {
          const id = `filler ${step.n}`
          this.#put(['entries', id, { id, ids: [], n: step.n, isPending: false }])
        }
        return undefined
    }
  }

  #number({ id, n, out, missing, entry }: Numbering): boolean {
    const { entries } = this.#now
    const found = entries.get(id) ?? (entry && { ...entry, isPending: true })
    if (!found || found.n !== undefined || [...entries.values()].some((one) => one.n === n)) return false
    this.#put(['entries', id, { ...found, n, out, missing, isPending: missing.length > 0 }])
    return true
  }
}

function apply(state: State, [name, id, value]: Put): void {
  const map = state[name] as Map<string, unknown>
  if (value === undefined) map.delete(id)
  else map.set(id, value)
}

export const durableSteps: ReadonlySet<Step['do']> = new Set([
  'begin',
  'store',
  'owned',
  'number',
  'entries',
  'read',
  'fill',
])
