import { createEventId, type Event, EventError } from '@madsci-events/sdk/event'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { AlertAction, AlertRecord, AlertStore, DeliveryCounts } from '../store/alert-store.ts'
import type { EventStore } from '../store/event-store.ts'
import { shareCall } from '../store/shared-call.ts'
import { workerUrl } from '../store/worker-url.ts'
import type { Channel, SendOutcome } from './channel.ts'
import type { Notification } from './group.ts'
import { createMatch, type MatchEvents } from './match.ts'
import { composeMessage } from './message.ts'
import { toPlainRule } from './plain-rule.ts'
import type { RuleSet } from './rule.ts'
import { createRunner } from './runner.ts'
import { createSender } from './sender.ts'

export interface AlertsOptions {
  store: EventStore
  alerts: AlertStore
  ruleSet: RuleSet
  alertLevel: number
  channels: ReadonlyMap<string, Channel>
  publicUrl: string
  /** Where below that an event is shown. */
  eventPath: 'e' | 'event'
  managerId: string
  /** Stores an event that raises no alert. */
  report(event: Event): Promise<void>
  /** See StartOptions. */
  leaseMs?: number | undefined
  log: Log
  metric: Metric
}

export interface AlertHealth extends DeliveryCounts {
  /** Of the channels. */
  channels: string[]
  /** Since when rules and messages do not go on, and why; null while they do. */
  stalled: { since: string; reason: string } | null
}

/** The alert room: what the other rooms may ask of it. */
export interface Alerts {
  readonly store: AlertStore
  readonly ruleSet: RuleSet
  readonly alertLevel: number
  readonly channels: ReadonlyMap<string, Channel>
  /** Something was stored that rules saw. */
  wake(): void
  /** The alert after the action; undefined when there is none of that id. Throws EVT_STORE_UNAVAILABLE. */
  act(action: AlertAction): Promise<AlertRecord | undefined>
  /** Sends a test through a channel, at once and once, to each of its targets. */
  test(channel: Channel): Promise<{ target: string; outcome: SendOutcome }[]>
  health(): Promise<AlertHealth>
  close(): Promise<void>
}

// What other receivers stored is found by asking; what this one stored wakes it.
const pollMs = 500
// Under load steps take more together instead of more commits.
const stepMs = 1000
const soonMs = 5
const actTimeoutMs = 3000
const housekeepingMs = 3_600_000
const keepMs = 30 * 86_400_000

/** Rules → the function that ingest calls with the events of each write. Undefined: nothing could ever match. */
export function createMatchOf(
  ruleSet: RuleSet,
  { log, metric }: Pick<AlertsOptions, 'log' | 'metric'>,
): MatchEvents | undefined {
  const throttle = createThrottle()
  return createMatch(ruleSet.rules, {
    onTimeout(rule) {
      metric.add('alert_timeouts', 1, rule)
      throttle(rule, (suppressed) =>
        log.warn(
          { rule, suppressed },
          'a regular expression of a rule took too long for an event, which counts as no match: write it without lookaround and back references',
        ),
      )
    },
  })
}

/** The same for a thread that has the events at hand. A rule that takes it too long sees nothing there. */
export const toWatch = ({ rules }: RuleSet) => ({
  href: workerUrl('../alert/watch').href,
  rules: rules.map(toPlainRule),
})

