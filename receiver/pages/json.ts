/** JSON with its digits as they were written: a number is an object that holds its text. */
export type Json = string | boolean | null | Digits | Json[] | { [name: string]: Json }

export class Digits {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Where the browser tells the source of a number, no digit is lost; elsewhere large ones are rounded, as in all JavaScript. */
export function parseExact(text: string): Json {
  const revive = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? new Digits(context?.source ?? String(value)) : value
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown) as Json
}

export function memberOf(value: Json, ...names: string[]): Json | undefined {
  let found: Json | undefined = value
  for (const name of names) {
    if (!isPlain(found) || !Object.hasOwn(found, name)) return undefined
    found = found[name]
  }
  return found
}

export const isPlain = (value: Json | undefined): value is { [name: string]: Json } =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Digits)

export function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (value instanceof Digits) return value.text
  return typeof value === 'object' ? '' : String(value)
}

export function indentJson(value: Json, depth = 0): string {
  const pad = '  '.repeat(depth + 1)
  const end = '  '.repeat(depth)
  if (value instanceof Digits) return value.text
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map((one) => pad + indentJson(one, depth + 1)).join(',\n')}\n${end}]`
  }
  if (!isPlain(value)) return JSON.stringify(value)
  const entries = Object.entries(value)
  if (entries.length === 0) return '{}'
  const lines = entries.map(([name, one]) => `${pad}${JSON.stringify(name)}: ${indentJson(one, depth + 1)}`)
  return `{\n${lines.join(',\n')}\n${end}}`
}
