import { SeverityNumber } from '@opentelemetry/api'
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'

/** Requests of the plain JS SDK of OpenTelemetry: each record has nine attributes and no id, some 320 bytes. */
export function makeForeignRequests(count: number, perRequest: number): Uint8Array[] {
  const exporter = new InMemoryLogRecordExporter()
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ 'service.name': 'pump-driver', 'service.instance.id': 'a1b2' }),
    processors: [new SimpleLogRecordProcessor({ exporter } as never)],
  })
  const logger = provider.getLogger('pump', '1.2.0')
  const requests: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    logger.emit({
      severityNumber: SeverityNumber.INFO,
      severityText: 'INFO',
      body: `dispensed ${i % 200} µl into well ${i % 96}`,
      attributes: {
        'code.function.name': 'dispense',
        'code.line.number': 212,
        'code.file.path': '/opt/pump/driver.ts',
        'http.request.method': 'POST',
        'http.response.status_code': 200,
        'url.path': '/dispense',
        'thread.id': i % 8,
        'pump.volume_ul': i % 200,
        'pump.is_primed': true,
      },
    })
    if ((i + 1) % perRequest === 0 || i + 1 === count) {
      requests.push(ProtobufLogsSerializer.serializeRequest(exporter.getFinishedLogRecords())!)
      exporter.reset()
    }
  }
  return requests
}
