import { type ExportResult, suppressTracing } from '@opentelemetry/core'
import { JsonLogsSerializer } from '@opentelemetry/otlp-transformer'
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { diag } from './diagnostic.ts'
import {
  maxReplyBytes,
  readExportReply,
  readStatusMessage,
  refusalStatuses,
  showForeignReply,
  showText,
} from './event/export-reply.ts'
import { decodeRuns } from './otlp/decode.ts'
import { encodeRequest, type Run } from './otlp/request.ts'
import { withProgramContext } from './program-api.ts'
import type { Settings } from './setting.ts'
import { type Answer, contentTypes, createTransport } from './transport.ts'

/** How one request ended. */
export type Outcome =
  /** The endpoint took them, except `rejected` of them, which it will never take. */
  | { kind: 'delivered'; rejected: number; message: string }
  /**
   * It may take them later; not before `retryAfterMs`, if it said so. `isAnswer`: it answered something that says nothing
   * about when, or whether (401, 404, 500, a page for people).
   */
  | { kind: 'retry'; error: Error; retryAfterMs: number | undefined; isAnswer?: boolean }
  /** It will never take this request, but perhaps a part of it. */
  | { kind: 'refused'; error: Error }

export interface Exporter {
  /** Settles with what came of it, and never rejects. */
  send(runs: readonly Run[]): Promise<Outcome>
  close(): Promise<void>
}

/** OTLP over HTTP: protobuf as it lies in the queue, JSON by OpenTelemetry's own serializer. */
export function createOtlpExporter(settings: Settings): Exporter {
  const transport = createTransport(settings)
  const isJson = settings.protocol === 'http/json'
  return {
    async send(runs) {
      let body: Buffer
      try {
        body = isJson ? toJsonRequest(runs) : encodeRequest(runs)
      } catch (error) {
        // One record among them is to blame.
        return { kind: 'refused', error: toError(error) }
      }
      diag.debug(`madsci-events: ${body.length} bytes to be sent to ${settings.logsUrl}`)
      // Our own requests must make no spans, which would make logs, which would make requests.
      const answer = await withProgramContext(suppressTracing, () => transport.send(body))
      return fromAnswer(answer, contentTypes[settings.protocol])
    },
    async close() {
      transport.close()
    },
  }
}

function toJsonRequest(runs: readonly Run[]): Buffer<ArrayBuffer> {
  const bytes = JsonLogsSerializer.serializeRequest(decodeRuns(runs))
  if (bytes === undefined) throw new Error('the records cannot be written as JSON')
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}

// "Later", by OTLP.
const laterStatuses = new Set([429, 502, 503, 504])

function fromAnswer(answer: Answer, requestType: string): Outcome {
  if (answer.kind === 'none') return { kind: 'retry', error: answer.error, retryAfterMs: undefined }
  const { status, body, contentType, retryAfterMs } = answer
  const isGood = status >= 200 && status < 300
  const reply = isGood && body ? readExportReply(body, contentType, requestType) : undefined
  if (reply) return { kind: 'delivered', ...reply }
  const foreign = (bytes: Uint8Array) => `is no answer of OTLP, but ${showForeignReply(bytes, contentType)}`
  const reason =
    body === undefined
      ? `with a reply of more than ${maxReplyBytes} bytes`
      : isGood
        ? foreign(body)
        : toReason(body)
  const error = new Error(`HTTP ${status} ${reason}`.trim())
  if (refusalStatuses.has(status)) return { kind: 'refused', error }
  return { kind: 'retry', error, retryAfterMs, isAnswer: !laterStatuses.has(status) }
}

/** What a person can read of an error's body: a text, or the message of a protobuf Status. */
function toReason(body: Buffer): string {
  const isStatus = body[0] === 0x08 || body[0] === 0x12
  return showText(isStatus ? (readStatusMessage(body) ?? '') : body.subarray(0, 1000).toString())
}

export interface WrapExporterOptions {
  read: (result: ExportResult) => Outcome
  timeoutMs: number
  /** Ends the request that is under way, so that the exporter settles. */
  cut: () => void
  /** Ends it for good. */
  close: () => void
}

/** Any OpenTelemetry exporter. */
export function wrapExporter(exporter: LogRecordExporter, options: WrapExporterOptions): Exporter {
  const { read, timeoutMs, cut } = options
  const exportOnce = (records: ReadableLogRecord[]) =>
    new Promise<Outcome>((resolve) => {
      const timer = setTimeout(cut, timeoutMs)
      const settle = (outcome: Outcome) => {
        clearTimeout(timer)
        resolve(outcome)
      }
      try {
        withProgramContext(suppressTracing, () => exporter.export(records, (result) => settle(read(result))))
      } catch (error) {
        settle({ kind: 'refused', error: toError(error) })
      }
    })
  return {
    async send(runs) {
      return exportOnce(decodeRuns(runs))
    },
    async close() {
      options.close()
      await exporter.shutdown()
    },
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

/** A status, or the code of a system error; else the kind of outcome. */
export function errorTypeOf(outcome: { kind: string; error: Error }): string {
  const { code } = outcome.error as { code?: unknown }
  return /^HTTP (\d+)/.exec(outcome.error.message)?.[1] ?? (typeof code === 'string' ? code : outcome.kind)
}
