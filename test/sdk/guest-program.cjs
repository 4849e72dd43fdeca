// A program with an OpenTelemetry SDK of its own. WHEN says when it makes an EventClient: before its SDK starts, after, or never.
const api = require('@opentelemetry/api')
const { NodeSDK } = require('@opentelemetry/sdk-node')
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http')
const sdkMetrics = require('@opentelemetry/sdk-metrics')

const logs = api.logs ?? require('@opentelemetry/api-logs').logs
const seen = { spans: [], logs: [], metrics: [], told: [], headers: {}, trace: '' }
const create = () => {
  const { EventClient } = require('@madsci-events/sdk')
  return new EventClient({ name: 'lab', spool: false, protocol: process.env.PROTOCOL, compression: 'gzip' })
}

async function main() {
  let events = process.env.WHEN === 'before' ? create() : undefined
  const tell = (text) => void seen.told.push(text)
  api.diag.setLogger({ error: tell, warn: tell, info() {}, debug() {}, verbose() {} })
  const ended = {
    onStart() {},
    onEmit: (record) => void seen.logs.push(record.body),
    async forceFlush() {},
    async shutdown() {},
  }
  const exporter = new sdkMetrics.InMemoryMetricExporter(sdkMetrics.AggregationTemporality.CUMULATIVE)
  const reader = new sdkMetrics.PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 60_000 })
  const processors = [ended]
  if (process.env.WHEN === 'processor') {
    const { createEventProcessor } = require('@madsci-events/sdk')
    processors.push(createEventProcessor({ spool: false }))
  }
  const sdk = new NodeSDK({
    resourceDetectors: [],
    instrumentations: [new HttpInstrumentation()],
    spanProcessors: [{ ...ended, onEnd: (span) => void seen.spans.push(span.name) }],
    logRecordProcessors: processors,
    metricReaders: [reader],
  })
  sdk.start()
  if (process.env.WHEN === 'after') events = create()
  await api.trace.getTracer('lab').startActiveSpan('outer', async (span) => {
    seen.trace = span.spanContext().traceId
    events?.info('inside')
    seen.headers = events?.headers() ?? {}
    await events?.action('move', async () => events.info('moving'))
    logs.getLogger('lab').emit({ body: 'a log of its own' })
    api.metrics.getMeter('lab').createCounter('lab.count').add(1)
    span.end()
  })
  // Patched when its SDK started.
  const http = require('node:http')
  await new Promise((resolve) =>
    http.get(process.env.MADSCI_URL, (answer) => answer.resume().on('end', resolve)),
  )
  events?.log({ event_type: 'espresso' })
  await events?.flush()
  await reader.forceFlush()
  const [last] = exporter.getMetrics().slice(-1)
  seen.metrics = last.scopeMetrics.flatMap((scope) => scope.metrics.map((one) => one.descriptor.name))
  await events?.close()
  await sdk.shutdown()
  console.log(JSON.stringify(seen))
}
main()
