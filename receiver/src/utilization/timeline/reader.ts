import {
  type EventType,
  isObject,
  isUlid,
  parseEventType,
  type Source,
  type Value,
} from '@madsci-events/sdk/event'
import { type Kind, kinds } from './kind.ts'
import type { Signal } from './signal.ts'
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
  let type: string = event.type
  const isLog = type === 'log' || type.startsWith('log_')
  if (!isLog && kindOf(type) === undefined) return undefined
  if (isLog) {
    // Most logs say nothing more, and are not parsed.
    const inner = event.field('event_type')
    type = (typeof inner === 'string' && parseEventType(inner)) || ''
  }
  const kind = kindOf(type)
  if (kind === undefined) return undefined
  const raw = event.data()
  const data: Data = isObject(raw) ? raw : {}

  const links: Source = {}
  const isStanding = kind.kind === 'node' || kind.kind === 'workcell' || kind.kind === 'lab'
  for (const key of isStanding ? placeKeys : linkKeys) {
    const id = event.source(key) ?? toText(data[key])
    if (id !== undefined) links[key] = intern(id)
  }
  const userId = isStanding ? undefined : (event.source('user_id') ?? toText(data.user_id))
  const what = type.slice(kind.prefix.length)
  const nodeName = firstText(data, 'node_name', kind.kind === 'step' ? 'step.node' : 'node', 'node')
  if (kind.kind === 'action' && links.node_id === undefined && nodeName !== undefined)
    links.node_id = nodeName
  const name = firstText(data, ...namePaths[kind.kind])
  const { subject, isAnonymous } = subjectOf(kind.kind, data, links, name, event)
  return {
    id: event.id,
    at: event.micros,
    type: type as EventType,
    promoted: isLog,
    kind: kind.kind,
    what,
    subject,
    isAnonymous,
    links,
    name,
    user: userOf(kind.kind, data, userId),
    nodeName: kind.kind === 'step' ? (nodeName ?? links.node_id) : undefined,
    mark: isLog ? undefined : markOf(type, data),
    key: kind.kind === 'action' ? firstText(data, 'action_id', 'action', 'task_id', '_id', 'id') : undefined,
    phase: isStanding ? undefined : phaseOf(kind.kind, what, data),
    report: isStanding && what === 'status_update' ? parseStatus(data) : undefined,
  }
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
  workcell: ['workcell_name', 'name'],
  node: ['node_name', 'name'],
  action: ['action_name', 'action'],
  step: ['step_name', 'step.name', 'name', 'step', 'step.key', 'step_index'],
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
  event: TimelineEvent,
): { subject: string | undefined; isAnonymous: boolean } {
  const said = (subject: string | undefined) => ({ subject, isAnonymous: false })
  const madeUp = (parts: (string | undefined)[]) => {
    const known = parts.filter((part) => part !== undefined)
    return { subject: known.length > 0 ? known.join('/') : undefined, isAnonymous: true }
  }
  switch (kind) {
    case 'lab':
    case 'workcell':
      return said(
        links[`${kind}_id`] ?? firstText(data, 'manager_id') ?? event.source('manager_id') ?? unnamed,
      )
    case 'node':
      return said(links.node_id ?? firstText(data, 'node_name', 'node'))
    case 'action': {
      const own =
        firstText(data, 'action_id') ??
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
}

function phaseOf(kind: Kind, what: string, data: Data): Phase | undefined {
  if (what === 'status_change') return parsePhase(data.status)
  if (what === 'complete') return { over: parseOutcome(data.status, 'completed') }
  if (kind === 'workflow' && (what === 'create' || what === 'start')) {
    // A start says that it runs, unless it carries a status that knows better: MADSci's workcells start what is queued.
    const status = parsePhase(data.status)
    if (status === 'queued' || status === 'paused' || status === 'running') return status
    return what === 'create' ? 'queued' : undefined
  }
  return simplePhases[what]
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
