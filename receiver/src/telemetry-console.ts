import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import {
  AggregationTemporality,
  DataPointType,
  type PushMetricExporter,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { toInertText } from './inert.ts'
import type { Exporters } from './telemetry-exporter.ts'
import { showUrlsInJson } from './url.ts'

/** Writes a line; texts of others in it move no cursor and are no secret. */
export type WriteLine = (line: string) => void

const writeToStdout: WriteLine = (line) => void process.stdout.write(`${line}\n`)

type HrTime = readonly [seconds: number, nanoseconds: number]
const isoTimeOf = ([seconds, nanoseconds]: HrTime) =>
  new Date(seconds * 1000 + nanoseconds / 1e6).toISOString()
const resourceOf = (resource: Resource) => ({ attributes: resource.attributes })
const contextOf = ({ traceId, spanId }: { traceId: string; spanId: string }) => ({
  trace_id: `0x${traceId}`,
  span_id: `0x${spanId}`,
})

/** Each span, each log record and each reading of the metrics as one line of JSON, named much as the console exporters for Python do. */
export function createConsoleExporters(write: WriteLine = writeToStdout): Exporters {
  const print = (items: readonly object[]) => {
    for (const item of items) write(toInertText(showUrlsInJson(JSON.stringify(item))))
  }
  const common = { shutdown: async () => {}, forceFlush: async () => {} }
  return {
    traces: (): SpanExporter => ({
      ...common,
      export(spans, done) {
        print(spans.map(toSpan))
        done({ code: 0 })
      },
    }),
    metrics: (): PushMetricExporter => ({
      ...common,
      export(metrics, done) {
        print([toMetrics(metrics)])
        done({ code: 0 })
      },
    }),
    logs: (): LogRecordExporter => ({
      ...common,
      export(records, done) {
        print(records.map(recordLine))
        done({ code: 0 })
      },
    }),
  }
}

function toSpan(span: ReadableSpan): object {
  const { code, message } = span.status
  return {
    name: span.name,
    context: contextOf(span.spanContext()),
    kind: `SpanKind.${SpanKind[span.kind]}`,
    parent_id: span.parentSpanContext ? `0x${span.parentSpanContext.spanId}` : null,
    start_time: isoTimeOf(span.startTime),
    end_time: isoTimeOf(span.endTime),
    status: { status_code: SpanStatusCode[code], ...(message !== undefined && { description: message }) },
    attributes: span.attributes,
    events: span.events.map(({ name, time, attributes }) => ({
      name,
      timestamp: isoTimeOf(time),
      attributes,
    })),
    links: span.links.map(({ context, attributes }) => ({ context: contextOf(context), attributes })),
    resource: resourceOf(span.resource),
  }
}

function recordLine(record: ReadableLogRecord): object {
  const { spanContext } = record
  return {
    body: record.body,
    severity_number: record.severityNumber,
    severity_text: record.severityText,
    attributes: record.attributes,
    timestamp: isoTimeOf(record.hrTime),
    observed_timestamp: isoTimeOf(record.hrTimeObserved),
    ...(spanContext && contextOf(spanContext)),
    resource: resourceOf(record.resource),
  }
}

function toMetrics({ resource, scopeMetrics }: ResourceMetrics): object {
  const scope_metrics = scopeMetrics.map(({ scope, metrics }) => ({
    scope,
    metrics: metrics.map((metric) => ({
      name: metric.descriptor.name,
      description: metric.descriptor.description,
      unit: metric.descriptor.unit,
      data: {
        data_points: metric.dataPoints.map(({ attributes, endTime, value }) => ({
          attributes,
          time: isoTimeOf(endTime),
          value,
        })),
        aggregation_temporality: AggregationTemporality[metric.aggregationTemporality],
        ...(metric.dataPointType === DataPointType.SUM && { is_monotonic: metric.isMonotonic }),
      },
    })),
  }))
  return { resource_metrics: [{ resource: resourceOf(resource), scope_metrics }] }
}
