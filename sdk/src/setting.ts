import { homedir } from 'node:os'
import { join } from 'node:path'
import { readTls, type Tls } from './agent.ts'
import { diag, setLogLevel } from './diagnostic.ts'
import { type Environment, readEnvironment, readIdsFromEnv, withoutEndpoint } from './environment.ts'
import { EventError } from './event/error.ts'
import type { Source, SourceInput } from './event/event.ts'
import { findUnknown } from './option-name.ts'
import {
  checkSource,
  createSettingSource,
  noTimeoutMs,
  type SettingSource,
  toWrongUrlText,
} from './setting-source.ts'
import { trimEndSlashes } from './slash.ts'

export type Protocol = 'http/protobuf' | 'http/json'
export type ExporterName = 'otlp' | 'console'

/** What a program may say in code; it wins over OTEL_* variables, which win over the defaults in docs/settings.md. */
export interface ClientOptions {
  /** The receiver: OTLP goes to `<url>/v1/logs`, queries to its REST routes. */
  url?: string | undefined
  /** Where queries go, when `url` is a Collector, which answers none. */
  restUrl?: string | undefined
  /** Who speaks: `service.name`. */
  name?: string | undefined
  /** Ids that hold for the whole process. */
  source?: SourceInput | undefined
  /** More about the process, as OpenTelemetry resource attributes. */
  resource?: { [key: string]: string | number | boolean | undefined } | undefined
  protocol?: Protocol | undefined
  compression?: 'gzip' | 'none' | undefined
  /** Sent with every request, of OTLP and of queries. */
  headers?: { [name: string]: string | undefined } | undefined
  /** For one request with its retries, and for one query; 0 is no limit. */
  timeoutMs?: number | undefined
  /** How long an event may wait for others to share its request. */
  scheduleDelayMs?: number | undefined
  /** For one request that neither ends nor fails: then its connection is cut; 0 is no limit. */
  exportTimeoutMs?: number | undefined
  /** flush() and close() give up once nothing has been delivered for so long. */
  flushTimeoutMs?: number | undefined
  /**
   * Events go to files before they are sent: `async` (a crash loses none, a power cut may), `fsync` (nor does a power cut,
   * and each call waits for the disk), or `false`: they wait in memory.
   */
  spool?: 'async' | 'fsync' | false | undefined
  /** Where those files go. */
  spoolDir?: string | undefined
  /** What they may take; each process of a name has as much. */
  maxSpoolBytes?: number | undefined
  /** Events older than that are dropped, and counted. */
  maxSpoolAgeMs?: number | undefined
  /** What goes when there is no room: the new event, or the oldest ones. */
  whenFull?: 'reject' | 'drop-oldest' | undefined
  /** Events that may wait in memory, with no spool or one that cannot be written. */
  maxQueueEvents?: number | undefined
  /** The same in bytes. */
  maxQueueBytes?: number | undefined
  /** Events in one request. */
  maxBatchEvents?: number | undefined
  /** More endpoints. Each has a queue, a spool and retries of its own, so that none holds up another. */
  destinations?: DestinationOptions[] | undefined
}

/** One more endpoint. What it leaves out is as for the first one, but for `headers`: those are nobody else's. */
export interface DestinationOptions extends Pick<ClientOptions, DeliveryOption> {
  url: string
}

const deliveryNames = [
  'protocol',
  'compression',
  'headers',
  'timeoutMs',
  'scheduleDelayMs',
  'exportTimeoutMs',
  'maxSpoolBytes',
  'maxSpoolAgeMs',
  'whenFull',
  'maxQueueEvents',
  'maxQueueBytes',
  'maxBatchEvents',
] as const satisfies (keyof ClientOptions)[]
type DeliveryOption = (typeof deliveryNames)[number]
const destinationNames = ['url', ...deliveryNames]
const optionNames = [
  ...destinationNames,
  'restUrl',
  'name',
  'source',
  'resource',
  'flushTimeoutMs',
  'spool',
  'spoolDir',
  'destinations',
] as const satisfies (keyof ClientOptions)[] | string[]

/** The same, with nothing left open. */
export interface Settings {
  disabled: boolean
  exporters: ExporterName[]
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
  environment: Environment
  /** The same for every destination beyond the first. */
  others: Settings[]
}

// An event is at most so many attributes: id, type, level, alert, data and the ten ids.
const ownAttributes = 16
const defaultUrl = 'http://localhost:8001'

/** Options that have no meaning where they are given, and why; a program in JavaScript may give them all the same. */
export type ForeignOptions = { [name in keyof ClientOptions]?: string }

