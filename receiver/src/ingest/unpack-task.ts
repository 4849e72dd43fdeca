import type { ErrorCode, Event, EventLevel, EventType } from '@madsci-events/sdk/event'
import type { DecodedLogs } from '../otlp/decoded.ts'
import type { RequestIdentity } from '../otlp/record-id.ts'
import type { OtlpEncoding } from '../otlp/reply.ts'

/** What the thread is started with. */
export interface UnpackWorkerData {
  /** Module of a `DocumentEncoder`. */
  encoderHref: string
  managerId: string
  naiveTimezone: string | undefined
  watch: Watch | undefined
}

/** A look at each event, where it is decoded. */
export interface Watch {
  /** Module of a `Watcher`. */
  href: string
  /** For that module. */
  rules: unknown
}

/** What a module that looks at events exports: what is seen in one goes with it. */
export interface Watcher {
  watch(rules: unknown): (event: Event) => object[]
}

export interface LogsLimits {
  receivedUnixNano: bigint
  maxBodyBytes: number
  maxRecords: number
}

export type UnpackTask =
  | { kind: 'logs'; bytes: Uint8Array; encoding: OtlpEncoding; limits: LogsLimits; isIdentified: boolean }
  /** Goes on with a body that was digested. */
  | { kind: 'identity'; identity: RequestIdentity }
  | { kind: 'event'; bytes: Uint8Array; contentType: string | undefined }
  | { kind: 'compare'; storedJson: string; sentJson: Uint8Array; isTimed: boolean }

/** Documents one behind the other, and of each event what is at hand without a look into it. */
export interface UnpackedPart {
  bytes: Uint8Array<ArrayBuffer>
  ids: string[]
  types: EventType[]
  levels: EventLevel[]
  alerts: boolean[]
  times: string[]
  /** Where each document ends, and where its exact JSON does, in `bytes`. */
  ends: number[]
  exactEnds: number[]
  /** By position, of those that are archived. */
  archives: Map<number, { archived: boolean; archived_at: string | null }>
  /** By position, of those in which something was seen; undefined when nobody looked. */
  sightings: Map<number, object[]> | undefined
}

/** An EventError on its way between threads. */
export interface UnpackFailure {
  code: ErrorCode
  message: string
  detail: unknown
}

/** Each task is answered by any number of parts and then one of the others; `digest` asks for an identity first. */
export type UnpackAnswer =
  | { kind: 'digest'; digest: string }
  | { kind: 'part'; part: UnpackedPart }
  | ({ kind: 'logs' } & Omit<DecodedLogs, 'events'>)
  /** `json`: what REST answers. */
  | { kind: 'event'; json: Uint8Array<ArrayBuffer>; isTimed: boolean }
  /** The body was read, and the event is none, or none that a store can keep. */
  | { kind: 'invalid'; failure: UnpackFailure }
  | { kind: 'refused'; reason: string }
  | { kind: 'compared'; isSame: boolean }
  | { kind: 'failed'; failure: UnpackFailure }
