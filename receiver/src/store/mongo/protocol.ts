import type { AlertAction, Fact } from '../alert-store.ts'
import type { WriteOutcome } from '../event-store.ts'
import { type Ranges, toPositions, toRanges } from '../range.ts'

/**
 * The order of commits, as steps of one database command each. protocol.md says what each crash leaves behind and who
 * repairs it. The functions here know neither MongoDB nor time: journal.ts runs them against the database, and
 * test/receiver/store/mongo/protocol.property.test.ts against a model of it, with crashes between all steps.
 */
export interface Entry {
  id: string
  /** Of the events that are sent with it. */
  ids: readonly string[]
  /** Positions whose events came by REST. */
  rest?: Ranges
  /** What rules saw in them. */
  facts?: Fact[]
  /** What somebody did to an alert; such an entry has no events. */
  action?: AlertAction
}

/** As the database has it. */
export interface JournalEntry extends Entry {
  /** Its place in the order of commits: 1, 2, 3 … without gaps. Absent until its events are stored. */
  n?: number
  /** Positions that are not given with this entry. */
  out?: Ranges
  /** Positions of `out` whose events may still come; they are then given with a part, `ID.1`, `ID.2` … */
  missing?: Ranges
  /** Parts so far. */
  parts?: number
  /** Somebody has to look at it again. */
  isPending: boolean
}

/** What gives an entry its number; `entry` when it is to be made with it. */
export interface Numbering {
  id: string
  n: number
  out: Ranges
  missing: Ranges
  entry?: Entry
}

export type Step =
  /** Inserts a pending entry. Durable. One that is there already is what is wanted. → void */
  | { do: 'begin'; entry: Entry }
  /** Inserts the events, each with the id of the entry. Durable. → StoreReply */
  | { do: 'store'; entry: Entry }
  /** Which of these events are stored with that entry; what is told is durable. → Set<string> */
  | { do: 'owned'; entry: string; ids: readonly string[] }
  /** The greatest number. May tell what is not durable. → number */
  | { do: 'last' }
  /** Numbers entries that have none, in this order. Need not be durable. → true when all were numbered */
  | { do: 'number'; changes: Numbering[] }
  /** What is told is durable. → JournalEntry[] */
  | { do: 'entries'; ids: readonly string[] }
  /** Deletes entries that have no number. → void */
  | { do: 'drop'; ids: readonly string[] }
  /** Moves an entry from one number of parts to the next. → void */
  | { do: 'shrink'; id: string; parts: number; missing: Ranges }
  /** Notes that nothing was found. → void */
  | { do: 'look'; id: string }
  /** Entries from this number on, in order. What is told is durable. → JournalEntry[] */
  | { do: 'read'; from: number; limit: number }
  /** The least number that has not expired. → number */
  | { do: 'first' }
  /** Gives a free number to an empty entry. Durable. → void */
  | { do: 'fill'; n: number }

export interface StoreReply {
  /** One for each id, in their order. */
  outcomes: WriteOutcome[]
  /** The command was sent twice: a duplicate may be our own event of the first attempt. */
  isRetried: boolean
}

export type Steps<T> = Generator<Step, T, unknown>

function* ask<T>(step: Step): Steps<T> {
  return (yield step) as T
}

/** Entry, then events. Afterwards the caller closes the entry, and need not wait for it. */
export function* writeEntry(entry: Entry): Steps<WriteOutcome[]> {
  yield* ask({ do: 'begin', entry })
  const { outcomes, isRetried } = yield* ask<StoreReply>({ do: 'store', entry })
  if (!isRetried || !outcomes.includes('duplicate')) return outcomes
  const doubtful = entry.ids.filter((_, k) => outcomes[k] === 'duplicate')
  const owned = yield* ask<Set<string>>({ do: 'owned', entry: entry.id, ids: doubtful })
  const stored = new Set(firstPositions(entry.ids, (id) => owned.has(id)))
  return outcomes.map((outcome, k) => (stored.has(k) ? 'stored' : outcome))
}

/** An entry whose writer knows what became of its events. */
export interface Closing {
  entry: Entry
  /** Positions that this write did not store. */
  out: Ranges
}

/** Numbers entries in the order in which they are given. `last` is a number that is durable. Gives the next such one. */
export function* closeEntries(
  closings: readonly Closing[],
  last: number | undefined,
): Steps<number | undefined> {
  const isEmpty = ({ entry, out }: Closing) => !entry.action && toPositions(out).length === entry.ids.length
  const empty = closings.filter(isEmpty)
  if (empty.length > 0) yield* ask({ do: 'drop', ids: empty.map(({ entry }) => entry.id) })
  let open = closings.filter((closing) => !isEmpty(closing))
  while (open.length > 0) {
    const from: number = last ?? (yield* ask<number>({ do: 'last' }))
    const changes = open.map(({ entry, out }, k) => ({ id: entry.id, n: from + 1 + k, out, missing: [] }))
    if (yield* ask<boolean>({ do: 'number', changes })) return from + changes.length
    // Another took the number, or looked after an entry because its writer was slow.
    last = undefined
    const ids = open.map(({ entry }) => entry.id)
    const now = new Map((yield* ask<JournalEntry[]>({ do: 'entries', ids })).map((one) => [one.id, one]))
    for (const id of ids) if (now.get(id)?.n !== undefined && now.get(id)!.isPending) yield* repair(id)
    open = open.filter(({ entry }) => now.has(entry.id) && now.get(entry.id)!.n === undefined)
  }
  return last
}

