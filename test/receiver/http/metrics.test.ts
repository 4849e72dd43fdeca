import { createEventId } from '@madsci-events/sdk/event'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { afterEach, describe, expect, it } from 'vitest'
import { createMetric } from '../../../receiver/src/metric.ts'
import { toMetricText } from '../../../receiver/src/metric-text.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start() {
  const receiver = await startTestReceiver()
  cleanups.push(() => receiver.close())
  return receiver
}

/** name{labels} → value. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const cut = line.lastIndexOf(' ')
    expect(samples.has(line.slice(0, cut)), `twice: ${line}`).toBe(false)
    samples.set(line.slice(0, cut), Number(line.slice(cut + 1)))
  }
  return samples
}

const post = (url: string, body: object) =>
  fetch(`${url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

describe('/metrics', () => {
  it('received = stored + duplicate + rejected + unavailable', async () => {
    const receiver = await start()
    const event_id = createEventId()
    await post(receiver.url, { event_id, event_type: 'test' })
    await post(receiver.url, { event_id, event_type: 'test' })
    await post(receiver.url, { event_type: 'no such type' })
    const json = { 'content-type': 'application/json' }
    await fetch(receiver.otlpUrl, {
      method: 'POST',
      headers: json,
      body: '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"attributes":[{"key":"log.record.uid","value":{"stringValue":"x y\\u0000"}}]}]}]}]}',
    })
    const samples = samplesOf(await (await fetch(`${receiver.url}metrics`)).text())
    const states = [...samples].filter(([key]) => key.startsWith('madsci_summary_columns{'))
    expect(states.reduce((sum, [, value]) => sum + value, 0)).toBe(1)
    const of = (name: string) =>
      [...samples].reduce(
        (sum, [key, value]) => (key.split('{')[0] === `madsci_events_${name}_total` ? sum + value : sum),
        0,
      )
    expect(of('received')).toBe(5)
    expect(of('duplicate')).toBe(1)
    expect(of('rejected')).toBeGreaterThan(0)
    expect(of('stored') + of('duplicate') + of('rejected') + of('unavailable')).toBe(of('received'))
    expect(samples.get('madsci_store_events')).toBe(of('stored'))
    expect(samples.get('madsci_store_up')).toBe(1)
    expect(samples.get('madsci_bytes_in_flight')).toBe(0)
    expect(samples.get('madsci_request_duration_seconds_count{route="POST /event"}')).toBe(3)
    expect(samples.get('madsci_request_duration_seconds_count{route="POST /v1/logs"}')).toBe(1)
    expect(samples.get('madsci_commit_duration_seconds_count')).toBeGreaterThan(0)
    expect(samples.get('madsci_requests_refused_total{code="EVT_INVALID"}')).toBe(1)
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  })

  it('is Prometheus text, and OpenMetrics for whom asks', async () => {
    const receiver = await start()
    await fetch(`${receiver.url}health`)
    const plain = await fetch(`${receiver.url}metrics`)
    expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(await plain.text()).toContain(
      '# TYPE madsci_events_received_total counter\nmadsci_events_received_total 0\n',
    )
    const open = await fetch(`${receiver.url}metrics`, {
      headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' },
    })
    expect(open.headers.get('content-type')).toContain('application/openmetrics-text; version=1.0.0')
    const text = await open.text()
    expect(text).toContain('# TYPE madsci_events_received counter\nmadsci_events_received_total 0\n')
    expect(text).toContain('le="1.0"')
    expect(text.endsWith('\n# EOF\n')).toBe(true)
    // Every sample belongs to the family whose TYPE stands above it, and no family comes twice.
    const seen = new Set<string>()
    let family = ''
    for (const line of text.trimEnd().split('\n')) {
      if (line.startsWith('# TYPE ')) {
        family = line.split(' ')[2]!
        expect(seen.has(family)).toBe(false)
        seen.add(family)
      } else if (!line.startsWith('#')) {
        expect(line.startsWith(family), line).toBe(true)
        expect(line).toMatch(/^[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)+\})? -?[\d.e+-]+$/)
      }
    }
  })

  it('buckets of a histogram are sums up to their bound, and labels are escaped', () => {
    const metric = createMetric()
    for (const seconds of [0.0005, 0.001, 0.003, 100])
      metric.observe('request_duration_seconds', seconds, 'a"\\\n')
    const samples = samplesOf(toMetricText(metric, 'prometheus'))
    const label = 'route="a\\"\\\\\\n"'
    const bucket = (le: string) => samples.get(`madsci_request_duration_seconds_bucket{${label},le="${le}"}`)
    expect([bucket('0.001'), bucket('0.0025'), bucket('0.005'), bucket('10'), bucket('+Inf')]).toEqual([
      2, 2, 3, 3, 4,
    ])
    expect(samples.get(`madsci_request_duration_seconds_sum{${label}}`)).toBeCloseTo(100.0045)
  })
})

describe('/health/live and /health/ready', () => {
  it('say 200 while the receiver takes events', async () => {
    const receiver = await start()
    expect(await (await fetch(`${receiver.url}health/live`)).json()).toEqual({ live: true })
    expect(await (await fetch(`${receiver.url}health/ready`)).json()).toEqual({ ready: true })
  })

  it('ready is 503 with Retry-After while the database is away, live stays 200', async () => {
    const receiver = await startTestReceiver({
      flags: { document_db_url: 'mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200' },
    })
    cleanups.push(() => receiver.close())
    const ready = await fetch(`${receiver.url}health/ready`)
    expect(ready.status).toBe(503)
    expect(ready.headers.get('retry-after')).toBe('1')
    expect((await fetch(`${receiver.url}health/live`)).status).toBe(200)
    const text = await (await fetch(`${receiver.url}metrics`)).text()
    expect(text).toContain('\nmadsci_store_up 0\n')
    expect(text).not.toContain('\nmadsci_store_events ')
  })
})

// Why metric.ts and metric-text.ts are written by hand: when this fails, they may go.
describe("what OpenTelemetry's packages for metrics do", () => {
  it('give a sum to a reader, later, and write the older of the two forms', async () => {
    const reader = new (class extends MetricReader {
      protected async onForceFlush() {}
      protected async onShutdown() {}
    })()
    const provider = new MeterProvider({ readers: [reader] })
    const counter = provider.getMeter('x').createCounter('madsci_events_stored')
    counter.add(2)
    expect(Object.keys(counter).filter((name) => /value|sum|total/i.test(name))).toEqual([])
    const collecting = reader.collect()
    expect(collecting).toBeInstanceOf(Promise)
    counter.add(3)
    const { resourceMetrics } = await collecting
    const text = new PrometheusSerializer('', false, undefined, true, true).serialize(resourceMetrics)
    expect(text).toContain('# TYPE madsci_events_stored_total counter')
    // OpenMetrics names the family without its suffix, and ends with a mark.
    expect(text).not.toContain('# TYPE madsci_events_stored counter')
    expect(text).not.toContain('# EOF')
    await provider.shutdown()
  })
})
