import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type BaggageEntry,
  type Context,
  createContextKey,
  propagation,
  ROOT_CONTEXT,
} from '@opentelemetry/api'
import { type Source, type SourceKey, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'
import { isRoot, programApi, programContext, withProgramContext } from './program-api.ts'

/**
 * What surrounds a call: the trace and the ids of the action, step, workflow or experiment that it is part of.
 *
 *     events.workflow(…)                                  another process
 *     ┌ Context ──────────────────────────┐  headers   ┌ Context ────────────────────────────┐
 *     │ span      ── traceparent ─────────┼───────────▶│ remote span: parent of what follows │
 *     │ ids       ── baggage, the ids of ─┼───────────▶│ ids of whoever called               │
 *     │              `travelKeys`         │            └─────────────────────────────────────┘
 *     └───────────────────────────────────┘
 *
 * It is an OpenTelemetry Context, and so goes where the program's context manager takes it. A program without one has
 * our AsyncLocalStorage instead, which all copies of this package (ESM, CommonJS) in a process share.
 */
const storageKey = Symbol.for('@madsci-events/sdk ambient')
const registry = globalThis as { [storageKey]?: AsyncLocalStorage<Context> }
registry[storageKey] ??= new AsyncLocalStorage<Context>()
const storage = registry[storageKey]

const idsKey = createContextKey('madsci-events ids')

/** The ids that say on whose behalf something happens. The others say who speaks, which the one called knows better. */
export const travelKeys: readonly SourceKey[] = sourceKeys.filter(
  (key) => key !== 'node_id' && key !== 'manager_id',
)

/** The program's active context, or ours where it has no context manager. */
export function activeContext(): Context {
  return programContext() ?? storage.getStore() ?? ROOT_CONTEXT
}

/** `active`, unless it is empty because the program has no context manager. */
export function resolveContext(active: Context): Context {
  const own = storage.getStore()
  // Empty on purpose (context.with(ROOT_CONTEXT, …)), or for want of a manager?
  return own === undefined || !isRoot(active) || programApi().context ? active : own
}

/** Calls `run` with this around it. */
export function runWithin<Result>(around: Context, run: () => Result): Result {
  return storage.run(around, () => withProgramContext(() => around, run))
}

/** A context with these ids; those that travel go into its baggage, which OpenTelemetry's propagators send along. */
export function withIds(around: Context, ids: Source, processIds: Source): Context {
  return withBaggage(around.setValue(idsKey, ids), { ...processIds, ...ids })
}

/** A context with the travelling ids in its baggage; ids that it has there and `ids` has not stay. */
export function withBaggage(around: Context, ids: Source): Context {
  const old = propagation.getBaggage(around)
  let baggage = old ?? propagation.createBaggage()
  for (const key of travelKeys) {
    const id = ids[key]
    if (id !== undefined) baggage = baggage.setEntry(prefix + key, { value: id })
  }
  return baggage === old ? around : propagation.setBaggage(around, baggage)
}

/** A context without ids of this process: what follows comes from outside. */
export function withoutIds(around: Context): Context {
  return around.deleteValue(idsKey)
}

/** The ids around a call: those set in this process, else those that came with a request. Undefined when there are none. */
export function idsOf(around: Context, processIds: Source): Source | undefined {
  if (around === ROOT_CONTEXT) return undefined
  const ids = around.getValue(idsKey) as Source | undefined
  return ids ?? remoteIdsOf(around, processIds)
}

const prefix = 'madsci.source.'
const remoteIds = new WeakMap<object, Source>()

// A process knows its own laboratory and workcell better than its caller does.
function remoteIdsOf(around: Context, processIds: Source): Source | undefined {
  const baggage = propagation.getBaggage(around)
  if (baggage === undefined) return undefined
  let ids = remoteIds.get(baggage)
  if (ids === undefined) {
    ids = {}
    for (const key of travelKeys) {
      const entry: BaggageEntry | undefined = baggage.getEntry(prefix + key)
      if (entry !== undefined && isUlid(entry.value)) ids[key] = entry.value
    }
    remoteIds.set(baggage, ids)
  }
  let foreign = ids
  for (const key of Object.keys(processIds) as SourceKey[]) {
    if (foreign[key] === undefined) continue
    if (foreign === ids) foreign = { ...ids }
    delete foreign[key]
  }
  return foreign
}
