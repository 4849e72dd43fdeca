import { homedir } from 'node:os'
import { join } from 'node:path'
import { diag } from '@opentelemetry/api'
import {
  getBooleanFromEnv,
  getNumberFromEnv,
  getStringFromEnv,
  getStringListFromEnv,
  parseKeyPairsIntoRecord,
} from '@opentelemetry/core'
import { readTls, type Tls } from './agent.ts'
import { readIdsFromEnv } from './environment.ts'
import { EventError } from './event/error.ts'
import { type Source, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'

export type Protocol = 'http/protobuf' | 'http/json'
export type Destination = 'otlp' | 'console'

/** What a program may say in code; it wins over OTEL_* variables, which win over the defaults in the README. */
export interface ClientOptions {
  /** The receiver: OTLP goes to `<url>/v1/logs`, queries to its REST routes. */
  url?: string
  /** Where queries go, when `url` is a Collector, which answers none. */
  restUrl?: string
  /** Who speaks: `service.name`. */
  name?: string
  /** Ids that hold for the whole process. */
  source?: Source
  /** More about the process, as OpenTelemetry resource attributes. */
  resource?: { [key: string]: string | number | boolean }
  protocol?: Protocol
  compression?: 'gzip' | 'none'
  /** Sent with every request, of OTLP and of queries. */
  headers?: { [name: string]: string }
  /** For one request with its retries, and for one query; 0 is no limit. */
  timeoutMs?: number
  /** How long an event may wait for others to share its request. */
  scheduleDelayMs?: number
  /** For one request that neither ends nor fails: then its connection is cut; 0 is no limit. */
  exportTimeoutMs?: number
  /** flush() and close() give up once nothing has been delivered for so long. */
  flushTimeoutMs?: number
  /**
   * Events go to files before they are sent: `async` (a crash loses none, a power cut may), `fsync` (nor does a power cut,
   * and each call waits for the disk), or `false`: they wait in memory.
   */
  spool?: 'async' | 'fsync' | false
  /** Where those files go. */
  spoolDir?: string
  /** What they may take; each process of a name has as much. */
  maxSpoolBytes?: number
  /** Events older than that are dropped, and counted. */
  maxSpoolAgeMs?: number
  /** What goes when there is no room: the new event, or the oldest ones. */
  whenFull?: 'reject' | 'drop-oldest'
  /** Events that may wait in memory, with no spool or one that cannot be written. */
  maxQueueEvents?: number
  /** The same in bytes. */
  maxQueueBytes?: number
  /** Events in one request. */
  maxBatchEvents?: number
}

/** The same, with nothing left open. */
export interface Settings {
  disabled: boolean
  destinations: Destination[]
  logsUrl: string
  restUrl: string
  serviceName: string | undefined
  source: Source
  resource: { [key: string]: string | number | boolean }
  protocol: Protocol
  compression: 'gzip' | 'none'
  headers: { [name: string]: string }
  timeoutMs: number
  scheduleDelayMs: number
  exportTimeoutMs: number
  flushTimeoutMs: number
  spool: 'async' | 'fsync' | false
  spoolDir: string
  /** Processes with the same one take over what the others leave behind. */
  spoolName: string
  maxSpoolBytes: number
  maxSpoolAgeMs: number
  whenFull: 'reject' | 'drop-oldest'
  maxQueueEvents: number
  maxQueueBytes: number
  maxBatchEvents: number
  textLimit: number | undefined
  attributeCountLimit: number
  tls: Tls
}

// An event is at most so many attributes: id, type, level, alert, data and the ten ids.
const ownAttributes = 16
const defaultUrl = 'http://localhost:8001'
/** setTimeout takes no more: some 25 days, which here means never. */
export const noTimeoutMs = 2 ** 31 - 1

/** Options over OTEL_* variables over defaults. A wrong variable is warned of; a wrong option throws EVT_CONFIG, all of them at once. */
export function readSettings(options: ClientOptions): Settings {
  if (getStringFromEnv('OTEL_CONFIG_FILE') !== undefined)
    diag.warn('OTEL_CONFIG_FILE is not read: options and OTEL_* variables configure this SDK')
  const problems: string[] = []
  const number = (name: keyof ClientOptions, variables: string[], fallback: number, least: number) =>
    readNumber(options[name], name, variables, { fallback, least, problems })
  const genericUrl = readUrl('OTEL_EXPORTER_OTLP_ENDPOINT') ?? readUrl('EVENT_SERVER_URL')
  const givenUrl = checkUrl(options.url, 'url', problems)
  const url = givenUrl ?? readUrl('MADSCI_URL')
  const restUrl = checkUrl(options.restUrl, 'restUrl', problems) ?? givenUrl ?? readUrl('MADSCI_REST_URL')
  const maxQueueEvents = number('maxQueueEvents', ['OTEL_BLRP_MAX_QUEUE_SIZE'], 65_536, 1)
  const batch = number('maxBatchEvents', ['OTEL_BLRP_MAX_EXPORT_BATCH_SIZE'], 512, 1)
  const timeout = ['OTEL_EXPORTER_OTLP_LOGS_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT']
  const textLimit = ['OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT', 'OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT']
  const countLimit = ['OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT', 'OTEL_ATTRIBUTE_COUNT_LIMIT']
  const settings: Settings = {
    disabled: getBooleanFromEnv('OTEL_SDK_DISABLED'),
    destinations: readDestinations(),
    logsUrl: url
      ? logsUrlOf(url)
      : (readUrl('OTEL_EXPORTER_OTLP_LOGS_ENDPOINT') ?? logsUrlOf(genericUrl ?? defaultUrl)),
    restUrl: restUrl ?? url ?? genericUrl ?? defaultUrl,
    serviceName: options.name ?? getStringFromEnv('OTEL_SERVICE_NAME'),
    source: { ...readIdsFromEnv(), ...checkSource(options.source, problems) },
    resource: options.resource ?? {},
    protocol: readProtocol(options.protocol, problems),
    compression: readCompression(options.compression, problems),
    headers: { ...readHeaders(), ...options.headers },
    timeoutMs: number('timeoutMs', timeout, 10_000, 0) || noTimeoutMs,
    scheduleDelayMs: number('scheduleDelayMs', ['OTEL_BLRP_SCHEDULE_DELAY'], 1000, 0),
    exportTimeoutMs: number('exportTimeoutMs', ['OTEL_BLRP_EXPORT_TIMEOUT'], 30_000, 0) || noTimeoutMs,
    flushTimeoutMs: number('flushTimeoutMs', [], 10_000, 0),
    spool: readSpool(options.spool, problems),
    spoolDir: options.spoolDir ?? getStringFromEnv('MADSCI_SPOOL_DIR') ?? defaultSpoolDir(),
    spoolName: options.name ?? getStringFromEnv('OTEL_SERVICE_NAME') ?? 'unknown_service',
    maxSpoolBytes: number('maxSpoolBytes', [], 1024 * 1024 * 1024, 1024 * 1024),
    maxSpoolAgeMs: number('maxSpoolAgeMs', [], 14 * 24 * 3600 * 1000, 1000),
    whenFull: readWhenFull(options.whenFull, problems),
    maxQueueEvents,
    maxQueueBytes: number('maxQueueBytes', [], 64 * 1024 * 1024, 1),
    maxBatchEvents: Math.min(batch, maxQueueEvents),
    textLimit: readNumber(undefined, '', textLimit, { fallback: undefined, least: 1, problems }),
    attributeCountLimit: readNumber(undefined, '', countLimit, {
      fallback: 128,
      least: ownAttributes,
      problems,
    }),
    tls: readTls(),
  }
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('; '), { detail: problems })
  return settings
}

