import { EventClient } from '@madsci-events/sdk'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, expect, it } from 'vitest'
import { metricNames } from '../../sdk/src/self-metric.ts'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'

afterEach(() => metrics.disable())

it('the SDK counts by the names of the semantic conventions, also for a provider that comes later', async () => {
  const endpoint = await startOtlpEndpoint()
  const events = new EventClient({ url: endpoint.url, spool: false, maxQueueEvents: 10 })
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 100_000 })
  const provider = new MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  endpoint.reply = () => ({ status: 400 })
  for (let i = 0; i < 15; i++) events.info('x')
  await events.flush().catch(() => {})
  endpoint.reply = () => ({})
  for (let i = 0; i < 7; i++) events.info('x')
  await events.flush().catch(() => {})
  await provider.forceFlush()
  const found: { [name: string]: unknown } = {}
  for (const { scopeMetrics } of exporter.getMetrics()) {
    for (const { descriptor, dataPoints } of scopeMetrics.flatMap((scope) => scope.metrics)) {
      for (const { attributes, value } of dataPoints) {
        const error = attributes['error.type']
        found[error === undefined ? descriptor.name : `${descriptor.name} ${error}`] =
          typeof value === 'object' ? (value as { count: number }).count : value
      }
    }
  }
  expect(found).toEqual({
    [metricNames.created]: 22,
    [metricNames.processed]: 17,
    [`${metricNames.processed} queue_full`]: 5,
    [metricNames.queueSize]: 0,
    [metricNames.queueCapacity]: 10,
    [metricNames.inflight]: 0,
    [metricNames.exported]: 7,
    [`${metricNames.exported} refused`]: 10,
    [metricNames.duration]: 1,
    // 10, 5, 3 and 2 at a time, then one by one.
    [`${metricNames.duration} 400`]: 14,
  })
  await events.close()
  await provider.shutdown()
  await endpoint.close()
})

it('what was created counts once for the process, however many clients and destinations there are', async () => {
  const [near, far] = [await startOtlpEndpoint(), await startOtlpEndpoint()]
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 100_000 })
  const provider = new MeterProvider({ readers: [reader] })
  metrics.setGlobalMeterProvider(provider)
  const connect = () => new EventClient({ url: near.url, spool: false, destinations: [{ url: far.url }] })
  const readCreated = async () => {
    exporter.reset()
    await provider.forceFlush()
    const all = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    const points = all.find(({ descriptor }) => descriptor.name === metricNames.created)!.dataPoints
    expect(points).toHaveLength(1)
    return points[0]!.value as number
  }
  const [first, second] = [connect(), connect()]
  const before = await readCreated()
  for (let i = 0; i < 3; i++) first.info('x')
  for (let i = 0; i < 4; i++) second.info('x')
  expect(await readCreated()).toBe(before + 7)
  await first.close()
  second.info('x')
  expect(await readCreated()).toBe(before + 8)
  expect(far.events).toHaveLength(3)
  await second.close()
  await provider.shutdown()
  await near.close()
  await far.close()
})
