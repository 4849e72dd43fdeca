import { type Config, type ReadConfigOptions, readConfig } from '../config/config.ts'
import { createAlertCheck } from '../receiver.ts'
import type { Terminal } from './terminal.ts'

/** What a command that starts a receiver, or judges its settings, reads them with. */
export function toConfigOptions(terminal: Terminal, flags: { [name: string]: string }) {
  return { ...terminal, flags, checks: [createAlertCheck(terminal.environment)] } satisfies ReadConfigOptions
}

/** Throws EVT_CONFIG with every problem of every setting. */
export function readSettings(terminal: Terminal, flags: { [name: string]: string }): Config {
  return readConfig(toConfigOptions(terminal, flags))
}
