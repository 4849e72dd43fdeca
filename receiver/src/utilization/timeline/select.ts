import { type Entity, isRun, type Links, type Run, type Standing, type Stretch } from './entity.ts'
import type { Hearing } from './hearing.ts'
import type { History } from './history.ts'
import type { Window } from './interval.ts'
import { type Kind, kinds } from './kind.ts'
import type { Filter } from './parameter.ts'

/** A thing as it was when the report began: what happens to it while the report is written is for the next one. */
export interface Selected {
  entity: Entity
  last: Stretch | undefined
  /** When something was heard of where it is. */
  known: readonly Window[]
}

const rank = new Map(kinds.map((kind, index) => [kind as Kind, index]))

/** The things that a report speaks of, by kind and id. */
export function selectEntities(
  { history, hearing }: Known,
  filter: Filter,
  window: Window,
  checkTime = () => {},
): Selected[] {
  const found: Selected[] = []
  let seen = 0
  for (const entity of history.entities.values()) {
    if (seen++ % 1024 === 0) checkTime()
    if (!filter.kinds.includes(entity.kind) || !touches(entity, window)) continue
    if (isWanted(history, entity, filter))
      found.push({ entity, last: entity.last, known: knownOf({ history, hearing }, entity) })
  }
  return found.sort(
    (a, b) =>
      rank.get(a.entity.kind)! - rank.get(b.entity.kind)! ||
      (a.entity.id < b.entity.id ? -1 : a.entity.id > b.entity.id ? 1 : 0),
  )
}

/** What the reports read. */
export interface Known {
  readonly history: History
  readonly hearing: Hearing
}

/** When something was heard of a thing, or of where it is: its node, its workcell, its laboratory. */
export function knownOf({ history, hearing }: Known, entity: Entity): Window[] {
  const places: Links = isRun(entity) ? entity.links : { node_id: entity.id }
  const experiment = entity.kind === 'experiment' ? entity.id : places.experiment_id
  return hearing.spansOf([places.node_id, workcellOf(history, entity), places.lab_id, experiment])
}

/** True for things that are always there, and for runs whose life has a part in the window. */
export function touches(entity: Entity, { start, end }: Window): boolean {
  if (!isRun(entity)) return true
  const { last, heardAt } = entity
  if (last === undefined || heardAt >= end) return false
  return last.state !== 'over' || last.start > start
}

function isWanted(history: History, entity: Entity, filter: Filter): boolean {
  const { nodeId, workcellId, user, experimentId, workflowId } = filter
  if (
    nodeId !== undefined &&
    !(isRun(entity) ? entity.links.node_id === nodeId : isIt(entity, 'node', nodeId))
  )
    return false
  if (workcellId !== undefined && workcellOf(history, entity) !== workcellId) return false
  if (user !== undefined && !(isRun(entity) && userOf(history, entity) === user)) return false
  if (workflowId !== undefined && !(isRun(entity) && isOfWorkflow(entity, workflowId))) return false
  return experimentId === undefined || (isRun(entity) && experimentOf(history, entity) === experimentId)
}

const isOfWorkflow = ({ kind, id, links }: Run, workflowId: string) =>
  kind === 'workflow' ? id === workflowId : links.workflow_id === workflowId

const isIt = (standing: Standing, kind: Kind, id: string) => standing.kind === kind && standing.id === id

function workflowOf(history: History, run: Run): Run | undefined {
  const id = run.links.workflow_id
  return id === undefined ? undefined : (history.find('workflow', id) as Run | undefined)
}

/** Of a run: its own, or that of its workflow or its node. */
export function workcellOf(history: History, entity: Entity): string | undefined {
  if (!isRun(entity))
    return entity.kind === 'workcell' ? entity.id : entity.kind === 'node' ? entity.workcellId : undefined
  const { workcell_id, node_id } = entity.links
  if (workcell_id !== undefined) return workcell_id
  const inWorkflow = workflowOf(history, entity)?.links.workcell_id
  if (inWorkflow !== undefined || node_id === undefined) return inWorkflow
  return (history.find('node', node_id) as Standing | undefined)?.workcellId
}

/** Of a run: the author of its workflow, its own, or that of its experiment. */
export function userOf(history: History, run: Run): string | undefined {
  const user = workflowOf(history, run)?.user ?? run.user
  if (user !== undefined) return user
  const experimentId = experimentOf(history, run)
  if (experimentId === undefined) return undefined
  return (history.find('experiment', experimentId) as Run | undefined)?.user
}

export function experimentOf(history: History, run: Run): string | undefined {
  if (run.kind === 'experiment') return run.id
  return run.links.experiment_id ?? workflowOf(history, run)?.links.experiment_id
}