/**
 * Options over variables over defaults. A wrong variable is warned of; a wrong option throws EVT_CONFIG, all of them at once, and
 * so do `foreign` ones.
 */
export function readSettings(options: ClientOptions, foreign: ForeignOptions = {}): Settings {
  const problems = findUnknown(options, optionNames, '')
  for (const [name, why] of Object.entries(foreign))
    if (options[name as keyof ClientOptions] !== undefined) problems.push(`${name} ${why}`)
  const environment = readEnvironment()
  setLogLevel(environment.get('OTEL_LOG_LEVEL'))
  const settings = readOne(options, environment, problems)
  // What is wrong with the first is wrong with each: it is told once.
  if (problems.length === 0) settings.others = readOthers(options, settings, problems)
  if (problems.length > 0) throw new EventError('EVT_CONFIG', problems.join('; '), { detail: problems })
  return settings
}

function readOne(options: ClientOptions, environment: Environment, problems: string[], at = ''): Settings {
  const source = createSettingSource(environment, problems)
  const number = (name: keyof ClientOptions, variables: string[], fallback: number, least: number) =>
    source.number(options[name], `${at}${name}`, { variables, fallback, least })
  const limit = <Fallback extends number | undefined>(name: string, fallback: Fallback, least: number) => {
    const variables = [`OTEL_LOGRECORD_ATTRIBUTE_${name}`, `OTEL_ATTRIBUTE_${name}`]
    return source.number(undefined, '', { variables, fallback, least })
  }
  const genericUrl = source.url(undefined, '', ['OTEL_EXPORTER_OTLP_ENDPOINT', 'EVENT_SERVER_URL'])
  const givenUrl = source.url(options.url, `${at}url`, [])
  const url = givenUrl ?? source.url(undefined, '', ['MADSCI_URL'])
  const restUrl =
    source.url(options.restUrl, 'restUrl', []) ?? givenUrl ?? source.url(undefined, '', ['MADSCI_REST_URL'])
  const logsUrl = source.url(undefined, '', ['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT'])
  const usedUrls = {
    logs: url ? logsUrlOf(url) : (logsUrl ?? logsUrlOf(genericUrl ?? defaultUrl)),
    rest: baseUrlOf(restUrl ?? url ?? genericUrl ?? defaultUrl),
  }
  for (const { variable, text } of source.wrongUrls) {
    const used = variable === 'MADSCI_REST_URL' ? usedUrls.rest : usedUrls.logs
    diag.warn(toWrongUrlText(environment.nameOf(variable), text, used))
  }
  const maxQueueEvents = number('maxQueueEvents', ['OTEL_BLRP_MAX_QUEUE_SIZE'], 65_536, 1)
  const batch = number('maxBatchEvents', ['OTEL_BLRP_MAX_EXPORT_BATCH_SIZE'], 512, 1)
  const timeout = ['OTEL_EXPORTER_OTLP_LOGS_TIMEOUT', 'OTEL_EXPORTER_OTLP_TIMEOUT']
  const serviceName = options.name ?? source.text('OTEL_SERVICE_NAME')
  return {
    disabled: source.isTrue('OTEL_SDK_DISABLED'),
    exporters: readExporters(source),
    logsUrl: usedUrls.logs,
    restUrl: usedUrls.rest,
    serviceName,
    source: { ...readIdsFromEnv(), ...checkSource(options.source, problems) },
    resource: withoutUndefined(options.resource),
    protocol: source.word(options.protocol, `${at}protocol`, {
      variables: ['OTEL_EXPORTER_OTLP_LOGS_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'],
      words: ['http/protobuf', 'http/json'],
      fallback: 'http/protobuf',
    }),
    compression: source.word(options.compression, `${at}compression`, {
      variables: ['OTEL_EXPORTER_OTLP_LOGS_COMPRESSION', 'OTEL_EXPORTER_OTLP_COMPRESSION'],
      words: ['none', 'gzip'],
      fallback: 'none',
    }),
    headers: {
      ...source.pairs('OTEL_EXPORTER_OTLP_HEADERS'),
      ...source.pairs('OTEL_EXPORTER_OTLP_LOGS_HEADERS'),
      ...withoutUndefined(options.headers),
    },
    timeoutMs: number('timeoutMs', timeout, 10_000, 0) || noTimeoutMs,
    scheduleDelayMs: number('scheduleDelayMs', ['OTEL_BLRP_SCHEDULE_DELAY'], 1000, 0),
    exportTimeoutMs: number('exportTimeoutMs', ['OTEL_BLRP_EXPORT_TIMEOUT'], 30_000, 0) || noTimeoutMs,
    flushTimeoutMs: number('flushTimeoutMs', [], 10_000, 0),
    spool: readSpool(options.spool, source),
    spoolDir: options.spoolDir ?? source.text('MADSCI_SPOOL_DIR') ?? defaultSpoolDir(source),
    spoolName: serviceName ?? 'unknown_service',
    maxSpoolBytes: number('maxSpoolBytes', [], 1024 * 1024 * 1024, 1024 * 1024),
    maxSpoolAgeMs: number('maxSpoolAgeMs', [], 14 * 24 * 3600 * 1000, 1000),
    whenFull: source.word(options.whenFull, `${at}whenFull`, {
      variables: [],
      words: ['reject', 'drop-oldest'],
      fallback: 'reject',
    }),
    maxQueueEvents,
    maxQueueBytes: number('maxQueueBytes', [], 64 * 1024 * 1024, 1),
    maxBatchEvents: Math.min(batch, maxQueueEvents),
    textLimit: limit('VALUE_LENGTH_LIMIT', undefined, 1),
    attributeCountLimit: limit('COUNT_LIMIT', 128, ownAttributes),
    tls: readTls(environment),
    environment,
    others: [],
  }
}

