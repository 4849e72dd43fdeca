import { type Entity, isRun, type Run } from './entity.ts'
import { availabilityOf, type Failures, failuresOf, type Spread, spreadOf, utilizationOf } from './figure.ts'
import type { History } from './history.ts'
import {
  addTotals,
  emptyTotals,
  type Interval,
  knownIntervals,
  lifeOf,
  type Totals,
  totalsOf,
  type Window,
} from './interval.ts'
import type { Filter } from './parameter.ts'
import { experimentOf, type Known, selectEntities, userOf, workcellOf } from './select.ts'
import type { Row } from './table.ts'
import type { Bucket, Zone } from './zone.ts'

export const groupings = ['node', 'workcell', 'lab', 'user', 'experiment', 'workflow_type'] as const
export type Grouping = (typeof groupings)[number]

/** Runs that have a part in the window, by how they ended within it; `open` had not ended at its end. */
export interface RunCounts {
  total: number
  completed: number
  failed: number
  cancelled: number
  unknown: number
  open: number
}

export interface SummaryItem {
  id: string
  name: string | null
  /** Microseconds in each state: of the thing itself, or of the group's workflows together. */
  totals_us: Totals
  utilization_percent: number | null
  availability_percent: number | null
  failures?: Failures
  /** Down and error time by cause, microseconds. */
  lost_us?: { [cause: string]: number }
  /** Of a node its actions; of everything else workflows. */
  runs: RunCounts
  /** From the first that was heard of them to their first work; of those that began to work in the window. */
  queue: Spread
  /** From their first work to their end; of those that ended in the window. */
  run: Spread
  /** Busy time of actions on nodes, microseconds. */
  node_busy_us: number
  buckets?: SummaryBucket[]
}

export interface SummaryBucket {
  start_time: string
  end_time: string
  totals_us: Totals
  utilization_percent: number | null
}

interface Group {
  id: string
  name: string | undefined
  totals: Totals
  intervals: Interval[]
  thing: Entity | undefined
  runs: RunCounts
  queue: number[]
  run: number[]
  nodeBusy: number
}

export interface SummaryOptions {
  by: Grouping
  bucket: Bucket | undefined
  zone: Zone
  checkTime?: () => void
}

/** Figures for each node, workcell, laboratory, user, experiment or type of workflow, by name and id. */
export function summarize(
  sources: Known,
  filter: Filter,
  window: Window,
  options: SummaryOptions,
): SummaryItem[] {
  const { history } = sources
  const { by, checkTime = () => {} } = options
  const groups = new Map<string, Group>()
  const groupOf = (id: string, name?: string): Group => {
    const found = groups.get(id)
    if (found) {
      found.name ??= name
      return found
    }
    const runs = { total: 0, completed: 0, failed: 0, cancelled: 0, unknown: 0, open: 0 }
    const made: Group = {
      id,
      name,
      totals: emptyTotals(),
      intervals: [],
      thing: undefined,
      runs,
      queue: [],
      run: [],
      nodeBusy: 0,
    }
    groups.set(id, made)
    return made
  }

  for (const { entity, last, known } of selectEntities(sources, filter, window, checkTime)) {
    checkTime()
    if (entity.kind === by) {
      const group = groupOf(entity.id, entity.name)
      group.thing = entity
      group.intervals = knownIntervals(entity, last, known, window)
      group.totals = totalsOf(group.intervals)
    }
    if (!isRun(entity) || (entity.kind !== 'workflow' && entity.kind !== 'action')) continue
    const key = keyOf(history, entity, by)
    if (key === undefined) continue
    const group = groupOf(key, nameOfGroup(history, by, key))
    const intervals = knownIntervals(entity, last, known, window)
    const totals = totalsOf(intervals)
    if (entity.kind === 'action') group.nodeBusy += totals.busy
    if (entity.kind !== (by === 'node' ? 'action' : 'workflow')) continue
    if (by === 'user' || by === 'workflow_type') {
      addTotals(group.totals, totals)
      if (options.bucket) group.intervals.push(...intervals)
    }
    countRun(group, entity, window)
  }
  return [...groups.values()]
    .sort((a, b) => (a.name ?? '').localeCompare(b.name ?? '', 'en') || (a.id < b.id ? -1 : 1))
    .map((group) => {
      checkTime()
      return toItem(group, window, options)
    })
}

function keyOf(history: History, run: Run, by: Grouping): string | undefined {
  switch (by) {
    case 'node':
      return run.kind === 'action' ? run.links.node_id : undefined
    case 'workcell':
      return workcellOf(history, run)
    case 'lab':
      return run.links.lab_id
    case 'user':
      return userOf(history, run) ?? 'unknown'
    case 'experiment':
      return experimentOf(history, run)
    case 'workflow_type': {
      const { workflow_id } = run.links
      const workflow = run.kind === 'workflow' ? run : workflow_id && history.find('workflow', workflow_id)
      return workflow ? (workflow.name ?? 'unnamed') : undefined
    }
  }
}

/** Of what is itself no part of the report, as a node is not where one user's runs are asked for, too. */
function nameOfGroup(history: History, by: Grouping, key: string): string | undefined {
  if (by === 'workflow_type') return key
  return by === 'user' ? undefined : history.find(by, key)?.name
}

