import {
  currentType,
  type EventType,
  isObject,
  isUlid,
  parseEventType,
  type Source,
  type Value,
} from '@madsci-events/sdk/event'
import { type Saying, sayingOf } from './emission.ts'
import { type Kind, kinds } from './kind.ts'
import type { Announcement, Named, Signal } from './signal.ts'
import { type Phase, parseOutcome, parsePhase, parseStatus } from './status.ts'
import { firstText, toText } from './text.ts'

/** What the reader needs of an event. */
export interface TimelineEvent {
  readonly id: string
  readonly type: string
  /** Microseconds since 1970; NaN when the time cannot be read. */
  readonly micros: number
  source(name: string): string | undefined
  data(): unknown
  /** A member of `data`, where that is an object. */
  field(name: string): unknown
}

const placeKeys = ['node_id', 'workcell_id', 'lab_id'] as const
const linkKeys = ['experiment_id', 'campaign_id', ...placeKeys, 'step_id', 'workflow_id'] as const

type Data = { [key: string]: Value }

/** What an event says; undefined when it speaks of nothing here. `intern` gives one text for equal ids. */
export function toSignal(event: TimelineEvent, intern: (id: string) => string): Signal | undefined {
  let type: string = currentType(event.type)
  const isLog = type === 'log' || type.startsWith('log_')
  if (!isLog && kindOf(type) === undefined) return undefined
  if (isLog) {
    // Most logs say nothing more, and are not parsed.
    const inner = event.field('event_type')
    type = currentType((typeof inner === 'string' && parseEventType(inner)) || '')
  }
  const typed = kindOf(type)
  if (typed === undefined) return undefined
  const raw = event.data()
  const data: Data = isObject(raw) ? raw : {}
  const message = isLog ? toText(data.message) : undefined
  const saying =
    (message === undefined ? undefined : sayingOf(type, message)) ?? guessSaying(type, isLog, event, data)
  if (saying === 'nothing') return undefined
  const kind = kindBySaying[saying ?? 'type'] ?? typed.kind

  const links: Source = {}
  const isStanding = kind === 'node' || kind === 'workcell' || kind === 'lab'
  for (const key of isStanding ? placeKeys : linkKeys) {
    const id = event.source(key) ?? firstText(data, ...(idPaths[key] ?? [key]))
    if (id !== undefined) links[key] = intern(id)
  }
  if ((kind === 'workcell' || kind === 'lab') && links[`${kind}_id`] === undefined) {
    const id = firstText(data, 'manager_id') ?? event.source('manager_id')
    if (id !== undefined) links[`${kind}_id`] = intern(id)
  }
  // A name is not yet an id; who resolves it knows when.
  const said: { [kind in keyof Named]: string | undefined } = {
    node: nodeNameOf(kind, data),
    workcell: firstText(data, ...namePaths.workcell.slice(0, kind === 'workcell' ? undefined : 1)),
    workflow: firstText(data, ...namePaths.workflow.slice(0, kind === 'workflow' ? undefined : 1)),
  }
  const what = kind === typed.kind ? type.slice(typed.prefix.length) : ''
  const { named, announced } = readNames(kind, what, said, links, intern)
  const userId = isStanding ? undefined : (event.source('user_id') ?? toText(data.user_id))
  const name = firstText(data, ...namePaths[kind])
  const { subject, isAnonymous } = subjectOf(kind, data, links, name)
  return {
    id: event.id,
    at: event.micros,
    type: type as EventType,
    promoted: isLog,
    kind,
    what,
    subject,
    isAnonymous,
    links,
    name: name ?? (kind === 'node' ? said.node : undefined),
    user: userOf(kind, data, userId),
    nodeName: kind === 'step' ? (said.node ?? links.node_id) : undefined,
    mark: isLog ? undefined : markOf(type, data),
    key: kind === 'action' ? firstText(data, 'action_id', 'action', 'task_id', '_id', 'id') : undefined,
    phase: isStanding ? undefined : phaseOf(kind, what, data, saying),
    report: isStanding && what === 'status_update' ? parseStatus(data) : undefined,
    saying,
    named,
    announced,
    isOwn:
      event.source('node_id') !== undefined && (kind === 'action' || (kind === 'node' && what === 'start')),
    nodes: nodesOf(saying, kind, data),
    isClear: saying !== 'step_unclear',
    isBelieved: false,
  }
}

