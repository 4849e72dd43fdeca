import { type Attributes, type Context, trace } from '@opentelemetry/api'
import { activeContext, idsOf, runWithin, withIds } from './ambient.ts'
import { type Source, type SourceInput, type SourceKey, sourceKeys } from './event/event.ts'
import { createEventId } from './event/id.ts'
import type { EventLevel } from './event/level.ts'
import { nowTimestamp } from './event/timestamp.ts'
import type { EventType } from './event/type.ts'
import { type EventInput, readSource } from './input.ts'
import type { EndStatus } from './payload.ts'
import { endSpan, startSpan } from './span.ts'
import { type Thrown, toEnding } from './thrown.ts'

/** The ids that its events, and those inside, carry; one that is left out comes from around, or is made. */
export interface ActivityOptions extends SourceInput {
  /** More for the event_data of all its events. */
  data?: { [key: string]: unknown } | undefined
}
export interface ActionOptions extends ActivityOptions {
  /** What joins the events of this run; a new ULID, if left out. */
  action_id?: string | undefined
  args?: unknown
}
export interface WorkflowOptions extends ActivityOptions {
  /** Whom the user report counts it for. */
  author?: string | undefined
}

/** What the function inside is given. */
export interface Activity {
  /** The action's, workflow's, step's or experiment's own. */
  readonly id: string
  /** All ids that hold inside. */
  readonly source: Readonly<Source>
  /** Puts more into the event_data of the event that tells of its end. */
  add(data: { [key: string]: unknown }): void
}

/** What a function gives, a promise where it gives a promise. */
export type Settled<Result> = Result extends PromiseLike<infer Value> ? Promise<Value> : Result

/** The client that speaks. */
export interface ActivityHost {
  emit(event: EventInput): void
  /** The ids that it is bound to. */
  ids: Source
  processIds: Source
  onAlter(why: string): void
}

interface Kind {
  name: string
  hasStatusChange: boolean
  /** Where its own id goes; an action's has no place in `source`. */
  idKey: SourceKey | undefined
  start: EventType
  end: { [status in EndStatus]: EventType }
  describe(name: string, id: string, options: AnyOptions, source: Source): Members
}

type Members = { [key: string]: unknown }
type AnyOptions = ActionOptions & WorkflowOptions

export const kinds = {
  action: {
    name: 'action',
    hasStatusChange: true,
    idKey: undefined,
    start: 'action_start',
    end: { completed: 'action_complete', failed: 'action_failed', cancelled: 'action_failed' },
    describe: (name, id) => ({ action_id: id, action: name }),
  },
  workflow: {
    name: 'workflow',
    hasStatusChange: false,
    idKey: 'workflow_id',
    start: 'workflow_start',
    end: {
      completed: 'workflow_complete',
      // Not workflow_abort: the user report would take it for still running.
      failed: 'workflow_complete',
      cancelled: 'workflow_complete',
    },
    describe: (name, id, { author }) => ({ workflow_id: id, name, author }),
  },
  step: {
    name: 'step',
    hasStatusChange: false,
    idKey: 'step_id',
    start: 'workflow_step_start',
    end: {
      completed: 'workflow_step_complete',
      failed: 'workflow_step_failed',
      cancelled: 'workflow_step_failed',
    },
    describe: (name, id, _, { workflow_id }) => ({ step_id: id, workflow_id, step: name }),
  },
  experiment: {
    name: 'experiment',
    hasStatusChange: false,
    idKey: 'experiment_id',
    start: 'experiment_start',
    end: {
      completed: 'experiment_complete',
      failed: 'experiment_failed',
      cancelled: 'experiment_cancelled',
    },
    describe: (name, id) => ({
      experiment_id: id,
      experiment_name: name,
      experiment: { experiment_id: id, experiment_design: { experiment_name: name } },
    }),
  },
} as const satisfies { [name: string]: Kind }

/**
 * Calls `run` and tells of its start and its end.
 *
 *     start ─▶ run, within a span and with the ids ─▶ completed | failed | cancelled (an AbortError)
 *
 * Promises (each has a test of the same name):
 *  1. What `run` gives or throws is what the caller gets, whatever becomes of the events.
 *  2. Everything inside, however deep and however late, carries the trace and the ids.
 *  3. An error that passes through several activities is told at level 40 once, by the innermost; then at 30.
 */
