import { EventError, isUlid } from '@madsci-events/sdk/event'

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

function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:') throw new Error(`must be an http URL, like http://localhost:8001: '${text}'`)
  return url
}

function parseDatabaseUrl(text: string): string {
  if (/^(sqlite:.|mongodb(\+srv)?:\/\/.|null:$)/.test(text)) return text
  // The text may hold a password: only its scheme is repeated.
  throw new Error(`must begin with sqlite: or mongodb://, not '${text.split(':')[0]!.slice(0, 20)}'`)
}

function parseInteger(text: string, least: number, most: number): number {
  const number = /^\d{1,16}$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most))
    throw new Error(`must be an integer from ${least} to ${most}: '${text}'`)
  return number
}

function parseWord<Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text)
  if (word === undefined) throw new Error(`must be one of ${words.join(', ')}: '${text}'`)
  return word
}

function parseName(text: string): string {
  if (!/^[^\s/\\."$*<>:|?\0]{1,60}$/.test(text)) throw new Error(`is no name for MongoDB: '${text}'`)
  return text
}

function parseUlid(text: string): string | undefined {
  if (text === '') return undefined
  if (!isUlid(text)) throw new Error(`must be a ULID, upper case: '${text}'`)
  return text
}

function parseZone(text: string): string | undefined {
  if (text === '') return undefined
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
  } catch {
    throw new Error(`must be an IANA time zone, like Europe/Berlin: '${text}'`)
  }
}