/** Of what a workcell says of an action some programs' messages may differ: its own ids tell that it is not the node that speaks. */
function guessSaying(type: string, isLog: boolean, event: TimelineEvent, data: Data): Saying | undefined {
  if (!isLog) return undefined
  if (type === 'workcell_status_update' && toText(data.workflow_id) !== undefined) return 'workflow_belongs'
  const isWorkcell =
    event.source('workcell_id') !== undefined &&
    event.source('node_id') === undefined &&
    toText(data.node_id) === undefined &&
    toText(data.node_name) !== undefined
  if (!isWorkcell) return undefined
  if (type === 'action_start') return 'action_requested'
  if (type === 'action_failed') return 'action_refused'
  return type === 'action_complete' ? 'action_released' : undefined
}

/** Of what else than its type says an event speaks. */
const kindBySaying: { [saying in Saying]?: Kind } = {
  nodes_retried: 'workcell',
  workflow_belongs: 'workflow',
  steps_failed: 'workflow',
}

const idPaths: { [key: string]: readonly string[] } = {
  node_id: ['node_id', 'node_info.node_id', 'node_definition.node_id'],
  experiment_id: ['experiment_id', 'ownership_info.experiment_id'],
  campaign_id: ['campaign_id', 'ownership_info.campaign_id'],
}

/** Every event of a MADSci node since 0.7 names the component that speaks. */
function nodeNameOf(kind: Kind, data: Data): string | undefined {
  const name = firstText(
    data,
    'node_name',
    'node_info.node_name',
    ...(kind === 'step' ? ['step_node', 'step.node', 'node'] : ['node']),
  )
  if (name !== undefined || kind === 'step') return name
  const component = toText(data.component_name)
  return component?.startsWith('node.') ? component.slice('node.'.length) : undefined
}

/** Nodes, workcells and workflows that are named without their id get their name in its place, until it is known. */
function readNames(
  kind: Kind,
  what: string,
  said: { readonly [kind in keyof Named]: string | undefined },
  links: Source,
  intern: (id: string) => string,
): Pick<Signal, 'named' | 'announced'> {
  let named: Named | undefined
  const announced: Announcement[] = []
  for (const place of ['node', 'workcell', 'workflow'] as const) {
    const name = said[place]
    const id = links[`${place}_id`]
    if (name === undefined || name === id) continue
    if (id !== undefined) {
      // Many workflows share a name: it means the last one that was started.
      const speaksOfIt = place === 'workflow' ? what === 'start' || what === 'create' : true
      if ((kind === place && speaksOfIt) || (place === 'node' && kind === 'action'))
        announced.push({ kind: place, name: intern(name), id })
    } else if (kind === place || (place === 'node' && kind === 'action')) {
      named = { ...named, [place]: intern(name) }
      links[`${place}_id`] = intern(name)
    }
  }
  return { named, announced: announced.length > 0 ? announced : undefined }
}

function nodesOf(saying: Saying | undefined, kind: Kind, data: Data): readonly string[] | undefined {
  if (saying === 'nodes_retried')
    return Array.isArray(data.node_names) ? data.node_names.flatMap((name) => toText(name) ?? []) : []
  return kind === 'workcell' && isObject(data.nodes) ? Object.keys(data.nodes) : undefined
}

const prefixes = [
  ...kinds.map((kind) => ({ kind, prefix: kind === 'step' ? 'workflow_step_' : `${kind}_` })),
].sort((a, b) => b.prefix.length - a.prefix.length)
const kindByType = new Map<string, { kind: Kind; prefix: string } | undefined>()

/** The kind of thing that a type speaks of. */
export function kindOf(type: string): { kind: Kind; prefix: string } | undefined {
  if (kindByType.has(type)) return kindByType.get(type)
  const found = parseEventType(type) && prefixes.find(({ prefix }) => type.startsWith(prefix))
  // Documents of other programs may hold any text as a type.
  if (kindByType.size < 1000) kindByType.set(type, found)
  return found
}

/** Actions and steps are those of their workflow, and what is always there belongs to nobody. */
function userOf(kind: Kind, data: Data, userId: string | undefined): string | undefined {
  if (kind === 'workflow') return firstText(data, ...authorPaths) ?? userId
  return kind === 'experiment' || kind === 'campaign' ? (userId ?? firstText(data, ...authorPaths)) : userId
}

const authorPaths = [
  'author',
  'definition_metadata.author',
  'workflow_definition_metadata.author',
  'ownership_info.user_id',
  'experiment.ownership_info.user_id',
]

