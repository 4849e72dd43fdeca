import type { ErrorCode, EventLevel, EventType } from '@madsci-events/sdk/event'
import type { DecodedLogs } from '../otlp/decoded.ts'
import type { OtlpEncoding } from '../otlp/reply.ts'

/** What the thread is started with. */
export interface UnpackWorkerData {
  /** Module of a `DocumentEncoder`. */
  encoderHref: string
  managerId: string
  naiveTimezone: string | undefined
}

export interface LogsLimits {
  receivedUnixNano: bigint
  maxBodyBytes: number
  maxRecords: number
}

export type UnpackTask =
  | { kind: 'logs'; bytes: Uint8Array; encoding: OtlpEncoding; limits: LogsLimits }
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
}

/** An EventError on its way between threads. */
export interface UnpackFailure {
  code: ErrorCode
  message: string
  detail: unknown
}

/** Each task is answered by any number of parts and then one of the others. */
export type UnpackAnswer =
  | { kind: 'part'; part: UnpackedPart }
  | ({ kind: 'logs' } & Pick<
      DecodedLogs,
      'refused' | 'duplicateKeyCount' | 'otherSourceCount' | 'undatedCount'
    >)
  /** `json`: what REST answers. */
  | { kind: 'event'; json: Uint8Array<ArrayBuffer>; isTimed: boolean }
  /** The body was read, and the event is none, or none that a store can keep. */
  | { kind: 'invalid'; failure: UnpackFailure }
  | { kind: 'refused'; reason: string }
  | { kind: 'compared'; isSame: boolean }
  | { kind: 'failed'; failure: UnpackFailure }
