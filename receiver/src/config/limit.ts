import { createClients } from '../client.ts'
import { count, flag, optionalCount, setting, structured } from './setting.ts'
import { parseTexts, toJsonValue } from './value.ts'

/** What one request, one client and all of them together may ask for. */
export const limitSettings = {
  rate_limit_enabled: flag('limits REST reads and control routes for each client address', true),
  rate_limit_requests: count(300, 1, {
    unit: 'requests',
    about: 'requests of one address in the long window',
  }),
  rate_limit_window: count(60, 1, { unit: 's', about: 'the long window' }),
  rate_limit_short_requests: optionalCount(50, {
    unit: 'requests or `none`',
    about: 'requests of one address in the short window; `none`: no short window',
  }),
  rate_limit_short_window: optionalCount(1, {
    unit: 's or `none`',
    about: 'the short window; `none`: no short window',
  }),
  rate_limit_cleanup_interval: count(300, 1, {
    unit: 's',
    about: 'time after which addresses that ask no more are forgotten',
  }),
  rate_limit_exempt_ips: structured('null', {
    unit: 'JSON',
    about: 'list of addresses without limits; `null` stands for `["127.0.0.1", "::1"]`',
    parse: (value) => (value === null ? undefined : parseTexts(value)),
    show: (list) => list,
    schema: { anyOf: [{ type: 'array', items: { type: 'string' } }, { type: 'null' }] },
  }),
  cors_origins: setting({
    fallback: '',
    unit: '`*` or JSON',
    about: 'list of origins whose pages may read and write, `*` for all; not set: none',
    parse: parseOrigins,
    schema: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }, { type: 'null' }] },
  }),
  allowed_hosts: structured('[]', {
    unit: 'JSON',
    about:
      'list of names under which requests may address this receiver (header Host), beside IP addresses, names without a dot, `.local`, `.localhost`, `.internal`, `.svc`, `.svc.cluster.local`, the name of the machine, and the hosts of server_url and public_url; `["*"]`: any',
    parse: parseTexts,
    show: (list) => list,
    schema: { type: 'array', items: { type: 'string' } },
  }),
  trusted_proxies: structured('[]', {
    unit: 'JSON',
    about:
      'list of addresses and networks (such as `10.0.0.0/8`) of proxies before this receiver: whose request it is, for limits and shares by address, is then said by `X-Forwarded-For`',
    parse: parseProxies,
    show: (list) => list,
    schema: { type: 'array', items: { type: 'string' } },
  }),
  max_body_bytes: count(67_108_864, 1024, {
    unit: 'bytes',
    about:
      'largest body, also after decompression; over it 413. What is no event (selectors, lists of ids, rules) has 8 MiB and 500,000 values at most, an event 4 million values; and 15 MiB as it is stored, where a value counts for 8 bytes beside its characters, an object or list for 40',
    most: 2 ** 30,
  }),
  max_connections: count(1000, 4, {
    unit: 'connections',
    about:
      'connections of each listener; three quarters of them for one address; never more than the descriptors of the process (`ulimit -n`) allow',
    most: 1_000_000,
  }),
  max_request_records: count(200_000, 1, {
    unit: 'records',
    about: 'records of one OTLP request; over it 413',
    most: 10_000_000,
  }),
  max_in_flight_bytes: count(134_217_728, 1024, {
    unit: 'bytes',
    about: 'bodies under way together; over it 429 with Retry-After, before the body is read',
    most: 2 ** 40,
  }),
  max_batch_events: count(2000, 1, {
    unit: 'events',
    about:
      'events of one store write at most; a larger request is written in parts, and other requests between them',
    most: 100_000,
  }),
  query_timeout_ms: count(60_000, 0, {
    unit: 'ms',
    about: 'how long a query may take to find its next events; 0 = no limit',
    most: 2 ** 31 - 1,
  }),
  write_timeout_ms: count(30_000, 100, {
    unit: 'ms',
    about: 'how long a client may read nothing of an answer before its connection is closed',
    most: 2 ** 31 - 1,
  }),
}

function parseProxies(value: unknown): string[] {
  const list = parseTexts(value)
  for (const one of list) {
    try {
      createClients([one])
    } catch {
      throw new Error(`must hold addresses or networks: '${one}'`)
    }
  }
  return list
}

function parseOrigins(given: string): '*' | string[] | undefined {
  if (given === '') return undefined
  if (given === '*') return '*'
  const origins = parseTexts(toJsonValue(given))
  const wrong = origins.find((one) => !URL.canParse(one) || new URL(one).origin !== one)
  if (wrong !== undefined) throw new Error(`must hold origins like "https://lab.example": '${wrong}'`)
  return origins
}