function countRun({ runs, queue, run }: Group, entity: Run, { start, end }: Window): void {
  const life = lifeOf(entity)!
  const { endedAt, workedAt } = life
  runs.total++
  if (endedAt === undefined || endedAt >= end) runs.open++
  else runs[entity.outcome ?? 'unknown']++
  if (life.queue !== undefined && workedAt! >= start && workedAt! < end) queue.push(life.queue)
  if (life.run !== undefined && endedAt! >= start && endedAt! < end) run.push(life.run)
}

function toItem(group: Group, window: Window, { bucket, zone }: SummaryOptions): SummaryItem {
  const { thing, totals, intervals } = group
  const isStanding = thing !== undefined && !isRun(thing)
  return {
    id: group.id,
    name: group.name ?? null,
    totals_us: totals,
    utilization_percent: utilizationOf(totals),
    availability_percent: availabilityOf(totals),
    ...(isStanding && { failures: failuresOf(thing.last, window, totals), lost_us: lostOf(intervals) }),
    runs: group.runs,
    queue: spreadOf(group.queue),
    run: spreadOf(group.run),
    node_busy_us: group.nodeBusy,
    ...(bucket && { buckets: toBuckets(intervals, window, bucket, zone) }),
  }
}

function lostOf(intervals: readonly Interval[]): { [cause: string]: number } {
  const lost: { [cause: string]: number } = {}
  for (const { state, cause, start, end } of intervals)
    if (state === 'down' || state === 'error') lost[cause] = (lost[cause] ?? 0) + end - start
  return lost
}

/** The hours, days, weeks or months of a window in a zone, at most so many; the first and the last are cut to it. */
export function bucketsOf(
  window: Window,
  bucket: Bucket,
  zone: Zone,
  most = Number.POSITIVE_INFINITY,
): Window[] {
  const found: Window[] = []
  for (let start = window.start; start < window.end && found.length < most; ) {
    const end = Math.min(Math.max(zone.bucketAt(start, bucket).end, start + 1), window.end)
    found.push({ start, end })
    start = end
  }
  return found
}

function toBuckets(intervals: Interval[], window: Window, bucket: Bucket, zone: Zone): SummaryBucket[] {
  const all = bucketsOf(window, bucket, zone).map((one) => ({ ...one, totals: emptyTotals() }))
  for (const { state, start, end } of intervals) {
    let low = 0
    for (let high = all.length - 1; low < high; ) {
      const middle = (low + high) >> 1
      if (all[middle]!.end <= start) low = middle + 1
      else high = middle
    }
    for (let at = low; at < all.length && all[at]!.start < end; at++) {
      const one = all[at]!
      const micros = Math.min(end, one.end) - Math.max(start, one.start)
      one.totals[state] += micros
      one.totals.wall += micros
    }
  }
  return all.map(({ start, end, totals }) => ({
    start_time: zone.toText(start),
    end_time: zone.toText(end),
    totals_us: totals,
    utilization_percent: utilizationOf(totals),
  }))
}

const itemFields = [
  'totals_us',
  'utilization_percent',
  'availability_percent',
  'failures',
  'lost_us',
  'runs',
  'queue',
  'run',
  'node_busy_us',
  'buckets',
] as const satisfies (keyof SummaryItem)[]
const bucketFields = [
  'start_time',
  'end_time',
  'totals_us',
  'utilization_percent',
] as const satisfies (keyof SummaryBucket)[]
const ofBucket = 'buckets.'

/** What `fields` may name. */
export const summaryFields: readonly string[] = [
  ...itemFields,
  ...bucketFields.map((name) => `${ofBucket}${name}`),
]

/** Items with these members alone, beside `id` and `name`; of buckets, some of theirs. */
export function pickFields(items: readonly SummaryItem[], fields: readonly string[]): object[] {
  const inBucket = bucketFields.filter((name) => fields.includes(`${ofBucket}${name}`))
  const wanted = itemFields.filter((name) => fields.includes(name))
  const isCut = inBucket.length > 0 && !fields.includes('buckets')
  return items.map((item) => ({
    id: item.id,
    name: item.name,
    ...pick(item, wanted),
    ...(isCut && item.buckets && { buckets: item.buckets.map((bucket) => pick(bucket, inBucket)) }),
  }))
}

function pick<Item extends object>(item: Item, names: readonly (keyof Item)[]): Partial<Item> {
  const found: Partial<Item> = {}
  for (const name of names) if (item[name] !== undefined) found[name] = item[name]
  return found
}

/** An item, or one of its buckets, as a row. */
export function* summaryRows(items: readonly SummaryItem[]): Generator<Row> {
  for (const item of items) {
    const { id, name } = item
    if (item.buckets) {
      for (const { start_time, end_time, totals_us, utilization_percent } of item.buckets)
        yield { id, name, start_time, end_time, ...flat('', totals_us, '_us'), utilization_percent }
      continue
    }
    yield {
      id,
      name,
      ...flat('', item.totals_us, '_us'),
      utilization_percent: item.utilization_percent,
      availability_percent: item.availability_percent,
      ...flat(
        '',
        item.failures ?? { failures: null, mtbf_seconds: null, repairs: null, mttr_seconds: null },
        '',
      ),
      ...flat('runs_', item.runs, ''),
      ...flat('queue_', item.queue, ''),
      ...flat('run_', item.run, ''),
      node_busy_us: item.node_busy_us,
    }
  }
}

function flat(before: string, values: object, after: string): Row {
  return Object.fromEntries(
    Object.entries(values as { [name: string]: number | null }).map(([name, value]) => [
      `${before}${name}${after}`,
      value,
    ]),
  )
}
