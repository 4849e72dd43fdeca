import type { EventType, Source } from '@madsci-events/sdk/event'
import type { Saying } from './emission.ts'
import type { Kind } from './kind.ts'
import type { Phase, StatusReport } from './status.ts'

/** What an event says of one of the laboratory's things: all that the engine reads of it. */
export interface Signal {
  /** The event's id. */
  readonly id: string
  /** Microseconds since 1970, UTC; a time without a zone counts as UTC. */
  readonly at: number
  /** The event's type, or that inside event_data for a typed event which a Python client stored as `log_*`. */
  readonly type: EventType
  /** True when the type comes from inside event_data. */
  readonly promoted: boolean
  readonly kind: Kind
  /** `start`, `status_update`, …: the type without its kind. */
  readonly what: string
  /** Id of the thing; undefined when the event names none. */
  readonly subject: string | undefined
  /** The id was made up from others, so several lives may share it. */
  readonly isAnonymous: boolean
  /** Ids of `source`; what is missing there, from event_data. */
  readonly links: Source
  readonly name: string | undefined
  readonly user: string | undefined
  /** The node that a step names. */
  readonly nodeName: string | undefined
  /** What MADSci's own programs mean by it beyond its type. */
  readonly saying: Saying | undefined
  /** Names that stand in `links` and `subject` in place of ids. */
  readonly named: Named | undefined
  /** Names that the event gives together with their ids. */
  readonly announced: readonly Announcement[] | undefined
  /** The thing itself speaks: a node of what it does. */
  readonly isOwn: boolean
  /** Nodes that a workcell lists, by name. */
  readonly nodes: readonly string[] | undefined
  /** The outcome of a step is said, not only that it is over. */
  readonly isClear: boolean
  /** A workcell asks for an action of a node that does not speak for itself: the request is the run. */
  readonly isBelieved: boolean
  /** What it says of a run. */
  readonly phase: Phase | undefined
  /** What the original reads of it: it knows starts and ends of nodes, experiments and action_status_change, not in logs. */
  readonly mark: 'start' | 'end' | undefined
  /** By what the original tells actions apart. */
  readonly key: string | undefined
  /** What a node, a workcell or a laboratory says of itself. */
  readonly report: StatusReport | undefined
}

export interface Named {
  node?: string
  workcell?: string
  workflow?: string
}

export interface Announcement {
  readonly kind: keyof Named
  readonly name: string
  readonly id: string
}

/** A place in the order of signals. */
export interface Place {
  readonly at: number
  readonly id: string
}

/** The order in which the engine takes signals: by time, then by id. */
export function compareSignals(a: Place, b: Place): number {
  return a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
}
