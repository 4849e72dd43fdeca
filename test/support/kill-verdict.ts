import type { Tail } from './tail.ts'
import type { Taken } from './told-sink.ts'

/** Something was down, or stood still. */
export interface Down {
  what: 'killed' | 'stopped' | 'mongod'
  /** Which receiver. */
  place: number
  fromMs: number
  toMs: number
}

export interface Evidence {
  stored: ReadonlySet<string>
  alerting: ReadonlySet<string>
  tails: readonly Tail[]
  /** Began where the tails began, after everything. */
  fresh: Tail
  batches: readonly Taken[]
  messages: readonly Taken[]
  downs: readonly Down[]
}

/** What followers were given, beside what is stored. Each list names what is wrong. */
export interface BehindVerdict {
  tail: string[]
  fanout: string[]
  alerts: string[]
  /** Forwarded or told again, as is promised: the reply was lost, or the sender was killed or stood still meanwhile. */
  repeats: { fanout: number; alerts: number }
}

// So long a sender may take from the reply to its note, beside the time that a database was away.
const noteMs = 1000
// What a process sent before it was killed is read within that time of its end.
const readMs = 100

/**
 * Each stored event is in each tail once, in one order; at the destination at least once, for the first time in that
 * order; and told, if it is marked as alert, in one message.
 */
export function judgeBehind(evidence: Evidence): BehindVerdict {
  const order = evidence.fresh.ids
  const tail = [...compareOrder('a tail from the beginning', order, evidence.stored)]
  for (const [place, { ids, altered, surprises }] of evidence.tails.entries()) {
    tail.push(...differences(`tail ${place}`, ids, order))
    tail.push(...altered.map((text) => `altered in tail ${place}: ${text}`), ...surprises)
  }
  const batches = judgeTaken(evidence.batches, evidence.downs)
  const first = [...new Set(evidence.batches.flatMap(({ ids }) => ids))]
  const messages = judgeTaken(evidence.messages, evidence.downs)
  const told = new Set(evidence.messages.flatMap(({ ids }) => ids))
  const wanted = [...evidence.stored].filter((id) => evidence.alerting.has(id))
  return {
    tail,
    fanout: [...differences('the destination', first, order), ...batches.unjustified],
    alerts: [
      ...wanted.filter((id) => !told.has(id)).map((id) => `nobody was told of ${id}`),
      ...[...told].filter((id) => !evidence.alerting.has(id)).map((id) => `told of ${id}, which is no alert`),
      ...messages.unjustified,
    ],
    repeats: { fanout: batches.repeats, alerts: messages.repeats },
  }
}

function* compareOrder(what: string, ids: readonly string[], stored: ReadonlySet<string>): Generator<string> {
  const given = new Set(ids)
  if (given.size < ids.length) yield `${what} gives ${ids.length - given.size} events twice`
  const lacking = [...stored].filter((id) => !given.has(id))
  if (lacking.length > 0) yield `${what} lacks ${lacking.length} events: ${lacking.slice(0, 3)}`
  const foreign = ids.filter((id) => !stored.has(id))
  if (foreign.length > 0)
    yield `${what} has ${foreign.length} events that are not stored: ${foreign.slice(0, 3)}`
}

function* differences(what: string, ids: readonly string[], order: readonly string[]): Generator<string> {
  const before = yield* compareOrder(what, ids, new Set(order))
  const at = ids.findIndex((id, place) => id !== order[place])
  if (at >= 0)
    yield `${what} is of another order from ${at} of ${order.length} on: ${ids[at]}, not ${order[at]}`
  return before
}

/** What came again, and whether it may have. */
function judgeTaken(
  taken: readonly Taken[],
  downs: readonly Down[],
): { repeats: number; unjustified: string[] } {
  const last = new Map<string, Taken>()
  const unjustified: string[] = []
  let repeats = 0
  for (const one of taken) {
    for (const id of one.ids) {
      const before = last.get(id)
      last.set(id, one)
      if (!before) continue
      const isSame = before.delivery === one.delivery
      if (isSame && mayRepeat(before, one, downs)) repeats++
      else unjustified.push(toText(id, before, one, downs))
    }
  }
  return { repeats, unjustified }
}

function mayRepeat(before: Taken, later: Taken, downs: readonly Down[]): boolean {
  if (!before.isAnswered) return true
  let untilMs = before.atMs + noteMs
  for (const { what, fromMs, toMs } of downs)
    if (what === 'mongod' && fromMs < untilMs && toMs > before.fromMs) untilMs = toMs + noteMs
  return downs.some(({ what, place, fromMs, toMs }) => {
    // What the first sender had under way, and had not noted.
    if (what !== 'mongod' && place === before.sender && fromMs < untilMs && toMs > before.fromMs - readMs)
      return true
    // Or the second one stood still with it, and another took over meanwhile.
    return what === 'stopped' && place === later.sender && fromMs < later.atMs && toMs > later.fromMs - noteMs
  })
}

function toText(id: string, before: Taken, later: Taken, downs: readonly Down[]): string {
  const of = ({ sender, delivery, fromMs, atMs }: Taken) =>
    `from ${sender} ${delivery} at ${fromMs.toFixed()}…${atMs.toFixed()}`
  const near = downs
    .filter(({ fromMs, toMs }) => fromMs < later.atMs && toMs > before.fromMs - 5000)
    .map(({ what, place, fromMs, toMs }) => `${what} ${place} ${fromMs.toFixed()}…${toMs.toFixed()}`)
  return `${id} came ${of(before)} and again ${of(later)}; ${near.join(', ')}`
}
