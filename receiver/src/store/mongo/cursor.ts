import { EventError } from '@madsci-events/sdk/event'

/** Where a follower stands. */
export interface CommitPosition {
  /** Number of the last entry of which anything was taken; 0 at the beginning. */
  n: number
  /** Positions of it that were taken; 0 stands for all. */
  taken: number
  /** Of that entry: a number of another database has another. */
  entry: string
}

/** Ids that entries list, from after a cursor on. Events of an earlier release have '' for their entry. */
export interface PositionPage {
  items: { id: string; entry: string; cursor: string }[]
  cursor: string
  hasMore: boolean
  expiredCommits: number
}

const beginning: CommitPosition = { n: 0, taken: 0, entry: '' }
const form = /^(\d{1,15}):(\d{1,6}):([\w.-]{1,64})$/

/** Undefined for what has another form. */
export function decodeCursor(cursor: string): CommitPosition | undefined {
  if (cursor === '' || cursor === beginningCursor) return beginning
  const [, n, taken, entry] = form.exec(cursor) ?? []
  return entry === undefined || Number(n) === 0 ? undefined : { n: Number(n), taken: Number(taken), entry }
}

export const encodeCursor = ({ n, taken, entry }: CommitPosition): string => `${n}:${taken}:${entry}`

export const beginningCursor = encodeCursor(beginning)

export const unknownCursor = () => new EventError('EVT_INVALID', 'the commit cursor is none of ours')
