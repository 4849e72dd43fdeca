import type { FindQuery } from '../event-store.ts'
import type { SummaryOptions } from '../summary.ts'
import type { Position } from './plan.ts'

/** A query as its thread takes it. */
export interface FindCommand {
  query: Omit<FindQuery, 'selector'>
  /** The normalised selector: the tree of it holds regular expressions, which do not travel. */
  selector: NonNullable<FindQuery['selector']>['source'] | undefined
  /** Given: the events are summed up, and parts of the sum come in their place. */
  summary?: SummaryOptions
}

/** Where a turn begins, and how far it came. */
export interface FindProgress {
  /** Behind this row. */
  position: Position | undefined
  /** Rows left out for `offset` so far. */
  passedOver: number
  given: number
}

/** The code of a query that took longer than its time limit. */
export const timeIsUp = 1
