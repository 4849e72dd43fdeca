import type { Histogram, MeterProvider, ObservableResult } from '@opentelemetry/api'
import { programApi } from './program-api.ts'
import type { DropReason, Stats } from './tally.ts'
import { version } from './version.ts'

/** Names of OpenTelemetry's semantic conventions for the metrics of an SDK (in development there). */
export const metricNames = {
  created: 'otel.sdk.log.created',
  processed: 'otel.sdk.processor.log.processed',
  queueSize: 'otel.sdk.processor.log.queue.size',
  queueCapacity: 'otel.sdk.processor.log.queue.capacity',
  inflight: 'otel.sdk.exporter.log.inflight',
  exported: 'otel.sdk.exporter.log.exported',
  duration: 'otel.sdk.exporter.operation.duration',
} as const

export interface SelfMetrics {
  /** A request with so many records goes out. */
  begin(count: number): void
  /** It has ended; `errorType` says how, if not well. */
  end(errorType?: string): void
  /** Looks for no provider any more: a program that ends may have shut it down, and would be told off by it. */
  keep(): void
  stop(): void
}

export interface SelfMetricsOptions {
  stats: Stats
  url: string
  /** Undefined when bytes, not records, bound the queue. */
  maxQueueEvents: number | undefined
  /** Of a destination beyond the first: what it was given has been counted. */
  isCopy: boolean
}

const processorType = 'madsci_events_log_processor'
const exporterType = 'otlp_http_log_exporter'
let instanceCount = 0
// This one counts for the whole process: its name has no component.
const created = { running: new Set<Stats>(), ended: 0 }

/**
 * What the SDK tells of itself through the program's MeterProvider, if there is one. Counters are read when they are
 * collected: an event costs nothing more.
 */
export function startSelfMetrics({ stats, url, maxQueueEvents, isCopy }: SelfMetricsOptions): SelfMetrics {
  if (!isCopy) created.running.add(stats)
  const instance = instanceCount++
  const component = (type: string) => ({
    'otel.component.type': type,
    'otel.component.name': `${type}/madsci-${instance}`,
  })
  const processor = component(processorType)
  const { hostname, port, protocol } = new URL(url)
  const exporter = {
    ...component(exporterType),
    'server.address': hostname,
    'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
  }
  let provider: MeterProvider | undefined
  let duration: Histogram | undefined
  let inflight = 0
  let startedMs = 0
  let stop = () => {}
  let isKept = false

  /** The API has no stand-in for a provider that comes later, so we look again with each request. */
  function connect(): void {
    const { metrics } = programApi()
    if (isKept || provider === metrics) return
    stop()
    stop = () => {}
    provider = metrics
    duration = undefined
    if (provider === undefined) return
    const meter = provider.getMeter('@madsci-events/sdk', version)
    const unit = '{log_record}'
    duration = meter.createHistogram(metricNames.duration, { unit: 's' })
    const observed = [
      [meter.createObservableCounter(metricNames.created, { unit }), observeCreated],
      [meter.createObservableCounter(metricNames.processed, { unit }), observeProcessed],
      [meter.createObservableUpDownCounter(metricNames.queueSize, { unit }), observeSize],
      [meter.createObservableUpDownCounter(metricNames.queueCapacity, { unit }), observeCapacity],
      [meter.createObservableUpDownCounter(metricNames.inflight, { unit }), observeInflight],
      [meter.createObservableCounter(metricNames.exported, { unit }), observeExported],
    ] as const
    for (const [instrument, callback] of observed) instrument.addCallback(callback)
    stop = () => {
      for (const [instrument, callback] of observed) instrument.removeCallback(callback)
    }
  }

  const early: DropReason[] = ['queue_full', 'too_large', 'closed', 'disabled', 'failed']
  const late: DropReason[] = ['refused', 'expired', 'corrupt', 'taken_over']
  function observeCreated(result: ObservableResult): void {
    let sum = created.ended
    for (const one of created.running) sum += one.emitted
    result.observe(sum)
  }
  function observeProcessed(result: ObservableResult): void {
    let failed = 0
    for (const reason of early) {
      const count = stats.droppedBy[reason]
      failed += count
      if (count > 0) result.observe(count, { ...processor, 'error.type': reason })
    }
    result.observe(Math.max(stats.emitted - failed, 0), processor)
  }
  const observeSize = (result: ObservableResult) => result.observe(stats.waiting, processor)
  const observeCapacity = (result: ObservableResult) => {
    if (maxQueueEvents !== undefined) result.observe(maxQueueEvents, processor)
  }
  const observeInflight = (result: ObservableResult) => result.observe(inflight, exporter)
  function observeExported(result: ObservableResult): void {
    result.observe(stats.exported, exporter)
    if (stats.rejected > 0) result.observe(stats.rejected, { ...exporter, 'error.type': 'rejected' })
    for (const reason of late) {
      const count = stats.droppedBy[reason]
      if (count > 0) result.observe(count, { ...exporter, 'error.type': reason })
    }
  }

  connect()
  return {
    begin(count) {
      connect()
      inflight = count
      startedMs = performance.now()
    },
    end(errorType) {
      inflight = 0
      const seconds = (performance.now() - startedMs) / 1000
      duration?.record(seconds, errorType === undefined ? exporter : { ...exporter, 'error.type': errorType })
    },
    keep() {
      isKept = true
    },
    stop() {
      stop()
      if (created.running.delete(stats)) created.ended += stats.emitted
    },
  }
}
