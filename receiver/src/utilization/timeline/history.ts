import { type Entity, isRun, type Run, type Standing } from './entity.ts'
import { type Kind, kinds, type RunKind, type StandingKind } from './kind.ts'
import { compareSignals, type Place } from './signal.ts'

/** Why an event could not be used, or what it says about the laboratory's clocks. */
export const noticeKinds = {
  no_id: 'it names no id of what it speaks of',
  unread_time: 'its time cannot be read',
  unread_status: 'its status says nothing that is known',
  end_without_start: 'it ends what was never seen to start',
  start_after_end: 'it starts what ended before: a clock that was set back, or an id used twice',
  lost_end: 'it shows that something ended whose own end was not heard',
} as const
export type NotificationKind = keyof typeof noticeKinds

export interface Notices {
  readonly [kind: string]: { readonly count: number; readonly eventIds: readonly string[] } | undefined
}

/**
 * Everything that the engine knows, and how to unlearn it. Every so many signals an epoch begins, which keeps a copy of
 * each entity before its first change in it. Old epochs are put together, so that there are few of them:
 *
 *     epochs   ├──────── 8 ────────┼── 4 ──┼ 2 ┼ 1 ┼ 1 ▶ now
 *
 * Going back to the beginning of an epoch undoes the newer ones, in reverse.
 */
export interface History {
  readonly entities: ReadonlyMap<string, Entity>
  /** By kind: how many, and the first of their events. */
  readonly notices: Notices
  /** The last signal that was taken. */
  readonly place: Place | undefined
  /** Things whose state has to be brought up to date before the next signal. */
  readonly stale: Set<Standing>
  find(kind: Kind, id: string): Entity | undefined
  /** Made when it is missing; free to be changed. */
  standing(kind: StandingKind, id: string): Standing
  run(kind: RunKind, id: string, heardAt: number, isAnonymous?: boolean): Run
  /** Before an entity that was come by in another way is changed. */
  touch(entity: Entity): void
  /** Runs below a parent (`node:ID`, …) that are not over, oldest first. */
  openBelow(parent: string): Run[]
  open(parent: string, run: Run): void
  close(parent: string, run: Run): void
  note(kind: NotificationKind, eventId: string): void
  /** Says that a signal is about to be taken. */
  advance(place: Place): void
  /** Undoes as little as brings it before a place; gives the last signal that is left (undefined: none). */
  rollback(place: Place): Place | undefined
}

interface Epoch {
  number: number
  /** The last signal before it. */
  after: Place | undefined
  signals: number
  copies: Map<Entity, Entity>
  notices: Notices
}

const maxNoticeIds = 20

