import { createHash } from 'node:crypto'
import {
  allEventTypes,
  type Event,
  EventError,
  fromTimestamp,
  isObject,
  sourceKeys,
  toDocument,
  toJson,
  type Value,
} from '@madsci-events/sdk/event'
import { EventDocument, eventOf, type NewEvent } from '../document/event-document.ts'
import type { Match, Sighting } from '../store/alert-store.ts'
import { valueAt } from '../store/expression.ts'
import { createMatcher, type MatchDocument } from '../store/matcher.ts'
import { keysOf, type PathKeys } from '../store/path.ts'
import type { Rule } from './rule.ts'

/** What the rules see in the events of one write. */
export interface MatchEvents {
  (events: readonly NewEvent[]): Match[]
  /** A rule looks into every event: a document would be read back for it each time. */
  readonly looksAtAll: boolean
}

type Note = (sighting: Sighting) => void
/** Looks at one event. */
type Look = (event: NewEvent, note: Note) => void

const knownTypes = new Set<string>(allEventTypes)
const workflowEnds = new Set(['workflow_complete', 'workflow_abort'])
const stepEnds = new Set(['workflow_step_complete', 'workflow_step_failed'])
/** A node that speaks is noted so often at most, by each receiver. */
export const seenIntervalMs = 1000

/**
 * Rules → one function, which costs next to nothing where nothing matches: it runs on the thread that takes events in, but
 * for events that another thread has looked at already. Events of one write that say the same (rule, group, node, workcell)
 * become one match. `now` is for signs of life, which are noted once a second.
 */
export function createMatch(rules: readonly Rule[], options: MatchOptions = {}): MatchEvents | undefined {
  if (rules.length === 0) return undefined
  const look = createLook(rules, options)
  const match = (events: readonly NewEvent[]): Match[] => {
    let found: Match[] | undefined
    let latest: Map<string, Match> | undefined
    let position = 0
    const note: Note = (sighting) => {
      const { rule, kind, key, labels, level, content, timeMs } = sighting
      const identity = `${rule}\0${key}\0${labels.node_id}\0${labels.workcell_id}\0${content}`
      latest ??= new Map()
      let match = latest.get(identity)
      // What ends an alert must not change places with what raises it.
      if (match?.kind !== kind) {
        match = { ...sighting, positions: [] }
        latest.set(identity, match)
        found ??= []
        found.push(match)
      }
      if (level > match.level) match.level = level
      if (timeMs !== undefined) match.timeMs = timeMs
      match.positions.push(position)
    }
    for (const event of events) {
      const sightings = event instanceof EventDocument ? event.sightings : undefined
      if (sightings) (sightings as readonly Sighting[]).forEach(note)
      else look(event, note)
      position++
    }
    return found ?? none
  }
  return Object.assign(match, { looksAtAll: rules.some(looksInto) })
}

/** Of the others, a level or a type tells that an event is none of theirs. */
const looksInto = ({ kind, selector, recovery }: Rule) =>
  kind === 'silent' || selector !== undefined || recovery !== undefined

/** What the rules see in one event, for another thread that has it at hand. */
export function createWatch(
  rules: readonly Rule[],
  options: MatchOptions = {},
): (event: Event) => Sighting[] {
  const look = createLook(rules, options)
  return (event) => {
    const sightings: Sighting[] = []
    look(event, (sighting) => void sightings.push(sighting))
    return sightings
  }
}

function createLook(rules: readonly Rule[], { now = Date.now, onTimeout = () => {} }: MatchOptions): Look {
  // Of the event that is looked at: the rules share it.
  let document: MatchDocument | undefined
  const documentOf = (event: Event): MatchDocument => {
    document ??= toDocument(event) as MatchDocument
    return document
  }
  const looks = rules.map((rule) => toLook(rule, { now, documentOf, onTimeout }))
  return (event, note) => {
    try {
      for (const look of looks) look(event, note)
    } finally {
      document = undefined
    }
  }
}

function sight(rule: Rule, kind: Match['kind'], values: (string | null)[], event: Event): Sighting {
  const content = kind === 'match' && event.alert ? contentOf(event) : undefined
  return {
    rule: rule.name,
    kind,
    key: JSON.stringify(values),
    labels: labelsOf(event),
    level: event.log_level,
    ...(content !== undefined && { content }),
  }
}

const none: Match[] = []

export interface MatchOptions {
  now?: () => number
  /** Told of an event that a rule could not be asked about in time: it counts as no match. */
  onTimeout?: (rule: string) => void
}

interface Looking extends Required<MatchOptions> {
  documentOf: (event: Event) => MatchDocument
}

function toLook(rule: Rule, { now, documentOf, onTimeout }: Looking): Look {
  switch (rule.kind) {
    case 'match':
    case 'rate':
      return guarded(rule, onTimeout, toEventLook(rule, documentOf))
    case 'silent':
      return toSilentLook(rule, now)
    case 'slow_step':
      return (one, note) => {
        const type = eventTypeOf(one)
        const isStart = type === 'workflow_step_start'
        if (!isStart && !stepEnds.has(type) && !workflowEnds.has(type)) return
        const event = eventOf(one)
        const workflow = idOf(event, 'workflow_id') ?? ''
        if (workflowEnds.has(type)) return note(timed(sight(rule, 'end', [workflow], event), event))
        const step = idOf(event, 'step_id') ?? ''
        if (workflow === '' && step === '') return
        note(timed(sight(rule, isStart ? 'start' : 'end', [workflow, step], event), event))
      }
    case 'unfinished':
      return (one, note) => lookAtWorkflow(rule, one, note)
  }
}

