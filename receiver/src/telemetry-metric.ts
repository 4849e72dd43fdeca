import { type HrTime, ValueType } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import { bounds, counters, gauges, histograms, labels, type Metric } from './metric.ts'
import { readProcessFigures } from './metric-text.ts'

export interface MetricProducerOptions {
  metric: Metric
  resource: Resource
  scope: { name: string; version: string }
}

const toHrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]

/** Everything that `/metrics` shows, under the same names and with the same labels, for an OpenTelemetry reader. */
export function createMetricProducer({ metric, resource, scope }: MetricProducerOptions): MetricProducer {
  const startTime = toHrTime(Date.now())
  return {
    async collect() {
      const errors: unknown[] = []
      await metric.refresh().catch((error: unknown) => errors.push(error))
      const times = { startTime, endTime: toHrTime(Date.now()) }
      const metrics = [
        ...sumsOf(metric, times),
        ...gaugesOf(metric, times),
        ...histogramsOf(metric, times),
        ...figuresOf(times),
      ]
      return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors }
    },
  }
}

interface Times {
  startTime: HrTime
  endTime: HrTime
}

const describeMetric = (name: string, description: string) => ({
  descriptor: {
    name,
    description,
    unit: name.includes('_seconds') ? 's' : name.includes('_bytes') ? 'By' : '',
    valueType: ValueType.DOUBLE,
  },
  aggregationTemporality: AggregationTemporality.CUMULATIVE,
})

const attributesOf = (name: keyof typeof labels, label: string) =>
  label === '' ? {} : { [labels[name] ?? 'reason']: label }

const namesOf = <Name extends string>(list: { [name in Name]: string }) =>
  Object.entries(list) as [Name, string][]

function* sumsOf(metric: Metric, times: Times): Generator<MetricData> {
  const counts = metric.read()
  for (const [name, about] of namesOf(counters)) {
    const own = counts.filter((one) => one.name === name)
    if (own.length === 0 && labels[name] === undefined) own.push({ name, reason: '', count: 0 })
    if (own.length === 0) continue
    yield {
      ...describeMetric(`madsci_${name}_total`, about),
      dataPointType: DataPointType.SUM,
      isMonotonic: true,
      dataPoints: own.map(({ reason, count }) => ({
        ...times,
        attributes: attributesOf(name, reason),
        value: count,
      })),
    }
  }
}

function* gaugesOf(metric: Metric, times: Times): Generator<MetricData> {
  const values = metric.readGauges()
  for (const [name, about] of namesOf(gauges)) {
    const own = values.filter((one) => one.name === name)
    if (own.length === 0) continue
    yield {
      ...describeMetric(`madsci_${name}`, about),
      dataPointType: DataPointType.GAUGE,
      dataPoints: own.map(({ label, value }) => ({ ...times, attributes: attributesOf(name, label), value })),
    }
  }
}

function* histogramsOf(metric: Metric, times: Times): Generator<MetricData> {
  const observed = metric.readHistograms()
  for (const [name, about] of namesOf(histograms)) {
    const own = observed.filter((one) => one.name === name)
    if (own.length === 0) continue
    yield {
      ...describeMetric(`madsci_${name}`, about),
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: own.map(({ label, buckets, sumSeconds, count }) => ({
        ...times,
        attributes: attributesOf(name, label),
        value: { buckets: { boundaries: [...bounds], counts: [...buckets] }, sum: sumSeconds, count },
      })),
    }
  }
}

function* figuresOf(times: Times): Generator<MetricData> {
  for (const { name, type, about, value } of readProcessFigures()) {
    const dataPoints = [{ ...times, attributes: {}, value }]
    yield type === 'counter'
      ? { ...describeMetric(name, about), dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints }
      : { ...describeMetric(name, about), dataPointType: DataPointType.GAUGE, dataPoints }
  }
}
