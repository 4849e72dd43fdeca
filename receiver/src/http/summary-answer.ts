import type { FacetName } from '../store/summary.ts'

/** What GET /events/summary answers. */
export interface SummaryAnswer {
  total: number
  histogram: {
    /** Bounds of the pieces, UTC; null without an event that has a time and without bounds in the question. */
    from: string | null
    until: string | null
    bucket_ms: number
    /** Pieces that hold events, in the order of time. */
    buckets: { start_time: string; total: number; levels: { [level: string]: number } }[]
  }
  facets: { [name in FacetName]: { values: FacetValue[]; distinct: number; other: number } }
  scanned_to: string | null
  complete_since: string | null
  is_complete: boolean
}

export interface FacetValue {
  id: string | null
  name: string | null
  count: number
  /** The term of the search line for it. */
  q: string
}