export function runActivity<Result>(
  host: ActivityHost,
  kind: Kind,
  name: string,
  options: AnyOptions,
  run: (activity: Activity) => Result,
): Settled<Result> {
  const { activity, around, end: tellEnd } = beginActivity(host, kind, name, options)
  const end = (thrown?: Thrown) => {
    try {
      tellEnd(thrown)
    } catch (error) {
      host.onAlter(`the end of an activity could not be told: ${error}`)
    }
  }
  let result: Result
  try {
    result = runWithin(around, () => run(activity))
  } catch (error) {
    end({ error })
    throw error
  }
  if (isPromiseLike(result)) return settle(result, end) as Settled<Result>
  end()
  return result as Settled<Result>
}

async function settle<Value>(promise: PromiseLike<Value>, end: (thrown?: Thrown) => void): Promise<Value> {
  let value: Value
  try {
    value = await promise
  } catch (error) {
    end({ error })
    throw error
  }
  end()
  return value
}

interface Begun {
  activity: Activity
  around: Context
  end(thrown?: Thrown): void
}

// Whatever is wrong with what we were given, `run` is to run.
function beginActivity(host: ActivityHost, kind: Kind, name: string, options: AnyOptions): Begun {
  try {
    return beginAt(activeContext(), host, kind, String(name), options ?? {})
  } catch (error) {
    host.onAlter(`the events of an activity could not be made: ${error}`)
    const activity = { id: createEventId(), source: {}, add() {} }
    return { activity, around: activeContext(), end() {} }
  }
}

function beginAt(active: Context, host: ActivityHost, kind: Kind, name: string, options: AnyOptions): Begun {
  const { processIds } = host
  const given = readGiven(options, host)
  const id = kind.idKey === undefined ? readActionId(options, host) : idOf(kind.idKey, given, host)
  if (kind.idKey !== undefined) given[kind.idKey] = id
  const ids: Source = { ...idsOf(active, processIds), ...host.ids, ...given }
  const source = { ...processIds, ...ids }
  const base = { ...options.data, ...kind.describe(name, id, options, source) }
  const span = startSpan(name, toAttributes(kind, id, source), active)
  const around = withIds(trace.setSpan(active, span), ids, processIds)
  const added: Members = {}

  const tell = (event_type: EventType, log_level: EventLevel, stamp: string, event_data: Members) => {
    host.emit({ event_type, log_level, event_timestamp: stamp, source: given, event_data })
    // The original's reports know only this type, an exact engine all three: same moment and id, so none counts twice.
    if (kind.hasStatusChange) {
      const { args: _, ...change } = event_data
      host.emit({
        event_type: 'action_status_change',
        event_timestamp: stamp,
        source: given,
        event_data: change,
      })
    }
  }
  const startedMs = performance.now()
  const args = options.args === undefined ? {} : { args: options.args }
  const about = { message: `${name} started`, ...base, ...args, status: 'running' }
  runWithin(around, () => tell(kind.start, 20, nowTimestamp(), about))

  return {
    activity: { id, source, add: (data) => void Object.assign(added, data) },
    around,
    end(thrown) {
      const duration_seconds = Math.round((performance.now() - startedMs) * 1000) / 1e6
      const { status, level, text, exception } = toEnding(thrown)
      const message = status === 'failed' ? `${name} failed: ${text}` : `${name} ${status}`
      const about = { ...added, message, ...base, status, duration_seconds, ...(exception && { exception }) }
      runWithin(around, () => tell(kind.end[status], level, nowTimestamp(), about))
      endSpan(span, exception && { exception, text })
    },
  }
}

function readGiven(options: AnyOptions, { onAlter }: ActivityHost): Source {
  const given: Source = {}
  for (const key of sourceKeys) if (options[key] !== undefined) given[key] = options[key]
  return readSource(given, {}, onAlter)
}

/** A workflow inside a workflow is another one: ids from around are not its own, those of the client are. */
function idOf(key: SourceKey, given: Source, { ids, processIds }: ActivityHost): string {
  return given[key] ?? ids[key] ?? processIds[key] ?? createEventId()
}

function readActionId({ action_id }: AnyOptions, { onAlter }: ActivityHost): string {
  if (typeof action_id === 'string' && action_id !== '') return action_id
  if (action_id !== undefined) onAlter('action_id is no text')
  return createEventId()
}

function toAttributes(kind: Kind, id: string, source: Source): Attributes {
  const attributes: Attributes = { [`madsci.${kind.name}.id`]: id }
  for (const key of sourceKeys)
    if (source[key] !== undefined) attributes[`madsci.source.${key}`] = source[key]
  return attributes
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return false
  try {
    return typeof (value as { then?: unknown }).then === 'function'
  } catch {
    return false
  }
}
