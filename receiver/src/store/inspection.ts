import type { Finding } from '../finding.ts'

/** What there is to know of a database without opening it as a store. */
export interface Inspection {
  findings: Finding[]
  /** Whether the receiver that runs has it: of a file, somebody owns it; else its newest event is here. Undefined when nobody knows. */
  isInUse?: boolean
  /** event_timestamp of the newest event, when there is one. */
  newest?: string
  /** The database's clock minus ours, and how far that may be wrong. */
  clock?: { offsetMs: number; toleranceMs: number }
}