interface ReadNumberOptions<Fallback> {
  fallback: Fallback
  least: number
  problems: string[]
}

function readNumber<Fallback extends number | undefined>(
  option: unknown,
  name: string,
  variables: string[],
  { fallback, least, problems }: ReadNumberOptions<Fallback>,
): number | Fallback {
  if (option !== undefined) {
    if (typeof option === 'number' && option >= least) return Math.min(option, noTimeoutMs)
    problems.push(`${name} must be a number of at least ${least}`)
  }
  for (const variable of variables) {
    const value = getNumberFromEnv(variable)
    if (value === undefined) continue
    if (value >= least) return Math.min(value, noTimeoutMs)
    diag.warn(`${variable}=${value} is less than ${least}: it is not used`)
  }
  return fallback
}

function checkUrl(text: string | undefined, name: string, problems: string[]): string | undefined {
  if (text === undefined || isHttp(text)) return text
  problems.push(`${name} is no http or https URL: '${text}'`)
  return undefined
}

function readUrl(variable: string): string | undefined {
  const text = getStringFromEnv(variable)?.trim()
  if (text === undefined || isHttp(text)) return text
  diag.warn(`${variable} is no http or https URL: it is not used`)
  return undefined
}

function isHttp(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

function logsUrlOf(base: string): string {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/logs`
  return url.href
}

function checkSource(source: Source | undefined, problems: string[]): Source {
  const checked: Source = {}
  for (const [key, id] of Object.entries(source ?? {})) {
    if (id === undefined || id === null) continue
    const name = sourceKeys.find((known) => known === key)
    if (name === undefined) problems.push(`source.${key} is none of ${sourceKeys.join(', ')}`)
    else if (!isUlid(String(id)))
      problems.push(`source.${key} is no ULID (26 upper-case characters): '${id}'`)
    else checked[name] = id
  }
  return checked
}

function readProtocol(option: Protocol | undefined, problems: string[]): Protocol {
  if (option === 'http/protobuf' || option === 'http/json') return option
  if (option !== undefined) problems.push(`protocol must be http/protobuf or http/json: '${option}'`)
  const text =
    getStringFromEnv('OTEL_EXPORTER_OTLP_LOGS_PROTOCOL') ?? getStringFromEnv('OTEL_EXPORTER_OTLP_PROTOCOL')
  const protocol = text?.trim() ?? 'http/protobuf'
  if (protocol === 'http/protobuf' || protocol === 'http/json') return protocol
  diag.warn(`OTLP protocol '${protocol}' is not supported: http/protobuf is used`)
  return 'http/protobuf'
}

function readCompression(option: unknown, problems: string[]): 'gzip' | 'none' {
  if (option === 'gzip' || option === 'none') return option
  if (option !== undefined) problems.push(`compression must be gzip or none: '${option}'`)
  const text =
    getStringFromEnv('OTEL_EXPORTER_OTLP_LOGS_COMPRESSION') ??
    getStringFromEnv('OTEL_EXPORTER_OTLP_COMPRESSION')
  const compression = text?.trim() ?? 'none'
  if (compression === 'gzip' || compression === 'none') return compression
  diag.warn(`OTLP compression '${compression}' is not supported: none is used`)
  return 'none'
}

function readHeaders(): { [name: string]: string } {
  const read = (name: string) => parseKeyPairsIntoRecord(getStringFromEnv(name) ?? '')
  return { ...read('OTEL_EXPORTER_OTLP_HEADERS'), ...read('OTEL_EXPORTER_OTLP_LOGS_HEADERS') }
}

function readSpool(option: unknown, problems: string[]): 'async' | 'fsync' | false {
  if (option === 'async' || option === 'fsync' || option === false) return option
  if (option !== undefined) problems.push(`spool must be async, fsync or false: '${option}'`)
  const text = getStringFromEnv('MADSCI_SPOOL')?.trim() ?? 'async'
  if (text === 'off' || text === 'false') return false
  if (text === 'async' || text === 'fsync') return text
  diag.warn(`MADSCI_SPOOL=${text} is none of async, fsync, off: async is used`)
  return 'async'
}

function readWhenFull(option: unknown, problems: string[]): 'reject' | 'drop-oldest' {
  if (option === 'drop-oldest') return option
  if (option !== undefined && option !== 'reject')
    problems.push(`whenFull must be reject or drop-oldest: '${option}'`)
  return 'reject'
}

/** The user's folder for what programs keep, by the habits of the system. */
function defaultSpoolDir(): string {
  const base =
    getStringFromEnv('XDG_STATE_HOME') ??
    (process.platform === 'win32' ? getStringFromEnv('LOCALAPPDATA') : undefined) ??
    join(homedir(), '.local', 'state')
  return join(base, 'madsci-events', 'spool')
}

function readDestinations(): Destination[] {
  const names = getStringListFromEnv('OTEL_LOGS_EXPORTER') ?? ['otlp']
  const known = names.filter((name) => name === 'otlp' || name === 'console')
  for (const name of names) {
    if (name !== 'otlp' && name !== 'console' && name !== 'none')
      diag.warn(`OTEL_LOGS_EXPORTER=${name} is not supported`)
  }
  // Only `none` switches sending off; a list of nothing but unknown names falls back to the default.
  if (known.length === 0 && !names.includes('none')) return ['otlp']
  return (['otlp', 'console'] as const).filter((name) => known.includes(name))
}
