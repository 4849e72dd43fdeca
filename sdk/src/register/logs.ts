import { type Logger, type LoggerProvider, logs } from '@opentelemetry/api'
import { getStringFromEnv } from '@opentelemetry/core'
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import { LoggerProvider as Provider } from '@opentelemetry/sdk-logs'
import { createEventProcessor } from '../processor.ts'
import type { ClientOptions } from '../setting.ts'

/**
 * Takes the program's OpenTelemetry logs, if nobody else does yet. What they need is made when the first logger is asked
 * for.
 */
export function captureLogs(name: string | undefined, options: Pick<ClientOptions, 'flushTimeoutMs'>): void {
  let provider: Provider | undefined
  const create = (): Provider => {
    const fromEnv = detectResources({ detectors: [resourceAttributesEnvDetector] })
    const named = (text: string | undefined) =>
      resourceFromAttributes(text === undefined ? {} : { 'service.name': text })
    const byVariable = named(getStringFromEnv('OTEL_SERVICE_NAME'))
    const resource = defaultResource().merge(named(name)).merge(fromEnv).merge(byVariable)
    return new Provider({ resource, processors: [createEventProcessor(options)] })
  }
  const lazy: LoggerProvider = {
    getLogger(...args): Logger {
      provider ??= create()
      return provider.getLogger(...args)
    },
  }
  logs.setGlobalLoggerProvider(lazy)
}
