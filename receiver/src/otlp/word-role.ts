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
  source: 8,
} as const
const roles = new Map<string, number>([
  ['log.record.uid', role.id],
  ['madsci.event.type', role.type],
  ['madsci.event.data', role.data],
  ['madsci.event.alert', role.alert],
  ['madsci.event.log_level', role.level],
  ['message', role.message],
  ...sourceKeys.map((name, index): [string, number] => [`madsci.source.${name}`, role.source + index]),
])

export function roleOf(word: Word): number {
  if (word.role >= 0) return word.role
  // JavaScript moves a member whose key is a number to the front.
  word.role = roles.get(word.text) ?? (/^\d/.test(word.text) ? role.numeric : role.other)
  return word.role
}
