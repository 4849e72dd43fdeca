import type { ScannedEvent } from '../../store/event-scan.ts'
import type { EventFold } from '../history.ts'
import { createInterned, createList, createNames } from './collection.ts'
import { createRows, type Rows, rowKind } from './row.ts'
import {
  type Data,
  dataOf,
  firstText,
  hashOf,
  isRecord,
  isTruthy,
  noData,
  textOf,
  toPythonText,
} from './value.ts'

/** A lab or workcell began or ended. */
export interface Boundary {
  micros: number
  isStart: boolean
  kind: 'lab' | 'workcell'
  sourceWorkcell: string | undefined
  sourceManager: string | undefined
  dataWorkcell: string | undefined
  data: Data
}

export interface ExperimentEvent {
  micros: number
  kind: 'start' | 'complete' | 'end'
  id: string
  /** event_data.experiment.experiment_design.experiment_name of a start. */
  designName: string | undefined
  /** event_data.status of an end. */
  status: unknown
}

export interface WorkflowEvent {
  micros: number
  isStart: boolean
  id: string
  author: string | undefined
  /** event_data.author, which alone counts for the system's figures. */
  flatAuthor: string | undefined
  name: string | undefined
  /** Of a completion: as the report tells it, and whether the system counts it as completed. */
  status: string
  isPlainlyCompleted: boolean
  durationSeconds: number | undefined
  /** From event_data.start_time and .end_time. */
  spanSeconds: number | undefined
}

/**
 * What the original's reports rest on, of all stored events: 21 bytes for each event of a node or action that was not
 * dropped, one object for each start or end of a lab, workcell, experiment or workflow, and the ids and names. Lists are in the order of time once
 * `settle` was called.
 */
export interface Facts extends EventFold {
  /** Sorts in what came since; gives the span of time of what is new, undefined when nothing is. */
  settle(): { from: number; to: number } | undefined
  readonly rows: Rows
  readonly boundaries: readonly Boundary[]
  readonly experiments: readonly ExperimentEvent[]
  readonly workflows: readonly WorkflowEvent[]
  /** Smallest and largest event_timestamp of all events of any type; undefined when there are none. */
  readonly span: { from: number; to: number } | undefined
  nodeId(index: number): string
  experimentId(index: number): string
  /** True for ids that are those of a workcell, lab or manager anywhere. */
  isWorkcell(id: string): boolean
  nodeName(id: string): string | undefined
  experimentName(id: string): string | undefined
  workcellName(id: string): string | undefined
}

const types = new Set([
  'lab_start',
  'lab_stop',
  'workcell_start',
  'workcell_stop',
  'node_start',
  'node_stop',
  'node_status_update',
  'action_status_change',
  'workflow_start',
  'workflow_complete',
  'experiment_start',
  'experiment_complete',
  'experiment_failed',
  'experiment_cancelled',
  'experiment_stop',
])

const beginning = new Set(['running', 'started', 'in_progress'])
const ending = new Set(['completed', 'failed', 'cancelled', 'finished', 'succeeded'])

const actionNames = ['action_id', 'action', 'task_id', '_id', 'id']

/** The first of the fields that may name an action. */
function actionOf(event: ScannedEvent): string | undefined {
  for (const name of actionNames) {
    const action = firstText(event.field(name))
    if (action !== undefined) return action
  }
  return undefined
}

/** What the source of an event says, once for all events of the same source. */
interface Origin {
  workcell: string | undefined
  manager: string | undefined
  nodeId: string | undefined
  /** Its number, once an event of the node has come; 0 before. */
  node: number
}

const maxOrigins = 10_000

/** Names are looked for in so many events, as the original does. */
const namingStarts = { node: 5, experiment: 5, workcell: 3 }

