import { showUrl } from '../url.ts'
import { count, flag, optionalText, orNull, setting, word } from './setting.ts'

/** MADSci's OpenTelemetry of the event manager itself. */
export const telemetrySettings = {
  otel_enabled: flag(
    'traces, metrics and the log lines of the receiver leave as otel_exporter says: see OpenTelemetry of the receiver itself; /health says whether they do',
  ),
  otel_service_name: optionalText({
    unit: 'text',
    variables: ['EVENT_OTEL_SERVICE_NAME', 'OTEL_SERVICE_NAME'],
    about: 'service.name of all of it; the name of the manager if not set',
  }),
  otel_exporter: word(
    'console',
    ['console', 'otlp', 'none'],
    'where they go: `otlp`; `console`: standard output, a line of JSON each; `none`: nowhere',
  ),
  otel_endpoint: setting({
    fallback: '',
    unit: 'URL',
    variables: ['EVENT_OTEL_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    about:
      'of an OTLP receiver, such as a Collector (`http://collector:4317` for grpc, `http://collector:4318` for http), not of this receiver itself; may hold user:password',
    parse: (given) => given || undefined,
    show: (url) => url && showUrl(url),
    schema: orNull('string'),
  }),
  otel_protocol: word('grpc', ['grpc', 'http'], 'OTLP/gRPC, or OTLP/HTTP in JSON'),
  canary_interval_seconds: count(0, 0, {
    unit: 's',
    about:
      'between two events that the receiver sends through its own door, to be found again: see Canaries; 0 = none',
    most: 86_400,
  }),
}
