/**
 * A service that has an OpenTelemetry SDK. What it logs through the API reaches the receiver, beside wherever else it goes.
 *
 *     MADSCI_URL=http://localhost:8001 OTEL_TRACES_EXPORTER=console OTEL_METRICS_EXPORTER=none node node-sdk-service.ts
 */
import { createEventProcessor } from '@madsci-events/sdk'
import { logs, SeverityNumber, trace } from '@opentelemetry/api'
import { NodeSDK } from '@opentelemetry/sdk-node'

const sdk = new NodeSDK({ serviceName: 'camera', logRecordProcessors: [createEventProcessor()] })
sdk.start()

const logger = logs.getLogger('camera')
trace.getTracer('camera').startActiveSpan('take picture', (span) => {
  logger.emit({
    severityNumber: SeverityNumber.WARN,
    body: 'Underexposed',
    attributes: { exposure_ms: 12, 'madsci.event.type': 'data_store' },
  })
  span.end()
})

await sdk.shutdown()