export function createFacts(readWorkflow: (event: ScannedEvent) => WorkflowEvent | undefined): Facts {
  let rows = createRows()
  let boundaries = createList<Boundary>()
  let experiments = createList<ExperimentEvent>()
  let workflows = createList<WorkflowEvent>()
  let span: { from: number; to: number } | undefined
  let fresh: { from: number; to: number } | undefined
  let nodes = createInterned()
  let experimentIds = createInterned()
  let workcells = new Set<string>()
  const origins = new Map<object, Origin>()
  let nodeNames = createNames(namingStarts.node)
  let experimentNames = createNames(namingStarts.experiment)
  let workcellNames = createNames(namingStarts.workcell)

  function reset(): void {
    rows = createRows()
    boundaries = createList()
    experiments = createList()
    workflows = createList()
    span = undefined
    fresh = undefined
    nodes = createInterned()
    experimentIds = createInterned()
    workcells = new Set()
    origins.clear()
    nodeNames = createNames(namingStarts.node)
    experimentNames = createNames(namingStarts.experiment)
    workcellNames = createNames(namingStarts.workcell)
  }

  function originOf(event: ScannedEvent): Origin {
    const { sourceKey } = event
    const known = sourceKey && origins.get(sourceKey)
    if (known) return known
    const workcell = event.source('workcell_id')
    const manager = event.source('manager_id')
    if (workcell !== undefined) workcells.add(workcell)
    if (manager !== undefined) workcells.add(manager)
    const nodeId = event.source('node_id') ?? workcell
    const origin = { workcell, manager, nodeId, node: 0 }
    if (!sourceKey) return origin
    if (origins.size >= maxOrigins) origins.clear()
    origins.set(sourceKey, origin)
    return origin
  }

  /** Number of the node that the event speaks of, 0 for none. */
  function nodeOf(event: ScannedEvent, origin: Origin): number {
    if (origin.node !== 0) return origin.node
    if (origin.nodeId !== undefined) {
      origin.node = nodes.indexOf(origin.nodeId)
      return origin.node
    }
    const id = firstText(event.field('node_id'), event.field('node_name'), event.field('node'))
    return id === undefined ? 0 : nodes.indexOf(id)
  }

  function add(event: ScannedEvent): void {
    const origin = originOf(event)
    const { micros, type } = event
    if (Number.isNaN(micros)) return
    if (!span) span = { from: micros, to: micros }
    else if (micros < span.from) span.from = micros
    else if (micros > span.to) span.to = micros
    if (!types.has(type)) return
    if (!fresh) fresh = { from: micros, to: micros }
    else if (micros < fresh.from) fresh.from = micros
    else if (micros > fresh.to) fresh.to = micros
    addRow(event, origin)
  }

  function addRow(event: ScannedEvent, origin: Origin): void {
    const { micros, type } = event
    const node = nodeOf(event, origin)
    switch (type) {
      case 'node_status_update':
        break
      case 'action_status_change':
        if (node !== 0) addAction(event, node)
        return
      case 'node_start': {
        if (node !== 0) rows.add(micros, rowKind.nodeStart, node, 0)
        const name = event.field('node_name')
        for (const id of new Set([textOf(event.field('node_id')), event.source('node_id'), origin.workcell]))
          if (id !== undefined) nodeNames.look(id, name ? [name] : [])
        return
      }
      case 'node_stop':
        if (node !== 0) rows.add(micros, rowKind.nodeStop, node, 0)
        return
      case 'lab_start':
      case 'lab_stop':
      case 'workcell_start':
      case 'workcell_stop':
        addBoundary(event, origin)
        break
      case 'workflow_start':
      case 'workflow_complete': {
        const workflow = readWorkflow(event)
        if (workflow) workflows.add(workflow)
        break
      }
      default:
        if (addExperiment(event, node)) return
    }
    if (node !== 0) rows.add(micros, rowKind.known, node, 0)
  }

  function addAction(event: ScannedEvent, node: number): void {
    const status = event.field('status')
    const word = status === undefined ? 'unknown' : toPythonText(status)
    const kind = beginning.has(word)
      ? rowKind.actionStart
      : ending.has(word)
        ? rowKind.actionEnd
        : rowKind.known
    const action = kind === rowKind.known ? undefined : actionOf(event)
    if (action === undefined) rows.add(event.micros, rowKind.known, node, 0)
    else rows.add(event.micros, kind, node, hashOf(action))
  }

  function addBoundary(event: ScannedEvent, origin: Origin): void {
    const { workcell: sourceWorkcell, manager: sourceManager } = origin
    const data = dataOf(event)
    const dataWorkcell = textOf(data.workcell_id)
    if (dataWorkcell !== undefined) workcells.add(dataWorkcell)
    const isStart = event.type.endsWith('_start')
    const kind = event.type.startsWith('lab') ? 'lab' : 'workcell'
    const names = { workcell_name: data.workcell_name, name: data.name }
    boundaries.add({
      micros: event.micros,
      isStart,
      kind,
      sourceWorkcell,
      sourceManager,
      dataWorkcell,
      data: names,
    })
    if (!isStart) return
    const candidates = [data.name, data.workcell_name, data.lab_name, data.display_name]
    for (const id of new Set([sourceWorkcell, sourceManager, dataWorkcell])) {
      if (id !== undefined)
        workcellNames.look(
          id,
          candidates.filter((name) => typeof name !== 'string' || !name.startsWith('Workcell ')),
        )
    }
  }

  /** True when the row of the event was added. */
  function addExperiment(event: ScannedEvent, node: number): boolean {
    const { micros, type } = event
    const fromSource = event.source('experiment_id')
    const kind = type === 'experiment_start' ? 'start' : type === 'experiment_complete' ? 'complete' : 'end'
    const fromData = kind !== 'start' && fromSource !== undefined ? undefined : event.field('experiment_id')
    // What an end says beside its id is not asked for: most of the cost of an event is parsing it.
    const isNeeded = kind === 'start' || (fromSource === undefined && !isTruthy(fromData))
    const experiment = isNeeded ? event.field('experiment') : undefined
    const nested = isRecord(experiment) ? experiment : noData
    const design = isRecord(nested.experiment_design) ? nested.experiment_design : noData
    if (kind === 'start') {
      const ids = [fromSource, textOf(fromData), textOf(nested._id), textOf(nested.experiment_id)]
      const candidates = [
        event.field('experiment_name'),
        event.field('name'),
        nested.name,
        design.experiment_name,
        nested.run_name,
      ]
      for (const id of new Set(ids)) if (id !== undefined) experimentNames.look(id, candidates)
    }
    const id = fromSource ?? firstText(fromData) ?? firstText(nested.experiment_id, nested._id)
    if (id === undefined) return false
    const index = experimentIds.indexOf(id)
    experiments.add({
      micros,
      kind,
      id: experimentIds.textOf(index),
      designName: kind === 'start' ? textOf(design.experiment_name) : undefined,
      status: kind === 'complete' ? event.field('status') : undefined,
    })
    const rowOf = kind === 'start' ? rowKind.experimentStart : rowKind.experimentEnd
    rows.add(micros, rowOf, node, index)
    return true
  }

  return {
    types,
    reset,
    add,
    settle() {
      const settled = fresh
      fresh = undefined
      rows.settle()
      boundaries.settle()
      experiments.settle()
      workflows.settle()
      return settled
    },
    get rows() {
      return rows
    },
    get boundaries() {
      return boundaries.items
    },
    get experiments() {
      return experiments.items
    },
    get workflows() {
      return workflows.items
    },
    get span() {
      return span
    },
    nodeId: (index) => nodes.textOf(index),
    experimentId: (index) => experimentIds.textOf(index),
    isWorkcell: (id) => workcells.has(id),
    nodeName: (id) => nodeNames.of(id),
    experimentName: (id) => experimentNames.of(id),
    workcellName: (id) => workcellNames.of(id),
  }
}
