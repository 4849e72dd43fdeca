/** What GET /data/lab tells a page: one moment of the laboratory, by the receiver's clock. Times are ISO 8601, UTC. */
export interface LabAnswer {
  now: string
  /** Name of the manager. */
  name: string
  is_store_up: boolean
  total_events: number | null
  last_event: LabEvent | null
  /** Why nothing is known of nodes and runs now; null when it is. */
  report_error: string | null
  nodes: LabNode[]
  workflows: LabWorkflow[]
  /** Open alerts, newest first; null where none are raised. */
  alerts: LabAlert[] | null
}

export interface LabEvent {
  id: string
  type: string
  level: number
  message: string
  timestamp: string
}

export type LabState = 'busy' | 'idle' | 'error' | 'down' | 'unknown'

/** A node or a workflow as it stands. */
interface LabEntity {
  id: string
  name: string | null
  state: LabState
  cause: string
  since: string
  /** It began before the hour that is shown. */
  is_longer: boolean
}

export interface LabNode extends LabEntity {
  /** What it does now: an action that has begun and not ended. */
  action: string | null
  /** The last hour: state and where it begins and ends, from 0 to 1. */
  strip: [state: LabState, from: number, to: number][]
}

export interface LabWorkflow extends LabEntity {
  /** The step under way. */
  step: string | null
}

export interface LabAlert {
  id: string
  rule: string
  level: number
  why: string
  state: string
  opened_at: string
  /** Name of the node of that event, else its id; null when it is of none. */
  node: string | null
  /** What the event says; empty when it says nothing. */
  message: string
  /** An event to look at. */
  event_id: string | null
}
