import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { type Logger, type LoggerProvider, logs } from '@opentelemetry/api'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import { LoggerProvider as Provider } from '@opentelemetry/sdk-logs'
import { readEnvironment } from '../environment.ts'
import { createEventProcessor } from '../processor.ts'
import { programApi } from '../program-api.ts'
import { type ClientOptions, readSettings } from '../setting.ts'

/**
 * Takes the program's OpenTelemetry logs while it has no provider of its own: nothing is registered, so that its own, which
 * starts after us, can be. Until then the API's stand-in asks us.
 *
 *     logs.getLogger(…) ──▶ the program's provider, if there is one
 *                      └──▶ stand-in ──▶ ours
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
  const ours: LoggerProvider = {
    getLogger(...args) {
      let current: { provider: LoggerProvider; logger: Logger } | undefined
      // A logger that was asked for early outlives the start of the program's provider.
      const find = (): Logger => {
        let wanted = programApi().logs
        if (wanted === undefined) {
          provider ??= create()
          wanted = provider
        }
        if (current?.provider !== wanted) current = { provider: wanted, logger: wanted.getLogger(...args) }
        return current.logger
      }
      return {
        emit: (record) => find().emit(record),
        enabled: (enabledOptions) => find().enabled(enabledOptions),
      }
    },
  }
  for (const standIn of [logs.getLoggerProvider(), ...findStandIns()])
    if (isStandIn(standIn)) standIn._setDelegate(ours)
}

interface StandIn {
  _setDelegate(provider: LoggerProvider): void
}

const isStandIn = (provider: unknown): provider is StandIn =>
  typeof (provider as Partial<StandIn> | undefined)?._setDelegate === 'function'

/** Of the copies of the API that the program's own modules have, by `require` and by `import`. */
function findStandIns(): unknown[] {
  try {
    const require = createRequire(process.argv[1] ?? join(process.cwd(), 'index.js'))
    const file = require.resolve('@opentelemetry/api')
    const files = [file, file.replace(/\.cjs$/, '.mjs')].filter((one) => existsSync(one))
    return files.map((one) => (require(one) as { logs?: typeof logs }).logs?.getLoggerProvider())
  } catch {
    return [] // it has none, and so logs nothing through it
  }
}
