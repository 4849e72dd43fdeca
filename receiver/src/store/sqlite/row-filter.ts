import type { StoredEvent } from '../event-store.ts'
import type { createMatcher } from '../matcher.ts'
import type { FindProgress } from './find-command.ts'
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

/** The event of a row that is part of the answer; the progress moves on behind the row either way. */
export function filterRow(
  progress: FindProgress,
  { offset, matches }: { offset: number; matches: ReturnType<typeof createMatcher> | undefined },
  [seq, id, value, json, exact, archivedAt]: Row,
): StoredEvent | undefined {
  progress.position = { seq, value }
  if (json === null) return undefined
  if (matches && !matches(toMatchDocument(json, exact, archivedAt))) return undefined
  if (progress.passedOver < offset) {
    progress.passedOver++
    return undefined
  }
  progress.given++
  return toStoredEvent(id, json, exact)
}
