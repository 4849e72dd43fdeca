import type { StoredEvent } from '../event-store.ts'
import type { createMatcher } from '../matcher.ts'
import type { FindCommand } from './find-command.ts'
import { toMatchDocument, toStoredEvent } from './row.ts'

/** A row of the plan's statement, as an array: `setReturnArrays`. */
export type Row = [
  seq: number,
  id: string,
  value: string | number,
  json: string | null,
  exact: string | null,
  archivedAt: number,
]

/** The event of a row that is part of the answer; the command moves on behind the row either way. */
export function filterRow(
  command: FindCommand,
  matches: ReturnType<typeof createMatcher> | undefined,
  [seq, id, value, json, exact, archivedAt]: Row,
): StoredEvent | undefined {
  command.position = { seq, value }
  if (json === null) return undefined
  if (matches && !matches(toMatchDocument(json, exact, archivedAt))) return undefined
  if (command.passedOver < command.query.offset) {
    command.passedOver++
    return undefined
  }
  command.given++
  return toStoredEvent(id, json, exact)
}
