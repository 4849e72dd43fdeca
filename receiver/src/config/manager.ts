import { toLevel } from '../level.ts'
import { showUrl } from '../url.ts'
import { count, flag, optionalCount, optionalText, orNull, setting, word } from './setting.ts'
import {
  parseExplorerUrl,
  parseNumber,
  parsePort,
  parseServerUrl,
  parseUlid,
  parseUrl,
  parseWord,
  parseZone,
} from './value.ts'

/** Who this receiver is and where it listens. */

const managerTypes = [
  'event_manager',
  'workcell_manager',
  'resource_manager',
  'auth_manager',
  'data_manager',
  'transfer_manager',
  'experiment_manager',
  'lab_manager',
  'location_manager',
] as const

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]
/** MADSci's levels. */
const byLevel: { [level: number]: LogLevel } = {
  10: 'debug',
  20: 'info',
  30: 'warn',
  40: 'error',
  50: 'fatal',
}

export const managerSettings = {
  server_url: setting({
    fallback: 'http://localhost:8001/',
    unit: 'URL',
    about: 'host and port to listen on; port 0 takes a free one',
    parse: parseServerUrl,
    show: (url) => showUrl(url),
    schema: { type: 'string', format: 'uri' },
  }),
  otlp_port: setting({
    fallback: '4318',
    unit: 'port or `none`',
    about:
      'second listener, on the same host, for OTLP/HTTP alone; when it is not set and 4318 is taken, a warning',
    parse: parsePort,
    schema: orNull('integer'),
  }),
  grpc_port: setting({
    fallback: '4317',
    unit: 'port or `none`',
    about: 'listener, on the same host, for OTLP/gRPC; when it is not set and 4317 is taken, a warning',
    parse: parsePort,
  }),
  manager_id: setting({
    fallback: '',
    unit: 'ULID',
    about:
      "`source.manager_id` of events posted without a source; if not set, the one under the manager's name in `.madsci/registry.json`",
    parse: parseUlid,
    schema: orNull('string'),
  }),
  manager_type: word('event_manager', managerTypes, 'shown in /settings, without effect'),
  manager_name: optionalText({
    unit: 'text',
    about: 'title of the API description, `EventManager` if not set',
  }),
  manager_description: optionalText({ unit: 'text', about: 'description of the API description' }),
  lab_url: setting({
    fallback: '',
    unit: 'URL',
    about: "the laboratory manager's address: shown in /settings, without effect",
    parse: (given) => (given === '' ? undefined : parseUrl(given)),
    show: (url) => url && showUrl(url),
    schema: orNull('string'),
  }),
  enable_registry_resolution: flag(
    'takes `manager_id` from `.madsci/registry.json`, or writes a new one there, one for all receivers that start together; `false`: a new one at each start',
    true,
  ),
  registry_lock_timeout: setting({
    fallback: '60.0',
    unit: 's',
    about: 'without effect: the registry is read without a lock',
    parse: (given) => parseNumber(given, 0),
    schema: { type: 'number', minimum: 0 },
  }),
  uvicorn_workers: optionalCount(undefined, {
    unit: 'processes',
    about: 'without effect: one process does it all',
  }),
  uvicorn_limit_concurrency: optionalCount(undefined, {
    unit: 'connections',
    about: 'without effect: max_in_flight_bytes bounds what is under way',
  }),
  uvicorn_limit_max_requests: optionalCount(undefined, { unit: 'requests', about: 'without effect' }),
  naive_timezone: setting({
    fallback: '',
    unit: 'IANA zone',
    about: 'converts times without a zone from it to UTC; not set: they stay as they are and count as UTC',
    parse: parseZone,
    schema: orNull('string'),
  }),
  log_level: setting({
    fallback: 'info',
    unit: `${logLevels.map((level) => `\`${level}\``).join(', ')}, or one of \`alert_level\``,
    about: "the receiver's own log on standard error: JSON lines, on a terminal sentences",
    clashes: true,
    parse(given) {
      const word = given.trim().toLowerCase()
      const level = toLevel(word)
      return parseWord((level && byLevel[level]) || word, logLevels)
    },
    schema: { type: 'string', enum: logLevels },
  }),
  request_timeout_ms: count(60_000, 0, {
    unit: 'ms',
    about: 'how long a request may take to arrive whole; 0 = no limit',
    most: 2 ** 31 - 1,
  }),
  explorer_url: setting({
    fallback: '',
    unit: 'URL with `{event_id}`',
    about:
      'page that shows one event among its neighbours, as docker/ has one in Grafana: where `GET /event/{event_id}/logs` leads. `{from}` and `{to}` in it are five minutes before and after the event, ms since 1970. Not set: `/e/{event_id}` of this receiver',
    parse: (given) => (given === '' ? undefined : parseExplorerUrl(given)),
    show: (url) => url && showUrl(url),
    schema: orNull('string'),
  }),
  pages: word(
    'read',
    ['off', 'read', 'act'],
    'pages for people in a browser: the laboratory at `/`, an event at `/e/{event_id}`; `act`: with buttons, also for alerts and backups; `off`: none, and links lead to JSON',
  ),
  drain_delay_ms: count(0, 0, {
    unit: 'ms',
    about:
      'after SIGTERM, how long requests are still taken while /health/ready says 503: time for a balancer to learn of it',
    most: 600_000,
  }),
  shutdown_timeout_ms: count(10_000, 0, {
    unit: 'ms',
    about: 'how long requests under way may take to end after SIGTERM or ctrl-C',
    most: 2 ** 31 - 1,
  }),
}
