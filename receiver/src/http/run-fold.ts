import { isObject, parseJson, type Value } from '@madsci-events/sdk/event'
import { countOf } from '../plural.ts'
import type { StoredEvent } from '../store/event-store.ts'
import { subjects } from '../subject.ts'
import type { TimelineEntity } from '../utilization/timeline/timeline.ts'
import type { RunAnswer, RunEvent, RunKind, RunNumber, RunRow, RunSummary } from './run-answer.ts'

const maxEvents = 500
const maxFailures = 20
const eventsBefore = 10
const maxNumbers = 100
const maxPeople = 50
const maxDepth = 3
const maxMessage = 300
const errorLevel = 40

export function toRunSummary(entity: TimelineEntity): RunSummary {
  const { kind, id, name, intervals, user, experiment_id, workcell_id, outcome, totals_us } = entity
  const [first, last] = [intervals[0], intervals.at(-1)]
  return {
    kind: kind as RunKind,
    id,
    name,
    user: user ?? null,
    experiment_id: experiment_id ?? null,
    workcell_id: workcell_id ?? null,
    outcome: outcome ?? null,
    state: String(last?.state ?? 'unknown'),
    start_time: String(first?.start_time ?? ''),
    end_time: String(last?.end_time ?? ''),
    is_open: last?.open === true,
    totals_us: { ...totals_us },
  }
}

const startOf = ({ intervals }: TimelineEntity) => String(intervals[0]?.start_time ?? '')

/** A run, its workflows by their start, and below each its steps and actions by theirs. */
export function toRunRows(
  entities: readonly TimelineEntity[],
  own: TimelineEntity,
  nodeNames: ReadonlyMap<string, string>,
): RunRow[] {
  const byStart = [...entities].sort(
    (a, b) => Number(startOf(a) > startOf(b)) - Number(startOf(a) < startOf(b)),
  )
  const below = new Map<string, TimelineEntity[]>()
  for (const entity of byStart) {
    if (entity === own) continue
    const parent = entity.step_id ?? entity.workflow_id ?? own.id
    const list = below.get(parent)
    if (list) list.push(entity)
    else below.set(parent, [entity])
  }
  const rows: RunRow[] = []
  const seen = new Set<TimelineEntity>()
  // The next one is the last: ids in a chain of any length may lead from one to another.
  const waiting = [
    // Of a step or a workflow that nothing else was heard of.
    ...byStart.toReversed(),
    own,
  ]
  for (let entity = waiting.pop(); entity !== undefined; entity = waiting.pop()) {
    if (seen.has(entity)) continue
    seen.add(entity)
    rows.push(toRow(entity, nodeNames))
    for (const one of (below.get(entity.id) ?? []).toReversed()) waiting.push(one)
  }
  return rows
}

function toRow(
  { kind, id, name, node_id, outcome, intervals }: TimelineEntity,
  names: ReadonlyMap<string, string>,
): RunRow {
  const text = (value: unknown) => (typeof value === 'string' ? value : null)
  return {
    kind,
    id,
    name,
    node_id: node_id ?? null,
    node_name: (node_id !== undefined && names.get(node_id)) || null,
    outcome: outcome ?? null,
    begun_by: text(intervals[0]?.begun_by),
    ended_by: text(intervals.at(-1)?.ended_by),
    intervals: intervals.map(({ state, cause, start_time, end_time }) => ({
      state: String(state),
      cause: String(cause),
      start_time: String(start_time),
      end_time: String(end_time),
    })),
  }
}

type Told = Pick<RunAnswer, 'failures' | 'numbers' | 'people' | 'events'> & { eventIds: Set<string> }

/** Takes the events of a run, oldest first, in memory that does not grow with their number but for their ids. */
export function createRunFold(entities: readonly TimelineEntity[], own: TimelineEntity) {
  const failed = new Set(
    entities.flatMap(({ outcome, intervals }) =>
      outcome === 'failed' ? [String(intervals.at(-1)?.ended_by)] : [],
    ),
  )
  const eventIds = new Set<string>()
  const events: RunEvent[] = []
  const recent: RunEvent[] = []
  const failures: Told['failures'] = []
  const numbers = new Map<string, RunNumber>()
  const people = new Set<string>(own.user === undefined ? [] : [own.user])
  let failureCount = 0
  return {
    take(stored: StoredEvent): void {
      const document = parseJson(stored.json)
      if (!isObject(document)) return
      const event = toRunEvent(stored.id, document)
      eventIds.add(stored.id)
      if (events.length < maxEvents) events.push(event)
      if (event.level >= errorLevel || failed.has(event.id)) {
        failureCount++
        if (failures.length < maxFailures) failures.push({ event, before: [...recent] })
      }
      recent.push(event)
      if (recent.length > eventsBefore) recent.shift()
      countNumbers(numbers, document.event_data, [])
      for (const path of personPaths) {
        const person = textAt(document, path)
        if (person !== '' && people.size < maxPeople) people.add(person)
      }
    },
    end(cuts: string[]): Told {
      if (eventIds.size > events.length) cuts.push(countOf(eventIds.size - events.length, 'later event'))
      if (failureCount > failures.length) cuts.push(countOf(failureCount - failures.length, 'later failure'))
      return { eventIds, events, failures, numbers: [...numbers.values()], people: [...people] }
    },
  }
}

const personPaths = [...subjects.user.names, subjects.user.id].map((path) => path.split('.'))

function textAt(document: Value, path: readonly string[]): string {
  let value: Value | undefined = document
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
  return typeof value === 'string' ? value.slice(0, 200) : ''
}

function toRunEvent(id: string, document: { [name: string]: Value }): RunEvent {
  const { event_type, log_level, event_timestamp } = document
  const inner = textAt(document, ['event_data', 'event_type'])
  return {
    id,
    type: String(inner || event_type || ''),
    level: Number(log_level ?? 0),
    message: textAt(document, ['event_data', 'message']).slice(0, maxMessage),
    timestamp: String(event_timestamp ?? ''),
  }
}

/** Numbers that events carry, by their path. */
function countNumbers(numbers: Map<string, RunNumber>, value: Value | undefined, path: string[]): void {
  if (typeof value === 'number' || typeof value === 'bigint') {
    const name = path.join('.')
    const last = Number(value)
    if (name === '' || !Number.isFinite(last)) return
    const known = numbers.get(name)
    if (known) {
      known.count++
      known.least = Math.min(known.least, last)
      known.greatest = Math.max(known.greatest, last)
      known.last = last
    } else if (numbers.size < maxNumbers)
      numbers.set(name, { name, count: 1, least: last, greatest: last, last })
  } else if (isObject(value) && path.length < maxDepth)
    for (const [name, one] of Object.entries(value)) countNumbers(numbers, one, [...path, name.slice(0, 100)])
}
