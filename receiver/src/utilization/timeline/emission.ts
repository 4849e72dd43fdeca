import type { EventType } from '@madsci-events/sdk/event'

/** What a reader takes from an event beyond its type. */
export const sayings = {
  type: 'what its type says',
  alive: 'that the workcell runs',
  nothing: 'nothing of a state',
  node_disconnected: 'the node is down (`disconnected`), its running actions are unknown',
  nodes_retried:
    'nodes of the workcell that it does not list are connected; so are those listed, after a minute without a complaint',
  node_locked: 'down (`locked`), unless actions run',
  node_unlocked: 'not locked any more',
  workflow_belongs: 'to which experiment and workcell the workflow belongs, and its name',
  workflow_queued: 'workflow idle (`queued`)',
  workflow_unclear: 'workflow over, outcome `unknown`',
  step_unclear: 'step over as failed; the outcome of its action stays unknown',
  steps_failed: 'the open steps of the workflow are over, failed',
  action_requested:
    'the workcell wants an action of the node: what follows from the node belongs to the step',
  action_refused: 'the node did not take the request: no run',
  action_released: 'the workcell is done with it: over, with the outcome of the node, else of the step',
  experiment_over: 'experiment over; how, the experiment itself says too',
} as const
export type Saying = keyof typeof sayings

export const packages = [
  'node_module',
  'workcell_manager',
  'experiment_manager',
  'experiment_application',
  'client',
] as const
export const releases = ['0.5', '0.6', '0.7', '0.8'] as const
export type Release = (typeof releases)[number]

export interface Emission {
  /** `event_data.message`; null for an event of this type itself, whose event_data is the thing. */
  message: string | null
  type: EventType
  package: (typeof packages)[number]
  releases: readonly Release[]
  /** Where its ids, names and states stand: members of event_data, and of source where that is written. */
  carries: string
  says: Saying
}

const old = ['0.5', '0.6'] as const
const recent = ['0.7', '0.8'] as const
const all = releases
const newest = ['0.8'] as const

const workcell = 'source.workcell_id, workcell_id, workcell_name'
const action = 'workflow_id, step_id, node_name, action_id'
const step = 'workflow_id, step_id, step_node, step_action'
const experiment = 'experiment_id, experiment_name'

/**
 * Every event of MADSci's own programs that speaks of a node, a workcell, a workflow, a step, an action or an experiment. From
 * 0.7 on they are stored as `log_*` with this type in `event_data.event_type`. Written down from the programs, not from the
 * event model; a test holds the rows of 0.8 against a recorded laboratory.
 */
