import type { Entity, Run, Standing } from './entity.ts'
import type { History } from './history.ts'
import { hear, refreshStale } from './place.ts'
import { loseNode, takeReach } from './reach.ts'
import { answerRequest, endRequests, takeRequestWord } from './request.ts'
import { advanceRun, learnLinks, loseRun, refreshWorkflow } from './run.ts'
import { compareSignals, type Signal } from './signal.ts'

/**
 * Takes one signal. Signals come in the order of compareSignals; the same one again is passed over.
 * Throws an error that says BUG: for one that comes too late: the history goes back first.
 */
export function takeSignal(history: History, signal: Signal): void {
  const { place } = history
  const order = place ? compareSignals(signal, place) : 1
  if (order === 0) return
  if (order < 0) throw new Error('BUG: a signal came after later ones')
  history.advance(signal)
  const { kind, subject } = signal
  if (subject === undefined) history.note('no_id', signal.id)
  else if (kind === 'node' || kind === 'workcell' || kind === 'lab')
    takeStanding(history, history.standing(kind, subject), signal)
  else if (takeRequestWord(history, signal)) {
    // It is no run by itself.
  } else {
    const run = history.run(kind, subject, signal.at, signal.isAnonymous)
    run.name ??= signal.name
    run.user ??= signal.user
    markEntity(run, signal)
    if (kind === 'workflow') takeWorkflow(history, run, signal)
    else if (kind === 'step') takeStep(history, run, signal)
    else if (kind === 'action') takeAction(history, run, signal)
    else takeRun(history, run, signal)
  }
  nameThings(history, signal)
  refreshStale(history, signal)
}

/** Names that an event gives of others than its subject. */
function nameThings(history: History, { named, announced, links }: Signal): void {
  const name = (kind: 'node' | 'workcell', id: string | undefined, text: string) => {
    const thing = id === undefined ? undefined : history.find(kind, id)
    if (!thing || thing.name !== undefined) return
    history.touch(thing)
    thing.name = text
  }
  for (const one of announced ?? []) if (one.kind !== 'workflow') name(one.kind, one.id, one.name)
  if (named?.node !== undefined) name('node', links.node_id, named.node)
  if (named?.workcell !== undefined) name('workcell', links.workcell_id, named.workcell)
}

/** The original knows nodes by what the event says, be it a name. */
function markEntity(entity: Entity, { mark, at, id, key, links, named }: Signal): void {
  if (mark === undefined) return
  const node = named?.node ?? links.node_id
  entity.marks = { at, id, isStart: mark === 'start', node, key, previous: entity.marks }
}

function takeStanding(history: History, standing: Standing, signal: Signal): void {
  const { kind, what, report, links, saying } = signal
  standing.name ??= signal.name
  markEntity(standing, signal)
  if (kind === 'node') standing.workcellId ??= links.workcell_id
  if (kind === 'workcell') takeReach(history, standing, signal)
  if (saying === 'alive' || saying === 'nodes_retried') hear(history, standing)
  else if (saying === 'node_disconnected') loseNode(history, standing, signal)
  else if (saying === 'node_locked' || saying === 'node_unlocked') {
    standing.flags = standing.flags.filter((flag) => flag !== 'locked')
    if (saying === 'node_locked') standing.flags = [...standing.flags, 'locked']
    standing.up = true
  } else if (what === 'start' || what === 'stop') {
    // Nothing outlives the process that ran it.
    for (const run of history.openBelow(`${kind}:${standing.id}`)) loseRun(history, run, signal)
    standing.up = what === 'start'
    standing.flags = []
    standing.listed = []
    standing.requests = standing.requests.map((request) => ({ ...request, isOpen: false }))
  } else if (what === 'error') {
    if (!standing.flags.includes('errored')) standing.flags = [...standing.flags, 'errored']
  } else if (what === 'status_update') {
    if (!report) {
      history.note('unread_status', signal.id)
      return
    }
    if (kind === 'node' && report.runningActions) leaveOut(history, standing, report.runningActions, signal)
    standing.up = true
    standing.flags = report.flags
    standing.listed = report.runningActions ?? []
  } else return
  history.stale.add(standing)
}