function guarded(rule: Rule, onTimeout: Looking['onTimeout'], look: Look): Look {
  return (event, note) => {
    try {
      look(event, note)
    } catch (error) {
      if (!(error instanceof EventError && error.code === 'EVT_QUERY_TIMEOUT')) throw error
      onTimeout(rule.name)
    }
  }
}

function toEventLook(rule: Rule, documentOf: Looking['documentOf']): Look {
  const { selector, recovery, minLevel, groupBy } = rule
  const matches = selector && createMatcher(selector)
  const recovers = recovery && createMatcher(recovery)
  const paths = groupBy.map((path) => keysOf(path.split('.')))
  const keyOf = (event: Event) => {
    // What an event gives may stand in its document alone.
    const whole = { ...documentOf(event), event_id: event.event_id } as Value
    return paths.map((path) => textAt(whole, path))
  }
  if (!matches && !recovers)
    return (one, note) => {
      if (!one.alert && one.log_level < minLevel) return
      const event = eventOf(one)
      if (event.alert || !isExporterTrouble(documentOf(event)))
        note(sight(rule, 'match', keyOf(event), event))
    }
  return (one, note) => {
    const event = eventOf(one)
    const document = documentOf(event)
    const isMatch = matches ? matches(document) : event.log_level >= minLevel || event.alert
    if (isMatch) note(sight(rule, 'match', keyOf(event), event))
    else if (recovers?.(document)) note(sight(rule, 'recover', keyOf(event), event))
  }
}

const scopeName = keysOf(['otel', 'scope', 'name'])
const exporterScopes = [
  'opentelemetry.exporter.',
  'opentelemetry.sdk.',
  'io.opentelemetry.exporter.',
  'io.opentelemetry.sdk.',
  '@opentelemetry/exporter-',
  '@opentelemetry/otlp-exporter-',
  'go.opentelemetry.io/otel/exporters/',
  'OpenTelemetry.Exporter.',
]

/**
 * What an exporter of OpenTelemetry logs of its own trouble reaches the laboratory's log where its program passes every logger on.
 * It is about the way here or to somebody else's telemetry, not about the laboratory: a rule by level alone would mail it for ever.
 */
function isExporterTrouble(document: MatchDocument): boolean {
  const name = valueAt(document as unknown as Value, scopeName)
  return typeof name === 'string' && exporterScopes.some((scope) => name.startsWith(scope))
}

function toSilentLook(rule: Rule, now: () => number): Look {
  const wanted = rule.nodeIds && new Set(rule.nodeIds)
  const notedMs = new Map<string, number>()
  return (one, note) => {
    if (rule.whileWorkflow) lookAtWorkflow(rule, one, note)
    const event = eventOf(one)
    const node = event.source.node_id
    if (node === undefined || (wanted && !wanted.has(node))) return
    const nowMs = now()
    if (nowMs - (notedMs.get(node) ?? Number.NEGATIVE_INFINITY) < seenIntervalMs) return
    if (notedMs.size > 10_000) notedMs.clear()
    notedMs.set(node, nowMs)
    note(sight(rule, 'seen', [node], event))
  }
}

function lookAtWorkflow(rule: Rule, one: NewEvent, note: Note): void {
  const type = eventTypeOf(one)
  const isStart = type === 'workflow_start'
  if (!isStart && !workflowEnds.has(type)) return
  const event = eventOf(one)
  const workflow = idOf(event, 'workflow_id')
  if (workflow === undefined) return
  note(timed(sight(rule, isStart ? 'start' : 'end', [workflow], event), event))
}

function timed(sighting: Sighting, event: Event): Sighting {
  const nanos = fromTimestamp(event.event_timestamp)
  return nanos === undefined ? sighting : { ...sighting, timeMs: Number(nanos / 1_000_000n) }
}

/** MADSci's own client sends the type that a program gives within event_data, and calls the event `log_*`. */
function eventTypeOf(event: NewEvent): string {
  const type: string = event.event_type
  if (!type.startsWith('log')) return type
  const data = eventOf(event).event_data
  if (!isObject(data)) return type
  const inner = data.event_type
  return typeof inner === 'string' && knownTypes.has(inner) ? inner : type
}

/** The same for ids. */
function idOf(event: Event, name: 'workflow_id' | 'step_id'): string | undefined {
  const id = event.source[name]
  if (id !== undefined) return id
  const inner = isObject(event.event_data) ? event.event_data[name] : undefined
  return typeof inner === 'string' ? inner : undefined
}

function labelsOf({ source }: Event): { [name: string]: string } {
  const labels: { [name: string]: string } = {}
  for (const name of sourceKeys) {
    const id = source[name]
    if (id !== undefined) labels[name] = id
  }
  return labels
}

function textAt(whole: Value, path: PathKeys): string | null {
  const value = valueAt(whole, path)
  if (value === null || value === undefined) return null
  return (typeof value === 'string' ? value : toJson(value as Value)).slice(0, 200)
}

/** MADSci's client sends an alert twice, with two ids. */
function contentOf({ event_type, log_level, source, event_data }: Event): string {
  const text = `${toJson(source as Value)} ${toJson(event_data)}`
  return createHash('sha1').update(`${event_type} ${log_level} ${text}`).digest('base64').slice(0, 16)
}
