import { parseFlag, parseInteger, parseWord, settingText, toJsonObject, toJsonValue } from './value.ts'

/**
 * One setting: an entry of one table of this folder. Every source gives text; lists and objects are JSON text, and '' is null.
 * The environment variable is EVENT_ and the name, unless `variables` says otherwise.
 */
export interface Setting<T> {
  /** As an operator would write it; '' is "not set". */
  fallback: string
  unit: string
  about: string
  /** Throws an Error whose message ends the sentence "<name> …". */
  parse: (text: string) => T
  /** Environment variables, first wins. */
  variables?: readonly string[]
  /** Other names in settings files. */
  aliases?: readonly string[]
  /** Other programs of a laboratory read this name from the `settings.*` of all, so there only event_<name> is ours. */
  clashes?: true
  /** A value, for what is said of one that is none. */
  example?: string
  /** Never shown; the environment may name a file instead, by <variable>_FILE. */
  secret?: true
  /** The value as JSON, as /settings and `config` show it; without it, the value itself. */
  show?(value: T): unknown
  /** What may be told of a secret on the operator's own terminal. */
  hint?(value: T): string
  /** JSON Schema of what `show` gives; without it, any value. */
  schema?: object
  /** The parts of an object, each settable alone: EVENT_<NAME>__<MEMBER>. */
  members?: { [name: string]: Setting<unknown> }
}

export const redacted = '***REDACTED***'

export type ValueOf<One extends Setting<unknown>> = ReturnType<One['parse']>

/** 'server_url' → 'serverUrl', as a type and as a function. */
export type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name
export const toCamel = (name: string) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())

type About = Pick<Setting<unknown>, 'unit' | 'about'> &
  Partial<Pick<Setting<unknown>, 'secret' | 'variables' | 'aliases' | 'schema'>>

export const orNull = (type: string) => ({ anyOf: [{ type }, { type: 'null' }] })

/** Any entry that none of the functions below describes. */
export const setting = <T>(one: Setting<T>): Setting<T> => one

export const text = (fallback: string, about: About) =>
  setting({ schema: { type: 'string' }, ...about, fallback, parse: (given) => given })

/** Text that nobody needs to set; '' is undefined. */
export const optionalText = (about: About) =>
  setting({ schema: orNull('string'), ...about, fallback: '', parse: (given) => given || undefined })

/** true or false. */
export const flag = (about: string, fallback = false) =>
  setting({
    fallback: String(fallback),
    unit: 'yes or no',
    about,
    parse: parseFlag,
    schema: { type: 'boolean' },
  })

/** An integer of at least `least`. */
export const count = (
  fallback: number,
  least: number,
  { most = 1_000_000, ...about }: About & { most?: number },
) =>
  setting({
    ...about,
    fallback: String(fallback),
    parse: (given) => parseInteger(given, least, most),
    schema: { type: 'integer', minimum: least, maximum: most },
  })

/** An integer of at least 1; '' and `none` are undefined. */
export const optionalCount = (fallback: number | undefined, about: About) =>
  setting({
    ...about,
    fallback: fallback === undefined ? '' : String(fallback),
    parse: (given) => (given === '' || given === 'none' ? undefined : parseInteger(given, 1, 1_000_000)),
    schema: orNull('integer'),
  })

/** One of some words, in any case. */
export const word = <Word extends string>(fallback: Word, words: readonly Word[], about: string) =>
  setting({
    fallback,
    unit: words.map((one) => `\`${one}\``).join(', '),
    about,
    parse: (given) => parseWord(given.toLowerCase(), words),
    schema: { type: 'string', enum: words },
  })

/**
 * A list or an object: JSON in the environment and on the command line, itself in settings files.
 * `parse` takes what JSON.parse gave; `show` gives the JSON that anybody may see, so without secrets.
 */
export const structured = <T>(
  fallback: string,
  {
    parse,
    takesText = false,
    ...one
  }: About & {
    parse: (value: unknown) => T
    show: (value: T) => unknown
    /** What is no JSON is itself a value. */
    takesText?: boolean
  },
) =>
  setting({
    ...one,
    fallback,
    parse(given) {
      let value: unknown
      try {
        value = toJsonValue(given)
      } catch (error) {
        // Whoever reads the value says what shape it must have.
        const read = parse(given)
        if (takesText) return read
        throw error
      }
      return parse(value)
    },
  })

/** An object of settings, which is undefined as long as nobody sets a part of it. */
export function group<Members extends { [name: string]: Setting<unknown> }>(
  about: string,
  example: string,
  members: Members,
) {
  type Value = { [Name in keyof Members & string as Camel<Name>]: ValueOf<Members[Name]> }
  return setting<Value | undefined>({
    fallback: '',
    unit: 'JSON',
    about,
    example,
    members,
    parse(given) {
      if (given === '') return undefined
      const object = toJsonObject(given, example)
      const problems = Object.keys(object)
        .filter((name) => !Object.hasOwn(members, name))
        .map((name) => `${name.slice(0, 100)} is unknown`)
      const entries = Object.entries(members).map(([name, { parse, fallback }]) => {
        try {
          return [toCamel(name), parse(Object.hasOwn(object, name) ? settingText(object[name]) : fallback)]
        } catch (error) {
          problems.push(`${name} ${(error as Error).message}`)
          return [name, undefined]
        }
      })
      if (problems.length > 0) throw new Error(`is not right: ${problems.join('; ')}`)
      return Object.fromEntries(entries) as Value
    },
    show: (value) => value && showAll(members, value),
    schema: { anyOf: [{ type: 'object', properties: toProperties(members) }, { type: 'null' }] },
  })
}

/** Settings as JSON, by their names and in their order, without secrets. */
export function showAll(
  settings: { [name: string]: Setting<unknown> },
  values: { [name: string]: unknown },
): { [name: string]: unknown } {
  return Object.fromEntries(
    Object.entries(settings).map(([name, { secret, show }]) => {
      const value = values[toCamel(name)]
      if (secret) return [name, redacted]
      return [name, (show && value !== undefined ? show(value) : value) ?? null]
    }),
  )
}

/** JSON Schema of what `showAll` gives, by name. */
export function toProperties(settings: { [name: string]: Setting<unknown> }): { [name: string]: object } {
  return Object.fromEntries(
    Object.entries(settings).map(([name, one]) => {
      const { about, secret, schema, show, fallback, parse } = one
      const value = secret ? null : parse(fallback)
      const shown = (show && value !== undefined ? show(value) : value) ?? null
      const description = about.replaceAll('`', '')
      return [name, { ...schema, default: shown, description, ...(secret && { secret }) }]
    }),
  )
}
