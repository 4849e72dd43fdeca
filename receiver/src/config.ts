import { EventError } from '@madsci-events/sdk/event'
import {
  parseDatabaseUrl,
  parseFlag,
  parseInteger,
  parseName,
  parseRetentionRules,
  parseSchedule,
  parseServerUrl,
  parseUlid,
  parseWord,
  parseZone,
  type RetentionRuleSetting,
} from './config-value.ts'

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** What an operator sets. Each member is described in `settings`. */
export interface Config {
  serverUrl: URL
  /** Undefined: no second OTLP listener. */
  otlpPort: number | undefined
  documentDbUrl: string
  databaseName: string
  collectionName: string
  sqliteSynchronous: 'full' | 'normal' | 'off'
  managerId: string | undefined
  managerName: string
  managerDescription: string | undefined
  naiveTimezone: string | undefined
  retentionEnabled: boolean
  softDeleteAfterDays: number
  hardDeleteAfterDays: number
  retentionCheckIntervalHours: number
  archiveBatchSize: number
  maxBatchesPerRun: number
  failOnRetentionError: boolean
  retentionRules: RetentionRuleSetting[]
  backupEnabled: boolean
  backupSchedule: string
  /** Relative ones begin at the working directory. */
  backupDir: string
  backupMaxCount: number
  maxBodyBytes: number
  maxInFlightBytes: number
  maxBatchEvents: number
  requestTimeoutMs: number
  queryTimeoutMs: number
  shutdownTimeoutMs: number
  logLevel: LogLevel
  /** Names of the settings that somebody set, as opposed to defaults. */
  given: ReadonlySet<SettingName>
}

interface Setting<T> {
  /** Environment variables, first wins. */
  variables: readonly string[]
  /** As an operator would write it; '' is "not set". */
  fallback: string
  unit: string
  about: string
  /** Never shown. */
  secret?: true
  /** Throws an Error whose message ends the sentence "<name> …". */
  parse: (text: string) => T
}

const setting = <T>(one: Setting<T>): Setting<T> => one
const variablesOf = (name: string) => [`EVENT_${name.toUpperCase()}`]
const flag = (name: string, about: string) =>
  setting({ variables: variablesOf(name), fallback: 'false', unit: 'yes or no', about, parse: parseFlag })
const count = (name: string, fallback: number, least: number, unit: string, about: string) =>
  setting({
    variables: variablesOf(name),
    fallback: String(fallback),
    unit,
    about,
    parse: (text) => parseInteger(text, least, 1_000_000),
  })

