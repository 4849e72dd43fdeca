import { showUrl } from '../url.ts'
import { count, flag, optionalText, orNull, setting, word } from './setting.ts'

/** MADSci's OpenTelemetry of the event manager itself. */
export const telemetrySettings = {
  otel_enabled: flag(
    'the log lines of the receiver leave by OTLP too, where otel_exporter is `otlp` and otel_protocol `http`; /health says whether they do. For figures there is /metrics',
  ),
  otel_service_name: optionalText({
    unit: 'text',
    about: 'service.name of these log records; the name of the manager if not set',
  }),
  otel_exporter: word(
    'console',
    ['console', 'otlp', 'none'],
    'where the log lines go beside standard error: `otlp`; `console` and `none` add nothing',
  ),
  otel_endpoint: setting({
    fallback: '',
    unit: 'URL',
    about:
      'of an OTLP/HTTP receiver, such as a Collector, not of this receiver itself; may hold user:password',
    parse: (given) => given || undefined,
    show: (url) => url && showUrl(url),
    schema: orNull('string'),
  }),
  otel_protocol: word('grpc', ['grpc', 'http'], 'must be `http` for the log lines to leave'),
  canary_interval_seconds: count(0, 0, {
    unit: 's',
    about:
      'between two events that the receiver sends through its own door, to be found again: see Canaries; 0 = none',
    most: 86_400,
  }),
}
