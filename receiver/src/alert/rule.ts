import {
  EventError,
  eventTypes,
  givenKeys,
  isObject,
  parseEventType,
  receivedKeys,
  sourceKeys,
  type Value,
} from '@madsci-events/sdk/event'
import { closestTo } from '../closest.ts'
import { maxPathNames } from '../store/path.ts'
import { parseSelector, type Selector } from '../store/selector.ts'
import { createReader, type Reader } from './reader.ts'
import { readMinute, readWindow, readZone, type Window } from './window.ts'

// Rules run on the thread that takes events in.
export const regexTimeoutMs = 10

export const ruleKinds = ['match', 'rate', 'silent', 'slow_step', 'unfinished'] as const
export type RuleKind = (typeof ruleKinds)[number]

export interface Escalation {
  afterMs: number
  channels: string[]
}

/** One rule of `alert_rules`, checked. */
export interface Rule {
  name: string
  kind: RuleKind
  /** match, rate: which events. Undefined: those of `minLevel`, or with `alert: true`. */
  selector: Selector | undefined
  minLevel: number
  /** An event that ends the alert of its group. */
  recovery: Selector | undefined
  /** Paths; each combination of their values is a group of its own. */
  groupBy: string[]
  /** No two messages about a group within that time; what comes meanwhile is told together. */
  cooldownMs: number
  /** Everything of the rule in one message each such time; 0 = no digest. */
  digestMs: number
  /** An alert without events for that long is over. */
  resolveAfterMs: number
  notifyRecovery: boolean
  /** Undefined: all. */
  channels: string[] | undefined
  escalate: Escalation[]
  quiet: Window[]
  /** rate: so many within windowMs. */
  count: number
  windowMs: number
  /** silent, slow_step: how long. */
  afterMs: number
  /** silent: only these. */
  nodeIds: string[] | undefined
  whileWorkflow: boolean
  /** unfinished: time of day. */
  byMinute: number
  zone: string
}

export interface RuleSet {
  rules: Rule[]
  quiet: Window[]
  maintenance: Window[]
}

export const defaultRuleName = 'alert_level'
const defaultGroupBy = ['event_type', 'source.node_id', 'source.workcell_id']
const dayS = 86_400

export interface RuleSettings {
  alertLevel: number
  rules: unknown
  quiet: unknown
  maintenance: unknown
  /** Names of the channels that there are. */
  channels: readonly string[]
}

/** Throws EVT_CONFIG with every problem. MADSci's rule stands first, unless one of that name replaces it. */
export function parseRules(settings: RuleSettings): RuleSet {
  const problems: string[] = []
  const list = (value: unknown, name: string): Reader[] => {
    if (value === undefined || value === null) return []
    if (Array.isArray(value)) return value.map((one, i) => createReader(one, `${name}[${i}]`, problems))
    problems.push(`${name} must be a list`)
    return []
  }
  const rules = list(settings.rules, 'alert_rules').map((reader) => readRule(reader, settings))
  const names = rules.map(({ name }) => name)
  for (const name of new Set(names.filter((one, i) => names.indexOf(one) !== i)))
    problems.push(`alert_rules has two rules named '${name}'`)
  if (!names.includes(defaultRuleName))
    rules.unshift(readRule(createReader({ name: defaultRuleName }, 'alert_rules', problems), settings))
  const quiet = list(settings.quiet, 'alert_quiet_hours').map(readWindow)
  const maintenance = list(settings.maintenance, 'alert_maintenance').map(readWindow)
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('\n'), { detail: problems })
  return { rules, quiet, maintenance }
}

/** A rule of its own, for a preview. Throws EVT_INVALID with every problem. */
export function parseRule(input: Value, settings: Pick<RuleSettings, 'alertLevel' | 'channels'>): Rule {
  const problems: string[] = []
  const named = isObject(input) ? { name: 'preview', ...input } : input
  const rule = readRule(createReader(named, 'rule', problems), settings)
  if (problems.length > 0) throw new EventError('EVT_INVALID', problems.join('\n'), { detail: problems })
  return rule
}

