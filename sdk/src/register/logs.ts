import { type Logger, type LoggerProvider, logs } from '@opentelemetry/api'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { LoggerProvider as Provider } from '@opentelemetry/sdk-logs'
import { readEnvironment } from '../environment.ts'
import { createEventProcessor } from '../processor.ts'
import { type ClientOptions, readSettings } from '../setting.ts'

/**
 * Takes the program's OpenTelemetry logs, if nobody else does yet. What they need is made when the first logger is asked
 * for.
 */
export function captureLogs(name: string | undefined, options: Pick<ClientOptions, 'flushTimeoutMs'>): void {
  let provider: Provider | undefined
  const create = (): Provider => {
    const environment = readEnvironment()
    const named = (text: string | undefined) =>
      resourceFromAttributes(text === undefined ? {} : { 'service.name': text })
    const resource = defaultResource()
      .merge(named(name))
      .merge(resourceFromAttributes(environment.resource))
      .merge(named(environment.get('OTEL_SERVICE_NAME')))
    const { attributeCountLimit, textLimit } = readSettings(options)
    const attributeValueLengthLimit = textLimit ?? Number.POSITIVE_INFINITY
    return new Provider({
      resource,
      processors: [createEventProcessor(options)],
      logRecordLimits: { attributeCountLimit, attributeValueLengthLimit },
    })
  }
  const lazy: LoggerProvider = {
    getLogger(...args): Logger {
      provider ??= create()
      return provider.getLogger(...args)
    },
  }
  logs.setGlobalLoggerProvider(lazy)
}