export function createHistory({ epochSignals = 1000 }: { epochSignals?: number } = {}): History {
  const entities = new Map<string, Entity>()
  // Looked up for every signal: two maps are quicker than a text made of both.
  const byKind = new Map<Kind, Map<string, Entity>>(kinds.map((kind) => [kind, new Map()]))
  const openRuns = new Map<string, Set<Run>>()
  const epochs: Epoch[] = []
  let notices: Notices = {}
  let epochCount = 0
  let place: Place | undefined
  let current: Epoch
  beginEpoch()

  function beginEpoch(): void {
    current = { number: ++epochCount, after: place, signals: 0, copies: new Map(), notices }
    epochs.push(current)
  }

  /** Three epochs of the same size become two: the older ones are put together. */
  function thin(): void {
    for (let index = epochs.length - 2; index >= 2; index--) {
      const [older, newer] = [epochs[index - 2]!, epochs[index - 1]!]
      if (older.signals > epochs[index]!.signals || newer.signals > epochs[index]!.signals) continue
      older.signals += newer.signals
      for (const [entity, copy] of newer.copies)
        if (entity.born < older.number && !older.copies.has(entity)) older.copies.set(entity, copy)
      epochs.splice(index - 1, 1)
    }
  }

  function touch(entity: Entity): void {
    if (entity.kept === current.number) return
    if (entity.born < current.number) current.copies.set(entity, { ...entity })
    entity.kept = current.number
  }

  function add<Made extends Entity>(entity: Made): Made {
    entities.set(`${entity.kind}:${entity.id}`, entity)
    byKind.get(entity.kind)!.set(entity.id, entity)
    return entity
  }

  function open(parent: string, run: Run): void {
    const runs = openRuns.get(parent)
    if (runs) runs.add(run)
    else openRuns.set(parent, new Set([run]))
  }

  const history: History = {
    entities,
    stale: new Set(),
    get notices() {
      return notices
    },
    get place() {
      return place
    },
    find: (kind, id) => byKind.get(kind)!.get(id),
    standing(kind, id) {
      const found = byKind.get(kind)!.get(id) as Standing | undefined
      if (found) {
        touch(found)
        return found
      }
      return add({
        kind,
        id,
        name: undefined,
        marks: undefined,
        last: {
          state: 'unknown',
          cause: 'unheard',
          start: Number.NEGATIVE_INFINITY,
          begunBy: null,
          type: null,
          promoted: false,
          previous: undefined,
        },
        born: current.number,
        kept: current.number,
        up: undefined,
        flags: [],
        listed: [],
        running: 0,
        workcellId: undefined,
        requests: [],
        lostAt: Number.NEGATIVE_INFINITY,
        lostNodes: [],
        retriedAt: undefined,
      })
    },
    run(kind, id, heardAt, isAnonymous = false) {
      const found = byKind.get(kind)!.get(id) as Run | undefined
      if (found) {
        touch(found)
        return found
      }
      return add({
        kind,
        id,
        name: undefined,
        marks: undefined,
        last: undefined,
        born: current.number,
        kept: current.number,
        isAnonymous,
        heardAt,
        workedAt: undefined,
        hasRun: false,
        outcome: undefined,
        isLost: false,
        links: {},
        user: undefined,
        omitted: 0,
        runningSteps: 0,
        stepsSeen: false,
        stepFailed: false,
        declared: 'queued',
        nodeName: undefined,
        requestedOf: undefined,
        actionIds: [],
      })
    },
    touch,
    openBelow: (parent) => [...(openRuns.get(parent) ?? [])],
    open,
    close(parent, run) {
      const runs = openRuns.get(parent)
      if (runs?.delete(run) && runs.size === 0) openRuns.delete(parent)
    },
    note(kind, eventId) {
      const { count, eventIds } = notices[kind] ?? { count: 0, eventIds: [] }
      const ids = count < maxNoticeIds ? [...eventIds, eventId] : eventIds
      notices = { ...notices, [kind]: { count: count + 1, eventIds: ids } }
    },
    advance(next) {
      if (current.signals >= epochSignals) {
        beginEpoch()
        thin()
      }
      current.signals++
      place = next
    },
    rollback(to) {
      if (!place || compareSignals(to, place) > 0) return place
      while (place && compareSignals(to, place) <= 0) {
        const undone = epochs.pop()!
        for (const [entity, copy] of undone.copies) Object.assign(entity, copy)
        for (const [key, entity] of entities) {
          if (entity.born < undone.number) continue
          entities.delete(key)
          byKind.get(entity.kind)!.delete(entity.id)
        }
        notices = undone.notices
        place = undone.after
      }
      beginEpoch()
      openRuns.clear()
      for (const entity of entities.values()) {
        if (!isRun(entity) || entity.last === undefined || entity.last.state === 'over') continue
        for (const parent of parentsOf(entity)) open(parent, entity)
      }
      return place
    },
  }
  return history
}

/** Under which parents a run lies while it is open. */
export function parentsOf(run: Run): string[] {
  const { node_id, workflow_id, workcell_id, experiment_id } = run.links
  if (run.kind === 'action' && node_id !== undefined) return [`node:${node_id}`]
  if (run.kind === 'step' && workflow_id !== undefined) return [`workflow:${workflow_id}`]
  if (run.kind !== 'workflow') return []
  const parents: string[] = []
  if (workcell_id !== undefined) parents.push(`workcell:${workcell_id}`)
  if (experiment_id !== undefined) parents.push(`experiment:${experiment_id}`)
  return parents
}
