import { isUlid, parseBoolean } from '@madsci-events/sdk/event'
import { hidden, showUrl, splitLogin } from '../url.ts'

/** Readers of a setting's text. Each throws an Error whose message follows the setting's name. */

/** What a source holds, as text: null is '', lists and objects are JSON. */
export function settingText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export function toJsonValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error('must be JSON')
  }
}

export function toJsonObject(text: string, example = '{"name": "value"}'): { [name: string]: unknown } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {}
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`must be an object, like ${example}`)
  return value as { [name: string]: unknown }
}

export function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:')
    throw new Error(`must be an http URL, like http://localhost:8001: '${showUrl(text)}'`)
  return url
}

export function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new Error(`must be a URL, like http://localhost:8000: '${showUrl(text)}'`)
  return new URL(text)
}

export function parseExplorerUrl(text: string): string {
  const { protocol } = parseUrl(text.replaceAll('{event_id}', 'x'))
  if (text.includes('{event_id}') && /^https?:$/.test(protocol)) return text
  throw new Error(`must be an http URL with {event_id} in it: '${showUrl(text)}'`)
}

export function parseDatabaseUrl(text: string): string {
  if (/^(sqlite:.|mongodb(\+srv)?:\/\/.|null:$)/.test(text)) return text
  // The text may hold a password: only its scheme is repeated.
  const scheme = /^([a-z][a-z0-9+.-]{0,19}):\/\//i.exec(text)?.[1]
  throw new Error(`must begin with sqlite: or mongodb://${scheme ? `, not ${scheme}://` : ''}`)
}

/** Neither user nor password nor options. */
export function hideCredentials(url: string): string {
  if (!/^mongodb(\+srv)?:/.test(url)) return url
  return showUrl(url).replace(`${hidden}@`, '').replace(/\?.*$/s, '')
}

export function parseInteger(text: string, least: number, most: number): number {
  const number = /^\d{1,16}$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most))
    throw new Error(`must be an integer from ${least} to ${most}: '${text}'`)
  return number
}

/** '' and `none` are undefined. */
export function parsePort(text: string): number | undefined {
  if (text === '' || text === 'none') return undefined
  try {
    return parseInteger(text, 0, 65535)
  } catch {
    throw new Error(`must be an integer from 0 to 65535, or none: '${text}'`)
  }
}

export function parseFlag(text: string): boolean {
  const value = parseBoolean(text.trim())
  if (value === undefined) throw new Error(`must be true or false: '${text}'`)
  return value
}

export function parseWord<Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === text)
  if (word === undefined) throw new Error(`must be one of ${words.join(', ')}: '${text}'`)
  return word
}

export function parseName(text: string): string {
  if (!/^[^\s/\\."$*<>:|?\0]{1,60}$/.test(text)) throw new Error(`is no name for MongoDB: '${text}'`)
  return text
}

export function parseUlid(text: string): string | undefined {
  if (text === '') return undefined
  if (!isUlid(text)) throw new Error(`must be a ULID, upper case: '${text}'`)
  return text
}

export function parseZone(text: string): string | undefined {
  if (text === '') return undefined
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone
  } catch {
    throw new Error(`must be an IANA time zone, like Europe/Berlin: '${text}'`)
  }
}

export function parseNumber(text: string, least: number): number {
  const number = text.trim() === '' ? Number.NaN : Number(text)
  if (!(number >= least && number < Number.POSITIVE_INFINITY))
    throw new Error(`must be a number of at least ${least}: '${text}'`)
  return number
}

/** A list of texts. */
export function parseTexts(value: unknown): string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value
  throw new Error('must be a list of texts, like ["one", "two"]')
}

/** Addresses of mail; a text is one of them. */
export function parseAddresses(value: unknown): string[] {
  const list = typeof value === 'string' ? [value] : value
  if (!Array.isArray(list) || !list.every((one) => typeof one === 'string'))
    throw new Error('must be a list, like ["lab@example.org"]')
  const isText = typeof value === 'string'
  if (isText && [...'[]{}", '].some((one) => value.includes(one)))
    throw new Error('must be a list, like ["lab@example.org"]')
  const strange = list.find((one) => !one.slice(1, -1).includes('@'))
  if (strange !== undefined) throw new Error(`must hold addresses like lab@example.org: '${strange}'`)
  return list
}

export function parseObject(value: unknown): { [name: string]: unknown } {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Error('must be an object, like {"name": {…}}')
}

/** With a slash at the end, and without a login: it goes into messages. */
export function parsePublicUrl(text: string): string | undefined {
  if (text === '') return undefined
  if (!URL.canParse(text) || !/^https?:/.test(text))
    throw new Error(`must be an http or https URL: '${showUrl(text)}'`)
  const bare =
    new URL(text).username === '' && new URL(text).password === '' ? text : splitLogin(new URL(text)).url.href
  return bare.endsWith('/') ? bare : `${bare}/`
}
