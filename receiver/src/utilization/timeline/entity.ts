import type { EventType } from '@madsci-events/sdk/event'
import type { RunKind, StandingKind } from './kind.ts'
import type { Signal } from './signal.ts'
import type { Flag, Outcome } from './status.ts'

export const states = ['busy', 'idle', 'error', 'down', 'unknown'] as const
export type State = (typeof states)[number]

/**
 * The state from an instant on, until that of the next stretch. Stretches form a list that only its end changes:
 *
 *     entity.last ─▶ busy 10:05 ─▶ idle 10:00 ─▶ unknown −∞ ─▶ undefined
 *
 * so that a copy of the entity keeps the past for nothing.
 */
export interface Stretch {
  readonly state: State | 'over'
  readonly cause: Cause
  /** Microseconds since 1970; −Infinity for what was so before anything was heard. */
  readonly start: number
  /** The event that began it; null for the beginning of all things. */
  readonly begunBy: string | null
  /** The type of that event, as the engine read it. */
  readonly type: EventType | null
  /** That type stood inside event_data of a `log_*`. */
  readonly promoted: boolean
  readonly previous: Stretch | undefined
}

export type Cause =
  | 'unheard'
  | 'running'
  | 'started'
  | 'queued'
  | 'waiting'
  | 'ready'
  | 'step_failed'
  | 'unclear'
  | 'silent'
  | 'over'
  | Flag

/** A start or an end as the original's report knows it. */
export interface Mark {
  readonly at: number
  /** The event. */
  readonly id: string
  readonly isStart: boolean
  /** The node that the event names, and the name by which it tells actions apart. */
  readonly node: string | undefined
  readonly key: string | undefined
  readonly previous: Mark | undefined
}

interface Common {
  readonly id: string
  name: string | undefined
  last: Stretch | undefined
  /** What the original reads of it, the newest first. */
  marks: Mark | undefined
  /** The step of the engine's history in which it appeared, and the last one that kept a copy of it. */
  born: number
  kept: number
}

/** A laboratory, a workcell or a node. */
export interface Standing extends Common {
  readonly kind: StandingKind
  /** Undefined until something shows that it is there. */
  up: boolean | undefined
  flags: readonly Flag[]
  /** Running actions that the node's last status listed. */
  listed: readonly string[]
  /** Busy runs inside it. */
  running: number
  workcellId: string | undefined
  /** For nodes: what workcells want of it. */
  requests: readonly Request[]
  /** For nodes: when a workcell last failed to reach it. */
  lostAt: number
  /** For workcells: the nodes that it does not reach, and when it last tried them again. */
  lostNodes: readonly string[]
  retriedAt: number | undefined
}

/**
 * A workcell gives its request for an action an id of its own, and the node answers under another: what the node does next
 * belongs to the request. A node that never speaks for itself is taken at the workcell's word: then the request is the run.
 */
export interface Request {
  readonly at: number
  readonly actionId: string
  readonly name: string | undefined
  readonly links: Links
  /** The run that it became: its own, or that under which the node answered. */
  readonly runId: string | undefined
  readonly isRun: boolean
  /** Nothing answered yet, and something still may. */
  readonly isOpen: boolean
}

/** A campaign, an experiment, a workflow, a step or an action. */
export interface Run extends Common {
  readonly kind: RunKind
  /** Its id was made up from others, so several lives may share it. */
  readonly isAnonymous: boolean
  heardAt: number
  /** The first instant at which work on it was seen. */
  workedAt: number | undefined
  hasRun: boolean
  outcome: Outcome | undefined
  /** It ended because something else did, or fell silent; what it says later counts. */
  isLost: boolean
  links: Links
  user: string | undefined
  /** For actions: statuses of its node in a row that left it out. */
  omitted: number
  /** For workflows: its running steps, and what was heard of them. */
  runningSteps: number
  stepsSeen: boolean
  stepFailed: boolean
  declared: 'queued' | 'started' | 'running' | 'paused'
  /** For steps: the node that it names. */
  nodeName: string | undefined
  /** For steps: the node that was asked for its actions, and those. */
  requestedOf: string | undefined
  actionIds: readonly string[]
}

export interface Links {
  lab_id?: string
  workcell_id?: string
  node_id?: string
  campaign_id?: string
  experiment_id?: string
  workflow_id?: string
  step_id?: string
}

export type Entity = Standing | Run

export function isRun(entity: Entity): entity is Run {
  return entity.kind !== 'lab' && entity.kind !== 'workcell' && entity.kind !== 'node'
}

/**
 * Begins a stretch, unless the state is the same already. What lasted no time at all leaves no trace: of several changes
 * at one instant the last one counts.
 */
export function setState(entity: Entity, state: State | 'over', cause: Cause, signal: Signal): void {
  let last = entity.last
  if (last && last.state === state && last.cause === cause) return
  if (last && last.start === signal.at) {
    last = last.previous
    if (last && last.state === state && last.cause === cause) {
      entity.last = last
      return
    }
  }
  entity.last = {
    state,
    cause,
    start: signal.at,
    begunBy: signal.id,
    type: signal.type,
    promoted: signal.promoted,
    previous: last,
  }
}

export const isBusy = (run: Run): boolean => run.last?.state === 'busy'
export const isOver = (run: Run): boolean => run.last?.state === 'over'
