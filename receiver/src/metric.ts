/**
 * What the receiver counts, and what each counter means. received = stored + duplicate + rejected + unavailable.
 * In `/metrics` each is `madsci_<name>_total`.
 */
export const counters = {
  events_received: 'Events that reached the gate or were refused while decoding',
  events_stored: 'Events committed to the store',
  events_duplicate: 'Events whose id was stored already',
  events_conflicting:
    'Events whose id was stored already with other content; the stored one is kept (of OTLP in requests below 64 KiB)',
  events_rejected: 'Events refused for good, by reason',
  events_unavailable: 'Events answered with 503 because nothing could be told of their commit, by error code',
  commits_checked: 'Own commits that were found again, once, in the order of commit',
  conservation_violations:
    'Events that were lost, late, doubled or unexpected in the store, or whose outcomes do not add up, by kind',
  canaries_sent: 'Canaries that the receiver stored through its own door',
  canary_lost: 'Canaries that were not found again in time, by stage',
  requests_refused: 'Requests that ended with an error, by error code',
  connections_refused: 'Connections closed at once, by reason',
  connections_ended: 'Connections of OTLP/gRPC that were ended, by reason',
  answers_dropped:
    'Answers that were ended before their end, by reason: `unread`, or `stream_share` of a stream that made room for another address',
  telemetry_dropped:
    'Requests with traces or metrics that were taken and dropped, because otlp_forward_url is not set, by signal',
  operations_untraced:
    'Requests and deliveries beyond 200 a second, which have no spans while the receiver sends traces of its own',
  attributes_duplicate: 'Attribute keys that came twice in one list; the last one counts',
  source_ids_kept_aside: 'madsci.source.* values that are no ULID, kept in otel.source',
  records_undated: 'Records with neither a time nor an observed time; theirs is that of receipt',
  ids_unreadable: 'Trace and span ids that are none of OTLP, left out',
  alert_events: 'Events that a rule saw, by rule; those of duplicates and failed writes too',
  alert_timeouts:
    'Events that a rule could not judge in time, by rule: its regular expression needs backtracking',
  alerts_raised: 'Alerts that were opened, by rule',
  alert_notices: 'Messages that the rules asked for, before channels and addresses',
  alert_events_suppressed: 'Events that a maintenance window kept from raising an alert',
  alert_attempts: 'Attempts to deliver a message, by outcome',
  backup_failures: 'Backups that could not be made, scheduled or asked for',
  fanout_sent: 'Events that a destination of the fan-out took',
  fanout_refused: 'Events that a destination of the fan-out refused for good',
  fanout_failures:
    'Requests of the fan-out that failed; their events are retried, or isolated by bisecting the batch',
  fanout_gaps: 'Commits, as far as they can be counted, whose events the fan-out could not read any more',
} as const
export type CounterName = keyof typeof counters

/** Numbers of the moment, asked for when somebody reads. In `/metrics` each is `madsci_<name>`. */
export const gauges = {
  build_info: 'Always 1; the label says the version',
  store_up: '1 when the store takes events',
  store_events: 'Events in the store, archived ones too',
  summary_columns:
    'The columns in memory from which summaries are answered: 1 for their state (`off`, `building`, `ready`, `paused`, `given_up`), 0 for the others',
  summary_columns_events: 'Events in these columns',
  summary_columns_bytes: 'Memory of these columns, without their tables of names',
  summary_columns_complete_since:
    'Later events are all in these columns, seconds since 1970; 0: all are; absent: none can be told',
  bytes_in_flight: 'Bytes of request bodies under way',
  events_waiting: 'Events that wait for the next commit',
  commits_running: 'Commits under way',
  events_unaccounted:
    'received - (stored + duplicate + rejected + unavailable + those under way); other than 0, counts or events are missing',
  events_late: 'Events that are stored and still not in the order of commit',
  connections_open: 'Connections, by listener',
  streams_open: 'Readers of /events/stream',
  alerts_pending: 'Messages that are not delivered yet',
  alerts_undeliverable: 'Messages that were given up',
  alerts_stalled_seconds: 'Seconds for which rules and messages have not gone on; 0 while they do',
  backup_last_success_timestamp_seconds:
    'When the newest backup was begun, seconds since 1970; absent: there is none',
  fanout_lag_seconds: 'Since everything was sent for the last time; 0 when nothing waits',
  fanout_forwarding: '1 on the receiver that forwards to this destination',
} as const
export type GaugeName = keyof typeof gauges

/** How long things take, in seconds. In `/metrics` each is `madsci_<name>`. */
export const histograms = {
  request_duration_seconds: 'From a request to the end of its answer, by route',
  commit_duration_seconds: 'One commit of the store',
  canary_duration_seconds: 'From the sending of a canary until it is acknowledged and found again, by stage',
} as const
export type HistogramName = keyof typeof histograms

