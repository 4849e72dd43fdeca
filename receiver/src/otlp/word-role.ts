import { sourceKeys } from '@madsci-events/sdk/event'
import type { Word } from '../document/word.ts'

/** What a word means as the key of an attribute, or of a member of event_data. From `source` on: sourceKeys, one by one. */
export const role = {
  other: 0,
  id: 1,
  type: 2,
  data: 3,
  alert: 4,
  level: 5,
  message: 6,
  numeric: 7,
  /** The attribute that was the place of an event's name before OTLP had a field for it. */
  eventName: 8,
  /** Event data as JSON text. */
  json: 9,
  otherSource: 10,
  source: 11,
} as const
const sourcePrefix = 'madsci.source.'
const roles = new Map<string, number>([
  ['log.record.uid', role.id],
  ['madsci.event.type', role.type],
  ['madsci.event.data', role.data],
  ['madsci.event.alert', role.alert],
  ['madsci.event.log_level', role.level],
  ['madsci.event.json', role.json],
  ['event.name', role.eventName],
  ['message', role.message],
  ...sourceKeys.map((name, index): [string, number] => [sourcePrefix + name, role.source + index]),
])

export function roleOf(word: Word): number {
  if (word.role < 0) word.role = roles.get(word.text) ?? otherRoleOf(word.text)
  return word.role
}

function otherRoleOf(text: string): number {
  if (text.startsWith(sourcePrefix)) return role.otherSource
  // JavaScript moves a member whose key is a number to the front.
  return /^\d/.test(text) ? role.numeric : role.other
}
