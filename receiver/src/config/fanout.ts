import { showUrl } from '../url.ts'
import { redacted, setting, structured } from './setting.ts'

/** A destination as an operator writes it. */
export interface FanoutSetting {
  name: string
  url: URL
  headers: { [name: string]: string }
  protocol: 'http/protobuf' | 'http/json'
  compression: 'gzip' | 'none'
  include: 'rest' | 'all'
  from: 'now' | 'beginning'
  /** A MongoDB selector. */
  selector: unknown
  batchEvents: number
  timeoutMs: number
}

/** Where stored events go on to. */
export const fanoutSettings = {
  fanout: structured('[]', {
    unit: 'JSON',
    about: 'list of destinations to which stored events are sent again as OTLP: see Fan-out',
    parse: parseFanout,
    show: (list) =>
      list.map(({ url, headers, batchEvents, timeoutMs, ...one }) => ({
        ...one,
        url: showUrl(url),
        headers: Object.fromEntries(Object.keys(headers).map((name) => [name, redacted])),
        batch_events: batchEvents,
        timeout_ms: timeoutMs,
      })),
  }),
  otlp_forward_url: setting({
    fallback: '',
    unit: 'URL',
    about:
      'an OTLP/HTTP receiver, like http://localhost:4318, to which traces and metrics are passed on; not set: they are taken and dropped, and counted',
    secret: true,
    parse: (given) => (given === '' ? undefined : toHttpUrl(given)),
  }),
}

const members = [
  'name',
  'url',
  'headers',
  'protocol',
  'compression',
  'include',
  'from',
  'selector',
  'batch_events',
  'timeout_ms',
]

function parseFanout(value: unknown): FanoutSetting[] {
  if (!Array.isArray(value))
    throw new Error('must be a list like [{"name": "loki", "url": "http://loki:3100/otlp"}]')
  const list = value.map((one: unknown, index) => {
    try {
      return parseDestination(one)
    } catch (error) {
      throw new Error(`is not right: destination ${index + 1} ${(error as Error).message}`)
    }
  })
  const names = list.map(({ name }) => name)
  if (new Set(names).size < names.length) throw new Error('has two destinations of one name')
  return list
}

function parseDestination(value: unknown): FanoutSetting {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('must be an object')
  const given = value as { [name: string]: unknown }
  const unknown = Object.keys(given).find((name) => !members.includes(name))
  if (unknown !== undefined) throw new Error(`has a member '${unknown}'; there are: ${members.join(', ')}`)
  const { name, url, headers = {}, selector } = given
  if (typeof name !== 'string' || !/^[\w.-]{1,60}$/.test(name))
    throw new Error('needs a name of letters, digits, dots, dashes and underscores')
  if (typeof url !== 'string') throw new Error('needs a url')
  if (
    selector !== undefined &&
    (typeof selector !== 'object' || selector === null || Array.isArray(selector))
  )
    throw new Error('has a selector that is no object')
  return {
    name,
    url: toHttpUrl(url),
    headers: toHeaders(headers),
    protocol: oneOf(given, 'protocol', ['http/protobuf', 'http/json']),
    compression: oneOf(given, 'compression', ['gzip', 'none']),
    include: oneOf(given, 'include', ['rest', 'all']),
    from: oneOf(given, 'from', ['now', 'beginning']),
    selector,
    batchEvents: integerOf(given, 'batch_events', 2000, 10_000),
    timeoutMs: integerOf(given, 'timeout_ms', 30_000, 600_000),
  }
}

function toHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // The text may hold a password.
  if (!url || !/^https?:$/.test(url.protocol)) throw new Error('must have an http or https URL')
  return url
}

function toHeaders(value: unknown): { [name: string]: string } {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  const entries = isObject ? Object.entries(value) : []
  if (
    !isObject ||
    entries.some(([name, text]) => !/^[\w-]+$/.test(name) || typeof text !== 'string' || /[\r\n]/.test(text))
  )
    throw new Error('has headers that are no object of texts')
  return Object.fromEntries(entries)
}

function oneOf<Word extends string>(
  given: { [name: string]: unknown },
  name: string,
  words: readonly Word[],
): Word {
  const value = given[name] ?? words[0]
  const word = words.find((one) => one === value)
  if (word === undefined) throw new Error(`has a ${name} that is none of ${words.join(', ')}`)
  return word
}

function integerOf(given: { [name: string]: unknown }, name: string, fallback: number, most: number): number {
  const value = given[name] ?? fallback
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > most)
    throw new Error(`has a ${name} that is no integer from 1 to ${most}`)
  return value
}
