import './disposable.ts'
import {
  type ActionOptions,
  type Activity,
  type ActivityHost,
  type ActivityOptions,
  kinds,
  runActivity,
  type Settled,
  type WorkflowOptions,
} from './activity.ts'
import { runWithin } from './ambient.ts'
import { type Auditor, createAuditor } from './audit.ts'
import type { DestinationStats } from './destination.ts'
import type { Severity } from './emit.ts'
import { type Emitter, emit } from './emitter.ts'
import type { Event, Source, SourceInput } from './event/event.ts'
import type { EventLevel } from './event/level.ts'
import { type EventInput, readSource, type TypedEventInput } from './input.ts'
import { toNodeStatusEvent } from './node-status.ts'
import type { EncodedContext } from './otlp/encode.ts'
import { createWriter, type Writer } from './otlp/writer.ts'
import type { NodeStatus } from './payload.ts'
import { createClientContext, createDelivery, type Delivery } from './pipeline.ts'
import { type Carrier, fromHeaders, toHeaders } from './propagation.ts'
import { createRestClient, type GetEventsOptions, type RestClient } from './rest.ts'
import type { FlushOptions, Sender } from './sender.ts'
import { type ClientOptions, readSettings } from './setting.ts'
import { createLosses, type Losses, type Stats, type Tally } from './tally.ts'
import type { ToValueOptions } from './value.ts'

/** What a client and those bound to it share. */
class Shared implements Emitter {
  readonly tally: Tally
  readonly context: EncodedContext
  readonly writer: Writer
  readonly sender: Sender | undefined
  readonly rest: RestClient
  readonly losses: Losses
  readonly auditor: Auditor
  readonly processIds: Source
  readonly valueOptions: ToValueOptions
  readonly delivery: Delivery

  constructor(options: ClientOptions) {
    const settings = readSettings(options)
    this.losses = createLosses()
    const { losses } = this
    this.delivery = createDelivery(settings, losses)
    const { tally, sender, first } = this.delivery
    const { context, processIds } = createClientContext(settings, tally)
    this.tally = tally
    this.sender = sender
    this.context = context
    this.processIds = processIds
    this.writer = createWriter()
    this.rest = createRestClient(settings)
    const { rest } = this
    this.auditor = createAuditor({ rest, sender: first, losses, timeoutMs: settings.flushTimeoutMs })
    this.valueOptions = {
      onAlter: tally.alter,
      ...(settings.textLimit !== undefined && { textLimit: settings.textLimit }),
    }
  }
}

class Bound {
  readonly shared: Shared
  readonly source: Source

  constructor(shared: Shared, source: Source) {
    this.shared = shared
    this.source = source
  }
}

/** For the transports of logging libraries: an event with the severity that its line had. */
export let emitLine: (client: EventClient, event: EventInput, severity: Severity) => string

/**
 * Emits MADSci events, over OpenTelemetry, and asks a receiver for them.
 *
 *     const events = new EventClient({ url: 'http://localhost:8001', name: 'liquid-handler', source: { node_id } })
 *     events.info('Aspirated', { volume_ul: 50 })
 *     await events.close()
 *
 * A call that emits gives the event's id at once; delivery goes on behind it. It never throws, whatever it is given:
 * what no event can hold is replaced, warned of once, and counted in `stats.altered`.
 */
export class EventClient {
  static {
    emitLine = (client, event, severity) => client.#emit(event, undefined, undefined, false, severity)
  }

  readonly #shared: Shared
  readonly #source: Source
  readonly #isBound: boolean

  /** Throws EVT_CONFIG with every wrong option in `detail`. */
  constructor(options?: ClientOptions)
  constructor(options: ClientOptions | Bound = {}) {
    this.#isBound = options instanceof Bound
    // Ids of the whole process travel once for each request, as attributes of the resource.
    const { shared, source } = options instanceof Bound ? options : new Bound(new Shared(options), {})
    this.#shared = shared
    this.#source = source
  }

