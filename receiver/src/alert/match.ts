import { createHash } from 'node:crypto'
import {
  type Event,
  EventError,
  eventTypes,
  fromTimestamp,
  isObject,
  sourceKeys,
  toDocument,
  toJson,
  type Value,
} from '@madsci-events/sdk/event'
import type { Match } from '../store/alert-store.ts'
import { createMatcher, type MatchDocument } from '../store/matcher.ts'
import type { Rule } from './rule.ts'

/** What the rules see in the events of one write. */
export type MatchEvents = (events: readonly Event[]) => Match[]

/** `values` name the group. */
type Note = (rule: Rule, kind: Match['kind'], values: (string | null)[], position: number) => Match
/** Looks at one event. */
type Look = (event: Event, position: number, note: Note) => void

const knownTypes = new Set<string>(eventTypes)
const workflowEnds = new Set(['workflow_complete', 'workflow_abort'])
const stepEnds = new Set(['workflow_step_complete', 'workflow_step_failed'])
/** A node that speaks is noted so often at most, by each receiver. */
export const seenIntervalMs = 1000
const maxContentCharacters = 100_000

/**
 * Rules → one function, which costs next to nothing where nothing matches: it runs on the thread that takes events in.
 * Events of one write that say the same (rule, group, node, workcell) become one match. `now` is for signs of life, which
 * are noted once a second.
 */
export function createMatch(rules: readonly Rule[], options: MatchOptions = {}): MatchEvents | undefined {
  const { now = Date.now, onTimeout = () => {} } = options
  // Of the event that is looked at: the rules share it.
  let document: MatchDocument | undefined
  const documentOf = (event: Event): MatchDocument => {
    document ??= toDocument(event) as MatchDocument
    return document
  }
  const looks = rules.map((rule) => toLook(rule, { now, documentOf, onTimeout }))
  if (looks.length === 0) return undefined
  return (events) => {
    let found: Match[] | undefined
    let latest: Map<string, Match> | undefined
    let position = 0
    const note: Note = (rule, kind, values, at) => {
      const event = events[at]!
      const { node_id: node, workcell_id: workcell } = event.source
      const content = kind === 'match' && event.alert ? contentOf(event) : undefined
      const identity = `${rule.name}\0${values.join('\0')}\0${node}\0${workcell}\0${content}`
      latest ??= new Map()
      let match = latest.get(identity)
      // What ends an alert must not change places with what raises it.
      if (match?.kind !== kind) {
        match = {
          rule: rule.name,
          kind,
          key: JSON.stringify(values),
          labels: labelsOf(event),
          level: event.log_level,
          ...(content !== undefined && { content }),
          positions: [],
        }
        latest.set(identity, match)
        found ??= []
        found.push(match)
      }
      if (event.log_level > match.level) match.level = event.log_level
      match.positions.push(at)
      return match
    }
    for (const event of events) {
      document = undefined
      for (const look of looks) look(event, position, note)
      position++
    }
    return found ?? none
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
      return (event, position, note) => {
        const type = typeOf(event)
        const workflow = idOf(event, 'workflow_id') ?? ''
        if (workflowEnds.has(type)) noteTime(note(rule, 'end', [workflow], position), event)
        const isStart = type === 'workflow_step_start'
        if (!isStart && !stepEnds.has(type)) return
        const step = idOf(event, 'step_id') ?? ''
        if (workflow === '' && step === '') return
        noteTime(note(rule, isStart ? 'start' : 'end', [workflow, step], position), event)
      }
    case 'unfinished':
      return (event, position, note) => lookAtWorkflow(rule, event, position, note)
  }
}

function guarded(rule: Rule, onTimeout: Looking['onTimeout'], look: Look): Look {
  return (event, position, note) => {
    try {
      look(event, position, note)
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
  const paths = groupBy.map((path) => path.split('.'))
  const keyOf = (event: Event) => paths.map((path) => textAt(event, path))
  if (!matches && !recovers)
    return (event, position, note) => {
      if (event.log_level >= minLevel || event.alert) note(rule, 'match', keyOf(event), position)
    }
  return (event, position, note) => {
    const document = documentOf(event)
    const isMatch = matches ? matches(document) : event.log_level >= minLevel || event.alert
    if (isMatch) note(rule, 'match', keyOf(event), position)
    else if (recovers?.(document)) note(rule, 'recover', keyOf(event), position)
  }
}

function toSilentLook(rule: Rule, now: () => number): Look {
  const wanted = rule.nodeIds && new Set(rule.nodeIds)
  const notedMs = new Map<string, number>()
  return (event, position, note) => {
    if (rule.whileWorkflow) lookAtWorkflow(rule, event, position, note)
    const node = event.source.node_id
    if (node === undefined || (wanted && !wanted.has(node))) return
    const nowMs = now()
    if (nowMs - (notedMs.get(node) ?? Number.NEGATIVE_INFINITY) < seenIntervalMs) return
    if (notedMs.size > 10_000) notedMs.clear()
    notedMs.set(node, nowMs)
    note(rule, 'seen', [node], position)
  }
}

function lookAtWorkflow(rule: Rule, event: Event, position: number, note: Note): void {
  const type = typeOf(event)
  const isStart = type === 'workflow_start'
  if (!isStart && !workflowEnds.has(type)) return
  const workflow = idOf(event, 'workflow_id')
  if (workflow === undefined) return
  noteTime(note(rule, isStart ? 'start' : 'end', [workflow], position), event)
}

function noteTime(match: Match, event: Event): void {
  const nanos = fromTimestamp(event.event_timestamp)
  if (nanos !== undefined) match.timeMs = Number(nanos / 1_000_000n)
}

/** MADSci's own client sends the type that a program gives within event_data, and calls the event `log_*`. */
function typeOf(event: Event): string {
  const type: string = event.event_type
  if (!type.startsWith('log') || !isObject(event.event_data)) return type
  const inner = event.event_data.event_type
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

function textAt(event: Event, path: readonly string[]): string | null {
  let value = event as unknown as Value
  for (const name of path) {
    if (!isObject(value) || !Object.hasOwn(value, name)) return null
    value = value[name]!
  }
  if (value === null) return null
  return (typeof value === 'string' ? value : toJson(value)).slice(0, 200)
}

/** MADSci's client sends an alert twice, with two ids. */
function contentOf({ event_type, log_level, event_data }: Event): string | undefined {
  const text = toJson(event_data)
  if (text.length > maxContentCharacters) return undefined
  return createHash('sha1').update(`${event_type} ${log_level} ${text}`).digest('base64').slice(0, 16)
}