/** An action that two statuses in a row leave out ended unheard: one status may have been made just before it began. */
function leaveOut(history: History, node: Standing, listed: readonly string[], signal: Signal): void {
  for (const run of history.openBelow(`node:${node.id}`)) {
    history.touch(run)
    if (listed.includes(run.id)) run.omitted = 0
    else if (++run.omitted >= 2) loseRun(history, run, signal)
  }
}

/** False when the signal changes nothing in the life of the run. */
function takeRun(history: History, run: Run, signal: Signal): boolean {
  const { phase } = signal
  if (phase === undefined) {
    learnLinks(history, run, signal)
    history.note('unread_status', signal.id)
    return false
  }
  // What only its end places somewhere was never busy there.
  if (typeof phase !== 'object') learnLinks(history, run, signal)
  const counts = advanceRun(history, run, phase, signal)
  // How it went the experiment itself says in a moment.
  if (counts && signal.saying === 'experiment_over') run.isLost = true
  learnLinks(history, run, signal)
  return counts
}

function takeAction(history: History, action: Run, said: Signal): void {
  const signal = said.saying === 'action_requested' ? said : answerRequest(history, action, said)
  const counts = takeRun(history, action, signal)
  const { workflow_id } = signal.links
  if (!counts || signal.phase !== 'running' || workflow_id === undefined) return
  const workflow = history.find('workflow', workflow_id) as Run | undefined
  if (!workflow) return
  history.touch(workflow)
  workflow.workedAt ??= signal.at
}

function takeWorkflow(history: History, workflow: Run, signal: Signal): void {
  const { phase, what, saying } = signal
  if (saying === 'workflow_belongs') {
    learnLinks(history, workflow, signal)
    return
  }
  if (saying === 'steps_failed') {
    for (const step of history.openBelow(`workflow:${workflow.id}`)) {
      history.touch(step)
      takeStep(history, step, { ...signal, kind: 'step', what: 'failed', phase: { over: 'failed' } })
    }
    return
  }
  // Before its start it was only prepared.
  if (workflow.last === undefined) workflow.heardAt = signal.at
  if (typeof phase === 'object') {
    takeRun(history, workflow, signal)
    return
  }
  learnLinks(history, workflow, signal)
  const wasOver = workflow.last?.state === 'over'
  const { workedAt, hasRun } = workflow
  if (!advanceRun(history, workflow, what === 'start' ? 'running' : 'queued', signal)) return
  // Whether it works is for its state to say.
  workflow.workedAt = workedAt
  workflow.hasRun = hasRun
  if (wasOver) workflow.stepsSeen = false
  if (what === 'start') workflow.stepFailed = false
  workflow.declared = phase === 'queued' || phase === 'paused' || phase === 'running' ? phase : 'started'
  if (phase === 'running') workflow.workedAt ??= signal.at
  refreshWorkflow(history, workflow, signal, { revives: wasOver })
}

function takeStep(history: History, step: Run, signal: Signal): void {
  const { what } = signal
  step.nodeName ??= signal.nodeName
  const workflow_id = step.links.workflow_id ?? signal.links.workflow_id
  // Before the step moves it: where a workflow belongs is known when its work begins.
  if (workflow_id !== undefined) learnLinks(history, history.run('workflow', workflow_id, signal.at), signal)
  const counts = takeRun(history, step, signal)
  if (typeof signal.phase === 'object') endRequests(history, step, signal)
  if (!counts || workflow_id === undefined) return
  const workflow = history.run('workflow', workflow_id, signal.at)
  workflow.stepsSeen = true
  workflow.stepFailed =
    what === 'failed' || (typeof signal.phase === 'object' && signal.phase.over === 'failed')
  if (what === 'start') workflow.workedAt ??= signal.at
  refreshWorkflow(history, workflow, signal)
}
