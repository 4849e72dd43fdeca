import { type Cause, isBusy, isOver, type Links, type Run, type State, setState } from './entity.ts'
import { type History, parentsOf } from './history.ts'
import type { RunKind } from './kind.ts'
import { addBusy, countBusy, hear, unlist } from './place.ts'
import type { Signal } from './signal.ts'
import type { Outcome, Phase } from './status.ts'

/** The nodes, workcells and laboratories that are busy while this run is. */
function placesOf(run: Run): ['lab' | 'workcell' | 'node', string][] {
  if (run.kind !== 'action' && run.kind !== 'workflow') return []
  const { node_id, workcell_id, lab_id } = run.links
  const places: ['lab' | 'workcell' | 'node', string][] = []
  if (node_id !== undefined && run.kind === 'action') places.push(['node', node_id])
  if (workcell_id !== undefined) places.push(['workcell', workcell_id])
  if (lab_id !== undefined) places.push(['lab', lab_id])
  return places
}

const linkKeys: { [kind in RunKind]: readonly (keyof Links)[] } = {
  campaign: ['lab_id', 'workcell_id'],
  experiment: ['lab_id', 'workcell_id', 'campaign_id'],
  workflow: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id'],
  step: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id', 'workflow_id', 'node_id'],
  action: ['lab_id', 'workcell_id', 'campaign_id', 'experiment_id', 'workflow_id', 'step_id', 'node_id'],
}

/** Learns where a run belongs. What is known once stays: ids that change under way would count it twice. */
export function learnLinks(history: History, run: Run, signal: Signal): void {
  const known = run.links
  let all: Links | undefined
  for (const key of linkKeys[run.kind]) {
    const id = signal.links[key]
    if (id === undefined || known[key] !== undefined) continue
    all ??= { ...known }
    all[key] = id
  }
  if (all === undefined) return
  const parents = parentsOf(run)
  run.links = all
  const busy = isBusy(run)
  for (const [kind, id] of placesOf(run)) {
    if (known[`${kind}_id`] !== undefined) continue
    const place = history.standing(kind, id)
    if (busy) addBusy(history, place)
    hear(history, place)
    if (kind === 'node' && isOver(run)) unlist(history, place, run)
  }
  if (run.last === undefined || isOver(run)) return
  const found = parentsOf(run).filter((parent) => !parents.includes(parent))
  for (const parent of found) history.open(parent, run)
  if (run.kind === 'step' && busy && found.length > 0) countStep(history, run, true, signal)
}

/** Moves a run to a state, and tells those that it runs in. */
export function moveRun(
  history: History,
  run: Run,
  state: State | 'over',
  cause: Cause,
  signal: Signal,
): void {
  const was = { busy: isBusy(run), open: run.last !== undefined && !isOver(run) }
  // It ended by itself: it went on while nobody reached its node.
  if (state === 'over' && !run.isLost && run.last?.cause === 'disconnected') run.last = run.last.previous
  setState(run, state, cause, signal)
  const open = !isOver(run)
  if (open !== was.open)
    for (const parent of parentsOf(run)) {
      if (open) history.open(parent, run)
      else history.close(parent, run)
    }
  const busy = isBusy(run)
  if (busy !== was.busy)
    for (const [kind, id] of placesOf(run)) countBusy(history, history.standing(kind, id), busy)
  if (run.kind === 'action' && !open && run.links.node_id !== undefined)
    unlist(history, history.standing('node', run.links.node_id), run)
  if (run.kind === 'step' && busy !== was.busy) countStep(history, run, busy, signal)
  if (run.kind === 'workflow' && was.open && !open)
    for (const step of history.openBelow(`workflow:${run.id}`)) loseRun(history, step, signal)
  // MADSci tells of no workflow that is cancelled while none of its steps runs.
  if (run.kind === 'experiment' && was.open && !open)
    for (const workflow of history.openBelow(`experiment:${run.id}`))
      if (workflow.last?.state === 'idle') loseRun(history, workflow, signal)
}

/** Something else that ended, or silence, shows that the run is over. */
export function loseRun(history: History, run: Run, signal: Signal): void {
  if (isOver(run)) return
  history.touch(run)
  run.isLost = true
  run.outcome = 'unknown'
  history.note('lost_end', signal.id)
  moveRun(history, run, 'over', 'over', signal)
}

/**
 * Takes a phase that an event says of a run. Over is over, with two exceptions: what was lost may speak again, and a
 * workflow, a step or an experiment that has run may run once more (a retry). An action runs once.
 * False when the phase does not count.
 */
export function advanceRun(history: History, run: Run, phase: Phase, signal: Signal): boolean {
  if (isOver(run)) {
    if (typeof phase === 'object') {
      if (run.isLost) run.outcome = phase.over
      run.isLost = false
      return false
    }
    const again = phase === 'running' && run.hasRun && (run.kind !== 'action' || run.isAnonymous)
    if (!run.isLost && !again) {
      if (phase === 'running' && !run.hasRun) history.note('start_after_end', signal.id)
      return false
    }
    run.isLost = false
    run.outcome = undefined
  }
  if (typeof phase === 'object') endRun(history, run, phase.over, signal)
  else {
    run.omitted = 0
    if (phase === 'running') {
      run.hasRun = true
      run.workedAt ??= signal.at
    }
    if (run.kind !== 'workflow') moveRun(history, run, ...stateOf[phase], signal)
  }
  return true
}

function endRun(history: History, run: Run, outcome: Outcome, signal: Signal): void {
  if (!run.hasRun) history.note('end_without_start', signal.id)
  run.outcome = outcome
  moveRun(history, run, 'over', 'over', signal)
}

const stateOf: { [phase in Phase & string]: [State, Cause] } = {
  queued: ['idle', 'queued'],
  running: ['busy', 'running'],
  paused: ['down', 'paused'],
  unknown: ['unknown', 'unclear'],
}

function countStep(history: History, step: Run, busy: boolean, signal: Signal): void {
  const { workflow_id } = step.links
  if (workflow_id === undefined) return
  const workflow = history.run('workflow', workflow_id, signal.at)
  workflow.runningSteps += busy ? 1 : -1
  // Work brings back what was lost.
  refreshWorkflow(history, workflow, signal, {
    revives: busy && workflow.isLost && workflow.declared !== 'paused',
  })
}

/**
 * The state of a workflow; the first line that holds counts:
 *
 *     it says that it is paused            down
 *     a step runs                          busy
 *     the last step that ended failed      error
 *     steps were seen, none runs           idle, waiting
 *     created, or started in a queue       idle, queued
 *     started                              busy
 */
export function refreshWorkflow(
  history: History,
  workflow: Run,
  signal: Signal,
  { revives = false }: { revives?: boolean } = {},
): void {
  const [state, cause] = workflowState(workflow)
  if (isOver(workflow)) {
    if (!revives) return
    workflow.isLost = false
    workflow.outcome = undefined
  }
  if (state === 'busy') workflow.hasRun = true
  moveRun(history, workflow, state, cause, signal)
}

function workflowState({ declared, runningSteps, stepFailed, stepsSeen }: Run): [State, Cause] {
  if (declared === 'paused') return ['down', 'paused']
  if (runningSteps > 0) return ['busy', 'running']
  if (stepFailed) return ['error', 'step_failed']
  if (stepsSeen) return ['idle', 'waiting']
  if (declared === 'queued') return ['idle', 'queued']
  return ['busy', declared]
}
