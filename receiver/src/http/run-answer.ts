/** What GET /runs and GET /run/{kind}/{id} answer. Times are ISO 8601, UTC; spans are microseconds. */

export type RunKind = 'experiment' | 'workflow'

export interface RunSummary {
  kind: RunKind
  id: string
  name: string | null
  user: string | null
  /** Of a workflow. */
  experiment_id: string | null
  workcell_id: string | null
  /** completed, failed, cancelled or unknown; null while it runs. */
  outcome: string | null
  /** Of its last interval: busy, idle, error, down or unknown. */
  state: string
  start_time: string
  /** Up to now while it runs. */
  end_time: string
  is_open: boolean
  /** Microseconds in each state. */
  totals_us: { [state: string]: number }
}

export interface RunsAnswer {
  now: string
  /** Newest first. */
  runs: RunSummary[]
  /** There are more, older ones. */
  is_cut: boolean
}

/** A run, its workflows, steps or actions. */
export interface RunRow {
  kind: string
  id: string
  name: string | null
  node_id: string | null
  node_name: string | null
  outcome: string | null
  /** The events that began and ended it. */
  begun_by: string | null
  ended_by: string | null
  intervals: { state: string; cause: string; start_time: string; end_time: string }[]
}

export interface RunEvent {
  id: string
  type: string
  level: number
  message: string
  timestamp: string
}

export interface RunWait {
  reason: string
  waiter: string
  start_time: string
  wait_us: number
  is_open: boolean
  /** What it waited for; null when that is not known. */
  node: string | null
}

export interface RunNumber {
  /** Path below event_data. */
  name: string
  count: number
  least: number
  greatest: number
  last: number
}

export interface RunAlert {
  id: string
  rule: string
  state: string
  level: number
  why: string
  opened_at: string
}

export interface RunAnswer extends RunSummary {
  now: string
  rows: RunRow[]
  failures: { event: RunEvent; before: RunEvent[] }[]
  /** The longest first. */
  waits: RunWait[]
  numbers: RunNumber[]
  people: string[]
  /** Null where no alerts are raised. */
  alerts: RunAlert[] | null
  /** Oldest first. */
  events: RunEvent[]
  /** What was left out, in words. */
  cuts: string[]
}
