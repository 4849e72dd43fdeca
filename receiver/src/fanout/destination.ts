import type { Value } from '@madsci-events/sdk/event'

/** Where stored events are sent again, as OTLP/HTTP. */
export interface Destination {
  /** Names its checkpoint in the database: another name begins anew. */
  name: string
  /** Of the logs endpoint. */
  url: string
  headers: { [name: string]: string }
  protocol: 'http/protobuf' | 'http/json'
  compression: 'gzip' | 'none'
  /** 'rest': only what came by REST, and so past any Collector. */
  include: 'rest' | 'all'
  /** Where a destination without a checkpoint begins. */
  from: 'now' | 'beginning'
  /** Only events that match this selector. */
  selector: Value | undefined
  /** Events of one request at most. */
  batchEvents: number
  timeoutMs: number
}

export const contentTypeOf = (protocol: Destination['protocol']): string =>
  protocol === 'http/json' ? 'application/json' : 'application/x-protobuf'
