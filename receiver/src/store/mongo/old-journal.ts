import { type Collection, type Db, MaxKey } from 'mongodb'
import { isWithin } from '../range.ts'
import { oldJournalName } from './collection-name.ts'
import { callLimit } from './connection.ts'
import { beginningCursor, type PositionPage, unknownCursor } from './cursor.ts'

/** An entry of an earlier release (schema 2): numbers of each receiver. */
interface OldEntry {
  _id: { r: string; n: number }
  at: Date
  ids: string[]
  rest?: number[]
  out?: number[]
}

interface OldPosition {
  receivers: Map<string, { n: number; taken: number }>
  late: { r: string; n: number; missing: number[] | null }[]
}

/** The journal of an earlier release, which nobody writes any more: a follower reads it to its end, then goes on in ours. */
export interface OldJournal {
  isThere(): Promise<boolean>
  /** From a cursor of that release, or '' for its beginning. Throws EVT_INVALID for what is none. */
  positionsSince(cursor: string, limit: number): Promise<PositionPage>
}

const entriesAhead = 64

export function createOldJournal(db: Db, collectionName: string, restOnly: boolean): OldJournal {
  const journal: Collection<OldEntry> = db.collection(oldJournalName(collectionName))

  async function receiverNames(): Promise<string[]> {
    const names: string[] = []
    for (let after: object = {}; ; ) {
      const next = await journal.findOne(after, { sort: { _id: 1 }, projection: { _id: 1 }, ...callLimit() })
      if (!next) return names
      names.push(next._id.r)
      after = { _id: { $gt: { r: next._id.r, n: new MaxKey() } } }
    }
  }

  function entriesAfter(r: string, n: number): Promise<OldEntry[]> {
    const range = { $gt: { r, n }, $lt: { r, n: new MaxKey() } } as unknown as OldEntry['_id']
    return journal.find({ _id: range }, callLimit()).sort({ _id: 1 }).limit(entriesAhead).toArray()
  }

  const isDue = ({ rest = [], out = [] }: OldEntry, k: number) =>
    !isWithin(out, k) && (!restOnly || isWithin(rest, k))

  async function lateIds(late: OldPosition['late']): Promise<string[]> {
    if (late.length === 0) return []
    const keys = late.map(({ r, n }) => ({ r, n }))
    const found = await journal.find({ _id: { $in: keys } }, callLimit()).toArray()
    return found.flatMap((entry) => {
      const { r, n } = entry._id
      const { missing } = late.find((one) => one.r === r && one.n === n)!
      return entry.ids.filter((_, k) => (missing === null || isWithin(missing, k)) && isDue(entry, k))
    })
  }

  async function positionsSince(cursor: string, limit: number): Promise<PositionPage> {
    const position = decode(cursor)
    const ids = await lateIds(position.late)
    position.late = []
    const queues = await Promise.all(
      (await receiverNames()).map((r) => entriesAfter(r, position.receivers.get(r)?.n ?? 0)),
    )
    const isEnd = queues.every((queue) => queue.length === 0)
    for (const entry of merged(queues)) {
      if (ids.length >= limit) break
      const { r, n } = entry._id
      let taken = position.receivers.get(r)?.taken ?? 0
      while (taken < entry.ids.length && ids.length < limit) {
        if (isDue(entry, taken)) ids.push(entry.ids[taken]!)
        taken++
      }
      const isWhole = taken === entry.ids.length
      position.receivers.set(r, isWhole ? { n, taken: 0 } : { n: n - 1, taken })
    }
    const next = isEnd ? beginningCursor : encode(position)
    return {
      items: [...new Set(ids)].map((id) => ({ id, entry: '', cursor: next })),
      cursor: next,
      hasMore: true,
      expiredCommits: 0,
    }
  }

  return {
    isThere: async () => (await journal.findOne({}, { projection: { _id: 1 }, ...callLimit() })) !== null,
    positionsSince,
  }
}

/** Merged by time; those of one receiver stay in their order. */
function* merged(queues: readonly OldEntry[][]): Generator<OldEntry> {
  for (let open = queues; ; ) {
    open = open.filter((queue) => queue.length > 0)
    if (open.length === 0) return
    yield open.reduce((least, queue) => (queue[0]!.at < least[0]!.at ? queue : least)).shift()!
  }
}

function decode(cursor: string): OldPosition {
  if (cursor === '') return { receivers: new Map(), late: [] }
  try {
    const { r, l } = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as {
      r: [string, number, number][]
      l: [string, number, number, number[] | null][]
    }
    // It goes into queries: anything else than texts and numbers is of somebody else.
    for (const [name, ...numbers] of r) check(name, numbers)
    for (const [name, n, passedMs, missing] of l) check(name, [n, passedMs, ...(missing ?? [])])
    return {
      receivers: new Map(r.map(([name, n, taken]) => [name, { n, taken }])),
      late: l.map(([name, n, , missing]) => ({ r: name, n, missing })),
    }
  } catch {
    throw unknownCursor()
  }
}

function check(name: unknown, numbers: readonly unknown[]): void {
  if (
    typeof name !== 'string' ||
    !name.isWellFormed() ||
    name.includes('\0') ||
    !numbers.every(Number.isSafeInteger)
  )
    throw unknownCursor()
}

function encode({ receivers }: OldPosition): string {
  const r = [...receivers].map(([name, { n, taken }]) => [name, n, taken])
  return Buffer.from(JSON.stringify({ r, l: [] })).toString('base64url')
}
