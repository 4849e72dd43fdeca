import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Event, fromDocument, toBackoffMs, ulidFrom } from '@madsci-events/sdk/event'
import { createThrottle, type Log } from '../log.ts'
import type { Metric } from '../metric.ts'
import type { AlertStore, Delivery, DeliveryOutcome } from '../store/alert-store.ts'
import type { Channel, Message, SendOutcome } from './channel.ts'
import type { Notification } from './group.ts'

export interface SenderOptions {
  store: AlertStore
  channels: ReadonlyMap<string, Channel>
  /** Throws EVT_STORE_UNAVAILABLE. */
  compose(id: string, notice: Notification): Promise<Message>
  /** Stores the event that tells of an undeliverable message; it raises no alert. */
  report(event: Event): Promise<void>
  /** Who claims. */
  holder: string
  managerId: string
  leaseMs?: number | undefined
  log: Log
  metric: Metric
  now?: () => number
  /** A message has ended: there is room for the next. */
  onRoom?: () => void
}

export interface Sender {
  /** Sends what is due. Gives the number of attempts. */
  round(): Promise<number>
  /** Waits for what is under way. */
  close(): Promise<void>
}

/** A message is tried for a day. */
export const giveUpMs = 86_400_000
// A clock that was set forward makes no day: so many attempts take some hours.
const leastAttempts = 25
const retries = { firstMs: 2000, mostMs: 15 * 60_000, jitter: 0.2 }
// A receiver that died gives its messages back within that time.
const defaultLeaseMs = 20_000
const atOnce = 12
// A dead server keeps its messages waiting, and not those of other channels.
const atOnceOfChannel = 3
// A send that is under way at the end gets so long.
const closeMs = 5000
// Soon: once the store is back, another receiver takes what was not renewed meanwhile.
const settling = { firstMs: 100, mostMs: 1000 }

/** 2 s, 4 s, 8 s … 15 min, a fifth more or less, so that many do not come back together. */
export function retryDelayMs(attempts: number, random: () => number = Math.random): number {
  return Math.round(toBackoffMs(attempts, { ...retries, random }))
}

/**
 * Takes messages out of the store and sends them:
 *
 *     pending ──claim──▶ held ──send──▶ delivered
 *        ▲                │ └─refused, or a day is over─▶ an event, then failed
 *        └──retry, lease──┘
 *
 * Two receivers never hold the same one. What can repeat it is a kill between a channel's acceptance and our note of it, or,
 * from the moment of sending on, a store that is away or a process that stands still for longer than the lease.
 */