/** Every setting, in the order of the README's table. `--name=value` on the command line wins over the environment. */
export const settings = {
  server_url: setting({
    variables: variablesOf('server_url'),
    fallback: 'http://localhost:8001/',
    unit: 'URL',
    about: 'host and port to listen on; port 0 takes a free one',
    parse: parseServerUrl,
  }),
  otlp_port: setting({
    variables: variablesOf('otlp_port'),
    fallback: '4318',
    unit: 'port or `none`',
    about:
      'second listener, on the same host, for OTLP/HTTP alone; when it is not set and 4318 is taken, a warning',
    parse: (text) => (text === 'none' ? undefined : parseInteger(text, 0, 65535)),
  }),
  document_db_url: setting({
    variables: ['DOCUMENT_DB_URL', 'MONGO_DB_URL', 'EVENT_DB_URL', 'DB_URL', 'EVENT_DOCUMENT_DB_URL'],
    fallback: 'sqlite:.madsci/events.db',
    unit: 'URL',
    about:
      '`sqlite:PATH` (from the working directory), `mongodb://…`, `mongodb+srv://…`, or `null:` which keeps nothing and is for measuring',
    secret: true,
    parse: parseDatabaseUrl,
  }),
  database_name: setting({
    variables: variablesOf('database_name'),
    fallback: 'madsci_events',
    unit: 'name',
    about: 'MongoDB database',
    parse: parseName,
  }),
  collection_name: setting({
    variables: variablesOf('collection_name'),
    fallback: 'events',
    unit: 'name',
    about: 'MongoDB collection',
    parse: parseName,
  }),
  sqlite_synchronous: setting({
    variables: variablesOf('sqlite_synchronous'),
    fallback: 'full',
    unit: '`full`, `normal` or `off`',
    about: 'below `full`, a power cut may take acknowledged events; a killed process does not',
    parse: (text) => parseWord(text.toLowerCase(), ['full', 'normal', 'off'] as const),
  }),
  manager_id: setting({
    variables: variablesOf('manager_id'),
    fallback: '',
    unit: 'ULID',
    about: '`source.manager_id` of events posted without a source; a new one at each start if not set',
    parse: parseUlid,
  }),
  manager_name: setting({
    variables: variablesOf('manager_name'),
    fallback: 'EventManager',
    unit: 'text',
    about: 'title of the API description',
    parse: (text) => text,
  }),
  manager_description: setting({
    variables: variablesOf('manager_description'),
    fallback: '',
    unit: 'text',
    about: 'description of the API description',
    parse: (text) => text || undefined,
  }),
  naive_timezone: setting({
    variables: variablesOf('naive_timezone'),
    fallback: '',
    unit: 'IANA zone',
    about: 'converts times without a zone from it to UTC; not set: they stay as they are and count as UTC',
    parse: parseZone,
  }),
  retention_enabled: flag('retention_enabled', 'archives old events, and deletes what was archived long ago'),
  soft_delete_after_days: count('soft_delete_after_days', 90, 1, 'days', 'age at which events are archived'),
  hard_delete_after_days: count(
    'hard_delete_after_days',
    365,
    1,
    'days',
    'how long archived events stay before they are deleted',
  ),
  retention_check_interval_hours: count(
    'retention_check_interval_hours',
    24,
    1,
    'hours',
    'time between two runs of the retention; the first is at the start',
  ),
  archive_batch_size: count(
    'archive_batch_size',
    1000,
    1,
    'events',
    'events of one commit of archive, purge and retention',
  ),
  max_batches_per_run: count(
    'max_batches_per_run',
    100,
    0,
    'commits',
    'commits of one run of the retention; 0 = no limit, what is left waits for the next run',
  ),
  fail_on_retention_error: flag(
    'fail_on_retention_error',
    'a failed run ends the retention until the next start',
  ),
  retention_rules: setting({
    variables: variablesOf('retention_rules'),
    fallback: '[]',
    unit: 'JSON',
    about:
      'list of {"event_type": […], "max_level": 20, "soft_delete_after_days": 7}: events that match rest so long instead; the first rule that matches counts',
    parse: parseRetentionRules,
  }),
  backup_enabled: flag('backup_enabled', 'makes backups by the schedule'),
  backup_schedule: setting({
    variables: variablesOf('backup_schedule'),
    fallback: '@daily',
    unit: 'cron',
    about:
      'five fields in local time, or `@hourly`, `@daily`, `@weekly`, `@monthly`; one that was due while no receiver ran is made at the start',
    parse: parseSchedule,
  }),
  backup_dir: setting({
    variables: variablesOf('backup_dir'),
    fallback: '.madsci/backups/events',
    unit: 'path',
    about: 'folder of the backups, from the working directory',
    parse: (text) => text,
  }),
  backup_max_count: count('backup_max_count', 10, 1, 'backups', 'the oldest beyond this number are deleted'),
  max_body_bytes: setting({
    variables: variablesOf('max_body_bytes'),
    fallback: '67108864',
    unit: 'bytes',
    about: 'largest body, also after decompression; over it 413',
    parse: (text) => parseInteger(text, 1024, 2 ** 30),
  }),
  max_in_flight_bytes: setting({
    variables: variablesOf('max_in_flight_bytes'),
    fallback: '134217728',
    unit: 'bytes',
    about: 'bodies under way together; over it 429 with Retry-After, before the body is read',
    parse: (text) => parseInteger(text, 1024, 2 ** 40),
  }),
  max_batch_events: setting({
    variables: variablesOf('max_batch_events'),
    fallback: '2000',
    unit: 'events',
    about: 'events of one store write at most; a larger request is a write of its own',
    parse: (text) => parseInteger(text, 1, 100_000),
  }),
  request_timeout_ms: setting({
    variables: variablesOf('request_timeout_ms'),
    fallback: '60000',
    unit: 'ms',
    about: 'how long a request may take to arrive whole; 0 = no limit',
    parse: (text) => parseInteger(text, 0, 2 ** 31 - 1),
  }),
  query_timeout_ms: setting({
    variables: variablesOf('query_timeout_ms'),
    fallback: '60000',
    unit: 'ms',
    about: 'how long a query may take to find its next events; 0 = no limit',
    parse: (text) => parseInteger(text, 0, 2 ** 31 - 1),
  }),
  shutdown_timeout_ms: setting({
    variables: variablesOf('shutdown_timeout_ms'),
    fallback: '10000',
    unit: 'ms',
    about: 'how long requests under way may take to end after SIGTERM or ctrl-C',
    parse: (text) => parseInteger(text, 0, 2 ** 31 - 1),
  }),
  log_level: setting({
    variables: variablesOf('log_level'),
    fallback: 'info',
    unit: logLevels.map((level) => `\`${level}\``).join(', '),
    about: "the receiver's own log, JSON lines on standard error",
    parse: (text) => parseWord(text.toLowerCase(), logLevels),
  }),
}
export type SettingName = keyof typeof settings

