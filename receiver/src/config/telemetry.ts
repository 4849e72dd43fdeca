import { flag, optionalText, word } from './setting.ts'

/** OpenTelemetry of the receiver itself. */
export const telemetrySettings = {
  otel_enabled: flag('without effect'),
  otel_service_name: optionalText({ unit: 'text', about: 'without effect' }),
  otel_exporter: word('console', ['console', 'otlp', 'none'], 'without effect'),
  otel_endpoint: optionalText({ unit: 'URL', about: 'without effect' }),
  otel_protocol: word('grpc', ['grpc', 'http'], 'without effect'),
}