  /** Emits an event as it is; what it leaves out gets its default. */
  log<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  log(message: string | Error, data?: unknown): string
  log(input: unknown, data?: unknown): string {
    return this.#emit(input, data)
  }

  /** Emits a text with data, an error, or an event, at level 10. */
  debug<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  debug(message: string | Error, data?: unknown): string
  debug(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 10)
  }

  /** The same at level 20. */
  info<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  info(message: string | Error, data?: unknown): string
  info(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 20)
  }

  /** The same at level 30. */
  warning<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  warning(message: string | Error, data?: unknown): string
  warning(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 30)
  }

  /** The same at level 40. */
  error<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  error(message: string | Error, data?: unknown): string
  error(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 40)
  }

  /** The same at level 50. */
  critical<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  critical(message: string | Error, data?: unknown): string
  critical(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 50)
  }

  /** The same at level 50 with `alert` set: the receiver tells the people whom its rules name. */
  alert<Type extends EventInput['event_type']>(event: TypedEventInput<Type>): string
  alert(message: string | Error, data?: unknown): string
  alert(input: unknown, data?: unknown): string {
    return this.#emit(input, data, 50, true)
  }

  /** A client whose every event carries these ids too. It shares this one's queue, connection and stats. */
  bind(source: SourceInput): EventClient {
    const all = readSource(source, this.#source, this.#shared.tally.alter)
    return new EventClient(new Bound(this.#shared, all) as ClientOptions)
  }

  /**
   * Calls `run` between an action_start and an action_complete or action_failed, inside of an OpenTelemetry span.
   *
   *     const result = await events.action('transfer_plate', { workflow_id, args: { from, to } }, () => arm.move(from, to))
   *
   * What `run` gives or throws is what the caller gets. Events emitted inside carry the ids and the trace.
   */
  action<Result>(name: string, options: ActionOptions, run: Run<Result>): Settled<Result>
  action<Result>(name: string, run: Run<Result>): Settled<Result>
  action<Result>(name: string, options: ActionOptions | Run<Result>, run?: Run<Result>): Settled<Result> {
    return runActivity(this.#host, kinds.action, name, ...readCall(options, run))
  }

  /** The same for a workflow: workflow_start, then workflow_complete with `status` completed, failed or cancelled. */
  workflow<Result>(name: string, options: WorkflowOptions, run: Run<Result>): Settled<Result>
  workflow<Result>(name: string, run: Run<Result>): Settled<Result>
  workflow<Result>(name: string, options: WorkflowOptions | Run<Result>, run?: Run<Result>): Settled<Result> {
    return runActivity(this.#host, kinds.workflow, name, ...readCall(options, run))
  }

  /** The same for a step of a workflow: workflow_step_start, then workflow_step_complete or workflow_step_failed. */
  step<Result>(name: string, options: ActivityOptions, run: Run<Result>): Settled<Result>
  step<Result>(name: string, run: Run<Result>): Settled<Result>
  step<Result>(name: string, options: ActivityOptions | Run<Result>, run?: Run<Result>): Settled<Result> {
    return runActivity(this.#host, kinds.step, name, ...readCall(options, run))
  }

  /** The same for an experiment: experiment_start, then experiment_complete, experiment_failed or experiment_cancelled. */
  experiment<Result>(name: string, options: ActivityOptions, run: Run<Result>): Settled<Result>
  experiment<Result>(name: string, run: Run<Result>): Settled<Result>
  experiment<Result>(
    name: string,
    options: ActivityOptions | Run<Result>,
    run?: Run<Result>,
  ): Settled<Result> {
    return runActivity(this.#host, kinds.experiment, name, ...readCall(options, run))
  }

  /** Emits a node_status_update, of MADSci's flags or a word. */
  nodeStatus(status: NodeStatus | string, data?: { [key: string]: unknown }): string {
    return this.#emit(toNodeStatusEvent(status, data), undefined)
  }

  /** `traceparent`, `tracestate` and `baggage` for a request: whoever answers it names our workflow, experiment, step, … */
  headers(): { [name: string]: string } {
    return toHeaders(this.#source, this.#shared.processIds)
  }

  /** Calls `run` on behalf of whoever sent a request with these headers: events inside carry its ids and its trace. */
  within<Result>(headers: Carrier, run: () => Result): Result {
    return runWithin(fromHeaders(headers), run)
  }

  /** A snapshot of the counters, of the first destination: emitted + recovered = waiting + exported + rejected + dropped + left, always. */
  get stats(): Stats {
    return structuredClone(this.#shared.tally.stats)
  }

  /** The same for each destination: the first one, whose numbers `stats` has, and those of `destinations`. */
  get destinations(): DestinationStats[] {
    return this.#shared.delivery.destinations
  }

  /** Newest first. */
  getEvents(options?: GetEventsOptions): Promise<Event[]> {
    return this.#shared.rest.getEvents(options)
  }

  /** Rejects with EVT_NOT_FOUND when there is none. */
  getEvent(id: string): Promise<Event> {
    return this.#shared.rest.getEvent(id)
  }

  /** By a MongoDB-style selector, archived events included; in no particular order. */
  queryEvents(selector: object): Promise<Event[]> {
    return this.#shared.rest.queryEvents(selector)
  }

  /** `getUtilization(report, options)`: see RestClient. */
  get getUtilization(): RestClient['getUtilization'] {
    return this.#shared.rest.getUtilization
  }

  /**
   * Resolves once everything emitted before is acknowledged. Rejects with EVT_UNREACHABLE when nothing was delivered
   * for the timeout (what waits stays queued, and goes on being tried), with EVT_REFUSED when events were lost since the
   * last flush.
   */
  async flush(options?: FlushOptions): Promise<void> {
    await this.#shared.sender?.flush(options)
  }

  /**
   * Flushes, then takes no more events: later ones are dropped, and counted. Rejects as `flush` does; what could not be
   * delivered is lost then. On a bound client it only flushes.
   */
  async close(options?: FlushOptions): Promise<void> {
    if (this.#isBound) return this.flush(options)
    this.#shared.delivery.forget()
    await this.#shared.sender?.close(options)
  }

  /**
   * Resolves once the receiver itself says that it has stored this event (by its id, or an event with one); behind a
   * Collector `restUrl` says where it is. Rejects with EVT_REFUSED when the event was lost on the way, with
   * EVT_UNREACHABLE when it is not there within the timeout, with the receiver's own code when it will not answer.
   */
  async audit(event: string | { event_id: string }, options: FlushOptions = {}): Promise<void> {
    await this.#shared.auditor.audit(typeof event === 'string' ? event : event.event_id, options)
  }

  /**
   * Resolves once the queue is no more than half full, at once if it is: a producer that waits for it now and then loses
   * nothing to a full spool.
   */
  async drained(): Promise<void> {
    await this.#shared.sender?.drained()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** For `using`, which waits for nothing: what is emitted is in the spool, and is sent behind it. */
  [Symbol.dispose](): void {
    this.close().catch(() => {})
  }

  get #host(): ActivityHost {
    const { processIds, tally } = this.#shared
    return {
      emit: (event) => void this.#emit(event, undefined),
      ids: this.#source,
      processIds,
      onAlter: tally.alter,
    }
  }

  #emit(input: unknown, data: unknown, level?: EventLevel, alert = false, severity?: Severity): string {
    return emit(this.#shared, this.#source, input, data, level, alert, severity)
  }
}

type Run<Result> = (activity: Activity) => Result

function readCall<Options, Result>(
  options: Options | Run<Result>,
  run: Run<Result> | undefined,
): [Options, Run<Result>] {
  if (typeof options === 'function') return [{} as Options, options as Run<Result>]
  return [options, run as Run<Result>]
}
