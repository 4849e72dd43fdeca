import { context, diag } from '@opentelemetry/api'
import { type ExportResult, ExportResultCode, suppressTracing } from '@opentelemetry/core'
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http'
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { createAgent } from './agent.ts'
import { withoutVariables } from './environment.ts'
import { decodeRuns } from './otlp/decode.ts'
import { decodeReply, decodeStatus, encodeRequest, type Run } from './otlp/request.ts'
import type { Settings } from './setting.ts'
import { type Answer, createTransport } from './transport.ts'
import { version } from './version.ts'

/** How one request ended. */
export type Outcome =
  /** The endpoint took them, except `rejected` of them, which it will never take. */
  | { kind: 'delivered'; rejected: number; message: string }
  /** It may take them later; not before `retryAfterMs`, if it said so. */
  | { kind: 'retry'; error: Error; retryAfterMs: number | undefined }
  /** It will never take this request; if `divisible`, it may take a part of it. */
  | { kind: 'refused'; error: Error; divisible: boolean }

export interface Exporter {
  /** Settles with what came of it, and never rejects. */
  send(runs: readonly Run[]): Promise<Outcome>
  close(): Promise<void>
}

/** OTLP over HTTP: protobuf as it lies in the queue, JSON by OpenTelemetry's own exporter. */
export function createOtlpExporter(settings: Settings): Exporter {
  if (settings.protocol === 'http/json') return createJsonExporter(settings)
  const transport = createTransport(settings)
  return {
    async send(runs) {
      const body = encodeRequest(runs)
      diag.debug(`madsci-events: ${body.length} bytes to be sent to ${settings.logsUrl}`)
      return fromAnswer(await transport.send(body))
    },
    async close() {
      transport.close()
    },
  }
}

const retryStatus = new Set([429, 502, 503, 504])

function fromAnswer(answer: Answer): Outcome {
  if (answer.kind === 'none') return { kind: 'retry', error: answer.error, retryAfterMs: undefined }
  if (answer.kind === 'too-large') return { kind: 'refused', error: answer.error, divisible: false }
  const { status, body, retryAfterMs } = answer
  // A 200 with an unreadable body is a success all the same: it says that the request was taken.
  if (status >= 200 && status < 300)
    return { kind: 'delivered', rejected: 0, message: '', ...decodeReply(body) }
  const error = new Error(`HTTP ${status} ${toReason(body)}`.trim())
  if (retryStatus.has(status)) return { kind: 'retry', error, retryAfterMs }
  return { kind: 'refused', error, divisible: status === 413 }
}

/** What a person can read of an error's body: a text, or the message of a protobuf Status. */
function toReason(body: Buffer): string {
  const text = (body[0] === 0x08 || body[0] === 0x12 ? (decodeStatus(body) ?? '') : body.toString()).trim()
  return /^[\P{Cc}\n\r\t]*$/u.test(text) ? text.slice(0, 300) : ''
}

function createJsonExporter(settings: Settings): Exporter {
  const agent = createAgent(settings.logsUrl, settings.tls)
  const exporter = withoutVariables(
    () =>
      new JsonExporter({
        url: settings.logsUrl,
        headers: settings.headers,
        // With its retries it ends before we cut the connection.
        timeoutMillis: Math.min(settings.timeoutMs, settings.exportTimeoutMs),
        userAgent: `madsci-events-sdk/${version}`,
        httpAgentOptions: () => agent,
        compression: settings.compression as never,
      }),
  )
  const lastResponse = observeResponses(exporter)
  return wrapExporter(exporter, {
    read: (result) => toOutcome(result, lastResponse()),
    timeoutMs: settings.exportTimeoutMs,
    cut: () => agent.destroy(),
    close() {
      // The exporter's own retries cannot be called off, but they find no connection any more.
      agent.createConnection = () => {
        throw new Error('the client is closed')
      }
      agent.destroy()
    },
  })
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
      // A reply that drips keeps its connection busy for ever. Once cut, the exporter's answer follows at once.
      const timer = setTimeout(cut, timeoutMs)
      const settle = (outcome: Outcome) => {
        clearTimeout(timer)
        resolve(outcome)
      }
      try {
        // Our own requests must make no spans, which would make logs, which would make requests.
        context.with(suppressTracing(context.active()), () =>
          exporter.export(records, (result) => settle(read(result))),
        )
      } catch (error) {
        // It could not be encoded: one record among them is to blame.
        settle({ kind: 'refused', error: toError(error), divisible: true })
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

/** What the exporter's transport answers; the part of its `ExportResponse` that we read. */
interface Response {
  status: 'success' | 'retryable' | 'failure'
  data?: Uint8Array
  error?: Error
  retryInMillis?: number
}

interface Delegate {
  _transport: { send(data: Uint8Array, timeoutMs: number): Promise<Response> }
  _serializer: { deserializeResponse(data: Uint8Array): unknown }
}

interface Observed {
  response: Response
  partialSuccess: { rejectedLogRecords?: number | string | null; errorMessage?: string | null } | undefined
}

/**
 * The callback of an OTel exporter says "failed" and no more: neither that a retry helps, nor when, nor how many records
 * a partial success refused. Its transport knows all three, so we listen there. The field is private: the version is
 * pinned, a test fails when it is gone, and without it we would only be less exact.
 */
function observeResponses(exporter: object): () => Observed | undefined {
  const delegate = (exporter as { _delegate?: Partial<Delegate> })._delegate
  const { _transport: transport, _serializer: serializer } = delegate ?? {}
  if (!transport || !serializer) {
    diag.error('madsci-events: this version of the OTLP exporter cannot be observed')
    return () => undefined
  }
  let last: Observed | undefined
  const send = transport.send.bind(transport)
  transport.send = async (data, timeoutMs) => {
    last = undefined
    const response = await send(data, timeoutMs)
    last = { response, partialSuccess: undefined }
    if (response.status === 'success' && response.data?.length) {
      try {
        const reply = serializer.deserializeResponse(response.data) as {
          partialSuccess?: Observed['partialSuccess']
        }
        last.partialSuccess = reply?.partialSuccess
      } catch {
        // A 200 with an unreadable body is a success all the same; the exporter tells of it.
      }
    }
    return response
  }
  return () => last
}

function toOutcome(result: ExportResult, observed: Observed | undefined): Outcome {
  if (result.code === ExportResultCode.SUCCESS) {
    const partial = observed?.partialSuccess
    const rejected = Number(partial?.rejectedLogRecords ?? 0)
    return {
      kind: 'delivered',
      rejected: rejected > 0 ? rejected : 0,
      message: partial?.errorMessage ?? '',
    }
  }
  const error = readable(result.error ?? new Error('The export failed'))
  const { code } = error as { code?: unknown }
  if (typeof code === 'number') return { kind: 'refused', error, divisible: code === 413 }
  // A whole answer that cannot be read (too large) is final. Without one (a connection refused or cut, a certificate
  // that may be mended) the next try may find one.
  const isFinal = observed?.response.status === 'failure' && typeof code !== 'string'
  if (isFinal) return { kind: 'refused', error, divisible: false }
  return { kind: 'retry', error, retryAfterMs: observed?.response.retryInMillis }
}

// A refused connection to a name with two addresses is an AggregateError without a message.
function readable(error: Error): Error {
  const { code } = error as { code?: unknown }
  const message =
    typeof code === 'number' ? `HTTP ${code} ${error.message}`.trim() : error.message || `${code}`
  return message === error.message ? error : Object.assign(new Error(message, { cause: error }), { code })
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