function readOthers(options: ClientOptions, first: Settings, problems: string[]): Settings[] {
  const { environment } = first
  const { url: _, headers: __, destinations, ...rest } = options
  const taken = new Set([first.logsUrl])
  const isNew = ({ logsUrl }: Settings) => !taken.has(logsUrl) && taken.add(logsUrl)
  if (destinations === undefined) {
    return environment.others
      .map((one) => readOne(rest, one, problems))
      .filter((one) => isNew(one) || void diag.warn(`${one.logsUrl} is a destination already: it is one`))
  }
  if (!Array.isArray(destinations)) {
    problems.push('destinations must be a list')
    return []
  }
  const plain = withoutEndpoint(environment)
  return destinations.map((one, i) => {
    const at = `destinations[${i}]`
    problems.push(...findUnknown(one, destinationNames, `${at}.`))
    const settings = readOne({ ...rest, ...withoutUndefined(one) }, plain, problems, `${at}.`)
    if (one.url === undefined) problems.push(`${at}.url is missing`)
    else if (!isNew(settings)) problems.push(`${at}.url is a destination already: '${one.url}'`)
    return settings
  })
}

/** OpenTelemetry's habit is to name the path for logs, too: it is the same receiver. */
const logsPath = /\/v1\/logs\/*$/

function logsUrlOf(base: string): string {
  const url = new URL(base)
  if (!logsPath.test(url.pathname)) url.pathname = `${trimEndSlashes(url.pathname)}/v1/logs`
  return url.href
}

function baseUrlOf(text: string): string {
  const url = new URL(text)
  if (!logsPath.test(url.pathname)) return text
  url.pathname = url.pathname.replace(logsPath, '')
  return url.href
}

/** What is undefined is left out, not set. */
function withoutUndefined<Members extends object>(
  members: Members | undefined,
): { [key in keyof Members]: Exclude<Members[key], undefined> } {
  const given = Object.entries(members ?? {}).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given) as never
}

function readSpool(option: unknown, source: SettingSource): 'async' | 'fsync' | false {
  if (option === false) return false
  const variables = ['MADSCI_SPOOL']
  const words = ['async', 'fsync', 'off', 'false'] as const
  const word = source.word(option, 'spool', { variables, words, fallback: 'async' })
  return word === 'off' || word === 'false' ? false : word
}

/** The user's folder for what programs keep, by the habits of the system. */
function defaultSpoolDir({ text }: SettingSource): string {
  const base =
    text('XDG_STATE_HOME') ??
    (process.platform === 'win32' ? text('LOCALAPPDATA') : undefined) ??
    join(homedir(), '.local', 'state')
  return join(base, 'madsci-events', 'spool')
}

function readExporters(source: SettingSource): ExporterName[] {
  const names = source.list('OTEL_LOGS_EXPORTER') ?? ['otlp']
  const known = names.filter((name) => name === 'otlp' || name === 'console')
  for (const name of names) {
    if (name !== 'otlp' && name !== 'console' && name !== 'none')
      diag.warn(`OTEL_LOGS_EXPORTER=${name} is not supported`)
  }
  // Only `none` switches sending off; a list of nothing but unknown names falls back to the default.
  if (known.length === 0 && !names.includes('none')) return ['otlp']
  return (['otlp', 'console'] as const).filter((name) => known.includes(name))
}