const namePaths: { [kind in Kind]: string[] } = {
  lab: ['lab_name', 'name'],
  workcell: ['workcell_name', 'name', 'manager_name'],
  node: ['node_name', 'node_info.node_name', 'name'],
  action: ['action_name', 'action'],
  step: ['step_name', 'step.name', 'name', 'step', 'step.key', 'step_action', 'step_index'],
  workflow: ['workflow_name', 'name'],
  experiment: [
    'experiment_name',
    'name',
    'experiment.name',
    'experiment.experiment_design.experiment_name',
    'experiment_design.experiment_name',
    'experiment.run_name',
    'run_name',
  ],
  campaign: ['campaign_name', 'name', 'campaign.campaign_name'],
}

const unnamed = 'unnamed'

function subjectOf(
  kind: Kind,
  data: Data,
  links: Source,
  name: string | undefined,
): { subject: string | undefined; isAnonymous: boolean } {
  const said = (subject: string | undefined) => ({ subject, isAnonymous: false })
  const madeUp = (parts: (string | undefined)[]) => {
    const known = parts.filter((part) => part !== undefined)
    return { subject: known.length > 0 ? known.join('/') : undefined, isAnonymous: true }
  }
  switch (kind) {
    case 'lab':
    case 'workcell':
      return said(links[`${kind}_id`] ?? unnamed)
    case 'node':
      return said(links.node_id)
    case 'action': {
      const own =
        firstText(data, 'action_id', 'action_result.action_id') ??
        (isUlid(name ?? '') ? name : undefined) ??
        firstText(data, 'task_id', '_id', 'id')
      return own === undefined ? madeUp([links.step_id, links.node_id, name]) : said(own)
    }
    case 'step': {
      const own = links.step_id ?? firstText(data, 'step.step_id')
      return own === undefined && links.workflow_id !== undefined && name !== undefined
        ? madeUp([links.workflow_id, name])
        : said(own)
    }
    case 'workflow':
      return said(links.workflow_id)
    default:
      return said(links[`${kind}_id`] ?? firstText(data, `${kind}.${kind}_id`, `${kind}._id`, '_id'))
  }
}

const simplePhases: { [what: string]: Phase } = {
  create: 'queued',
  start: 'running',
  continued: 'running',
  pause: 'paused',
  complete: { over: 'completed' },
  failed: { over: 'failed' },
  cancelled: { over: 'cancelled' },
  abort: { over: 'cancelled' },
  // 0.5 and 0.6
  stop: { over: 'cancelled' },
}

function phaseOf(kind: Kind, what: string, data: Data, saying: Saying | undefined): Phase | undefined {
  if (saying === 'workflow_queued') return 'queued'
  if (saying === 'workflow_unclear') return { over: 'unknown' }
  if (saying === 'workflow_belongs' || saying === 'steps_failed') return undefined
  if (what === 'status_change') return parsePhase(statusOf(data))
  if (what === 'complete') {
    const status = statusOf(data)
    const phase = kind === 'step' ? parsePhase(status) : undefined
    if (phase === 'unknown') return { over: 'unknown' }
    return phase === 'paused' ? phase : { over: parseOutcome(status, 'completed') }
  }
  if (kind === 'workflow' && (what === 'create' || what === 'start')) {
    // A start says that it runs, unless it carries a status that knows better: MADSci's workcells start what is queued.
    const status = parsePhase(data.status)
    if (status === 'queued' || status === 'paused' || status === 'running') return status
    return what === 'create' ? 'queued' : undefined
  }
  return simplePhases[what]
}

/** 0.5 and 0.6 had the result of an action as event_data itself, later it stands inside; each message has its own name for it. */
function statusOf(data: Data): Value | undefined {
  const result = data.action_result
  const experiment = data.experiment
  return (
    (isObject(result) ? result.status : undefined) ??
    data.status ??
    data.step_status ??
    data.workflow_status ??
    data.action_status ??
    (isObject(experiment) ? experiment.status : undefined)
  )
}

const startWords = ['running', 'started', 'in_progress']
const endWords = ['completed', 'failed', 'cancelled', 'finished', 'succeeded']

/** The original tells case. */
function markOf(type: string, data: Data): Signal['mark'] {
  if (type === 'action_status_change') {
    const status = String(data.status)
    return startWords.includes(status) ? 'start' : endWords.includes(status) ? 'end' : undefined
  }
  if (type === 'node_start' || type === 'experiment_start') return 'start'
  return type === 'node_stop' || /^experiment_(complete|failed|cancelled)$/.test(type) ? 'end' : undefined
}
