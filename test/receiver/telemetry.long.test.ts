import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createEventId, fromDocument } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { parseTraceparent } from '../../receiver/src/telemetry-span.ts'
import { startHttpSink } from '../support/alert-sink.ts'
import { createGrpcClient } from '../support/grpc.ts'
import { encodeLogs } from '../support/otlp.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort, spawnReceiver } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: { key: string; value: { [kind: string]: unknown } }[]
  links?: { traceId: string; spanId: string }[]
  status?: { code?: number }
}

const attributesOf = ({ attributes }: Pick<OtlpSpan, 'attributes'>) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

function spansOf({ requests }: OtlpEndpoint): OtlpSpan[] {
  return requests
    .filter(({ path }) => path === '/v1/traces')
    .flatMap(({ body }) => JSON.parse(body.toString()).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans)
    .flatMap(({ spans }) => spans)
}

async function start(flags: { [name: string]: string } = {}, environment?: { [name: string]: string }) {
  const endpoint = await startOtlpEndpoint()
  const receiver = await startTestReceiver({
    flags: {
      otel_enabled: 'true',
      otel_exporter: 'otlp',
      otel_protocol: 'http',
      otel_endpoint: endpoint.url,
      grpc_port: '0',
      ...flags,
    },
    ...(environment && { environment }),
  })
  cleanups.push(() => endpoint.close())
  let isClosed = false
  const close = async () => {
    if (!isClosed) await receiver.close()
    isClosed = true
  }
  cleanups.push(close)
  return { receiver, endpoint, close }
}

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${spanId}-01`
const json = { 'content-type': 'application/json' }
const makeEvent = (more: object = {}) =>
  fromDocument({ _id: createEventId(), event_type: 'log_info', event_data: { message: 'hello' }, ...more })

describe('spans', () => {
  it('continue a traceparent at every door, with steps below and names of the semantic conventions', async () => {
    const { receiver, endpoint, close } = await start()
    const body = () => Buffer.from(encodeLogs([makeEvent()]))
    const headers = { 'content-type': 'application/x-protobuf', traceparent }
    for (const url of [`${receiver.url}v1/logs`, receiver.otlpUrl])
      expect((await fetch(url, { method: 'POST', headers, body: body() })).status).toBe(200)
    const event = JSON.stringify({ event_type: 'log_info', event_data: 'hello' })
    for (const more of [{}, { 'x-strange': '1' }, { referer: receiver.url }])
      await fetch(`${receiver.url}event`, {
        method: 'POST',
        headers: { ...json, traceparent, ...more },
        body: event,
      })
    const grpc = createGrpcClient(receiver.grpcUrl)
    cleanups.push(() => grpc.close())
    expect((await grpc.export(body())).code).toBe(0)
    await fetch(`${receiver.url}events?selector={"event_type":"log_info"}`, { headers: { traceparent } })
    await fetch(`${receiver.url}event/nowhere`, { headers: { traceparent } })
    await fetch(`${receiver.url}utilization/summary`, { headers: { traceparent } })
    await close()
    const spans = spansOf(endpoint)
    const below = (span: OtlpSpan) =>
      spans.filter(({ parentSpanId }) => parentSpanId === span.spanId).map(({ name }) => name)
    const named = (name: string) => spans.filter((one) => one.name === name)
    const logs = named('POST /v1/logs')
    expect(logs).toHaveLength(2)
    for (const span of [
      ...logs,
      ...named('POST /event'),
      ...named('GET /events'),
      ...named('GET /event/{event_id}'),
    ]) {
      expect([span.name, span.traceId, span.parentSpanId, span.kind]).toEqual([span.name, traceId, spanId, 2])
      expect(Number(span.endTimeUnixNano)).toBeGreaterThan(Number(span.startTimeUnixNano))
    }
    expect(attributesOf(logs[0]!)).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/logs',
      'http.response.status_code': 200,
      'url.path': '/v1/logs',
      'url.scheme': 'http',
      'client.address': '127.0.0.1',
    })
    for (const span of logs) expect(below(span)).toEqual(['read', 'gate', 'decode', 'wait', 'commit'])
    expect(named('POST /event')).toHaveLength(3)
    for (const span of named('POST /event'))
      expect(below(span)).toEqual(expect.arrayContaining(['decode', 'wait', 'commit']))
    expect(attributesOf(named('commit')[0]!)).toMatchObject({
      'db.system.name': 'sqlite',
      'db.operation.name': 'insert',
      'db.operation.batch.size': 1,
    })
    expect(below(named('GET /events')[0]!)).toEqual(['query'])
    expect(attributesOf(named('query')[0]!)).toMatchObject({ 'db.response.returned_rows': 6 })
    expect(attributesOf(named('GET /event/{event_id}')[0]!)).toMatchObject({
      'http.response.status_code': 404,
    })
    expect(below(named('GET /utilization/summary')[0]!)).toEqual(['report'])
    const [call] = named('opentelemetry.proto.collector.logs.v1.LogsService/Export')
    expect(below(call!)).toEqual(['gate', 'decode', 'wait', 'commit'])
    expect(attributesOf(call!)).toMatchObject({
      'rpc.system': 'grpc',
      'rpc.method': 'Export',
      'rpc.grpc.status_code': 0,
    })
  })

  it('of requests without a traceparent are children of the span of their first event; a refusal is told', async () => {
    const { receiver, endpoint, close } = await start()
    const event = { event_type: 'log_info', event_data: {}, trace_id: traceId, span_id: spanId }
    await fetch(`${receiver.url}event`, { method: 'POST', headers: json, body: JSON.stringify(event) })
    const record = { timeUnixNano: '1', body: { stringValue: 'x' }, traceId, spanId }
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })
    await fetch(`${receiver.url}v1/logs`, { method: 'POST', headers: json, body })
    await fetch(`${receiver.url}v1/logs`, { method: 'POST', headers: json, body: '{' })
    await close()
    const found = spansOf(endpoint)
      .filter(({ kind }) => kind === 2)
      .map((span) => [
        span.name,
        span.traceId === traceId,
        span.parentSpanId,
        attributesOf(span)['http.response.status_code'],
      ])
    expect(found).toEqual([
      ['POST /event', true, spanId, 200],
      ['POST /v1/logs', true, spanId, 200],
      ['POST /v1/logs', false, undefined, 400],
    ])
  })

  it('are made of deliveries of alerts; figures and spans name the instance', async () => {
    const sink = await startHttpSink(() => 200)
    cleanups.push(() => sink.stop())
    const { receiver, endpoint, close } = await start({
      alert_private_hosts: '["127.0.0.1"]',
      alert_channels: JSON.stringify({ hook: { kind: 'webhook', url: sink.url } }),
    })
    const event = { event_type: 'log_error', log_level: 40, event_data: { message: 'jam' } }
    await fetch(`${receiver.url}event`, { method: 'POST', headers: json, body: JSON.stringify(event) })
    await waitUntil(async () => sink.requests.length > 0, 'the alert', 10_000)
    await close()
    const [delivery] = spansOf(endpoint).filter(({ name }) => name === 'alert hook')
    expect(delivery!.kind).toBe(3)
    expect(attributesOf(delivery!)).toMatchObject({
      'madsci.alert.rule': 'alert_level',
      'madsci.alert.channel.kind': 'webhook',
    })
    const instances = endpoint.requests
      .filter(({ path }) => path !== '/v1/logs')
      .map(({ body }) => JSON.parse(body.toString()))
      .flatMap(({ resourceSpans = [], resourceMetrics = [] }) => [...resourceSpans, ...resourceMetrics])
      .map(({ resource }) => attributesOf(resource)['service.instance.id'])
    expect(new Set(instances).size).toBe(1)
    expect(instances[0]).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('are sampled as OTEL_TRACES_SAMPLER says, and left out with OTEL_TRACES_EXPORTER=none or OTEL_SDK_DISABLED', async () => {
    for (const [environment, kinds] of [
      [{ OTEL_TRACES_SAMPLER: 'always_off' }, ['/v1/metrics']],
      [{ OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }, []],
      [{ OTEL_SDK_DISABLED: 'true' }, []],
    ] as const) {
      const { receiver, endpoint, close } = await start({}, environment)
      await fetch(`${receiver.url}events`)
      await close()
      expect(
        [...new Set(endpoint.requests.map(({ path }) => path))].filter((path) => path !== '/v1/logs'),
      ).toEqual(kinds)
    }
  })
})

describe('metrics', () => {
  it('have the names, labels and values of /metrics', async () => {
    const { receiver, endpoint, close } = await start({}, { OTEL_METRIC_EXPORT_INTERVAL: '60000' })
    const event = JSON.stringify({ event_type: 'log_info', event_data: 'hello' })
    for (let i = 0; i < 3; i++)
      await fetch(`${receiver.url}event`, { method: 'POST', headers: json, body: event })
    const text = await (await fetch(`${receiver.url}metrics`)).text()
    await close()
    const last = endpoint.requests.filter(({ path }) => path === '/v1/metrics').at(-1)!
    const { metrics } = JSON.parse(last.body.toString()).resourceMetrics[0].scopeMetrics[0]
    const byName = new Map<string, object>(metrics.map((one: { name: string }) => [one.name, one]))
    for (const [, name] of text.matchAll(/^# TYPE (\S+) /gm))
      if (new RegExp(`^${name}(?:_count)?[ {]`, 'm').test(text))
        expect([name, byName.has(name!)]).toEqual([name, true])
    expect(byName.get('madsci_events_stored_total')).toMatchObject({
      sum: { isMonotonic: true, aggregationTemporality: 2, dataPoints: [{ asDouble: 3 }] },
    })
    expect(JSON.stringify(byName.get('madsci_request_duration_seconds'))).toContain('"POST /event"')
    expect(byName.get('madsci_store_events')).toMatchObject({ gauge: { dataPoints: [{ asDouble: 3 }] } })
  })
})

it('all three signals leave by gRPC too, with the login of the endpoint', async () => {
  const destination = await startTestReceiver({ flags: { grpc_port: '0' } })
  cleanups.push(() => destination.close())
  const receiver = await startTestReceiver({
    flags: {
      otel_enabled: 'true',
      otel_exporter: 'otlp',
      otel_protocol: 'grpc',
      otel_endpoint: destination.grpcUrl.replace('://', '://me:secret@'),
      otel_service_name: 'lab 3',
    },
  })
  const headers = { 'content-type': 'application/json' }
  await fetch(`${receiver.url}event`, { method: 'POST', headers, body: '{"event_type": "log_info"}' })
  await fetch(`${receiver.url}v1/logs`, { method: 'POST', headers, body: '{' })
  const health = await (await fetch(`${receiver.url}health`)).text()
  expect(health).toContain('"otel_enabled":true')
  expect(health).not.toContain('secret')
  await receiver.close()
  const events = Object.values(
    (await (await fetch(`${destination.url}events`)).json()) as {
      [id: string]: { otel: { resource: { [key: string]: string } } }
    },
  )
  expect(events.length).toBeGreaterThan(0)
  expect(events[0]!.otel.resource['service.name']).toBe('lab 3')
  const dropped = await (await fetch(`${destination.url}metrics`)).text()
  for (const signal of ['traces', 'metrics'])
    expect(dropped).toMatch(new RegExp(`madsci_telemetry_dropped_total\\{signal="${signal}"\\} [1-9]`))
})

describe('an endpoint that is the receiver itself', () => {
  it('is told and refused, by each of its listeners and names', async () => {
    for (const of of ['server', 'otlp', 'grpc'] as const) {
      const port = await findFreePort()
      const lines: string[] = []
      const receiver = await startTestReceiver({
        flags: {
          ...(of === 'server'
            ? { server_url: `http://127.0.0.1:${port}/` }
            : { [`${of}_port`]: String(port) }),
          otel_enabled: 'true',
          otel_exporter: 'otlp',
          otel_protocol: of === 'grpc' ? 'grpc' : 'http',
          otel_endpoint: `http://localhost:${port}/v1/traces`,
        },
        log: { info: () => {}, warn: () => {}, error: (_fields, message) => void lines.push(message) },
      })
      cleanups.push(() => receiver.close())
      expect(lines).toEqual([expect.stringMatching(/^otel_endpoint is this receiver itself/)])
      expect(await (await fetch(`${receiver.url}health`)).json()).toMatchObject({ otel_enabled: false })
      await sleep(300)
      expect(receiver.metric.total('telemetry_dropped')).toBe(0)
      expect(receiver.metric.total('events_received')).toBe(0)
    }
  })
})