/** Starts to run the rules and to send. */
export function startAlerts(options: AlertsOptions): Alerts {
  const { store, alerts, ruleSet, channels, log, metric, publicUrl, eventPath, leaseMs } = options
  const holder = createEventId()
  const throttle = createThrottle()
  const compose = (id: string, notice: Notification) =>
    composeMessage(id, notice, { store, publicUrl, eventPath })
  const runner = createRunner({ store: alerts, ruleSet, channels, holder, leaseMs, log, metric })
  const sender = createSender({
    store: alerts,
    channels,
    compose,
    report: options.report,
    holder,
    managerId: options.managerId,
    leaseMs,
    log,
    metric,
    onRoom: () => send(),
  })
  let isClosed = false
  let sending: Promise<unknown> | undefined
  let timer: NodeJS.Timeout | undefined
  let timerMs = Number.POSITIVE_INFINITY
  let lastStepMs = 0
  let tidiedMs = performance.now()
  let running: Promise<void> | undefined
  let counts: DeliveryCounts = { pending: 0, retrying: 0, failed: 0 }
  let stall: { sinceMs: number; since: string; reason: string } | undefined
  const askCounts = shareCall(() => alerts.counts())
  const names = ruleSet.rules.map(({ name }) => name)
  for (const counter of ['alert_events', 'alerts_raised', 'alert_timeouts'] as const)
    metric.expect(counter, names)
  metric.expect('alert_attempts', ['delivered', 'retry', 'failed'])
  metric.gauge('alerts_pending', () => counts.pending)
  metric.gauge('alerts_undeliverable', () => counts.failed)
  metric.gauge('alerts_stalled_seconds', () => (stall ? (performance.now() - stall.sinceMs) / 1000 : 0))

  async function step(): Promise<void> {
    lastStepMs = performance.now()
    try {
      const hasMore = await runner.round()
      const sent = await sender.round()
      if (hasMore || sent > 0) wake()
      if (performance.now() - tidiedMs > housekeepingMs && runner.isLeading) {
        tidiedMs = performance.now()
        await alerts.forget(Date.now() - keepMs)
      }
      stall = undefined
    } catch (error) {
      stall ??= { sinceMs: performance.now(), since: new Date().toISOString(), reason: '' }
      stall.reason = (error as Error).message
      throttle('step', (suppressed) =>
        log.warn({ reason: (error as Error).message, suppressed }, 'alerts wait for the store'),
      )
    }
  }

  /** Messages do not wait for the next step of the rules. */
  function send(): void {
    if (isClosed) return
    // One that is under way already goes on with it.
    sending = sender.round().catch(() => 0)
  }

  function schedule(delayMs: number): void {
    if (isClosed) return
    const atMs = performance.now() + delayMs
    if (timer !== undefined && timerMs <= atMs) return
    clearTimeout(timer)
    timerMs = atMs
    timer = setTimeout(() => {
      timer = undefined
      running ??= step().finally(() => {
        running = undefined
        schedule(pollMs)
      })
    }, delayMs)
    timer.unref()
  }

  function wake(): void {
    schedule(Math.max(soonMs, lastStepMs + stepMs - performance.now()))
  }

  schedule(soonMs)
  return {
    store: alerts,
    ruleSet,
    alertLevel: options.alertLevel,
    channels,
    wake,
    async act(action) {
      const before = await alerts.get(action.alertId)
      if (!before) return undefined
      if (before.state === 'resolved') throw new EventError('EVT_INVALID', 'the alert is over already')
      await alerts.act(action)
      wake()
      const untilMs = performance.now() + actTimeoutMs
      for (;;) {
        const now = await alerts.get(action.alertId)
        if (now && isDone(action, now)) return now
        if (isClosed || performance.now() > untilMs) return now
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    async test(channel) {
      const notice = toTest(channel.name)
      const outcomes: { target: string; outcome: SendOutcome }[] = []
      for (const target of channel.targets) {
        const message = await compose(`${notice.id}.${outcomes.length}`, notice)
        outcomes.push({ target, outcome: await channel.send(message, target) })
      }
      return outcomes
    },
    async health() {
      counts = await askCounts()
      const stalled = stall ? { since: stall.since, reason: stall.reason } : null
      return { channels: [...channels.keys()], ...counts, stalled }
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      await running
      await sending
      // Another receiver need not wait for the lease to end.
      if (runner.isLeading) await alerts.lead(holder, 0).catch(() => false)
      await sender.close()
    },
  }
}

function isDone({ kind, untilMs }: AlertAction, { state, json }: AlertRecord): boolean {
  if (kind === 'acknowledge') return state === 'acknowledged'
  if (kind === 'resolve') return state === 'resolved'
  const { silenced_until: until } = JSON.parse(json) as { silenced_until: string | null }
  return until !== null && Date.parse(until) === untilMs
}

function toTest(channel: string): Notification {
  const id = createEventId()
  return {
    id,
    alertId: id,
    rule: 'test',
    kind: 'test',
    atMs: Date.now(),
    notBeforeMs: 0,
    channels: [channel],
    key: '[]',
    labels: {},
    level: 20,
    why: `a test of the channel ${channel}`,
    count: 0,
    ids: [],
    total: 0,
  }
}