export function createSender(options: SenderOptions): Sender {
  const { store, channels, holder, leaseMs = defaultLeaseMs, log, metric, now = Date.now } = options
  const throttle = createThrottle()
  /** Id → since when, by a clock that is never set, it is surely ours for the length of a lease. */
  const held = new Map<string, number>()
  const running = new Map<Promise<void>, string>()
  const cutting = new AbortController()
  let filling: Promise<number> | undefined
  let isAsked = false
  const renewing = setInterval(() => {
    if (held.size === 0) return
    const ids = [...held.keys()]
    const askedMs = performance.now()
    store.renew(holder, ids, leaseMs).then(
      () => {
        // Of one whose lease has ended nobody can say whether it still is ours.
        for (const id of ids) if (isOurs(id, askedMs)) held.set(id, askedMs)
      },
      () => {},
    )
  }, leaseMs / 4)
  renewing.unref()

  function isOurs(id: string, atMs = performance.now()): boolean {
    const sinceMs = held.get(id)
    return sinceMs !== undefined && atMs - sinceMs < leaseMs
  }

  /** Undefined: it was not sent, and another receiver may have it by now. */
  async function attempt(delivery: Delivery, notice: Notification): Promise<SendOutcome | undefined> {
    const channel = channels.get(delivery.channel)
    if (!channel) return { kind: 'refused', reason: `there is no channel '${delivery.channel}' any more` }
    const message = await options.compose(delivery.id, notice)
    // The process may have stood still.
    if (!isOurs(delivery.id)) return undefined
    return channel.send(message, delivery.target)
  }

  async function deliver(delivery: Delivery): Promise<void> {
    const notice = JSON.parse(delivery.notice) as Notification
    const outcome = await attempt(delivery, notice).catch(
      (error: Error): SendOutcome => ({ kind: 'retry', reason: error.message }),
    )
    if (!outcome) return
    const settled = toSettlement(outcome, delivery, notice)
    if (settled.state === 'failed')
      await options.report(toFailureEvent(delivery, notice, settled.error, options.managerId))
    const isOurs = await note(delivery, settled)
    const reason = settled.state === 'pending' ? 'retry' : settled.state
    metric.add('alert_attempts', 1, reason)
    if (!isOurs) log.warn({ delivery: delivery.id }, 'a message was sent after its lease had ended')
    if (settled.state === 'delivered') return
    throttle(`${delivery.channel} ${settled.state}`, (suppressed) => {
      const fields = { channel: delivery.channel, alert: delivery.alertId, reason: settled.error, suppressed }
      log.warn(
        fields,
        settled.state === 'failed'
          ? 'alert not delivered; given up'
          : 'alert not delivered; retrying with backoff',
      )
    })
  }

  /** What was sent must not be sent again: it is held until its fate is written. */
  async function note(delivery: Delivery, settled: DeliveryOutcome): Promise<boolean> {
    for (let failure = 1; ; failure++) {
      try {
        return await store.settle(holder, delivery.id, settled)
      } catch (error) {
        if (cutting.signal.aborted) throw error
        throttle('note', () =>
          log.warn(
            {
              channel: delivery.channel,
              alert: delivery.alertId,
              delivery: delivery.id,
              reason: (error as Error).message,
            },
            'what became of an alert message could not be saved; it is not sent again meanwhile; retrying',
          ),
        )
        await sleep(toBackoffMs(failure, settling), undefined, { signal: cutting.signal, ref: false })
      }
    }
  }

  function toSettlement(outcome: SendOutcome, delivery: Delivery, notice: Notification): DeliveryOutcome {
    if (outcome.kind === 'delivered') return { state: 'delivered' }
    const error = outcome.reason.slice(0, 1000)
    const ageMs = now() - Math.max(notice.atMs, notice.notBeforeMs)
    const isOver = ageMs >= giveUpMs && delivery.attempts >= leastAttempts
    if (outcome.kind === 'refused' || isOver) return { state: 'failed', error }
    return { state: 'pending', nextMs: now() + retryDelayMs(delivery.attempts), error }
  }

  return {
    round() {
      isAsked = true
      // Two at once would not know of each other's claims.
      filling ??= fill().finally(() => {
        filling = undefined
      })
      return filling
    },
    async close() {
      const all = Promise.all(running.keys())
      await Promise.race([all, new Promise((resolve) => setTimeout(resolve, closeMs).unref())])
      cutting.abort()
      // What still waits for a server is cut off, and tried again by the next start.
      for (const channel of channels.values()) channel.close()
      await Promise.race([all, new Promise((resolve) => setTimeout(resolve, closeMs).unref())])
      clearInterval(renewing)
    },
  }

  async function fill(): Promise<number> {
    let count = 0
    while (isAsked && running.size < atOnce) {
      isAsked = false
      const { busy, limit } = places()
      const askedMs = performance.now()
      const claimed = await store.claim(holder, leaseMs, limit, busy)
      for (const delivery of claimed) begin(delivery, askedMs)
      count += claimed.length
      if (claimed.length > 0) isAsked = true
    }
    return count
  }

  /** The channels that have no place left, and how many messages the others take, whichever of them they are for. */
  function places(): { busy: string[]; limit: number } {
    const counts = new Map<string, number>()
    for (const channel of running.values()) counts.set(channel, (counts.get(channel) ?? 0) + 1)
    const busy = [...counts].filter(([, number]) => number >= atOnceOfChannel).map(([channel]) => channel)
    const greatest = Math.max(0, ...[...counts.values()].filter((number) => number < atOnceOfChannel))
    return { busy, limit: Math.min(atOnceOfChannel - greatest, atOnce - running.size) }
  }

  function begin(delivery: Delivery, claimedMs: number): void {
    // Its lease ended while its fate could not be written: it is on its way already.
    if (held.has(delivery.id)) return
    held.set(delivery.id, claimedMs)
    const work: Promise<void> = deliver(delivery)
      // Its lease ends, and then it is tried again.
      .catch((error: Error) =>
        throttle('settle', () =>
          log.warn({ reason: error.message }, 'the fate of an alert could not be noted'),
        ),
      )
      .finally(() => {
        held.delete(delivery.id)
        running.delete(work)
        options.onRoom?.()
      })
    running.set(work, delivery.channel)
  }
}

/** Its id hangs on the delivery: told twice, it is stored once. */
function toFailureEvent(delivery: Delivery, notice: Notification, error: string, managerId: string): Event {
  const hash = createHash('sha256').update(delivery.id).digest()
  return fromDocument({
    _id: ulidFrom(delivery.createdMs, hash.subarray(0, 10)),
    event_type: 'manager_error',
    log_level: 40,
    event_timestamp: `${new Date().toISOString().slice(0, 23)}000Z`,
    source: { manager_id: managerId },
    event_data: {
      message: `an alert of rule ${notice.rule} could not be delivered through ${delivery.channel}: ${error}`,
      alert_id: notice.alertId,
      rule: notice.rule,
      channel: delivery.channel,
      target: delivery.target,
      attempts: delivery.attempts,
      event_ids: notice.ids,
    },
  })
}
