import { isUlid, parseBoolean, parseEventType, parseLevel } from '@madsci-events/sdk/event'

/** Readers of a setting's text. Each throws an Error whose message follows the setting's name. */

/** Events of one of these types (any if not given) and at most this log_level (any if not given). */
export interface RetentionRuleSetting {
  types?: string[]
  maxLevel?: number
  softDeleteAfterDays: number
}

export function parseServerUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:') throw new Error(`must be an http URL, like http://localhost:8001: '${text}'`)
  return url
}

export function parseDatabaseUrl(text: string): string {
  if (/^(sqlite:.|mongodb(\+srv)?:\/\/.|null:$)/.test(text)) return text
  // The text may hold a password: only its scheme is repeated.
  throw new Error(`must begin with sqlite: or mongodb://, not '${text.split(':')[0]!.slice(0, 20)}'`)
}

export function parseInteger(text: string, least: number, most: number): number {
  const number = /^\d{1,16}$/.test(text.trim()) ? Number(text) : Number.NaN
  if (!(number >= least && number <= most))
    throw new Error(`must be an integer from ${least} to ${most}: '${text}'`)
  return number
}

export function parseFlag(text: string): boolean {
  const value = parseBoolean(text.trim())
  if (value === undefined) throw new Error(`must be true or false: '${text}'`)
  return value
}

export function parseSchedule(text: string): string {
  if (/^(@(hourly|daily|weekly|monthly)|(\S+\s+){4}\S+)$/.test(text.trim())) return text.trim()
  throw new Error(`must be five fields of cron, or @daily and the like: '${text}'`)
}

export function parseRetentionRules(text: string): RetentionRuleSetting[] {
  const wrong = () =>
    new Error(
      'must be a list like [{"event_type": ["log_debug"], "max_level": 10, "soft_delete_after_days": 7}]',
    )
  let rules: unknown
  try {
    rules = JSON.parse(text)
  } catch {
    throw wrong()
  }
  if (!Array.isArray(rules)) throw wrong()
  return rules.map((rule) => {
    const { event_type: types, max_level: level, soft_delete_after_days: days, ...others } = rule ?? {}
    const known = [types ?? []].flat().map((type) => parseEventType(type))
    const maxLevel = level === undefined ? undefined : parseLevel(level)
    const isSound =
      Number.isInteger(days) && days >= 1 && !known.includes(undefined) && Object.keys(others).length === 0
    if (!isSound || (level !== undefined && maxLevel === undefined)) throw wrong()
    return {
      ...(known.length > 0 && { types: known as string[] }),
      ...(maxLevel !== undefined && { maxLevel }),
      softDeleteAfterDays: days as number,
    }
  })
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
