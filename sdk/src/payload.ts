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
  busy?: boolean | undefined
  running_actions?: Iterable<string> | undefined
  paused?: boolean | undefined
  locked?: boolean | undefined
  stopped?: boolean | undefined
  errored?: boolean | undefined
  disconnected?: boolean | undefined
  errors?: unknown[]
  initializing?: boolean | undefined
  waiting_for_config?: Iterable<string> | undefined
  config_values?: { [name: string]: unknown } | undefined
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

/** `event_data` of what `events.error(…)` and its like make, and of errors that end a process. */
export interface LogData {
  message: string
  exception?: ExceptionData
}

type Failed<Data extends EndData> = Data & { exception: ExceptionData }

/** What the SDK writes into `event_data`, by `event_type`. */
export interface EventDataByType {
  log_debug: LogData
  log_info: LogData
  log_warning: LogData
  log_error: LogData
  log_critical: LogData
  node_error: LogData
  manager_error: LogData
  node_status_update: NodeStatusData
  action_start: ActionStartData
  action_status_change: Omit<ActionStartData, 'status' | 'args'> & { status: 'running' | EndStatus }
  action_complete: ActionEndData
  action_failed: Failed<ActionEndData>
  workflow_start: WorkflowStartData
  workflow_complete: WorkflowEndData
  workflow_step_start: StepStartData
  workflow_step_complete: StepEndData
  workflow_step_failed: Failed<StepEndData>
  experiment_start: ExperimentStartData
  experiment_complete: ExperimentEndData
  experiment_failed: Failed<ExperimentEndData>
  experiment_cancelled: Failed<ExperimentEndData>
}

/** The same as a program may write it itself: each member may be left out, a word be another, and more be added. */
export type EventDataInput<Type> =
  Type extends Exclude<keyof EventDataByType, keyof LogTypes>
    ? { [key in keyof EventDataByType[Type]]?: Widened<EventDataByType[Type][key]> | undefined } & {
        [key: string]: unknown
      }
    : unknown

// An event of these may say anything.
type LogTypes = {
  [type in keyof EventDataByType as LogData extends EventDataByType[type] ? type : never]: true
}
type Widened<Member> = Member extends string ? string : Member
