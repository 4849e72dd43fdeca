import { isObject } from '@madsci-events/sdk/event'
import type { ScannedEvent } from '../../store/event-scan.ts'

/** An object of event_data, as it came from outside. */
export type Data = { readonly [name: string]: unknown }

export const noData: Data = {}

/** event_data, or an empty object where it is none. */
export function dataOf(event: ScannedEvent): Data {
  const data = event.data()
  return isRecord(data) ? data : noData
}

export function isRecord(value: unknown): value is Data {
  return isObject(value as never)
}

/** The first that Python counts as true, as text. */
export function firstText(...values: unknown[]): string | undefined {
  for (const value of values) if (isTruthy(value)) return toPythonText(value)
  return undefined
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

export function isTruthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  return Boolean(value)
}

/** Python's str() of what JSON holds; of lists and objects only that it is the same for the same value. */
export function toPythonText(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'object')
    return JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? member.toString() : member))
  return String(value)
}

/** 52 bits stand for the id of an action: only those of one node that run at the same time must differ. */
export function hashOf(text: string): number {
  let a = 0x9e3779b9
  let b = 0x85ebca6b
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0xc2b2ae35)
    b ^= b >>> 13
  }
  return (a >>> 0) * 0x100000 + (b >>> 12)
}
