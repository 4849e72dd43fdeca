import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { AlertStore, NewDelivery } from '../store/alert-store.ts'
import type { Channel } from './channel.ts'
import type { Notification } from './group.ts'
import { createMachine, type Machine, toInput } from './machine.ts'
import type { RuleSet } from './rule.ts'
import { shiftState } from './shift.ts'
import { type AlertsState, emptyState } from './state.ts'

export interface RunnerOptions {
  store: AlertStore
  ruleSet: RuleSet
  channels: ReadonlyMap<string, Channel>
  holder: string
  leaseMs?: number | undefined
  log: Log
  metric: Metric
  now?: () => number
  /** Never set; by it the clock is seen to be. */
  monotonic?: () => number
}

/** Feeds intents to the rules, and what comes of it to the store. */
export interface Runner {
  /** One step. True when there may be more to do at once. */
  round(): Promise<boolean>
  readonly isLeading: boolean
}

const defaultLeaseMs = 10_000
const intentsOfStep = 200
// Less is the drift of a clock, or the difference between those of two receivers.
const setMs = 1000

/**
 * One receiver at a time runs the rules, by lease. The lease only saves work: a step counts when its commit follows the
 * state that it began with, and of two receivers one fails there and begins anew. So each intent is folded once.
 */
export function createRunner(options: RunnerOptions): Runner {
  const { store, ruleSet, channels, holder, leaseMs = defaultLeaseMs, log, metric, now = Date.now } = options
  const { monotonic = options.now ?? (() => performance.now()) } = options
  const throttle = createThrottle()
  let machine: Machine | undefined
  let version = 0
  let isLeading = false
  let leadUntilMs = 0
  let offsetMs = now() - monotonic()
  let suppressed = 0
  let orphaned = 0

  async function lead(): Promise<boolean> {
    if (isLeading && monotonic() < leadUntilMs) return true
    const askedMs = monotonic()
    // While the store does not answer, another may.
    isLeading = false
    isLeading = await store.lead(holder, leaseMs)
    leadUntilMs = askedMs + leaseMs / 3
    if (!isLeading) machine = undefined
    return isLeading
  }

  async function begin(): Promise<Machine> {
    const loaded = await store.load()
    const state = loaded.state === undefined ? emptyState(now()) : parseState(loaded.state)
    // It comes from a clock that was ahead of ours, perhaps our own before it was set back.
    if (state.nowMs - now() > setMs) shiftState(state, now() - state.nowMs)
    offsetMs = now() - monotonic()
    const begun = createMachine(ruleSet, state)
    begun.add({ resumed: true, atMs: now() })
    version = loaded.version
    suppressed = state.suppressed
    orphaned = state.orphaned
    return begun
  }

  /** While we live we see by how much the clock was set. */
  function followClock({ state }: Machine): void {
    const byMs = Math.round(now() - monotonic() - offsetMs)
    if (Math.abs(byMs) < setMs) return
    offsetMs += byMs
    shiftState(state, byMs)
    log.warn(
      { seconds: Math.round(byMs / 1000) },
      'the clock was set: what alert rules remember moves with it',
    )
  }

  return {
    get isLeading() {
      return isLeading
    },
    async round() {
      if (!(await lead())) return false
      try {
        machine ??= await begin()
        followClock(machine)
        const intents = await store.intents(intentsOfStep)
        for (const intent of intents) {
          // The clock of another receiver may run ahead.
          machine.add({ ...toInput(intent), atMs: Math.min(intent.atMs, now()) })
        }
        machine.advance(now())
        const { notices, alerts, raised } = machine.take()
        if (intents.length === 0 && notices.length === 0 && alerts.length === 0) return false
        const isDone = await store.commit({
          version,
          state: JSON.stringify(machine.state),
          folded: intents.map(({ id }) => id),
          alerts,
          deliveries: notices.flatMap((notice) => toDeliveries(notice, channels)),
        })
        if (!isDone) {
          machine = undefined
          return true
        }
        version++
        metric.add('alert_notices', notices.length)
        for (const rule of raised) metric.add('alerts_raised', 1, rule)
        metric.add('alert_events_suppressed', machine.state.suppressed - suppressed)
        suppressed = machine.state.suppressed
        const gone = machine.state.orphaned - orphaned
        orphaned = machine.state.orphaned
        if (gone > 0)
          throttle('gone', () =>
            log.warn({ events: gone }, 'events matched a rule that is not there any more'),
          )
        for (const notice of notices) {
          if (channels.size > 0) continue
          throttle('no channel', () =>
            log.warn({ rule: notice.rule }, 'an alert fired, and there is no channel to tell it'),
          )
        }
        return intents.length === intentsOfStep
      } catch (error) {
        // Whether the step was taken is not known: the store tells with the next one.
        machine = undefined
        throw error
      }
    },
  }
}

/** The store takes whole milliseconds alone, and older versions could remember parts of them. */
function parseState(json: string): AlertsState {
  const toWhole = (_: string, value: unknown) => (typeof value === 'number' ? Math.round(value) : value)
  return JSON.parse(json, toWhole) as AlertsState
}

/** One message for each address of each channel. */
export function toDeliveries(notice: Notification, channels: ReadonlyMap<string, Channel>): NewDelivery[] {
  const names = notice.channels ?? [...channels.keys()]
  return [...new Set(names)].flatMap((name) => {
    const targets = channels.get(name)?.targets ?? []
    return targets.map((target, place) => ({
      id: `${notice.id}.${name}.${place}`,
      alertId: notice.alertId,
      channel: name,
      target,
      createdMs: notice.atMs,
      // At once, whatever clock the notice has its time from.
      nextMs: notice.notBeforeMs > notice.atMs ? notice.notBeforeMs : 0,
      notice: JSON.stringify(notice),
    }))
  })
}
