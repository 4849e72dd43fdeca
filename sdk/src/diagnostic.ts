import { DiagConsoleLogger, DiagLogLevel, diag } from '@opentelemetry/api'
import { diagLogLevelFromString } from '@opentelemetry/core'
import { readEnvironment } from './environment.ts'

/**
 * Makes the SDK's own warnings visible, unless the program has set a diag logger: at OTEL_LOG_LEVEL, or `warn`, because
 * a lost event that nobody hears of is worse than a line on stderr.
 */
export function startDiagnostics(): void {
  if (hasLogger()) return
  diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN)
  const text = readEnvironment().get('OTEL_LOG_LEVEL')?.trim()
  const logLevel = diagLogLevelFromString(text)
  if (logLevel !== undefined) {
    diag.setLogger(new DiagConsoleLogger(), { logLevel, suppressOverrideMessage: true })
  }
}

// The API offers no getter; this is where its releases with the same major version share their globals.
function hasLogger(): boolean {
  const api = (globalThis as { [key: symbol]: unknown })[Symbol.for('opentelemetry.js.api.1')]
  return (api as { diag?: unknown } | undefined)?.diag !== undefined
}