it('whoever reads standard output may go: the receiver stays, and says so once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: `sqlite:${join(folder, 'events.db')}`,
      otel_enabled: 'true',
    },
    cwd: folder,
    env: { OTEL_METRIC_EXPORT_INTERVAL: '100' },
  })
  cleanups.push(() => receiver.kill('SIGKILL'))
  receiver.closeStdout()
  await waitUntil(async () => /standard output/.test(receiver.stderr), 'a line on standard error', 20_000)
  const body = JSON.stringify({ event_type: 'log_info', event_data: { message: 'hello' } })
  const post = () => fetch(`${receiver.url}event`, { method: 'POST', headers: json, body })
  for (let i = 0; i < 3; i++) expect((await post()).status).toBe(200)
  expect(receiver.stderr.match(/standard output cannot be written/g)).toHaveLength(1)
  receiver.kill('SIGTERM')
  expect(await receiver.exited).toBe(0)
})

it('with the exporter console each span, log record and reading is a line of JSON on standard output', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: `sqlite:${join(folder, 'events.db')}`,
      otel_enabled: 'true',
      otel_service_name: 'lab \u001b[31mred',
    },
    cwd: folder,
    env: { OTEL_METRIC_EXPORT_INTERVAL: '200' },
  })
  cleanups.push(() => receiver.kill('SIGKILL'))
  const health = (await (await fetch(`${receiver.url}health`)).json()) as object
  expect(health).toMatchObject({ otel_enabled: true, otel_exporter_type: 'console' })
  const body = JSON.stringify({ event_type: 'log_info', event_data: { message: 'hello' } })
  await fetch(`${receiver.url}event`, { method: 'POST', headers: { ...json, traceparent }, body })
  const lines = () =>
    receiver.stdout
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line))
  const span = () => lines().find(({ name }) => name === 'POST /event')
  const metrics = () => lines().findLast((line) => 'resource_metrics' in line)
  await waitUntil(async () => span() !== undefined && metrics() !== undefined, 'a span and metrics', 20_000)
  expect(span()).toMatchObject({
    context: { trace_id: `0x${traceId}` },
    kind: 'SpanKind.SERVER',
    parent_id: `0x${spanId}`,
    attributes: { 'http.request.method': 'POST' },
    resource: { attributes: { 'service.name': expect.stringContaining('red') } },
  })
  expect(receiver.stdout).not.toContain('\u001b')
  await waitUntil(
    async () =>
      metrics()
        .resource_metrics[0].scope_metrics.flatMap((one: { metrics: { name: string }[] }) => one.metrics)
        .some(
          ({ name, data }: { name: string; data?: { data_points: { value: number }[] } }) =>
            name === 'madsci_events_stored_total' && data!.data_points[0]!.value >= 1,
        ),
    'the stored event among the metrics',
    20_000,
  )
  expect((await fetch(`${receiver.url}backup`, { method: 'POST' })).status).toBe(200)
  receiver.kill('SIGTERM')
  await receiver.exited
  expect(lines().find(({ body: text }) => text === 'a backup was made')).toMatchObject({
    severity_number: 9,
    severity_text: 'INFO',
  })
})

