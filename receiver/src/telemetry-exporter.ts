import type { LogRecordExporter } from '@opentelemetry/sdk-logs'
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { splitLogin } from './url.ts'

export type TelemetryProtocol = 'http' | 'grpc'

/** Makers of what sends each signal. */
export interface Exporters {
  traces(): SpanExporter
  metrics(): PushMetricExporter
  logs(): LogRecordExporter
}

/** Loads the exporters of one protocol, and no others. The endpoint may have the `/v1/…` of a signal, and a login. */
export function loadExporters(protocol: TelemetryProtocol, endpoint: string): Promise<Exporters> {
  return protocol === 'http' ? loadHttp(endpoint) : loadGrpc(endpoint)
}

async function loadHttp(endpoint: string): Promise<Exporters> {
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }, { OTLPLogExporter }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/exporter-metrics-otlp-http'),
    import('@opentelemetry/exporter-logs-otlp-http'),
  ])
  return {
    traces: () => new OTLPTraceExporter(toTarget(endpoint, 'traces')),
    metrics: () => new OTLPMetricExporter(toTarget(endpoint, 'metrics')),
    logs: () => new OTLPLogExporter(toTarget(endpoint, 'logs')),
  }
}

async function loadGrpc(endpoint: string): Promise<Exporters> {
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }, { OTLPLogExporter }, { credentials, Metadata }] =
    await Promise.all([
      import('@opentelemetry/exporter-trace-otlp-grpc'),
      import('@opentelemetry/exporter-metrics-otlp-grpc'),
      import('@opentelemetry/exporter-logs-otlp-grpc'),
      import('@grpc/grpc-js'),
    ])
  const { url, headers } = splitLogin(new URL(endpoint))
  const toOptions = () => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
    const isSecure = url.protocol === 'https:'
    return {
      url: url.origin,
      metadata,
      credentials: isSecure ? credentials.createSsl() : credentials.createInsecure(),
    }
  }
  return {
    traces: () => new OTLPTraceExporter(toOptions()),
    metrics: () => new OTLPMetricExporter(toOptions()),
    logs: () => new OTLPLogExporter(toOptions()),
  }
}

/** The exporter takes no login in a URL. */
function toTarget(endpoint: string, signal: 'traces' | 'metrics' | 'logs') {
  const { url, headers } = splitLogin(new URL(endpoint))
  url.pathname = pathOf(url, signal)
  return { url: url.href, headers }
}

/** The path of a signal, whichever signal's path the endpoint has. */
export function pathOf({ pathname }: URL, signal: 'traces' | 'metrics' | 'logs'): string {
  return `${pathname.replace(/\/v1\/(?:traces|metrics|logs)\/?$/, '').replace(/\/$/, '')}/v1/${signal}`
}
