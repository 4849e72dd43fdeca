import type { SearchProblem } from '../search/line.ts'

/** What GET /data/search tells a page of a search line. */
export interface SearchAnswer {
  /** What is not understood; null when all is. */
  problem: SearchProblem | null
  /** Names whose ids were not all found in time: events that have the id alone may be missing, or not left out. */
  late_names: string[]
}
