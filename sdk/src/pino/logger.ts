import type { PinoConfig } from './line.ts'

type Logger = { levels?: PinoConfig['levels']; [key: symbol]: unknown }

const names = {
  messageKey: 'pino.messageKey',
  errorKey: 'pino.errorKey',
  nestedKey: 'pino.nestedKey',
} as const

// Each copy of pino has symbols of its own, which are all that it says of these options.
const configs = new WeakMap<object, PinoConfig>()

/**
 * What the logger that writes to a destination in its own thread knows of its lines. pino notes the logger at the
 * destination that asks for it, by the time that it writes.
 */
export function readLogger(destination: object): PinoConfig {
  const { lastLogger } = destination as { lastLogger?: Logger }
  if (typeof lastLogger !== 'object' || lastLogger === null) return {}
  let config = configs.get(lastLogger)
  if (config === undefined) {
    config = toConfig(lastLogger)
    configs.set(lastLogger, config)
  }
  return config
}

function toConfig(logger: Logger): PinoConfig {
  const config: PinoConfig = logger.levels ? { levels: logger.levels } : {}
  // A child has its parent as its prototype.
  for (let at: object | null = logger; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    for (const symbol of Object.getOwnPropertySymbols(at)) {
      for (const [option, name] of Object.entries(names) as [keyof typeof names, string][]) {
        const value = symbol.description === name ? logger[symbol] : undefined
        if (typeof value === 'string' && value !== '') config[option] = value
      }
    }
  }
  return config
}
