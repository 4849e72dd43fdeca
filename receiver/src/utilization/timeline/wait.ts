import { isRun, type Run, type Standing } from './entity.ts'
import type { History } from './history.ts'
import { intervalsOf, knownIntervals, lifeOf, type Totals, totalsOf, type Window } from './interval.ts'
import type { Filter } from './parameter.ts'
import { type Known, knownOf, selectEntities } from './select.ts'
import type { Row } from './table.ts'
import type { Zone } from './zone.ts'

export const waitReasons = ['queued', 'between_steps', 'step_without_action'] as const

/** A gap in which something waited. */
export interface Wait {
  reason: (typeof waitReasons)[number]
  waiter: Run
  start: number
  end: number
  isOpen: boolean
  /** The node that its next work needed, when that is known. */
  node: Standing | undefined
  /** What that node was meanwhile, microseconds. */
  meanwhile: Totals | undefined
  /** The actions of others that kept it busy, the longest first. */
  holders: { action: Run; micros: number }[]
}

const maxHolders = 5

/**
 * The gaps in which something waited, the longest first:
 *
 *     queued               a workflow, from the first that was heard of it to its first work
 *     between_steps        a workflow, from the end of a step to the start of the next
 *     step_without_action  a step, from its start to the start of its first action
 *
 * What for: the node of the step or the action that came next.
 */
export function findWaits(sources: Known, filter: Filter, window: Window, checkTime = () => {}): Wait[] {
  const index = indexRuns(sources.history)
  const waits: Wait[] = []
  const add = (
    reason: Wait['reason'],
    waiter: Run,
    from: number,
    to: number | undefined,
    next: Run | undefined,
  ) => {
    const start = Math.max(from, window.start)
    const end = Math.min(to ?? window.end, window.end)
    if (start >= end) return
    checkTime()
    const node = next && index.nodeOf(next)
    if (filter.nodeId !== undefined && node?.id !== filter.nodeId) return
    const gap = { start, end }
    waits.push({
      reason,
      waiter,
      ...gap,
      isOpen: to === undefined,
      node,
      meanwhile: node && totalsOf(knownIntervals(node, node.last, knownOf(sources, node), gap)),
      holders: node ? index.holdersOf(node, gap, waiter) : [],
    })
  }

  // The node is what is waited for, and so no property of the waiter.
  for (const { entity } of selectEntities(sources, { ...filter, nodeId: undefined }, window, checkTime)) {
    checkTime()
    if (!isRun(entity)) continue
    const { heardAt, workedAt, endedAt } = lifeOf(entity)!
    if (entity.kind === 'workflow') {
      const steps = index.stepsOf(entity)
      add('queued', entity, heardAt, workedAt ?? endedAt, steps[0] ?? index.firstActionOf(entity))
      for (const interval of intervalsOf(entity.last, window)) {
        if (interval.cause !== 'waiting') continue
        const next = steps.find((step) => step.heardAt >= interval.end)
        add('between_steps', entity, interval.start, interval.isOpen ? undefined : interval.end, next)
      }
    } else if (entity.kind === 'step') {
      const action = index.actionOf(entity)
      if (action?.workedAt !== undefined) add('step_without_action', entity, heardAt, action.workedAt, action)
    }
  }
  return waits.sort(
    (a, b) =>
      b.end - b.start - (a.end - a.start) || a.start - b.start || (a.waiter.id < b.waiter.id ? -1 : 1),
  )
}

