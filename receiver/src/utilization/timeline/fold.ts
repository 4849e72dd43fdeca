import { takeSignal } from './engine.ts'
import { createHearing, type Hearing } from './hearing.ts'
import { createHistory, type History } from './history.ts'
import { createIdentity } from './identity.ts'
import { type TimelineEvent, toSignal } from './reader.ts'
import { compareSignals, type Place, type Signal } from './signal.ts'

export interface TimelineFold {
  /** Takes an event, in any order of time. */
  add(event: TimelineEvent): void
  /**
   * Applies what was taken. 'beyond' when an event came later than anything that is remembered can correct: then
   * everything has to come again, after `reset({ keepsAll: true })`.
   */
  settle(): 'settled' | 'beyond'
  /** Forgets everything. With `keepsAll` nothing is applied before `settle`, whatever memory that takes. */
  reset(options?: { keepsAll?: boolean }): void
  /** Valid after `settle`, until the next `add`. */
  readonly history: History
  /** When anything was heard of whom. */
  readonly hearing: Hearing
  /** Time of the first and of the last event of all, whatever it speaks of. */
  readonly bounds: { first: number; last: number } | undefined
  /** Events whose time could not be read: how many, and the first of them. */
  readonly unread: { count: number; eventIds: string[] }
}

export interface TimelineFoldOptions {
  /** Signals that are held back while events stream in, so that small disorder costs nothing. */
  heldSignals?: number
  /** Applied signals that are remembered: a late event among them is corrected without reading anything again. */
  rememberedSignals?: number
  epochSignals?: number
}

/**
 * The engine over a growing history, in memory by the number of intervals:
 *
 *     remembered, applied            held back        ◀ events, in the order of their commit
 *     ├───────────────────────────┤├──────────────┤
 *                  ▲ late: the history goes back to here, and takes the remembered and the late ones again
 *
 * Whatever the order in which the same events come, the result is the same.
 */
export function createTimelineFold({
  heldSignals = 16_384,
  rememberedSignals = 65_536,
  epochSignals = 1000,
}: TimelineFoldOptions = {}): TimelineFold {
  let history = createHistory({ epochSignals })
  let identity = createIdentity()
  let hearing = createHearing()
  // What was learned since changes the meaning of signals from here on.
  let changedFrom: number | undefined
  let held: Signal[] = []
  let remembered: Signal[] = []
  // The last signal that is applied and not remembered any more.
  let forgotten: Place | undefined
  let keepsAll = false
  let isBeyond = false
  let unread = { count: 0, eventIds: [] as string[] }
  let bounds: { first: number; last: number } | undefined
  const interned = new Map<string, string>()

  /** Applies the first `count` of the held signals. */
  function apply(count: number): void {
    held.sort(compareSignals)
    const due = held.slice(0, count)
    held = held.slice(count)
    let first: Place | undefined = due[0]
    if (changedFrom !== undefined && !(first && first.at < changedFrom)) first = { at: changedFrom, id: '' }
    changedFrom = undefined
    if (first === undefined) return
    let late: Signal[] = []
    if (history.place && compareSignals(first, history.place) <= 0) {
      const back = history.rollback(first)
      if (forgotten && (back === undefined || compareSignals(back, forgotten) < 0)) {
        isBeyond = true
        return
      }
      const from = back === undefined ? 0 : upperBound(remembered, back)
      late = remembered.splice(from)
    }
    for (const signal of merge(late, due)) {
      takeSignal(history, identity.resolve(signal))
      remembered.push(signal)
    }
    if (remembered.length <= rememberedSignals * 2) return
    forgotten = remembered[remembered.length - rememberedSignals - 1]
    remembered = remembered.slice(-rememberedSignals)
  }

  /** Names of things come with every event: one text for each is enough. */
  function intern(text: string): string {
    const known = interned.get(text)
    if (known !== undefined) return known
    if (interned.size >= 10_000) interned.clear()
    // A part of a longer text keeps all of it in memory: here, the whole document.
    const own = Buffer.from(text).toString()
    interned.set(own, own)
    return own
  }

  return {
    get history() {
      return history
    },
    get hearing() {
      return hearing
    },
    get unread() {
      return unread
    },
    get bounds() {
      return bounds
    },
    add(event) {
      if (isBeyond) return
      const { micros } = event
      if (bounds === undefined) {
        if (!Number.isNaN(micros)) bounds = { first: micros, last: micros }
      } else if (micros < bounds.first) bounds.first = micros
      else if (micros > bounds.last) bounds.last = micros
      if (!Number.isNaN(micros))
        for (const key of ['node_id', 'workcell_id', 'lab_id', 'experiment_id'] as const) {
          const id = event.source(key)
          if (id !== undefined) hearing.hear(intern(id), micros)
        }
      const signal = toSignal(event, intern)
      if (signal === undefined) return
      if (Number.isNaN(signal.at)) {
        if (unread.count++ < maxUnreadIds) unread.eventIds.push(signal.id)
        return
      }
      const changed = identity.learn(signal)
      if (changed !== undefined) changedFrom = Math.min(changedFrom ?? changed, changed)
      if (signal.links.experiment_id !== undefined) hearing.hear(signal.links.experiment_id, micros)
      held.push(signal)
      if (!keepsAll && held.length >= heldSignals * 2) apply(held.length - heldSignals)
    },
    settle() {
      if (!isBeyond) apply(held.length)
      keepsAll = false
      return isBeyond ? 'beyond' : 'settled'
    },
    reset(options = {}) {
      history = createHistory({ epochSignals })
      identity = createIdentity()
      hearing = createHearing()
      changedFrom = undefined
      held = []
      remembered = []
      forgotten = undefined
      keepsAll = options.keepsAll ?? false
      isBeyond = false
      unread = { count: 0, eventIds: [] }
      bounds = undefined
    },
  }
}

const maxUnreadIds = 20

/** Index of the first signal behind a place. */
function upperBound(signals: readonly Signal[], place: Place): number {
  let low = 0
  let high = signals.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareSignals(signals[middle]!, place) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Two sorted lists as one; what is in both comes once. */
function merge(a: readonly Signal[], b: readonly Signal[]): Signal[] {
  if (a.length === 0) return [...b]
  const all: Signal[] = []
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const order = i === a.length ? 1 : j === b.length ? -1 : compareSignals(a[i]!, b[j]!)
    if (order <= 0) all.push(a[i]!)
    else all.push(b[j]!)
    if (order <= 0) i++
    if (order >= 0) j++
  }
  return all
}
