import { nextBackup } from '../backup/schedule.ts'
import { type Config, type ConfigCheck, type ReadConfigOptions, readConfig } from '../config/config.ts'
import { createAlertCheck } from '../receiver.ts'
import type { Terminal } from './terminal.ts'

/** What is wrong with backup_schedule beyond its form. */
const scheduleCheck: ConfigCheck = {
  settings: ['backup_schedule', 'backup_enabled'],
  find: ({ backupSchedule: pattern, backupEnabled }) => {
    if (pattern === undefined || !backupEnabled) return []
    try {
      return nextBackup(pattern) ? [] : [`backup_schedule names a time that never comes: '${pattern}'`]
    } catch (error) {
      return [(error as Error).message]
    }
  },
}

/** What a command that starts a receiver, or judges its settings, reads them with. */
export function toConfigOptions(terminal: Terminal, flags: { [name: string]: string }) {
  return {
    ...terminal,
    flags,
    checks: [createAlertCheck(terminal.environment), scheduleCheck],
  } satisfies ReadConfigOptions
}

/** Throws EVT_CONFIG with every problem of every setting. */
export function readSettings(terminal: Terminal, flags: { [name: string]: string }): Config {
  return readConfig(toConfigOptions(terminal, flags))
}
