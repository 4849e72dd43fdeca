import { type Config, settings } from './config.ts'
import { madsciSettingNames } from './madsci.ts'
import { type Setting, showAll, toCamel, toProperties } from './setting.ts'

type Json = { [name: string]: unknown }

/** MADSci's settings in its order, then ours. */
function inOrder<T>(table: { [name: string]: T }): { [name: string]: T } {
  const names = [
    ...madsciSettingNames,
    ...Object.keys(table).filter((name) => !madsciSettingNames.includes(name)),
  ]
  return Object.fromEntries(names.map((name) => [name, table[name] as T]))
}

/** Every setting as JSON, secrets redacted; `known` are values that only the running receiver knows. */
export function showConfig(config: Config, known: Json = {}): Json {
  return inOrder({ ...showAll(settings, { ...config }), ...known })
}

/** As JSON Schema, in the form of pydantic's. */
export function toSettingsSchema(): Json {
  return {
    title: 'EventManagerSettings',
    type: 'object',
    description: 'Settings of the event manager',
    properties: inOrder(toProperties(settings)),
  }
}

export interface Origin {
  name: string
  value: unknown
  /** The place that named it; undefined for a default. */
  origin: string | undefined
}

const isUnset = (value: unknown) => value === undefined || value === null || value === ''

/** A secret that nobody set is none; REST hides that, too. */
function tellUnset({ secret, members }: Setting<unknown>, given: unknown, shown: unknown): unknown {
  if (secret) return isUnset(given) ? null : shown
  if (!members || isUnset(given)) return shown
  const values = given as { [name: string]: unknown }
  return Object.fromEntries(
    Object.entries(shown as Json).map(([name, value]) => [
      name,
      tellUnset(members[name]!, values[toCamel(name)], value),
    ]),
  )
}

/** Every setting with where it came from, for the operator: of a secret, what may be told of it. */
export function toOrigins(config: Config): Origin[] {
  const values: { [name: string]: unknown } = { ...config }
  return Object.entries(showConfig(config)).map(([name, shown]) => {
    const one = settings[name as keyof typeof settings] as Setting<unknown>
    const given = values[toCamel(name)]
    const value = one.secret && one.hint ? one.hint(given) : tellUnset(one, given, shown)
    return { name, value, origin: config.given.get(name as keyof typeof settings) }
  })
}
