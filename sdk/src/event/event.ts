import type { EventLevel } from './level.ts'
import type { EventType } from './type.ts'

/**
 * Whatever JSON or an OTLP AnyValue can say. Integers beyond ±2^53 are bigint, bytes are Uint8Array;
 * NaN and the infinities are allowed (OTLP has them, JSON has not).
 */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Value[]
  | { [key: string]: Value }

/** The members of an event: what a program may give, then what a receiver has besides. */
export const givenKeys = [
  'event_id',
  '_id',
  'event_type',
  'log_level',
  'alert',
  'event_timestamp',
  'source',
  'event_data',
  'trace_id',
  'span_id',
] as const
export const receivedKeys = ['archived', 'archived_at', 'otel'] as const

/** The ids that say who speaks and on whose behalf. Each is a ULID, upper case (MADSci `OwnershipInfo`). */
export const sourceKeys = [
  'user_id',
  'experiment_id',
  'campaign_id',
  'project_id',
  'node_id',
  'workcell_id',
  'lab_id',
  'step_id',
  'workflow_id',
  'manager_id',
] as const
export type SourceKey = (typeof sourceKeys)[number]
export type Source = { [key in SourceKey]?: string }
/** As a program writes it down: an id that it does not know is left out. */
export type SourceInput = { [key in SourceKey]?: string | undefined }

/** The instrumentation scope of a log record; what it did not say is absent. */
export interface OtelScope {
  name?: string
  version?: string
  attributes?: { [key: string]: Value }
  dropped_attributes_count?: number
  schema_url?: string
}

/** What the OTel log record said beyond MADSci's fields, kept so that it can be forwarded without loss. */
export interface Otel {
  /**
   * `record`: of a record that is not as MADSci's SDK writes them. `event_data` is then its body, as `message`, and its
   * attributes beside that; it has the event name that stands here, or none.
   */
  form?: 'record'
  /** True where `message` in `event_data` is an attribute, and the record has no body. */
  no_body?: true
  severity_number?: number
  severity_text?: string
  event_name?: string
  /** Nanoseconds, as text: given only when event_timestamp (microseconds) cannot say it; '0' for a time that was not given. */
  time_unix_nano?: string
  observed_time_unix_nano?: string
  flags?: number
  dropped_attributes_count?: number
  /** The body, when event_data cannot give it back. */
  body?: Value
  /** Attributes beyond MADSci's own, of records whose event_data came from `madsci.event.data`; an attribute `message` beside a body. */
  attributes?: { [key: string]: Value }
  /** Attributes of the resource, without the `madsci.source.*` ids that went to `source`. */
  resource?: { [key: string]: Value }
  resource_dropped_attributes_count?: number
  resource_schema_url?: string
  scope?: OtelScope
  /** `madsci.source.*` values that are no ULID. */
  source?: { [key: string]: Value }
  /**
   * JSON Pointers of whole numbers that came as doubles, in `body`, `attributes`, `resource` and `scope` of the record; that of
   * a list or an object stands for all whole numbers within.
   */
  doubles?: string[]
}

/**
 * A MADSci event. In JSON and in the database the id is called `_id`; everything else keeps its name.
 * `event_timestamp` is text of fixed width, `YYYY-MM-DDTHH:MM:SS.ffffff` with `Z` for UTC or nothing for naive.
 */
export interface Event {
  event_id: string
  /** One of MADSci's types, lower case. Documents of other versions may hold words that this list has not. */
  event_type: EventType
  log_level: EventLevel
  alert: boolean
  event_timestamp: string
  source: Source
  event_data: Value
  trace_id: string | null
  span_id: string | null
  archived: boolean
  archived_at: string | null
  otel?: Otel
}

/** Sets a key that may be `__proto__` as an own property, which plain assignment would not. */
export function setKey(target: { [key: string]: Value }, key: string, value: Value): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else target[key] = value
}

/** True for plain objects: neither null, nor an array, nor bytes. */
export function isObject(value: unknown): value is { [key: string]: Value } {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  )
}