function indexRuns(history: History) {
  const steps = new Map<string, Run[]>()
  const firstOfStep = new Map<string, Run>()
  const firstOfWorkflow = new Map<string, Run>()
  const onNode = new Map<string, Run[]>()
  const names = new Map<string, Standing>()
  const put = <Key>(map: Map<Key, Run[]>, key: Key, run: Run) => {
    const list = map.get(key)
    if (list) list.push(run)
    else map.set(key, [run])
  }
  for (const entity of history.entities.values()) {
    if (!isRun(entity)) {
      if (entity.kind === 'node' && entity.name !== undefined) names.set(entity.name, entity)
      continue
    }
    const { workflow_id, step_id, node_id } = entity.links
    if (entity.kind === 'step' && workflow_id !== undefined) put(steps, workflow_id, entity)
    if (entity.kind !== 'action') continue
    if (node_id !== undefined) put(onNode, node_id, entity)
    const earlier = (other: Run | undefined) => other === undefined || entity.heardAt < other.heardAt
    if (step_id !== undefined && earlier(firstOfStep.get(step_id))) firstOfStep.set(step_id, entity)
    if (workflow_id !== undefined && earlier(firstOfWorkflow.get(workflow_id)))
      firstOfWorkflow.set(workflow_id, entity)
  }
  for (const list of [...steps.values(), ...onNode.values()]) list.sort((a, b) => a.heardAt - b.heardAt)
  // For each action of a node, the latest end among it and those before: where a search back may stop.
  const latest = new Map<string, number[]>()
  for (const [node, list] of onNode) {
    let end = Number.NEGATIVE_INFINITY
    latest.set(
      node,
      list.map((action) => {
        end = Math.max(end, lifeOf(action)?.endedAt ?? Number.POSITIVE_INFINITY)
        return end
      }),
    )
  }

  return {
    stepsOf: (workflow: Run) => steps.get(workflow.id) ?? [],
    actionOf: (step: Run) => firstOfStep.get(step.id),
    firstActionOf: (workflow: Run) => firstOfWorkflow.get(workflow.id),
    nodeOf(run: Run): Standing | undefined {
      const action = run.kind === 'step' ? firstOfStep.get(run.id) : run
      const id = action?.links.node_id ?? run.links.node_id ?? run.nodeName
      if (id === undefined) return undefined
      return (history.find('node', id) as Standing | undefined) ?? names.get(id)
    },
    holdersOf(node: Standing, gap: Window, waiter: Run): Wait['holders'] {
      const list = onNode.get(node.id) ?? []
      const ends = latest.get(node.id) ?? []
      const found: Wait['holders'] = []
      let at = list.length
      for (let low = 0, high = list.length; low < high; ) {
        const middle = (low + high) >> 1
        if (list[middle]!.heardAt < gap.end) low = middle + 1
        else high = middle
        at = high
      }
      for (at--; at >= 0 && ends[at]! > gap.start; at--) {
        const action = list[at]!
        const own = waiter.kind === 'step' ? action.links.step_id : action.links.workflow_id
        if (own === waiter.id) continue
        const { busy } = totalsOf(intervalsOf(action.last, gap))
        if (busy > 0) found.push({ action, micros: busy })
      }
      return found
        .sort((a, b) => b.micros - a.micros || (a.action.id < b.action.id ? -1 : 1))
        .slice(0, maxHolders)
    },
  }
}

export function* waitRows(waits: Iterable<Wait>, zone: Zone): Generator<Row> {
  for (const { reason, waiter, start, end, isOpen, node, meanwhile, holders } of waits)
    yield {
      reason,
      waiter_kind: waiter.kind,
      waiter_id: waiter.id,
      waiter_name: waiter.name ?? null,
      workflow_id: waiter.kind === 'workflow' ? waiter.id : (waiter.links.workflow_id ?? null),
      start_time: zone.toText(start),
      end_time: zone.toText(end),
      wait_us: end - start,
      open: isOpen,
      node_id: node?.id ?? null,
      node_name: node?.name ?? null,
      node_busy_us: meanwhile?.busy ?? null,
      node_idle_us: meanwhile?.idle ?? null,
      node_error_us: meanwhile?.error ?? null,
      node_down_us: meanwhile?.down ?? null,
      node_unknown_us: meanwhile?.unknown ?? null,
      held_by: holders.map(({ action }) => action.id).join(' ') || null,
      held_by_workflows:
        [...new Set(holders.flatMap(({ action }) => action.links.workflow_id ?? []))].join(' ') || null,
    }
}

export const waitColumns = [
  'reason',
  'waiter_kind',
  'waiter_id',
  'waiter_name',
  'workflow_id',
  'start_time',
  'end_time',
  'wait_us',
  'open',
  'node_id',
  'node_name',
  'node_busy_us',
  'node_idle_us',
  'node_error_us',
  'node_down_us',
  'node_unknown_us',
  'held_by',
  'held_by_workflows',
] as const