it('while it is off, nothing of OpenTelemetry is loaded', async () => {
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({
      resolve(specifier, context, next) {
        if (specifier.startsWith('@opentelemetry/')) loaded.push(specifier)
        return next(specifier, context)
      },
    })
    const { startReceiver } = await import('./receiver/src/receiver.ts')
    const { readConfig } = await import('./receiver/src/config/config.ts')
    const flags = { server_url: 'http://127.0.0.1:0/', otlp_port: 'none', grpc_port: 'none', document_db_url: 'sqlite::memory:' }
    const config = readConfig({ environment: {}, flags })
    const write = () => {}
    const receiver = await startReceiver(config, { log: { info: write, warn: write, error: write }, workingDirectory: process.argv[1] })
    await fetch(receiver.url + 'event', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"event_type": "log_info", "event_data": "x"}' })
    await receiver.close()
    console.log(JSON.stringify(loaded))`
  const folder = await mkdtemp(join(tmpdir(), 'madsci-events-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const args = [
    '--conditions=madsci-events-source',
    '--input-type=module',
    '-e',
    script.replace("'sqlite::memory:'", JSON.stringify(`sqlite:${join(folder, 'events.db')}`)),
    folder,
  ]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: join(import.meta.dirname, '../..'),
  })
  expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toEqual([])
})

it('a traceparent that is none is passed over', () => {
  expect(parseTraceparent(traceparent)).toMatchObject({ traceId, spanId, traceFlags: 1 })
  for (const wrong of [
    '',
    'x',
    `ff${traceparent.slice(2)}`,
    traceparent.toUpperCase(),
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `${traceparent}0`,
  ])
    expect(parseTraceparent(wrong)).toBe(undefined)
})