export interface ReadConfigOptions {
  environment: { [name: string]: string | undefined }
  /** `--name=value` of the command line, the name with underscores. */
  flags?: { [name: string]: string }
}

/** Flags over environment over defaults. Throws EVT_CONFIG with all problems at once in `detail`. */
export function readConfig({ environment, flags = {} }: ReadConfigOptions): Config {
  const problems: string[] = []
  const given = new Set<SettingName>()
  // Names of variables count in any case, as in MADSci.
  const variables = new Map(Object.entries(environment).map(([name, text]) => [name.toUpperCase(), text]))
  for (const name of Object.keys(flags)) {
    if (!Object.hasOwn(settings, name)) problems.push(`--${name} is no setting`)
  }

  const read = <Name extends SettingName>(name: Name): ReturnType<(typeof settings)[Name]['parse']> => {
    const { variables: aliases, fallback, parse } = settings[name] as Setting<never>
    const alias = aliases.find((one) => variables.get(one))
    const flag = Object.hasOwn(flags, name) ? flags[name] : undefined
    const text = flag ?? (alias && variables.get(alias)) ?? fallback
    if (text !== fallback || flag !== undefined || alias !== undefined) given.add(name)
    try {
      return parse(text)
    } catch (error) {
      const where = flag !== undefined ? `--${name}` : alias
      problems.push(`${where} ${(error as Error).message}`)
      return undefined as never
    }
  }

  const config: Config = {
    serverUrl: read('server_url'),
    otlpPort: read('otlp_port'),
    documentDbUrl: read('document_db_url'),
    databaseName: read('database_name'),
    collectionName: read('collection_name'),
    sqliteSynchronous: read('sqlite_synchronous'),
    managerId: read('manager_id'),
    managerName: read('manager_name'),
    managerDescription: read('manager_description'),
    naiveTimezone: read('naive_timezone'),
    retentionEnabled: read('retention_enabled'),
    softDeleteAfterDays: read('soft_delete_after_days'),
    hardDeleteAfterDays: read('hard_delete_after_days'),
    retentionCheckIntervalHours: read('retention_check_interval_hours'),
    archiveBatchSize: read('archive_batch_size'),
    maxBatchesPerRun: read('max_batches_per_run'),
    failOnRetentionError: read('fail_on_retention_error'),
    retentionRules: read('retention_rules'),
    backupEnabled: read('backup_enabled'),
    backupSchedule: read('backup_schedule'),
    backupDir: read('backup_dir'),
    backupMaxCount: read('backup_max_count'),
    maxBodyBytes: read('max_body_bytes'),
    maxInFlightBytes: read('max_in_flight_bytes'),
    maxBatchEvents: read('max_batch_events'),
    requestTimeoutMs: read('request_timeout_ms'),
    queryTimeoutMs: read('query_timeout_ms'),
    shutdownTimeoutMs: read('shutdown_timeout_ms'),
    logLevel: read('log_level'),
    given,
  }
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('\n'), { detail: problems })
  return config
}