function readRule(reader: Reader, settings: Pick<RuleSettings, 'alertLevel' | 'channels'>): Rule {
  const name = reader.text('name') ?? ''
  if (!/^[\w-]{1,64}$/.test(name)) reader.fail('name', 'must be letters, digits, _ and -, at most 64')
  const kindText = reader.text('kind', 'match')!
  const near = ruleKinds.find((one) => one === closestTo(kindText, ruleKinds))
  // What is meant decides what else it takes.
  const kind = near ?? 'match'
  if (kind !== kindText)
    reader.fail('kind', `must be one of ${ruleKinds.join(', ')}${near ? `: did you mean ${near}?` : ''}`)
  const takesEvents = kind === 'match' || kind === 'rate'
  const isDefault = name === defaultRuleName
  const selector = takesEvents ? readSelector(reader, 'selector') : undefined
  if (takesEvents && !reader.has('selector') && !isDefault) reader.fail('selector', 'is needed')
  const seconds = (one: string, fallback: number, least = 0, most = 30 * dayS) =>
    Math.round(reader.number(one, { least, most, fallback })! * 1000)
  const minutes = (one: string) => {
    const value = reader.number(one, { least: 1 / 60, most: 30 * 1440 })
    if (value === undefined && !reader.has(one)) reader.fail(one, 'is needed')
    return Math.round((value ?? 1) * 60_000)
  }
  const cooldownMs = seconds('cooldown_seconds', 60)
  const rule: Rule = {
    name,
    kind,
    selector,
    minLevel: settings.alertLevel,
    recovery: takesEvents ? readSelector(reader, 'recovery') : undefined,
    groupBy: takesEvents ? readPaths(reader, isDefault ? defaultGroupBy : []) : [],
    cooldownMs,
    digestMs: seconds('digest_seconds', 0),
    resolveAfterMs: seconds('resolve_after_seconds', 3600, 1),
    notifyRecovery: reader.flag('notify_recovery', !takesEvents),
    channels: readChannels(reader, settings.channels),
    escalate: reader.objects('escalate').map((step) => readEscalation(step, settings.channels)),
    quiet: reader.objects('quiet_hours').map(readWindow),
    count: 1,
    windowMs: 0,
    afterMs: 0,
    nodeIds: undefined,
    whileWorkflow: true,
    byMinute: 0,
    zone: 'UTC',
  }
  if (kind === 'rate') {
    if (!reader.has('count')) reader.fail('count', 'is needed')
    if (!reader.has('window_seconds')) reader.fail('window_seconds', 'is needed')
    rule.count = Math.ceil(reader.number('count', { least: 1, most: 1_000_000, fallback: 1 })!)
    rule.windowMs = seconds('window_seconds', 60, 1, 7 * dayS)
  } else if (kind === 'silent') {
    rule.afterMs = minutes('minutes')
    rule.nodeIds = reader.texts('node_ids')
    rule.whileWorkflow = reader.flag('while_workflow', true)
  } else if (kind === 'slow_step') rule.afterMs = minutes('minutes')
  else if (kind === 'unfinished') {
    if (!reader.has('by')) reader.fail('by', 'is needed')
    rule.byMinute = readMinute(reader, 'by') ?? 0
    rule.zone = readZone(reader)
  }
  rule.escalate.sort((a, b) => a.afterMs - b.afterMs)
  if (takesEvents && rule.resolveAfterMs < cooldownMs && !reader.has('resolve_after_seconds'))
    rule.resolveAfterMs = cooldownMs
  reader.end()
  return rule
}

function readEscalation(reader: Reader, known: readonly string[]): Escalation {
  const afterSeconds = reader.number('after_seconds', { least: 1, most: 30 * dayS, fallback: 900 })!
  const afterMs = Math.round(afterSeconds * 1000)
  const channels = readChannels(reader, known) ?? [...known]
  reader.end()
  return { afterMs, channels }
}

function readChannels(reader: Reader, known: readonly string[]): string[] | undefined {
  const channels = reader.texts('channels')
  for (const name of channels ?? [])
    if (!known.includes(name)) reader.fail('channels', `names no channel of alert_channels: '${name}'`)
  return channels
}

function readPaths(reader: Reader, fallback: string[]): string[] {
  const paths = reader.texts('group_by') ?? fallback
  for (const path of paths) {
    if (!/^(event_type|log_level|trace_id|(source|event_data|otel)(\.[^.$\0]+)+)$/.test(path))
      reader.fail(
        'group_by',
        `must name event_type, log_level, trace_id, source.…_id or event_data.…: '${path}'`,
      )
    else if (findMeant(path))
      reader.fail('group_by', `no event has '${path}': did you mean ${findMeant(path)}?`)
    else if (path.split('.').length > maxPathNames)
      reader.fail('group_by', `must have ${maxPathNames} names in a path at most: '${path.slice(0, 100)}'`)
  }
  return paths
}

function readSelector(reader: Reader, name: string): Selector | undefined {
  const value = reader.value(name)
  if (value === undefined) return undefined
  try {
    checkWords(value)
    return parseSelector(value, { regexTimeoutMs })
  } catch (error) {
    reader.fail(name, `is not accepted: ${(error as Error).message}`)
    return undefined
  }
}

const eventMembers: readonly string[] = [...givenKeys, ...receivedKeys]

/** The id of a source that was meant by a path that is none. */
function findMeant(path: string): string | undefined {
  const [first, id = '', ...more] = path.split('.')
  if (first !== 'source' || more.length > 0 || !id.endsWith('_id')) return undefined
  if ((sourceKeys as readonly string[]).includes(id)) return undefined
  const near = findSlip(id, sourceKeys)
  return near && `source.${near}`
}

/** The one that a word differs from by one letter: a rule that runs today is refused for nothing less sure. */
function findSlip(word: string, names: readonly string[]): string | undefined {
  return names.find((name) => {
    const [short, long] = [Math.min(word.length, name.length), Math.max(word.length, name.length)]
    let same = 0
    while (same < short && word[same] === name[same]) same++
    let tail = 0
    while (tail < short - same && word.at(-1 - tail) === name.at(-1 - tail)) tail++
    return long > 4 && same + tail >= long - 1 && word !== name
  })
}

/** A word that is no event type, or a path that begins like a member of an event and is none, would never match: a typing error. */
function checkWords(selector: Value): void {
  if (!isObject(selector)) return
  for (const [key, value] of Object.entries(selector)) {
    // A part of `$or` or `$nor` that never matches may do no harm.
    if (key === '$and' && Array.isArray(value)) value.forEach(checkWords)
    const [first = ''] = key.split('.')
    const meant = findMeant(key)
    if (meant) throw new Error(`no event has '${key}': did you mean ${meant}?`)
    if (key.startsWith('$') || eventMembers.includes(first)) continue
    const near = findSlip(first, eventMembers)
    if (near) throw new Error(`no event has '${first}': did you mean ${near}?`)
  }
  const { event_type: type } = selector
  if (typeof type !== 'string' || parseEventType(type) === type) return
  const near = closestTo(type, eventTypes)
  throw new Error(`'${type}' is no event type${near ? `: did you mean ${near}?` : ''}`)
}