/**
 * For an entry that nobody closes, or that has missing events: numbers what was stored of it. True when anything was found.
 * Right at any time, also while the writer is under way.
 */
export function* repair(id: string): Steps<boolean> {
  for (let isFound = false; ; isFound = true) {
    const [entry] = yield* ask<JournalEntry[]>({ do: 'entries', ids: [id] })
    if (!entry?.isPending) return isFound
    const { ids, parts = 0, missing = [] } = entry
    if (entry.n === undefined) {
      const owned = yield* owners(id, ids)
      const given = new Set(firstPositions(ids, (one) => owned.has(one)))
      if (given.size === 0 && !entry.action) return yield* look(id, isFound)
      const absent = toRanges(firstPositions(ids, (one) => !owned.has(one)))
      const out = toRanges([...ids.keys()].filter((k) => !given.has(k)))
      yield* number({ id, out, missing: absent })
      continue
    }
    const positions = toPositions(missing)
    const partId = `${id}.${parts + 1}`
    const [part] = yield* ask<JournalEntry[]>({ do: 'entries', ids: [partId] })
    if (part) {
      const given = new Set(part.ids)
      const rest = toRanges(positions.filter((k) => !given.has(ids[k]!)))
      yield* ask({ do: 'shrink', id, parts, missing: rest })
      continue
    }
    const owned = yield* owners(
      id,
      positions.map((k) => ids[k]!),
    )
    const found = positions.filter((k) => owned.has(ids[k]!))
    if (found.length === 0) return yield* look(id, isFound)
    yield* number({ id: partId, out: [], missing: [], entry: toPart(entry, partId, found) })
  }
}

function* owners(entry: string, ids: readonly string[]): Steps<Set<string>> {
  return ids.length === 0 ? new Set<string>() : yield* ask<Set<string>>({ do: 'owned', entry, ids })
}

function* look(id: string, isFound: boolean): Steps<boolean> {
  yield* ask({ do: 'look', id })
  return isFound
}

/** One attempt: who calls looks what came of it. */
function* number(change: Omit<Numbering, 'n'>): Steps<void> {
  const last = yield* ask<number>({ do: 'last' })
  yield* ask({ do: 'number', changes: [{ ...change, n: last + 1 }] })
}

function toPart({ ids, rest, facts }: Entry, id: string, positions: readonly number[]): Entry {
  const partIds = positions.map((k) => ids[k]!)
  const isRest = new Set(toPositions(rest ?? []))
  const restOfPart = toRanges([...positions.keys()].filter((k) => isRest.has(positions[k]!)))
  const factsOfPart = factsOf({ ids: partIds, ...(facts && { facts }) })
  return {
    id,
    ids: partIds,
    ...(restOfPart.length > 0 && { rest: restOfPart }),
    ...(factsOfPart.length > 0 && { facts: factsOfPart }),
  }
}

/** Facts of the events that are given with an entry. */
export function factsOf({ ids, out = [], facts = [] }: Pick<JournalEntry, 'ids' | 'out' | 'facts'>): Fact[] {
  if (facts.length === 0) return []
  const absent = new Set(toPositions(out))
  const given = new Set(firstPositions(ids, () => true).flatMap((k) => (absent.has(k) ? [] : [ids[k]!])))
  return facts.flatMap((fact) => {
    const left = fact.ids.filter((id) => given.has(id))
    return left.length > 0 ? [{ ...fact, ids: left, count: left.length }] : []
  })
}

/** An id that comes twice in an entry is that of its first event. */
function firstPositions(ids: readonly string[], test: (id: string) => boolean): number[] {
  const seen = new Set<string>()
  const positions: number[] = []
  for (const [k, id] of ids.entries()) {
    if (seen.has(id)) continue
    seen.add(id)
    if (test(id)) positions.push(k)
  }
  return positions
}

export interface EntryPage {
  /** After the number that was asked from, without gaps. */
  entries: JournalEntry[]
  /** So many numbers after it have expired. */
  expired: number
  /** There may be more at once. */
  hasMore: boolean
}

/** Entries after a number (0: the beginning). A number that is free for good is filled, not passed over. */
export function* readEntries(after: number, limit: number): Steps<EntryPage> {
  const found = yield* ask<JournalEntry[]>({ do: 'read', from: after + 1, limit })
  let expired = 0
  let next = after + 1
  if (found.length > 0 && found[0]!.n !== next) {
    const first = yield* ask<number>({ do: 'first' })
    if (first > next) {
      // That of the beginning has missed nothing that could be had.
      expired = after === 0 ? 0 : first - next
      next = first
    }
  }
  const entries: JournalEntry[] = []
  let hasMore = found.length === limit
  for (const entry of found) {
    if (entry.n! < next) continue
    if (entry.n !== next) {
      yield* ask({ do: 'fill', n: next })
      hasMore = true
      break
    }
    entries.push(entry)
    next++
  }
  return { entries, expired, hasMore }
}
