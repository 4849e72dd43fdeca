/** How something that has an end came to it. MADSci's reports read these words. */
export type EndStatus = 'completed' | 'failed' | 'cancelled'

/** What was thrown. */
export interface ExceptionData {
  /** `TypeError`; for what is no Error, what it is: `string`, `object`, … */
  type: string
  message: string
  stacktrace?: string
}

/** What the ends of all activities say. */
export interface EndData {
  message: string
  status: EndStatus
  /** By a clock that does not jump. */
  duration_seconds: number
  /** Unless it completed. */
  exception?: ExceptionData
}

/** `event_data` of action_start; action_status_change has the same without `args`. */
export interface ActionStartData {
  message: string
  /** What joins the events of one run of an action. */
  action_id: string
  /** Its name. */
  action: string
  args?: unknown
  status: 'running'
}
/** `event_data` of action_complete and action_failed. */
export type ActionEndData = Omit<ActionStartData, 'status' | 'args'> & EndData

/** `event_data` of workflow_start. The user report groups by `workflow_id` and sums for each `author`. */
export interface WorkflowStartData {
  message: string
  workflow_id: string
  name: string
  author?: string
  status: 'running'
}
/** `event_data` of workflow_complete, which tells of failure and cancellation, too: MADSci's reports read its status. */
export type WorkflowEndData = Omit<WorkflowStartData, 'status'> & EndData

/** `event_data` of workflow_step_start. */
export interface StepStartData {
  message: string
  step_id: string
  workflow_id?: string
  step: string
  status: 'running'
}
/** `event_data` of workflow_step_complete and workflow_step_failed. */
export type StepEndData = Omit<StepStartData, 'status'> & EndData

/** `event_data` of experiment_start. The periods report finds the name only deep inside of `experiment`. */
export interface ExperimentStartData {
  message: string
  experiment_id: string
  experiment_name: string
  experiment: { experiment_id: string; experiment_design: { experiment_name: string } }
  status: 'running'
}
/** `event_data` of experiment_complete, experiment_failed and experiment_cancelled. */
export type ExperimentEndData = Omit<ExperimentStartData, 'status'> & EndData

/** What MADSci's nodes say of themselves; whatever is left out is not the case. */
export interface NodeStatus {
  busy?: boolean
  running_actions?: Iterable<string>
  paused?: boolean
  locked?: boolean
  stopped?: boolean
  errored?: boolean
  disconnected?: boolean
  errors?: unknown[]
  initializing?: boolean
  waiting_for_config?: Iterable<string>
  config_values?: { [name: string]: unknown }
}

/** In this order: the first that is the case is the one to be told. */
export const nodeStatusWords = [
  'disconnected',
  'stopped',
  'errored',
  'initializing',
  'locked',
  'paused',
  'busy',
] as const
export type NodeStatusWord = (typeof nodeStatusWords)[number] | 'ready'

/** `event_data` of node_status_update: a word, or all flags of MADSci's NodeStatus. */
export interface NodeStatusData {
  message: string
  status: NodeStatus | NodeStatusWord | (string & {})
}
