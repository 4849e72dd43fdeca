import { EventError, type Value } from '@madsci-events/sdk/event'
import type { Config } from './config/config.ts'
import { showConfig, toSettingsSchema } from './config/show.ts'
import type { Destination } from './fanout/destination.ts'
import { resolveDataPath } from './folder.ts'
import type { RetentionOptions } from './retention/retention.ts'
import { parseSelector } from './store/selector.ts'
import { splitLogin } from './url.ts'

// Settings → options of the rooms.

/** A folder that a setting names, absolute. */
export function toFolder(
  path: string,
  { settingsFolder }: Config,
  { workingDirectory }: { workingDirectory: string },
): string {
  return resolveDataPath(path, settingsFolder ?? workingDirectory, workingDirectory)
}

/** Throws EVT_CONFIG for a selector that is not accepted. */
export function toDestination({ url, selector, ...one }: Config['fanout'][number]): Destination {
  // fetch takes no login in a URL.
  const { url: logs, headers } = splitLogin(url)
  if (!/\/v1\/logs\/?$/.test(logs.pathname)) logs.pathname = `${logs.pathname.replace(/\/$/, '')}/v1/logs`
  try {
    if (selector !== undefined) parseSelector(selector as Value)
  } catch (error) {
    throw new EventError('EVT_CONFIG', `fanout: the selector of ${one.name}: ${(error as Error).message}`)
  }
  return {
    ...one,
    headers: { ...headers, ...one.headers },
    url: logs.href,
    selector: selector as Value | undefined,
  }
}

export function toRetention(config: Config): Omit<RetentionOptions, 'store' | 'log'> {
  return {
    softDeleteAfterDays: config.softDeleteAfterDays,
    hardDeleteAfterDays: config.hardDeleteAfterDays,
    checkIntervalHours: config.retentionCheckIntervalHours,
    batchSize: config.archiveBatchSize,
    maxBatchesPerRun: config.maxBatchesPerRun,
    rules: config.retentionRules,
    failOnError: config.failOnRetentionError,
  }
}

export function toRateLimit(config: Config) {
  if (!config.rateLimitEnabled) return undefined
  return {
    requests: config.rateLimitRequests,
    windowSeconds: config.rateLimitWindow,
    shortRequests: config.rateLimitShortRequests,
    shortWindowSeconds: config.rateLimitShortWindow,
    cleanupIntervalSeconds: config.rateLimitCleanupInterval,
    exemptAddresses: config.rateLimitExemptIps ?? ['127.0.0.1', '::1'],
  }
}

/** What GET /settings tells, with what only a running receiver knows. */
export function toSettings(
  config: Config,
  known: { manager_id: string; backup_dir: string; report_dir: string },
) {
  const all = showConfig(config, known)
  const isGiven = (name: string) => ['manager_id', 'document_db_url', ...config.given.keys()].includes(name)
  const given = Object.fromEntries(Object.entries(all).filter(([name]) => isGiven(name)))
  return { all, given, schema: toSettingsSchema() }
}
