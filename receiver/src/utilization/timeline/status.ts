import { isObject, type Value } from '@madsci-events/sdk/event'
import { toText } from './text.ts'

/** Flags that a node or a workcell says of itself. */
export const flagNames = [
  'busy',
  'errored',
  'stopped',
  'disconnected',
  'paused',
  'locked',
  'initializing',
  'waiting_for_config',
] as const
export type Flag = (typeof flagNames)[number]

export interface StatusReport {
  flags: readonly Flag[]
  /** Ids of running actions, when the report lists them. */
  runningActions?: readonly string[]
}

const otherNames: { [name: string]: Flag } = { shutdown: 'stopped' }
const words: { [word: string]: Flag | 'fine' } = {
  ok: 'fine',
  idle: 'fine',
  ready: 'fine',
  available: 'fine',
  online: 'fine',
  busy: 'busy',
  running: 'busy',
  error: 'errored',
  errored: 'errored',
  failed: 'errored',
  stopped: 'stopped',
  offline: 'stopped',
  shutdown: 'stopped',
  down: 'stopped',
  disconnected: 'disconnected',
  paused: 'paused',
  locked: 'locked',
  initializing: 'initializing',
  starting: 'initializing',
}

/**
 * Reads a NodeStatus or WorkcellStatus of MADSci (flags, as event_data itself or below `status` or `node_status`), or a
 * word below `status` or `state`. Undefined when it says nothing that is known.
 */
export function parseStatus(data: { [key: string]: Value }): StatusReport | undefined {
  for (const place of [data.status, data.node_status, data.state, data]) {
    if (typeof place === 'string') {
      const text = toWord(place)
      const word = Object.hasOwn(words, text) ? words[text] : undefined
      if (word !== undefined) return { flags: word === 'fine' ? [] : [word] }
    } else if (isObject(place)) {
      const report = parseFlags(place)
      if (report) return report
    }
  }
  return undefined
}

function parseFlags(status: { [key: string]: Value }): StatusReport | undefined {
  let known = false
  const flags: Flag[] = []
  for (const name of [...flagNames, ...Object.keys(otherNames)]) {
    const value = status[name]
    const isList = Array.isArray(value)
    if (typeof value !== 'boolean' && !isList) continue
    known = true
    // waiting_for_config is a list of names.
    if (isList ? value.length > 0 : value) flags.push(otherNames[name] ?? (name as Flag))
  }
  const list = status.running_actions
  if (!Array.isArray(list)) return known ? { flags } : undefined
  return { flags, runningActions: list.flatMap((id) => toText(id) ?? []) }
}

/** Python writes a member of an enum as `ActionStatus.CANCELLED`. */
function toWord(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/^\w+\.(?=\w+$)/, '')
}

export type Outcome = 'completed' | 'failed' | 'cancelled' | 'unknown'
export type Phase = 'queued' | 'running' | 'paused' | 'unknown' | { over: Outcome }

const phases: { [word: string]: Phase } = {
  not_started: 'queued',
  queued: 'queued',
  pending: 'queued',
  running: 'running',
  started: 'running',
  in_progress: 'running',
  paused: 'paused',
  unknown: 'unknown',
  not_ready: { over: 'cancelled' },
  succeeded: { over: 'completed' },
  success: { over: 'completed' },
  completed: { over: 'completed' },
  finished: { over: 'completed' },
  failed: { over: 'failed' },
  error: { over: 'failed' },
  cancelled: { over: 'cancelled' },
  canceled: { over: 'cancelled' },
  aborted: { over: 'cancelled' },
}

/** The phase of an action or a workflow that `status` names: a word, or the flags of MADSci's WorkflowStatus. */
export function parsePhase(status: Value | undefined): Phase | undefined {
  if (typeof status === 'string') {
    const word = toWord(status)
    return Object.hasOwn(phases, word) ? phases[word] : undefined
  }
  if (!isObject(status)) return undefined
  if (status.completed === true) return { over: 'completed' }
  if (status.failed === true) return { over: 'failed' }
  if (status.cancelled === true) return { over: 'cancelled' }
  if (status.paused === true) return 'paused'
  if (status.running === true) return 'running'
  return status.running === false ? 'queued' : undefined
}

/** How a thing ended whose end event has this `status`; `fallback` when it does not say. */
export function parseOutcome(status: Value | undefined, fallback: Outcome): Outcome {
  const phase = parsePhase(status)
  if (typeof phase === 'object') return phase.over
  const description = isObject(status) ? toText(status.description)?.toLowerCase() : undefined
  const said = (['completed', 'failed', 'cancelled'] as const).find((word) => description?.includes(word))
  return said ?? fallback
}
