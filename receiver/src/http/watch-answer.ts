/** What GET /data/watch tells a page. Times are ISO 8601, UTC. */
export interface WatchAnswer {
  now: string
  /** False where no alerts are raised. */
  is_set_up: boolean
  /** Says, with a change, that it is ours; null: pages change nothing here. */
  token: string | null
  /** Names. */
  rules: string[]
  /** By name of a rule, the search line of what it looks at; none for a rule that looks at all events. */
  lines: { [rule: string]: string }
  /** Open ones first, in both parts the newest first. */
  alerts: WatchAlert[]
}

export interface WatchAlert {
  alert_id: string
  rule: string
  state: string
  why: string
  /** Of its last event; '' where it has none. */
  message: string
  /** What its events have in common, by path. */
  group: { [path: string]: string | null }
  /** What the ids in its group are called, by path; null where no event tells it soon. */
  names: { [path: string]: string | null }
  log_level: number
  count: number
  opened_at: string
  last_event_at: string | null
  last_event_id: string | null
  first_event_ids: string[]
  acknowledged_by: string | null
  silenced_until: string | null
  resolved_at: string | null
  resolution: string | null
  deliveries: {
    delivery_id: string
    channel: string
    target: string
    state: string
    attempts: number
    error: string | null
    next_attempt_at: string | null
  }[]
}
