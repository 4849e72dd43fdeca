import { type Cause, type Run, type Standing, type State, setState } from './entity.ts'
import type { History } from './history.ts'
import type { Signal } from './signal.ts'
import type { Flag } from './status.ts'

/**
 * The state of a laboratory, a workcell or a node, from what is known of it; the first line that holds counts:
 *
 *     stopped, disconnected                                  down
 *     errored                                                error
 *     paused                                                 down
 *     runs that are busy in it, or busy by its own status    busy
 *     locked, initializing, waiting for its configuration    down
 *     it is there                                            idle
 *     nothing heard                                          unknown
 */
function stateOf({ flags, up, running, listed }: Standing): [State, Cause] {
  const has = (flag: Flag) => flags.includes(flag)
  if (up === false || has('stopped')) return ['down', 'stopped']
  if (has('disconnected')) return ['down', 'disconnected']
  if (has('errored')) return ['error', 'errored']
  if (has('paused')) return ['down', 'paused']
  if (running > 0) return ['busy', 'running']
  if (has('busy') || listed.length > 0) return ['busy', 'busy']
  for (const flag of ['locked', 'initializing', 'waiting_for_config'] as const)
    if (has(flag)) return ['down', flag]
  return up ? ['idle', 'ready'] : ['unknown', 'unheard']
}

/** Brings the states up to date of everything that a signal touched: once each, so that what changes and changes back leaves no trace. */
export function refreshStale(history: History, signal: Signal): void {
  for (const standing of history.stale) setState(standing, ...stateOf(standing), signal)
  history.stale.clear()
}

/** A run in it began to be busy, or ceased. */
export function countBusy(history: History, standing: Standing, isBusy: boolean): void {
  history.stale.add(standing)
  standing.running += isBusy ? 1 : -1
  if (isBusy) {
    standing.up = true
    // A node that begins an action is neither in error nor stopped nor paused.
    if (standing.kind === 'node') standing.flags = []
  } else if (standing.kind === 'node' && standing.running === 0)
    standing.flags = standing.flags.filter((flag) => flag !== 'busy')
}

/** A run that is busy turns out to be in it. */
export function addBusy(history: History, standing: Standing): void {
  history.stale.add(standing)
  standing.running++
  standing.up ??= true
}

/** An event of something in it shows that it is there, when nothing was heard of it yet. */
export function hear(history: History, standing: Standing): void {
  if (standing.up !== undefined) return
  standing.up = true
  history.stale.add(standing)
}

/** An action of the node is over, whatever the node's last status said. */
export function unlist(history: History, node: Standing, action: Run): void {
  if (!node.listed.includes(action.id)) return
  node.listed = node.listed.filter((id) => id !== action.id)
  history.stale.add(node)
}
