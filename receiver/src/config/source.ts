import { readFileSync } from 'node:fs'
import type { Setting } from './setting.ts'
import { toJsonObject } from './value.ts'

/** What a source says of a setting. */
export interface Given {
  text: string
  /** Where it was found, as the subject of a sentence. */
  origin: string
}

/** What is wrong at a place; the message ends the sentence that begins with it. */
class GivenError extends Error {
  readonly origin: string
  constructor(message: string, origin: string) {
    super(message)
    this.origin = origin
  }
}

/** Where an error of a source says that it belongs. */
export function originOf(error: unknown): string | undefined {
  return error instanceof GivenError ? error.origin : undefined
}

/** Throws, with its origin, for what is no JSON object. */
export function readObject({ text, origin }: Given, example?: string): { [name: string]: unknown } {
  try {
    return toJsonObject(text, example)
  } catch (error) {
    throw new GivenError((error as Error).message, origin)
  }
}

/** A place where settings are looked for. Throws an Error that tells what is wrong there. */
export type Source = (name: string, one: Setting<unknown>) => Given | undefined

/** The environment variables of a setting, first wins. */
export const variablesOf = (name: string, { variables }: Pick<Setting<unknown>, 'variables'>) =>
  variables ?? [`EVENT_${name.toUpperCase()}`]

/** `--name=value` of the command line. */
export function fromFlags(flags: { [name: string]: string }): Source {
  return (name) => (Object.hasOwn(flags, name) ? { text: flags[name]!, origin: `--${name}` } : undefined)
}

/**
 * Environment variables, their names in any case, as in MADSci; an empty one is not set. A secret may also lie in a file that
 * <variable>_FILE names. Parts of an object: EVENT_EMAIL_ALERTS__SMTP_SERVER.
 */
export function fromEnvironment(
  environment: { [name: string]: string | undefined },
  /** Ends the origin: where the variables come from, if not from the process. */
  where = '',
): Source {
  const variables = new Map(Object.entries(environment).map(([name, text]) => [name.toUpperCase(), text]))

  function read(variable: string, one: Setting<unknown>): Given | undefined {
    const text = variables.get(variable)
    if (text) return { text, origin: variable + where }
    const path = one.secret && variables.get(`${variable}_FILE`)
    return path
      ? { text: readSecret(path, `${variable}_FILE${where}`), origin: `${variable}_FILE${where}` }
      : undefined
  }

  return (name, one) => {
    const names = variablesOf(name, one)
    const whole = names.map((variable) => read(variable, one)).find((found) => found !== undefined)
    const parts = Object.entries(one.members ?? {}).flatMap(([part, member]) => {
      const found = read(`${names[0]}__${part.toUpperCase()}`, member)
      return found ? [{ ...found, part }] : []
    })
    if (parts.length === 0) return whole
    const object = Object.fromEntries(parts.map(({ part, text }) => [part, text]))
    return {
      text: JSON.stringify({ ...(whole && readObject(whole, one.example)), ...object }),
      origin: [...(whole ? [whole] : []), ...parts].map(({ origin }) => origin).join(', '),
    }
  }
}

/** Variables that look like settings and are none: EVENT_RETENTON_ENABLED. Those of MADSci's clients are not ours to judge. */
export function unknownVariables(
  environment: { [name: string]: string | undefined },
  settings: { [name: string]: Setting<unknown> },
): string[] {
  const known = new Set<string>()
  for (const [name, one] of Object.entries(settings)) {
    const names = variablesOf(name, one)
    const parts = Object.keys(one.members ?? {}).map((part) => `${names[0]}__${part.toUpperCase()}`)
    for (const variable of [...names, ...parts]) known.add(variable).add(`${variable}_FILE`)
  }
  return Object.keys(environment).filter((name) => {
    const variable = name.toUpperCase()
    return variable.startsWith('EVENT_') && !variable.startsWith('EVENT_CLIENT_') && !known.has(variable)
  })
}

function readSecret(path: string, origin: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new GivenError(`names a file that cannot be read: ${(error as Error).message}`, origin)
  }
}
