import { readFile } from 'node:fs/promises'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterEach, expect, it } from 'vitest'
import { startFileCollector } from '../support/collector.ts'
import { findPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Span {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  links?: { traceId: string; spanId: string }[]
}

const collector = findPeer('OTELCOL_BINARY')

async function linesOf(file: string): Promise<{ resourceSpans?: { scopeSpans: { spans: Span[] }[] }[] }[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}

async function spansIn(file: string): Promise<Span[]> {
  return (await linesOf(file))
    .flatMap(({ resourceSpans = [] }) => resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
}

for (const backend of ['sqlite', 'mongodb'] as const)
  it(`one trace leads from an action through the commit to a batch of the fan-out, in the Collector, over ${backend}`, async (context) => {
    if ('skip' in collector) return context.skip(collector.skip)
    const store = await prepareStore(backend)
    if ('skip' in store) return context.skip(store.skip)
    cleanups.push(store.stop)
    const { url, file, fileOf, stop } = await startFileCollector(collector.path)
    cleanups.push(stop)
    const receiver = await startTestReceiver({
      flags: {
        ...store.flags,
        otel_enabled: 'true',
        otel_exporter: 'otlp',
        otel_protocol: 'http',
        otel_endpoint: url,
        otel_service_name: 'events of the lab',
        fanout: JSON.stringify([{ name: 'collector', url, include: 'all' }]),
      },
      environment: { OTEL_METRIC_EXPORT_INTERVAL: '500' },
    })
    cleanups.push(() => receiver.close())
    const provider = new TracerProvider({
      spanProcessors: [
        new SimpleSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${url}/v1/traces` }) }),
      ],
    })
    trace.setGlobalTracerProvider(provider)
    cleanups.push(() => {
      trace.disable()
      return provider.shutdown()
    })
    const events = new EventClient({ url: receiver.url, name: 'arm', source: { node_id: createEventId() } })
    cleanups.push(() => events.close())
    await events.action('transfer_plate', async () => events.info('plate 7'))
    await events.flush()

    const traces = fileOf('traces')
    await waitUntil(
      async () => (await spansIn(traces)).some(({ name }) => name === 'fanout collector'),
      'the span of a batch',
      20_000,
    )
    const spans = await spansIn(traces)
    const action = spans.find(({ name }) => name.includes('transfer_plate'))!
    const own = spans.filter(({ traceId }) => traceId === action.traceId)
    const [request] = own.filter(({ name }) => name === 'POST /v1/logs')
    expect(request!.parentSpanId).toBe(action.spanId)
    for (const name of ['decode', 'wait', 'commit'])
      expect(own.filter((one) => one.name === name).map(({ parentSpanId }) => parentSpanId)).toEqual([
        request!.spanId,
      ])
    expect(
      own.filter(({ name }) => name === 'fanout collector').map(({ parentSpanId }) => parentSpanId),
    ).toContain(action.spanId)
    // What the batch brought, and the figures under the names of /metrics.
    await waitUntil(async () => JSON.stringify(await linesOf(file)).includes('plate 7'), 'the events', 10_000)
    const metrics = fileOf('metrics')
    await waitUntil(
      async () => (await readFile(metrics, 'utf8')).includes('madsci_events_stored_total'),
      'the metrics',
      10_000,
    )
    expect(await readFile(metrics, 'utf8')).toContain('events of the lab')
  }, 60_000)
