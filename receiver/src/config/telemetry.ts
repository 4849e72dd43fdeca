import { showUrl } from '../url.ts'
import { flag, optionalText, orNull, setting, word } from './setting.ts'

/** MADSci's OpenTelemetry of the event manager itself, which the receiver does not have: it shows what is set. */
export const telemetrySettings = {
  otel_enabled: flag(
    'without effect but in /health, where otel_enabled is false: the receiver exports nothing of its own',
  ),
  otel_service_name: optionalText({ unit: 'text', about: 'shown in /settings, without effect' }),
  otel_exporter: word(
    'console',
    ['console', 'otlp', 'none'],
    'shown in /health and /settings, without effect',
  ),
  otel_endpoint: setting({
    fallback: '',
    unit: 'URL',
    about: 'shown in /health and /settings, without effect',
    parse: (given) => given || undefined,
    show: (url) => url && showUrl(url),
    schema: orNull('string'),
  }),
  otel_protocol: word('grpc', ['grpc', 'http'], 'shown in /settings, without effect'),
}