/** The one label of those that have one. */
export const labels: { [name in CounterName | GaugeName | HistogramName]?: string } = {
  events_rejected: 'reason',
  events_unavailable: 'code',
  conservation_violations: 'kind',
  canary_lost: 'stage',
  requests_refused: 'code',
  connections_refused: 'reason',
  connections_ended: 'reason',
  connections_open: 'listener',
  answers_dropped: 'reason',
  telemetry_dropped: 'signal',
  alert_events: 'rule',
  alerts_raised: 'rule',
  alert_timeouts: 'rule',
  alert_attempts: 'outcome',
  build_info: 'version',
  summary_columns: 'state',
  fanout_sent: 'destination',
  fanout_refused: 'destination',
  fanout_failures: 'destination',
  fanout_gaps: 'destination',
  fanout_lag_seconds: 'destination',
  fanout_forwarding: 'destination',
  request_duration_seconds: 'route',
  canary_duration_seconds: 'stage',
}

/** Upper bounds of the buckets, seconds. */
export const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

export interface Count {
  name: CounterName
  /** '' for counters that have no reasons. */
  reason: string
  count: number
}

export interface Histogram {
  name: HistogramName
  label: string
  /** One for each of `bounds`, and one for what is above all of them; not summed up. */
  buckets: number[]
  sumSeconds: number
  count: number
}

/**
 * Numbers that are read where they are counted, all at one moment: conservation compares sums, and none may change between two of
 * them. OpenTelemetry's metrics SDK, by which the same instruments leave (`telemetry-metric.ts`), gives its sums to a reader alone, and
 * later (`test/receiver/http/metrics.test.ts`, "what OpenTelemetry's packages for metrics do").
 */
export interface Metric {
  /**
   * These labels are there with 0 from now on. Prometheus sees no increase in a series that begins with its first count: an
   * alert that was raised once would be on no graph.
   */
  expect(name: CounterName, labels: readonly string[]): void
  add(name: CounterName, count: number, reason?: string): void
  /** The counts so far, in the order of `counters`. */
  read(): Count[]
  /** Sum over the reasons. */
  total(name: CounterName): number
  observe(name: HistogramName, seconds: number, label?: string): void
  readHistograms(): Histogram[]
  /** `read` gives the value of now, undefined when there is none. The last registration of a name and label counts. */
  gauge(name: GaugeName, read: () => number | undefined, label?: string): void
  /** `refresh` brings gauges up to date, before somebody reads. */
  onRead(refresh: () => Promise<void>): void
  /** Ask before reading. */
  refresh(): Promise<void>
  readGauges(): { name: GaugeName; label: string; value: number }[]
}

// Reasons may hold text of the outside: beyond this number they are counted together.
const maxReasons = 100

export function createMetric(): Metric {
  const counts = new Map<CounterName, Map<string, number>>()
  const observed = new Map<HistogramName, Map<string, Histogram>>()
  const refreshes: (() => Promise<void>)[] = []
  const reads = new Map<GaugeName, Map<string, () => number | undefined>>()
  function add(name: CounterName, count: number, reason: string): void {
    const reasons = within(counts, name)
    const key = reasons.has(reason) || reasons.size < maxReasons ? reason : 'other'
    reasons.set(key, (reasons.get(key) ?? 0) + count)
  }

  return {
    expect(name, labels) {
      for (const label of labels) add(name, 0, label)
    },
    add(name, count, reason = '') {
      if (count !== 0) add(name, count, reason)
    },
    read() {
      return inOrder(counters, counts).map(({ name, label, value }) => ({
        name,
        reason: label,
        count: value,
      }))
    },
    total(name) {
      let sum = 0
      for (const count of counts.get(name)?.values() ?? []) sum += count
      return sum
    },
    observe(name, seconds, label = '') {
      const byLabel = within(observed, name)
      const key = byLabel.has(label) || byLabel.size < maxReasons ? label : 'other'
      let one = byLabel.get(key)
      if (!one) {
        one = { name, label: key, buckets: new Array(bounds.length + 1).fill(0), sumSeconds: 0, count: 0 }
        byLabel.set(key, one)
      }
      let bucket = 0
      while (bucket < bounds.length && seconds > bounds[bucket]!) bucket++
      one.buckets[bucket]!++
      one.sumSeconds += seconds
      one.count++
    },
    readHistograms: () => inOrder(histograms, observed).map(({ value }) => value),
    gauge(name, read, label = '') {
      within(reads, name).set(label, read)
    },
    onRead(refresh) {
      refreshes.push(refresh)
    },
    async refresh() {
      await Promise.all(refreshes.map((refresh) => refresh()))
    },
    readGauges() {
      return inOrder(gauges, reads).flatMap(({ name, label, value: read }) => {
        const value = read()
        return value === undefined ? [] : [{ name, label, value }]
      })
    },
  }
}

function within<Name, Value>(all: Map<Name, Map<string, Value>>, name: Name): Map<string, Value> {
  let one = all.get(name)
  if (!one) {
    one = new Map()
    all.set(name, one)
  }
  return one
}

function inOrder<Name extends string, Value>(
  names: { [name in Name]: string },
  all: Map<Name, Map<string, Value>>,
): { name: Name; label: string; value: Value }[] {
  return (Object.keys(names) as Name[]).flatMap((name) =>
    [...(all.get(name) ?? [])].map(([label, value]) => ({ name, label, value })),
  )
}
