import { isObject, type Value } from '@madsci-events/sdk/event'

/** Text that says something: trimmed, not empty; numbers count. */
export function toText(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  return text === '' ? undefined : text
}

/** The first of the paths, each with dots, that leads to text. */
export function firstText(data: { [key: string]: Value }, ...paths: string[]): string | undefined {
  for (const path of paths) {
    if (!path.includes('.')) {
      const text = toText(data[path])
      if (text !== undefined) return text
      continue
    }
    let value: Value | undefined = data
    for (const key of path.split('.')) value = isObject(value) ? value[key] : undefined
    const text = toText(value)
    if (text !== undefined) return text
  }
  return undefined
}
