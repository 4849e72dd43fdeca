import { parseKeyPairsIntoRecord } from '@opentelemetry/core'
import { diag } from './diagnostic.ts'
import type { Environment } from './environment.ts'
import { type Source, type SourceInput, sourceKeys } from './event/event.ts'
import { isUlid } from './event/id.ts'

/**
 * One option at a time: what the program says, else the first variable that says something, else the default. A wrong
 * variable is warned of, and passed over; a wrong option is one of the `problems`.
 */
export interface SettingSource {
  number<Fallback extends number | undefined>(
    option: unknown,
    name: string,
    choice: NumberChoice<Fallback>,
  ): number | Fallback
  /** One of a few words. */
  word<Word extends string>(option: unknown, name: string, choice: WordChoice<Word>): Word
  /** An http or https URL. A variable that holds none is one of `wrongUrls`: what is used instead is known to the caller. */
  url(option: unknown, name: string, variables: string[]): string | undefined
  readonly wrongUrls: readonly { variable: string; text: string }[]
  text(variable: string): string | undefined
  isTrue(variable: string): boolean
  list(variable: string): string[] | undefined
  pairs(variable: string): { [name: string]: string }
}

interface NumberChoice<Fallback> {
  variables: string[]
  fallback: Fallback
  least: number
}

interface WordChoice<Word> {
  variables: string[]
  words: readonly Word[]
  fallback: Word
}

/** setTimeout takes no more: some 25 days, which here means never. */
export const noTimeoutMs = 2 ** 31 - 1

export function createSettingSource(environment: Environment, problems: string[]): SettingSource {
  const { nameOf } = environment
  const get = (variable: string) => environment.get(variable)
  const wrongUrls: { variable: string; text: string }[] = []
  const source: SettingSource = {
    wrongUrls,
    text: get,
    number(option, name, { variables, fallback, least }) {
      if (option !== undefined) {
        if (typeof option === 'number' && option >= least) return Math.min(option, noTimeoutMs)
        problems.push(`${name} must be a number of at least ${least}`)
      }
      for (const variable of variables) {
        const text = get(variable)?.trim()
        if (text === undefined) continue
        const value = Number(text)
        if (Number.isNaN(value))
          diag.warn(`Unknown value '${text}' for ${nameOf(variable)}, expected a number: it is not used`)
        else if (value >= least) return Math.min(value, noTimeoutMs)
        else diag.warn(`${nameOf(variable)}=${value} is less than ${least}: it is not used`)
      }
      return fallback
    },
    word(option, name, { variables, words, fallback }) {
      const find = (text: unknown) => words.find((word) => word === text)
      const given = find(option)
      if (given !== undefined) return given
      if (option !== undefined) problems.push(`${name} must be ${words.join(' or ')}: '${option}'`)
      const variable = variables.find((one) => get(one) !== undefined)
      if (variable === undefined) return fallback
      const text = get(variable)!.trim()
      const word = find(text)
      if (word === undefined)
        diag.warn(`${nameOf(variable)}: '${text}' is not supported: ${fallback} is used`)
      return word ?? fallback
    },
    url(option, name, variables) {
      if (option !== undefined) {
        if (isHttp(option)) return option
        problems.push(`${name} is no http or https URL: '${option}'`)
      }
      for (const variable of variables) {
        const text = get(variable)?.trim()
        if (text === undefined) continue
        if (isHttp(text)) return text
        wrongUrls.push({ variable, text })
      }
      return undefined
    },
    isTrue(variable) {
      const text = get(variable)?.trim().toLowerCase() ?? 'false'
      if (text !== 'true' && text !== 'false')
        diag.warn(
          `Unknown value '${text}' for ${nameOf(variable)}, expected 'true' or 'false': it is not used`,
        )
      return text === 'true'
    },
    list(variable) {
      const names = get(variable)
        ?.split(',')
        .map((name) => name.trim())
      return names?.filter((name) => name !== '')
    },
    pairs: (variable) => parseKeyPairsIntoRecord(get(variable) ?? ''),
  }
  return source
}

function isHttp(text: unknown): text is string {
  return typeof text === 'string' && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

/** What is told of a URL in a variable that is none. */
export function toWrongUrlText(name: string, text: string, usedUrl: string): string {
  const meant = `http://${text}`
  const question = !text.includes('://') && isHttp(meant) ? `; is ${withoutSecrets(meant)} meant?` : ''
  return `madsci-events: ${name} is no http or https URL: '${withoutSecrets(text)}' is not used, but ${withoutSecrets(usedUrl)}${question}`
}

/** Of what may be a URL: without user, password, query and fragment. */
function withoutSecrets(text: string): string {
  const schemeEnd = text.indexOf('://')
  const scheme = schemeEnd < 0 ? '' : text.slice(0, schemeEnd + 3)
  const rest = text.slice(scheme.length)
  const at = rest.lastIndexOf('@')
  const ends = [rest.indexOf('?'), rest.indexOf('#'), 200].filter((end) => end >= 0)
  const end = Math.min(...ends)
  // Perhaps a part of the password, perhaps of the query.
  if (at > end) return `${scheme}…`
  return scheme + rest.slice(at + 1, end)
}

export function checkSource(source: SourceInput | undefined, problems: string[]): Source {
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
