import { isOver, type Request, type Run, type Standing } from './entity.ts'
import type { History } from './history.ts'
import { hear } from './place.ts'
import { learnLinks, moveRun } from './run.ts'
import type { Signal } from './signal.ts'
import type { Outcome } from './status.ts'

/**
 * What a workcell says of an action, and what the node says, under another id:
 *
 *     workcell   requested A ───────────────────────────────────────────▶ released (B, or A when it got no answer)
 *     node                     B not started ▶ B running ▶ B succeeded
 *
 * The run is what the node says. Takes the workcell's words; false for other signals, and for a request that is the run itself.
 */
export function takeRequestWord(history: History, signal: Signal): boolean {
  const { saying, links } = signal
  if (links.node_id === undefined) return false
  if (saying === 'action_requested') takeRequest(history, signal)
  else if (saying === 'action_refused' || saying === 'action_released') {
    const node = history.standing('node', links.node_id)
    const request = findRequest(node, signal)
    if (saying === 'action_released') release(history, node, request, signal)
    else if (request?.isRun) endRun(history, request.runId, 'failed', signal)
  } else return false
  return !signal.isBelieved
}

function takeRequest(history: History, signal: Signal): void {
  const { links, subject, isBelieved } = signal
  const node = history.standing('node', links.node_id!)
  node.workcellId ??= links.workcell_id
  hear(history, node)
  const request: Request = {
    at: signal.at,
    actionId: subject!,
    name: signal.name,
    links,
    runId: isBelieved ? subject : undefined,
    isRun: isBelieved,
    isOpen: !isBelieved,
  }
  // A workcell holds the node until its request is answered: older ones of it will not be.
  const older = node.requests
    .filter(({ links: { step_id } }) => step_id === undefined || step_id !== links.step_id)
    .map((one) => (one.links.workcell_id === links.workcell_id ? { ...one, isOpen: false } : one))
  node.requests = [...older, request].slice(-maxRequests)
  if (links.step_id === undefined) return
  const step = history.run('step', links.step_id, signal.at)
  step.requestedOf = node.id
  if (isBelieved) step.actionIds = [...step.actionIds, request.actionId]
}

const maxRequests = 20

const findRequest = (node: Standing, { links, subject }: Signal): Request | undefined =>
  node.requests.find(({ links: { step_id } }) => step_id !== undefined && step_id === links.step_id) ??
  node.requests.find(({ actionId }) => actionId === subject)

/** The first that a node says of an action, as an answer to what it was asked for last: with the links of the request. */
export function answerRequest(history: History, action: Run, signal: Signal): Signal {
  const { node_id } = signal.links
  if (node_id === undefined || action.last !== undefined || action.links.step_id !== undefined) return signal
  const node = history.find('node', node_id) as Standing | undefined
  const request =
    node?.requests.findLast(({ actionId }) => actionId === action.id) ??
    node?.requests.findLast((one) => one.isOpen)
  if (!node || !request) return signal
  history.touch(node)
  node.requests = node.requests.map((one) =>
    one === request ? { ...one, runId: action.id, isOpen: false } : one,
  )
  join(history, request, action)
  return { ...signal, links: { ...request.links, ...signal.links } }
}

function join(history: History, request: Request, action: Run): void {
  action.name ??= request.name
  const { step_id } = request.links
  if (step_id === undefined) return
  const step = history.run('step', step_id, request.at)
  if (!step.actionIds.includes(action.id)) step.actionIds = [...step.actionIds, action.id]
}

/** The workcell is done with an action. Under which id the node took it is certain now. */
function release(history: History, node: Standing, request: Request | undefined, signal: Signal): void {
  const { subject } = signal
  if (request) node.requests = node.requests.filter((one) => one !== request)
  if (subject === undefined || subject === request?.actionId) {
    endRun(history, request?.runId, 'unknown', signal)
    return
  }
  const known = history.find('action', subject) as Run | undefined
  if (request?.isRun) {
    endRun(history, request.runId, 'unknown', signal)
    return
  }
  if (request?.runId !== undefined && request.runId !== subject) part(history, request, request.runId)
  const links = { ...signal.links, ...request?.links }
  if (!known) {
    // The node took it, but what it said of it is not here.
    const run = history.run('action', subject, request?.at ?? signal.at)
    if (request) join(history, request, run)
    learnLinks(history, run, { ...signal, links })
    endRun(history, subject, 'unknown', signal)
    return
  }
  history.touch(known)
  if (request) join(history, request, known)
  learnLinks(history, known, { ...signal, links })
  endRun(history, subject, 'unknown', signal)
}

/** What seemed to be the answer was something else that the node did. */
function part(history: History, { links: { step_id } }: Request, runId: string): void {
  const wrong = history.find('action', runId) as Run | undefined
  if (!wrong || step_id === undefined || wrong.links.step_id !== step_id) return
  history.touch(wrong)
  const { step_id: _, workflow_id: __, ...links } = wrong.links
  wrong.links = links
  const step = history.run('step', step_id, 0)
  step.actionIds = step.actionIds.filter((id) => id !== runId)
}

/** What the node says later of its outcome counts. */
function endRun(history: History, id: string | undefined, outcome: Outcome, signal: Signal): void {
  const run = id === undefined ? undefined : (history.find('action', id) as Run | undefined)
  if (!run || isOver(run)) return
  history.touch(run)
  run.outcome = outcome
  run.isLost = outcome === 'unknown'
  moveRun(history, run, 'over', 'over', signal)
}

/** The end of a step ends what was asked for it, and says how it went where the node did not. */
export function endRequests(history: History, step: Run, signal: Signal): void {
  const { phase, isClear } = signal
  const node =
    step.requestedOf === undefined
      ? undefined
      : (history.find('node', step.requestedOf) as Standing | undefined)
  if (!node || typeof phase !== 'object') return
  const rest = node.requests.filter(({ links: { step_id } }) => step_id !== step.id)
  if (rest.length < node.requests.length) {
    history.touch(node)
    node.requests = rest
  }
  for (const id of step.actionIds) {
    endRun(history, id, 'unknown', signal)
    const run = history.find('action', id) as Run | undefined
    if (!run?.isLost || !isClear || phase.over === 'unknown') continue
    history.touch(run)
    run.outcome = phase.over
    run.isLost = false
  }
}
