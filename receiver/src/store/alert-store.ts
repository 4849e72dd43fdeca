/** What a rule saw in events of one write: the part of an intent that matching makes, before anything is stored. */
export interface Match extends Sighting {
  /** Places of the events in the write. */
  positions: number[]
}

/** What a rule saw in an event, or in several that say the same. */
export interface Sighting {
  rule: string
  /** match: it fires. recover: it ends. seen, start, end: signs of life for rules about absence. */
  kind: 'match' | 'recover' | 'seen' | 'start' | 'end'
  /** The group within the rule, as JSON. */
  key: string
  /** Source ids and the like, for windows by node or workcell, and for people. */
  labels: { [name: string]: string }
  /** The greatest log_level. */
  level: number
  /** Same text, same content: for telling once what a program says twice. */
  content?: string
  /** The event's own time, ms since 1970; given where a duration hangs on it. */
  timeMs?: number
}

/** A match, of the events that this write stored. */
export interface Fact extends Sighting {
  /** Of the events. Where nothing hangs on each of them (SQLite), the first ones and the last. */
  ids: string[]
  count: number
}

/** So many first ids of a fact are kept at least. */
export const leastIds = 20

/** What somebody did to an alert. */
export interface AlertAction {
  kind: 'acknowledge' | 'silence' | 'resolve'
  alertId: string
  by: string | null
  /** silence: until then, ms since 1970. */
  untilMs?: number
}

/** Durable work for the rules: facts of one write, or an action. */
export interface Intent {
  id: string
  atMs: number
  facts: Fact[]
  action?: AlertAction
}

export const alertStates = ['firing', 'acknowledged', 'silenced', 'resolved'] as const
export type AlertState = (typeof alertStates)[number]

/** An alert as it was last known; `json` is what REST shows. */
export interface AlertRecord {
  id: string
  rule: string
  key: string
  state: AlertState
  openedMs: number
  updatedMs: number
  json: string
}

/** One message to one address. */
export interface NewDelivery {
  id: string
  alertId: string
  channel: string
  /** An address, or '' for channels that have one target. */
  target: string
  createdMs: number
  /** Not before. */
  nextMs: number
  /** What to tell, as JSON. */
  notice: string
}

export const deliveryStates = ['pending', 'delivered', 'failed'] as const

export interface Delivery extends NewDelivery {
  state: (typeof deliveryStates)[number]
  /** Attempts so far, the one under way included. */
  attempts: number
  /** Why the last attempt failed. */
  error: string | null
  settledMs: number | null
}

export type DeliveryOutcome =
  | { state: 'delivered' }
  | { state: 'pending'; nextMs: number; error: string }
  | { state: 'failed'; error: string }

/** No retry is further away: one that is was scheduled by a clock that was ahead, and is due. */
export const furthestRetryMs = 20 * 60_000
/** A message that was made so much later than now is of such a clock too. */
export const clockSlackMs = 60_000
/** No lease is longer, for the same reason. */
export const longestLeaseMs = 120_000

/** One step of the rules: what they know now, and what follows from it. */
export interface AlertStep {
  /** Of the state that this one follows. */
  version: number
  state: string
  /** Intents that the state now holds. */
  folded: string[]
  alerts: AlertRecord[]
  deliveries: NewDelivery[]
}

export interface AlertFilter {
  state?: AlertState
  rule?: string
  key?: string
  /** What the last page's last alert said: `openedMs:id`. */
  after?: string
  limit: number
}

export interface DeliveryCounts {
  pending: number
  /** Pending ones that failed at least once. */
  retrying: number
  failed: number
}

/**
 * Where alerts rest, beside the events. Promises, each with a test of the same name in test/contract/alert-store.contract.ts:
 *  1. A match is durable before its write settles: `intents` gives it once, also after a kill, and only for stored events.
 *  2. A duplicate or a refused event makes no intent.
 *  3. commit takes state, intents, alerts and deliveries together or not at all, also when the process dies within.
 *  4. Of two that commit after the same version one gets false, and nothing of its step stays.
 *  5. claim gives a delivery to one holder at a time; it comes back when the lease ends, and never once it is settled.
 *  6. find gives the newest alerts first, by state, rule and key, in pages.
 *  7. forget removes what was resolved before, with its deliveries, and leaves what is pending.
 */
export interface AlertStore {
  /** True while `holder` may lead the rules: nobody else held the lease, or it ran out. */
  lead(holder: string, leaseMs: number): Promise<boolean>
  load(): Promise<{ version: number; state: string | undefined }>
  /** The oldest that no commit has folded. */
  intents(limit: number): Promise<Intent[]>
  commit(step: AlertStep): Promise<boolean>
  act(action: AlertAction): Promise<void>
  get(id: string): Promise<AlertRecord | undefined>
  find(filter: AlertFilter): Promise<AlertRecord[]>
  deliveriesOf(alertIds: readonly string[]): Promise<Delivery[]>
  counts(): Promise<DeliveryCounts>
  /** Pending ones whose time has come, or was set by a clock that was ahead (`furthestRetryMs`, `clockSlackMs`), of other channels than these, each with one more attempt. */
  claim(holder: string, leaseMs: number, limit: number, busy?: readonly string[]): Promise<Delivery[]>
  renew(holder: string, ids: readonly string[], leaseMs: number): Promise<void>
  /** False when the holder has lost it. */
  settle(holder: string, id: string, outcome: DeliveryOutcome): Promise<boolean>
  /** Removes alerts resolved before that time and failed deliveries settled before it. Gives the number of alerts. */
  forget(beforeMs: number): Promise<number>
}

/** The events of each match that were stored; matches of none are left out. `isBrief`: some of the ids, and the number. */
export function toFacts(
  matches: readonly Match[],
  idAt: (position: number) => string | undefined,
  isBrief = false,
): Fact[] {
  const facts: Fact[] = []
  for (const { positions, ...sighting } of matches) {
    const ids: string[] = []
    let count = 0
    let last: string | undefined
    for (const position of positions) {
      const id = idAt(position)
      if (id === undefined) continue
      count++
      last = id
      if (!isBrief || ids.length < leastIds) ids.push(id)
    }
    if (count > ids.length) ids.push(last!)
    if (count > 0) facts.push({ ...sighting, ids, count })
  }
  return facts
}

/** `openedMs:id` → its parts. */
export function parseAlertCursor(after: string): { openedMs: number; id: string } | undefined {
  const match = /^(\d{1,15}):(\S{1,100})$/.exec(after)
  return match ? { openedMs: Number(match[1]), id: match[2]! } : undefined
}
