// Sends the odd and the equal records by OpenTelemetry's SDK for JavaScript: `sender.mjs json|protobuf HOST:PORT ...`.
import { context, trace } from '@opentelemetry/api'
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'

const [protocol, ...endpoints] = process.argv.slice(2)
for (const endpoint of endpoints) await send(endpoint)

async function send(endpoint) {
  const Exporter = protocol === 'json' ? JsonExporter : ProtobufExporter
  const exporter = new Exporter({ url: `http://${endpoint}/v1/logs`, compression: 'gzip' })
  const about = { 'service.name': `javascript-${protocol}`, 'rack.slots': [1, 2, 3], 'rack.open': true }
  const resource = resourceFromAttributes(about, { schemaUrl: 'https://opentelemetry.io/schemas/1.37.0' })
  const provider = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter })] })
  const logger = provider.getLogger('lab.arm', '2.1.0', {
    schemaUrl: 'https://opentelemetry.io/schemas/1.36.0',
  })
  let number = 0
  const emit = (record) => {
    const timestamp = [1_700_000_000, 123_456_789 + number]
    logger.emit({ timestamp, observedTimestamp: [1_700_000_001, 987_654_321 + number], ...record })
    number++
  }
  emit({
    severityNumber: 9,
    severityText: 'INFO',
    body: 'Übergabe ✓ of plate 7',
    attributes: { 'plate.barcode': 'P-7', empty: '', large: 9007199254740991, ratio: 0.1, open: false },
  })
  emit({
    severityNumber: 19,
    severityText: 'severe',
    body: { step: 'grip', at: { x: 1.5, y: null } },
    attributes: {
      image: new Uint8Array([0, 255, 16]),
      mixed: [1, 'two', true],
      'a.b': { c: { d: 1 } },
      hollow: {},
    },
  })
  emit({ eventName: 'device.ready', attributes: { node: 'arm' } })
  const span = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 }
  emit({
    severityNumber: 13,
    body: 'within a span',
    context: trace.setSpanContext(context.active(), span),
  })
  for (let i = 0; i < 2; i++) {
    number = 4
    emit({ body: 'said twice' })
  }
  emit({ body: 42 })
  const observed = [1_700_000_100, 0]
  for (let i = 0; i < 25; i++) emit({ timestamp: observed, observedTimestamp: observed, body: 'pump tick' })
  await provider.shutdown()
}
