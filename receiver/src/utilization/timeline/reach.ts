import { isBusy, type Standing } from './entity.ts'
import type { History } from './history.ts'
import { moveRun } from './run.ts'
import type { Signal } from './signal.ts'

/** A node that is back is told of by nobody: a workcell that tried it again and did not complain for so long reached it. */
const reachedMicros = 60_000_000

/** The workcell does not reach the node: it is down, and what becomes of its actions nobody knows. */
export function loseNode(history: History, node: Standing, signal: Signal): void {
  for (const run of history.openBelow(`node:${node.id}`)) {
    if (!isBusy(run)) continue
    history.touch(run)
    moveRun(history, run, 'unknown', 'disconnected', signal)
  }
  node.up ??= true
  node.flags = ['errored', 'disconnected']
  node.listed = []
  node.lostAt = signal.at
  history.stale.add(node)
  const { workcell_id } = signal.links
  if (workcell_id === undefined) return
  const workcell = history.standing('workcell', workcell_id)
  if (!workcell.lostNodes.includes(node.id)) workcell.lostNodes = [...workcell.lostNodes, node.id]
}

/** What a workcell says, and what it does not say any more, of the nodes that it did not reach. */
export function takeReach(history: History, workcell: Standing, signal: Signal): void {
  const { saying, nodes, at, what } = signal
  const { retriedAt } = workcell
  if (what === 'start' && saying !== 'alive') {
    for (const id of nodes ?? []) history.standing('node', id).workcellId ??= workcell.id
    return
  }
  if (workcell.lostNodes.length === 0) return
  if (retriedAt !== undefined && at > retriedAt + reachedMicros)
    reach(history, workcell, (node) => node.lostAt < retriedAt)
  if (saying !== 'nodes_retried') return
  reach(history, workcell, ({ id }) => !nodes!.includes(id))
  workcell.retriedAt = at
}

function reach(history: History, workcell: Standing, isReached: (node: Standing) => boolean): void {
  const found = workcell.lostNodes
    .map((id) => history.find('node', id) as Standing | undefined)
    .filter((node) => node !== undefined && isReached(node)) as Standing[]
  if (found.length === 0) return
  workcell.lostNodes = workcell.lostNodes.filter((id) => !found.some((node) => node.id === id))
  for (const node of found) {
    if (!node.flags.includes('disconnected')) continue
    history.touch(node)
    node.flags = node.flags.filter((flag) => flag !== 'disconnected' && flag !== 'errored')
    history.stale.add(node)
  }
}
