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

/** Every setting with where it came from, for the operator: of a secret, what may be told of it. */
export function toOrigins(config: Config): Origin[] {
  const values: { [name: string]: unknown } = { ...config }
  return Object.entries(showConfig(config)).map(([name, shown]) => {
    const { hint, secret } = settings[name as keyof typeof settings] as Setting<unknown>
    const value = secret && hint ? hint(values[toCamel(name)]) : shown
    return { name, value, origin: config.given.get(name as keyof typeof settings) }
  })
}
