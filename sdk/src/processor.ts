import { type AnyValue, type Context, trace } from '@opentelemetry/api'
import type { LogRecordProcessor, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { activeContext, idsOf, resolveContext } from './ambient.ts'
import type { DestinationStats } from './destination.ts'
import { isKept } from './emit.ts'
import { type Source, sourceKeys, type Value } from './event/event.ts'
import { createEventId, isUlid } from './event/id.ts'
import { isPlain, toExactJson } from './event/json.ts'
import { fromSeverity } from './event/level.ts'
import { logType } from './event/record.ts'
import { type EventType, parseEventType } from './event/type.ts'
import { createContextCache } from './otlp/context.ts'
import { encodeRecord } from './otlp/encode.ts'
import { createWriter } from './otlp/writer.ts'
import { createDelivery } from './pipeline.ts'
import { type ClientOptions, type ForeignOptions, readSettings } from './setting.ts'
import type { Stats, Tally } from './tally.ts'
import { toValue } from './value.ts'

/** As for a client; who speaks is said by the resource of the OpenTelemetry SDK that the processor joins. */
export type ProcessorOptions = Omit<ClientOptions, 'name' | 'resource' | 'restUrl'>

const saidByResource = 'is said by the resource of the LoggerProvider'
export const foreignToProcessor: ForeignOptions = {
  name: saidByResource,
  resource: saidByResource,
  restUrl: 'is for queries, which only an EventClient asks',
}

export interface EventProcessor extends LogRecordProcessor {
  /** A snapshot of the counters; `emitted` counts the records that came by. */
  readonly stats: Stats
  /** The same for each destination, the first one included. */
  readonly destinations: DestinationStats[]
}

/**
 * A processor for an OpenTelemetry SDK that a program already has: what is logged through `@opentelemetry/api` reaches
 * the receiver as MADSci events.
 *
 *     new LoggerProvider({ processors: [createEventProcessor({ url: 'http://localhost:8001', source: { node_id } })] })
 *
 * Throws EVT_CONFIG for `name`, `resource` and `restUrl`, and for what is wrong with the other options.
 *
 * It sends a copy of each record as it is now, so neither do other processors see MADSci's attributes, nor does it see
 * their later changes. To the copy it adds, where the record has them not:
 *
 * | attribute | value |
 * | --- | --- |
 * | `log.record.uid` | a new ULID |
 * | `madsci.event.type` | the EventName or `event.name`, if it names a MADSci type, else `log_<level>` by severity |
 * | `madsci.source.*` | the ids of `options.source`, and of the action, workflow, … around |
 * | `madsci.event.json` | body and attributes, when OTLP cannot carry them exactly (bigint, NaN) |
 */
export function createEventProcessor(options: ProcessorOptions = {}): EventProcessor {
  const settings = readSettings(options, foreignToProcessor)
  const delivery = createDelivery(settings)
  const { tally, sender } = delivery
  const processIds = toIdAttributes(settings.source)
  const idsAt = (around: Context) => {
    const ids = idsOf(around, settings.source)
    return ids === undefined ? processIds : { ...processIds, ...toIdAttributes(ids) }
  }
  const writer = createWriter()
  const contextOf = createContextCache()
  return {
    get stats() {
      return structuredClone(tally.stats)
    },
    get destinations() {
      return delivery.destinations
    },
    onEmit(record, given) {
      tally.stats.emitted++
      try {
        const around = given === undefined ? activeContext() : resolveContext(given)
        if (sender === undefined) tally.drop('disabled', 1, 'switched off')
        else {
          const read = toEventRecord(record, { around, ids: idsAt(around), tally })
          sender.send(encodeRecord(writer, read, contextOf(read)))
        }
      } catch (error) {
        tally.drop('failed', 1, `a record could not be read: ${error}`)
      }
    },
    async forceFlush(flushOptions) {
      const { timeoutMillis } = flushOptions ?? {}
      await sender?.flush(timeoutMillis === undefined ? {} : { timeoutMs: timeoutMillis })
    },
    async shutdown() {
      delivery.forget()
      await sender?.close()
    },
  }
}

type Attributes = { [key: string]: AnyValue }

export function toIdAttributes(source: Source): Attributes {
  const ids: Attributes = {}
  for (const key of sourceKeys) if (source[key] !== undefined) ids[`madsci.source.${key}`] = source[key]
  return ids
}

interface ToEventRecordOptions {
  /** Whose span the record belongs to, when it does not say. */
  around?: Context
  ids: Attributes
  tally: Tally
}

/** The copy that is sent; see `createEventProcessor`. */
export function toEventRecord(record: ReadableLogRecord, options: ToEventRecordOptions): ReadableLogRecord {
  const { around, ids, tally } = options
  const attributes: Attributes = { ...ids, ...record.attributes }
  for (const key of Object.keys(ids)) {
    // An id that is none would hide the process's own.
    if (isUlid(String(attributes[key]))) continue
    tally.alter(`${key} is no ULID (26 upper-case characters)`)
    attributes[key] = ids[key]
  }
  const uid = attributes['log.record.uid']
  if (typeof uid !== 'string' || uid === '') attributes['log.record.uid'] = createEventId()
  const body = record.body === undefined ? undefined : toValue(record.body, { onAlter: tally.alter })
  if (attributes['madsci.event.data'] === undefined && attributes['madsci.event.json'] === undefined) {
    const isExact =
      (body === undefined || (isPlain(body) && isKept(body))) && isPlain(record.attributes as Value)
    if (!isExact || typeof body === 'bigint')
      attributes['madsci.event.json'] = toDataJson(record, body, tally)
  }
  attributes['madsci.event.type'] ??= typeOf(record)
  const { hrTime, hrTimeObserved, severityText, severityNumber, eventName } = record
  const spanContext = record.spanContext ?? (around && trace.getSpanContext(around))
  return {
    hrTime,
    hrTimeObserved,
    resource: record.resource,
    instrumentationScope: record.instrumentationScope,
    droppedAttributesCount: record.droppedAttributesCount,
    attributes,
    ...(spanContext && { spanContext }),
    ...(severityText !== undefined && { severityText }),
    ...(severityNumber !== undefined && { severityNumber }),
    ...(eventName !== undefined && { eventName }),
    ...(body !== undefined && { body: body as AnyValue }),
  }
}

/** The event_data that a receiver makes of body and attributes, with every digit. */
function toDataJson(record: ReadableLogRecord, body: Value | undefined, tally: Tally): string {
  const attributes = toValue(record.attributes, { onAlter: tally.alter }) as { [key: string]: Value }
  return toExactJson(body === undefined ? attributes : { message: body, ...attributes })
}

function typeOf({ eventName, attributes, severityNumber }: ReadableLogRecord): EventType {
  const named = (name: unknown) =>
    typeof name === 'string' ? parseEventType(name.startsWith('madsci.') ? name.slice(7) : name) : undefined
  return named(eventName) ?? named(attributes['event.name']) ?? logType(fromSeverity(severityNumber ?? 0))
}