// biome-ignore format: a table
export const emissions: readonly Emission[] = [
  row(null, 'node_start', 'node_module', old, 'source.node_id, node_id, node_name', 'type'),
  row(null, 'node_error', 'node_module', old, 'source.node_id', 'type'),
  row(null, 'action_status_change', 'node_module', old, 'source.node_id, action_id, status', 'type'),
  row('Node started', 'node_start', 'node_module', recent, 'source.node_id, node_info.node_id, node_info.node_name', 'type'),
  row('Node exception', 'node_error', 'node_module', recent, 'source.node_id', 'type'),
  row('Node locked', 'node_status_update', 'node_module', recent, 'source.node_id, node_id', 'node_locked'),
  row('Node unlocked', 'node_status_update', 'node_module', recent, 'source.node_id, node_id', 'node_unlocked'),
  row('Action status changed', 'action_status_change', 'node_module', recent, 'source.node_id, action_result.action_id, action_result.status', 'type'),
  row('Ignoring unexpected argument', 'action_status_change', 'node_module', recent, 'source.node_id, action_id', 'nothing'),
  row('Ignoring unexpected file', 'action_status_change', 'node_module', recent, 'source.node_id, action_id', 'nothing'),

  row(null, 'workcell_start', 'workcell_manager', all, 'source.workcell_id, manager_id, name or manager_name, nodes', 'type'),
  row(null, 'workcell_stop', 'workcell_manager', all, 'source.workcell_id, manager_id, name or manager_name', 'type'),
  row(null, 'node_status_update', 'workcell_manager', old, 'source.workcell_id, source.node_id, flags of a NodeStatus', 'type'),
  row(null, 'workflow_start', 'workcell_manager', old, 'workflow_id, name, status, ownership_info', 'type'),
  row(null, 'workflow_complete', 'workcell_manager', all, 'workflow_id, name, status, author', 'type'),
  row('Engine initialized, waiting for workflows', 'workcell_start', 'workcell_manager', recent, workcell, 'alive'),
  row('No workflows ready to run', 'workcell_status_update', 'workcell_manager', recent, workcell, 'alive'),
  row('Node status update failed; marking disconnected', 'node_status_update', 'workcell_manager', recent, 'source.workcell_id, node_name', 'node_disconnected'),
  row('Retrying connection to disconnected nodes', 'node_status_update', 'workcell_manager', recent, `${workcell}, node_names`, 'nodes_retried'),
  row('Workflow step validation', 'workcell_status_update', 'workcell_manager', recent, 'source.experiment_id, source.workcell_id, workflow_id, workflow_name', 'workflow_belongs'),
  row('Error saving workflow definition', 'workflow_create', 'workcell_manager', recent, '', 'nothing'),
  row('Error starting workflow', 'workflow_start', 'workcell_manager', recent, '', 'nothing'),
  row('Workflow start successful', 'workflow_start', 'workcell_manager', recent, 'workflow_id, workflow_name', 'workflow_queued'),
  row('Workflow resubmit successful', 'workflow_start', 'workcell_manager', newest, 'workflow_id, workflow_name', 'workflow_queued'),
  row('Running workflow step', 'workflow_step_start', 'workcell_manager', recent, step, 'type'),
  row('Acquired node lock for action', 'action_start', 'workcell_manager', recent, action, 'action_requested'),
  row('Failed sending action request', 'action_failed', 'workcell_manager', recent, action, 'action_refused'),
  row('Exception while querying action result', 'action_failed', 'workcell_manager', recent, action, 'nothing'),
  row('Exceeded maximum retries while querying action result', 'action_failed', 'workcell_manager', recent, action, 'nothing'),
  row('Non-terminal action response but node does not support querying', 'action_status_change', 'workcell_manager', recent, action, 'nothing'),
  row('Action response is terminal or paused', 'action_status_change', 'workcell_manager', recent, 'workflow_id, step_id, action_id, action_status', 'nothing'),
  row('Released node lock for action', 'action_complete', 'workcell_manager', recent, action, 'action_released'),
  row('Completed workflow step', 'workflow_step_complete', 'workcell_manager', recent, `${step}, step_status`, 'type'),
  row('Step cancelled, setting workflow status to cancelled', 'workflow_step_complete', 'workcell_manager', recent, 'workflow_id, step_id', 'nothing'),
  row('Step paused, setting workflow status to paused', 'workflow_step_complete', 'workcell_manager', recent, 'workflow_id, step_id', 'nothing'),
  row('Workflow step failed, see error in step result', 'workflow_step_failed', 'workcell_manager', newest, step, 'type'),
  row('Workflow step ended with unknown status', 'workflow_step_failed', 'workcell_manager', recent, step, 'step_unclear'),
  row('Workflow step ended with unexpected status', 'workflow_step_failed', 'workcell_manager', recent, `${step}, step_status`, 'step_unclear'),
  row('Running step triggered unhandled exception', 'workflow_step_failed', 'workcell_manager', recent, 'workflow_id', 'steps_failed'),
  row('Workflow has no more steps, marking as completed', 'workflow_complete', 'workcell_manager', recent, 'workflow_id, workflow_name', 'type'),
  row('Workflow completed', 'workflow_complete', 'workcell_manager', recent, 'workflow_id, workflow_name, workflow_status, workflow_author', 'type'),
  row('Error logging workflow completion', 'workflow_complete', 'workcell_manager', recent, 'workflow_id', 'workflow_unclear'),
  row('Retrying workflow from step', 'workflow_start', 'client', recent, 'workflow_id', 'workflow_queued'),

  row(null, 'experiment_start', 'experiment_manager', old, 'experiment', 'type'),
  row(null, 'experiment_complete', 'experiment_manager', old, 'experiment, experiment.status', 'type'),
  row(null, 'experiment_continued', 'experiment_manager', old, 'experiment', 'type'),
  row(null, 'experiment_pause', 'experiment_manager', old, 'experiment', 'type'),
  row(null, 'experiment_cancelled', 'experiment_manager', old, 'experiment', 'type'),
  row(null, 'experiment_failed', 'experiment_manager', old, 'experiment', 'type'),
  row('Experiment started', 'experiment_start', 'experiment_manager', recent, 'experiment_id, run_name', 'type'),
  row('Experiment completed', 'experiment_complete', 'experiment_manager', recent, 'experiment_id, run_name', 'experiment_over'),
  row('Experiment continued', 'experiment_continued', 'experiment_manager', recent, 'experiment_id, run_name', 'type'),
  row('Experiment paused', 'experiment_pause', 'experiment_manager', recent, 'experiment_id, run_name', 'type'),
  row('Experiment cancelled', 'experiment_cancelled', 'experiment_manager', recent, 'experiment_id, run_name', 'type'),
  row('Experiment failed', 'experiment_failed', 'experiment_manager', recent, 'experiment_id, run_name', 'type'),
  row('Experiment run started', 'experiment_start', 'experiment_application', recent, experiment, 'type'),
  row('Experiment run ended', 'experiment_complete', 'experiment_application', recent, `source.experiment_id, ${experiment}, status`, 'type'),
  row('Experiment run ended', 'experiment_failed', 'experiment_application', recent, `source.experiment_id, ${experiment}, status`, 'type'),
  row('Experiment run ended', 'experiment_cancelled', 'experiment_application', recent, `source.experiment_id, ${experiment}, status`, 'type'),
  row('Experiment run paused', 'experiment_pause', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run paused; waiting for resume', 'experiment_pause', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run cancelled', 'experiment_cancelled', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run cancelled externally', 'experiment_cancelled', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run failed', 'experiment_failed', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run failed externally', 'experiment_failed', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run terminated', 'experiment_cancelled', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run terminated', 'experiment_failed', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
  row('Experiment run raised exception', 'experiment_failed', 'experiment_application', recent, `source.experiment_id, ${experiment}`, 'type'),
]

function row(
  message: string | null,
  type: EventType,
  program: Emission['package'],
  of: readonly Release[],
  carries: string,
  says: Saying,
): Emission {
  return { message, type, package: program, releases: of, carries, says }
}

const byMessage = new Map<string, Saying>(
  emissions.flatMap((one) =>
    one.message === null ? [] : [[`${one.type} ${one.message}`, one.says] as const],
  ),
)

/** What MADSci's own programs mean by a logged message; undefined for everybody else's. */
export function sayingOf(type: string, message: string): Saying | undefined {
  return byMessage.get(`${type} ${message}`)
}
