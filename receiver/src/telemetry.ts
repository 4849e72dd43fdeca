import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import type { Log } from './log.ts'
import { showUrlsIn, splitLogin } from './url.ts'

export interface TelemetryOptions {
  /** Of an OTLP/HTTP receiver, with or without its `/v1/logs`. */
  endpoint: string
  serviceName: string
  version: string
}

/** Whether an endpoint is one to which log lines can be sent. */
export const isHttpEndpoint = (text: string | undefined): text is string =>
  text !== undefined && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

export interface Telemetry {
  /** The same log, whose lines leave by OTLP as well. */
  tee(log: Log): Log
  /** Sends what waits, for three seconds at most. */
  close(): Promise<void>
}

const closeMs = 3000
const severities = {
  info: { severityNumber: 9, severityText: 'INFO' },
  warn: { severityNumber: 13, severityText: 'WARN' },
  error: { severityNumber: 17, severityText: 'ERROR' },
} as const

/** The receiver's own log lines as OpenTelemetry log records, in batches. What cannot be sent is dropped: the lines are on standard error. */
export function startTelemetry({ endpoint, serviceName, version }: TelemetryOptions): Telemetry {
  // The exporter takes no login in a URL.
  const { url, headers } = splitLogin(new URL(endpoint))
  if (!/\/v1\/logs\/?$/.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/logs`
  const exporter = new OTLPLogExporter({ url: url.href, headers })
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    processors: [new BatchLogRecordProcessor({ exporter })],
  })
  const logger = provider.getLogger('madsci-events', version)
  return {
    tee(log) {
      const both =
        (level: keyof typeof severities) =>
        (fields: object, message: string): void => {
          log[level](fields, message)
          logger.emit({ ...severities[level], body: showUrlsIn(message), attributes: toAttributes(fields) })
        }
      return { info: both('info'), warn: both('warn'), error: both('error') }
    },
    async close() {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, closeMs)
      })
      await Promise.race([provider.shutdown().catch(() => {}), late])
      clearTimeout(timer)
    },
  }
}

function toAttributes(fields: object): { [name: string]: string | number | boolean } {
  const attributes: { [name: string]: string | number | boolean } = {}
  for (const [name, value] of Object.entries(fields)) {
    if (name === 'err' && value instanceof Error) {
      attributes['exception.type'] = value.name
      attributes['exception.message'] = showUrlsIn(value.message)
      attributes['exception.stacktrace'] = showUrlsIn(value.stack ?? '')
    } else if (typeof value === 'number' || typeof value === 'boolean') attributes[name] = value
    else if (value !== undefined)
      attributes[name] = showUrlsIn(typeof value === 'string' ? value : JSON.stringify(value))
  }
  return attributes
}
