/** What the receiver counts, and what each counter means. received = stored + duplicate + rejected, always. */
export const counters = {
  events_received: 'Events that reached the gate or were refused while decoding',
  events_stored: 'Events committed to the store',
  events_duplicate: 'Events whose id was stored already',
  events_rejected: 'Events refused for good, by reason',
  events_unavailable: 'Events answered with 503 because nothing could be told of their commit',
  requests_refused: 'Requests that ended with an error, by error code',
  attributes_duplicate: 'Attribute keys that came twice in one list; the last one counts',
  source_ids_kept_aside: 'madsci.source.* values that are no ULID, kept in otel.source',
  records_undated: 'Records with neither a time nor log.record.uid',
} as const
export type CounterName = keyof typeof counters

export interface Count {
  name: CounterName
  /** '' for counters that have no reasons. */
  reason: string
  count: number
}

export interface Metric {
  add(name: CounterName, count: number, reason?: string): void
  /** The counts so far, in the order of `counters`. */
  read(): Count[]
  /** Sum over the reasons. */
  total(name: CounterName): number
}

// Reasons may hold text of the outside: beyond this number they are counted together.
const maxReasons = 100

export function createMetric(): Metric {
  const counts = new Map<CounterName, Map<string, number>>()
  return {
    add(name, count, reason = '') {
      if (count === 0) return
      let reasons = counts.get(name)
      if (!reasons) {
        reasons = new Map()
        counts.set(name, reasons)
      }
      const key = reasons.has(reason) || reasons.size < maxReasons ? reason : 'other'
      reasons.set(key, (reasons.get(key) ?? 0) + count)
    },
    read() {
      return (Object.keys(counters) as CounterName[]).flatMap((name) =>
        [...(counts.get(name) ?? [])].map(([reason, count]) => ({ name, reason, count })),
      )
    },
    total(name) {
      let sum = 0
      for (const count of counts.get(name)?.values() ?? []) sum += count
      return sum
    },
  }
}
