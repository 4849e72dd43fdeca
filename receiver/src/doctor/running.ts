import { dirname, resolve } from 'node:path'
import { type Config, describeUnknown } from '../config/config.ts'
import { type Finding, good, warning } from '../finding.ts'
import { countOf } from '../plural.ts'
import { inspectClock } from './clock.ts'
import { inspectSpace } from './disk.ts'

export interface ExamineRunningOptions {
  workingDirectory: string
  /** Absolute. */
  backupDir: string
  /** event_timestamp of the newest event; undefined without one. */
  newest: string | undefined
}

/** What doctor says that can be told beside a running receiver within milliseconds: nothing is written, and nobody is asked. */
export async function examineRunning(
  config: Config,
  { workingDirectory, backupDir, newest }: ExamineRunningOptions,
): Promise<Finding[]> {
  const findings = [good('settings', countOf(config.given.size, 'is set', 'are set'))]
  for (const name of config.unknown)
    findings.push(warning('settings', describeUnknown(name), 'correct its name, or remove it'))
  for (const text of config.warnings) findings.push(warning('settings', text, 'correct that setting or file'))
  const { documentDbUrl: url } = config
  if (url.startsWith('sqlite:')) {
    const folder = dirname(resolve(workingDirectory, url.slice('sqlite:'.length)))
    findings.push(await inspectSpace('disk', folder, 'data folder'))
  }
  findings.push(await inspectSpace('backup', backupDir, 'backup folder'))
  if (!config.backupEnabled)
    findings.push(
      warning('backup', 'backups are not made by schedule', 'set backup_enabled=true, or make them yourself'),
    )
  return [...findings, ...inspectClock(newest, 0, Date.now())]
}
