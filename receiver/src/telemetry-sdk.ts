import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Log } from './log.ts'
import type { Metric } from './metric.ts'
import type { Exporters, TelemetryProtocol } from './telemetry-exporter.ts'
import { createMetricProducer } from './telemetry-metric.ts'
import { contextOf, createTracing } from './telemetry-span.ts'
import { spanOfNow, type Tracing } from './trace.ts'
import { showUrlsIn } from './url.ts'

export interface TelemetryOptions {
  /** Of an OTLP receiver, with or without the `/v1/…` of a signal; undefined: standard output. */
  endpoint: string | undefined
  protocol: TelemetryProtocol
  serviceName: string
  version: string
  metric: Metric
  /** `OTEL_*` of it count where no setting says otherwise. */
  environment: { readonly [name: string]: string | undefined }
}

/** The receiver's own OpenTelemetry: traces, metrics and its log. */
export interface Telemetry {
  /** False once it was refused. */
  isRunning(): boolean
  /** Undefined with OTEL_TRACES_EXPORTER=none. */
  readonly tracing: Tracing | undefined
  /** The same log, whose lines leave by OTLP as well. */
  tee(log: Log): Log
  /** Sends nothing more: the endpoint is this receiver itself. */
  refuse(): Promise<void>
  /** Sends what waits, for three seconds at most. */
  close(): Promise<void>
}

const closeMs = 3000
// As MADSci's programs do.
const metricIntervalMs = 10_000
const severities = {
  info: { severityNumber: 9, severityText: 'INFO' },
  warn: { severityNumber: 13, severityText: 'WARN' },
  error: { severityNumber: 17, severityText: 'ERROR' },
} as const

/**
 * The three signals by OTLP, in batches. Nothing is registered globally: a program that holds the receiver as a library keeps its
 * own OpenTelemetry. What cannot be sent is dropped.
 */
export function createTelemetry(options: TelemetryOptions, exporters: Exporters): Telemetry {
  const scope = { name: 'madsci-events', version: options.version }
  let isRefused = false
  const { tracer, meter, logs } = createProviders(options, exporters, scope, () => isRefused)
  const logger = logs?.getLogger(scope.name, scope.version)
  const providers = [tracer, meter, logs].filter((one) => one !== undefined)

  function emit(level: keyof typeof severities, fields: object, message: string): void {
    if (isRefused) return
    const context = contextOf(spanOfNow())
    logger?.emit({
      ...severities[level],
      body: showUrlsIn(message),
      attributes: toAttributes(fields),
      context,
    })
  }

  return {
    isRunning: () => !isRefused,
    tracing:
      tracer &&
      createTracing(tracer.getTracer(scope.name, scope.version), {
        onUntraced: () => options.metric.add('operations_untraced', 1),
      }),
    tee(log) {
      const both = (level: keyof typeof severities) => (fields: object, message: string) => {
        log[level](fields, message)
        emit(level, fields, message)
      }
      return { info: both('info'), warn: both('warn'), error: both('error') }
    },
    async refuse() {
      isRefused = true
      await end(providers)
    },
    close: () => (isRefused ? Promise.resolve() : end(providers)),
  }
}

function createProviders(
  { serviceName, metric, environment }: TelemetryOptions,
  exporters: Exporters,
  scope: { name: string; version: string },
  isRefused: () => boolean,
) {
  const own = resourceFromAttributes({ 'service.name': serviceName, 'service.version': scope.version })
  const resource = defaultResource()
    // Of several receivers of one name, each has figures of its own.
    .merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] }))
    .merge(own)
  const wants = (signal: string) => environment[`OTEL_${signal}_EXPORTER`]?.trim().toLowerCase() !== 'none'
  const spans = wants('TRACES') ? unlessRefused(exporters.traces(), isRefused) : undefined
  const figures = wants('METRICS') ? unlessRefused(exporters.metrics(), isRefused) : undefined
  const records = wants('LOGS') ? unlessRefused(exporters.logs(), isRefused) : undefined
  const intervalMs = Number(environment.OTEL_METRIC_EXPORT_INTERVAL) || metricIntervalMs
  return {
    tracer:
      spans &&
      new TracerProvider({
        resource,
        sampler: toSampler(environment),
        spanProcessors: [new BatchSpanProcessor({ exporter: spans })],
      }),
    meter:
      figures &&
      new MeterProvider({
        resource,
        readers: [
          new PeriodicExportingMetricReader({
            exporter: figures,
            exportIntervalMillis: intervalMs,
            exportTimeoutMillis: Math.min(intervalMs, closeMs),
            metricProducers: [createMetricProducer({ metric, resource, scope })],
          }),
        ],
      }),
    logs:
      records &&
      new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: records })] }),
  }
}

type Send = (items: unknown, done: (result: { code: number }) => void) => void

/** Drops what a shutdown would still send. */
function unlessRefused<One extends { export: unknown }>(exporter: One, isRefused: () => boolean): One {
  const send = (exporter.export as Send).bind(exporter)
  const guarded: Send = (items, done) => (isRefused() ? done({ code: 0 }) : send(items, done))
  return Object.assign(exporter, { export: guarded })
}

async function end(providers: readonly { shutdown(): Promise<void> }[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closeMs)
  })
  const ended = Promise.all(providers.map((one) => one.shutdown().catch(() => {})))
  await Promise.race([ended, late])
  clearTimeout(timer)
}

/** Source: OpenTelemetry specification, General SDK configuration. Unknown names count as the default. */
function toSampler({
  OTEL_TRACES_SAMPLER: name = '',
  OTEL_TRACES_SAMPLER_ARG: argument,
}: TelemetryOptions['environment']): Sampler {
  const kind = name.trim().toLowerCase()
  const ratio = argument === undefined || argument.trim() === '' ? 1 : Number(argument)
  const roots: { [name: string]: () => Sampler } = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio >= 0 && ratio <= 1 ? ratio : 1),
  }
  const root = (roots[kind.replace(/^parentbased_/, '')] ?? roots.always_on!)()
  return kind in roots ? root : new ParentBasedSampler({ root })
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
