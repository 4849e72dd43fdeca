import { type Detail, invalid, parseBoolean, parseLevel, parseTimestamp } from '@madsci-events/sdk/event'

/** Query parameters as the original reads them (FastAPI): the last of equal names counts, unknown ones are ignored. */
export interface Parameters {
  integer(name: string, fallback: number, least: number, most?: number): number
  text(name: string): string | undefined
  /** Least log_level: any integer, or the name of a level. */
  level(name: string, fallback: number): number
  /** Canonical timestamp; undefined when absent. */
  time(name: string): string | undefined
  boolean(name: string, fallback: boolean): boolean
  /** One of these words. */
  choice<Word extends string, Fallback extends string>(
    name: string,
    fallback: Fallback,
    words: readonly Word[],
  ): Word | Fallback
  /** Throws EVT_INVALID with every problem found so far. */
  check(): void
}

export function createParameters(query: unknown): Parameters {
  const details: Detail[] = []
  const textOf = (name: string): string | undefined => {
    const value = (query as { [name: string]: string | string[] | undefined })[name]
    return Array.isArray(value) ? value.at(-1) : value
  }
  const fail = (type: string, name: string, msg: string, input: string, ctx?: Detail['ctx']) =>
    details.push({ type, loc: ['query', name], msg, input, ...(ctx && { ctx }) })

  return {
    text: textOf,
    integer(name, fallback, least, most = Number.MAX_SAFE_INTEGER) {
      const text = textOf(name)
      if (text === undefined) return fallback
      const value = toInteger(text)
      if (value === undefined) {
        fail(
          'int_parsing',
          name,
          'Input should be a valid integer, unable to parse string as an integer',
          text,
        )
      } else if (!Number.isSafeInteger(value)) {
        fail(
          'int_parsing_size',
          name,
          'Unable to parse input string as an integer, exceeded maximum size',
          text,
        )
      } else if (value < least) {
        fail('greater_than_equal', name, `Input should be greater than or equal to ${least}`, text, {
          ge: least,
        })
      } else if (value > most) {
        fail('less_than_equal', name, `Input should be less than or equal to ${most}`, text, { le: most })
      } else return value
      return fallback
    },
    level(name, fallback) {
      const text = textOf(name)
      if (text === undefined) return fallback
      const value = toInteger(text) ?? parseLevel(text)
      if (value !== undefined && Number.isSafeInteger(value)) return value
      // The original takes an integer or a level, and says what is wrong with the text as either.
      const problem = (type: string, as: string, msg: string, ctx?: Detail['ctx']) =>
        details.push({ type, loc: ['query', name, as], msg, input: text, ...(ctx && { ctx }) })
      problem('int_parsing', 'int', 'Input should be a valid integer, unable to parse string as an integer')
      const expected = '0, 10, 20, 30, 40 or 50'
      problem('enum', 'int-enum[EventLogLevel]', `Input should be ${expected}`, { expected })
      return fallback
    },
    time(name) {
      const text = textOf(name)
      if (text === undefined) return undefined
      const parsed = parseTimestamp(text)
      if ('text' in parsed) return parsed.text
      fail(
        'datetime_from_date_parsing',
        name,
        `Input should be a valid datetime or date, ${parsed.reason}`,
        text,
        { error: parsed.reason },
      )
      return undefined
    },
    boolean(name, fallback) {
      const text = textOf(name)
      if (text === undefined) return fallback
      const value = parseBoolean(text)
      if (value !== undefined) return value
      fail('bool_parsing', name, 'Input should be a valid boolean, unable to interpret input', text)
      return fallback
    },
    choice(name, fallback, words) {
      const text = textOf(name)
      if (text === undefined) return fallback
      const word = words.find((one) => one === text)
      if (word !== undefined) return word
      const expected = words.map((one) => `'${one}'`).join(' or ')
      fail('literal_error', name, `Input should be ${expected}`, text, { expected })
      return fallback
    },
    check() {
      if (details.length > 0) throw invalid(details)
    },
  }
}

function toInteger(text: string): number | undefined {
  return /^\s*[+-]?\d+(\.0*)?\s*$/.test(text) ? Number(text) : undefined
}
