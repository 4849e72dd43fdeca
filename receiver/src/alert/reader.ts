import { isObject, type Value } from '@madsci-events/sdk/event'

/** Reads one object of the settings, and notes every problem instead of stopping at the first. */
export interface Reader {
  readonly path: string
  has(name: string): boolean
  fail(name: string, why: string): void
  text(name: string, fallback?: string): string | undefined
  number(name: string, limits: { least: number; most: number; fallback?: number }): number | undefined
  flag(name: string, fallback: boolean): boolean
  texts(name: string): string[] | undefined
  /** Each member of a list of objects. */
  objects(name: string): Reader[]
  value(name: string): Value | undefined
  /** Names that nobody asked for are problems too. */
  end(): void
}

export function createReader(input: unknown, path: string, problems: string[]): Reader {
  const object = isObject(input) ? input : {}
  if (!isObject(input)) problems.push(`${path} must be an object`)
  const asked = new Set<string>()
  const take = (name: string): Value | undefined => {
    asked.add(name)
    return Object.hasOwn(object, name) && object[name] !== null ? object[name] : undefined
  }
  const fail = (name: string, why: string) => void problems.push(`${path}.${name} ${why}`)

  return {
    path,
    has: (name) => take(name) !== undefined,
    fail,
    value: take,
    text(name, fallback) {
      const value = take(name)
      if (value === undefined) return fallback
      if (typeof value === 'string' && value !== '') return value
      fail(name, 'must be a text')
      return fallback
    },
    number(name, { least, most, fallback }) {
      const value = take(name)
      if (value === undefined) return fallback
      if (typeof value === 'number' && value >= least && value <= most) return value
      fail(name, `must be a number from ${least} to ${most}`)
      return fallback
    },
    flag(name, fallback) {
      const value = take(name)
      if (value === undefined) return fallback
      if (typeof value === 'boolean') return value
      fail(name, 'must be true or false')
      return fallback
    },
    texts(name) {
      const value = take(name)
      if (value === undefined) return undefined
      if (Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== ''))
        return value as string[]
      fail(name, 'must be a list of texts')
      return undefined
    },
    objects(name) {
      const value = take(name)
      if (value === undefined) return []
      if (!Array.isArray(value)) {
        fail(name, 'must be a list')
        return []
      }
      return value.map((one, index) => createReader(one, `${path}.${name}[${index}]`, problems))
    },
    end() {
      for (const name of Object.keys(object)) if (!asked.has(name)) fail(name, 'is unknown')
    },
  }
}
