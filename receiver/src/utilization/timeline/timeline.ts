import { EventError } from '@madsci-events/sdk/event'
import { type Entity, isRun } from './entity.ts'
import type { History } from './history.ts'
import { type Interval, knownIntervals, type Totals, totalsOf, type Window } from './interval.ts'
import { type Kind, kinds } from './kind.ts'
import { experimentOf, type Selected, userOf, workcellOf } from './select.ts'
import type { Row } from './table.ts'
import type { Zone } from './zone.ts'

export const timelineColumns = [
  'kind',
  'id',
  'name',
  'state',
  'cause',
  'start_time',
  'end_time',
  'duration_us',
  'begun_by',
  'begun_by_type',
  'ended_by',
  'open',
] as const

/** A thing with its totals, and its intervals or some of them. */
export interface TimelineEntity {
  kind: Kind
  id: string
  name: string | null
  workcell_id?: string
  node_id?: string
  workflow_id?: string
  step_id?: string
  experiment_id?: string
  user?: string
  outcome?: string
  /** Microseconds in each state within the window; `wall` is their sum. */
  totals_us: Totals
  intervals: Row[]
}

/** Where a page begins: at this interval of this thing. */
interface PageStart {
  kind: Kind
  id: string
  start: number
}

function toRow(
  { state, cause, start, end, begunBy, endedBy, isOpen, type, promoted }: Interval,
  zone: Zone,
): Row {
  return {
    state,
    cause,
    start_time: zone.toText(start),
    end_time: zone.toText(end),
    duration_us: end - start,
    begun_by: begunBy,
    begun_by_type: type === null ? null : promoted ? `log: ${type}` : type,
    ended_by: endedBy,
    open: isOpen,
  }
}

export function describeEntity(
  history: History,
  entity: Entity,
): Omit<TimelineEntity, 'totals_us' | 'intervals'> {
  const { kind, id } = entity
  const workcell = kind === 'workcell' ? undefined : workcellOf(history, entity)
  const common = {
    kind,
    id,
    name: entity.name ?? null,
    ...(workcell !== undefined && { workcell_id: workcell }),
  }
  if (!isRun(entity)) return common
  const { node_id, workflow_id, step_id } = entity.links
  const experiment = kind === 'experiment' ? undefined : experimentOf(history, entity)
  const user = userOf(history, entity)
  return {
    ...common,
    ...(node_id !== undefined && { node_id }),
    ...(workflow_id !== undefined && { workflow_id }),
    ...(step_id !== undefined && { step_id }),
    ...(experiment !== undefined && { experiment_id: experiment }),
    ...(user !== undefined && { user }),
    ...(entity.outcome !== undefined && { outcome: entity.outcome }),
  }
}

/** Every interval as a row, one after another. */
export function* timelineRows(selected: Iterable<Selected>, window: Window, zone: Zone): Generator<Row> {
  for (const { entity, last, known } of selected)
    for (const interval of knownIntervals(entity, last, known, window))
      yield { kind: entity.kind, id: entity.id, name: entity.name ?? null, ...toRow(interval, zone) }
}

/** Things with at most `limit` intervals together, from a cursor on; `next` is undefined when that was all. */
export function timelinePage(
  history: History,
  selected: readonly Selected[],
  window: Window,
  zone: Zone,
  { limit, cursor, checkTime }: { limit: number; cursor: string | undefined; checkTime: () => void },
): { entities: TimelineEntity[]; next: string | undefined } {
  const from = cursor === undefined ? undefined : decodeCursor(cursor)
  const entities: TimelineEntity[] = []
  let left = limit
  for (const { entity, last, known } of selected) {
    checkTime()
    if (from && isBefore(entity, from)) continue
    const all = knownIntervals(entity, last, known, window)
    const isContinued = from && entity.kind === from.kind && entity.id === from.id
    const rest = isContinued ? all.filter(({ start }) => start >= from.start) : all
    if (rest.length === 0) continue
    if (left === 0) return { entities, next: encodeCursor({ ...entity, start: rest[0]!.start }) }
    const shown = rest.slice(0, left)
    entities.push({
      ...describeEntity(history, entity),
      totals_us: totalsOf(all),
      intervals: shown.map((interval) => toRow(interval, zone)),
    })
    left -= shown.length
    const behind = rest[shown.length]
    if (behind) return { entities, next: encodeCursor({ ...entity, start: behind.start }) }
  }
  return { entities, next: undefined }
}

function isBefore({ kind, id }: Entity, from: PageStart): boolean {
  const order = kinds.indexOf(kind) - kinds.indexOf(from.kind)
  return order < 0 || (order === 0 && id < from.id)
}

function encodeCursor({ kind, id, start }: PageStart): string {
  return Buffer.from(JSON.stringify([kind, id, start])).toString('base64url')
}

function decodeCursor(text: string): PageStart {
  try {
    const [kind, id, start] = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as unknown[]
    if (kinds.includes(kind as Kind) && typeof id === 'string' && Number.isSafeInteger(start))
      return { kind: kind as Kind, id, start: start as number }
  } catch {
    // said below
  }
  throw new EventError('EVT_INVALID', 'Invalid cursor', {
    detail: [
      { type: 'value_error', loc: ['query', 'cursor'], msg: 'Value error, Invalid cursor', input: text },
    ],
  })
}
