import { EventError, fromDocument, fromTimestamp, isObject, parseJson } from '@madsci-events/sdk/event'
import { toFacts } from '../store/alert-store.ts'
import type { EventStore } from '../store/event-store.ts'
import { createMachine } from './machine.ts'
import { createMatch } from './match.ts'
import type { Rule, RuleSet } from './rule.ts'
import { emptyState } from './state.ts'

export interface PreviewOptions {
  store: EventStore
  rule: Rule
  windows: Pick<RuleSet, 'quiet' | 'maintenance'>
  /** Canonical timestamps. */
  startTime: string
  endTime: string
  timeoutMs: number
}

export interface Preview {
  events: number
  matched: number
  alerts: number
  messages: number
  /** The first messages. */
  firings: { at: string; kind: string; key: string; count: number; why: string; event_ids: string[] }[]
  /** Not every message is listed. */
  isCut: boolean
}

const maxFirings = 200

const toMs = (timestamp: string) => Number((fromTimestamp(timestamp) ?? 0n) / 1_000_000n)

/** Runs a rule over history, each event at its own time. Throws EVT_QUERY_TIMEOUT, EVT_STORE_UNAVAILABLE. */
export async function previewRule(options: PreviewOptions): Promise<Preview> {
  const { store, rule, windows, startTime, endTime, timeoutMs } = options
  let nowMs = toMs(startTime)
  const match = createMatch([rule], {
    now: () => nowMs,
    onTimeout() {
      throw new EventError(
        'EVT_QUERY_TIMEOUT',
        'A regular expression of the rule needs backtracking and took too long',
      )
    },
  })!
  const machine = createMachine({ ...windows, rules: [rule] }, emptyState(nowMs))
  const preview: Preview = { events: 0, matched: 0, alerts: 0, messages: 0, firings: [], isCut: false }
  const opened = new Set<string>()
  const collect = () => {
    const { notices, alerts } = machine.take()
    for (const { id } of alerts) opened.add(id)
    for (const { atMs, kind, key, count, why, ids } of notices) {
      preview.messages++
      if (preview.firings.length < maxFirings)
        preview.firings.push({ at: new Date(atMs).toISOString(), kind, key, count, why, event_ids: ids })
    }
  }
  const query = {
    startTime,
    endTime,
    archived: 'include',
    order: 'oldest',
    limit: 0,
    offset: 0,
    timeoutMs,
  } as const
  for await (const chunk of store.find(query)) {
    for (const { json } of chunk) {
      const document = parseJson(json)
      if (!isObject(document)) continue
      const event = fromDocument(document)
      preview.events++
      nowMs = Math.max(nowMs, toMs(event.event_timestamp))
      const matches = match([event])
      if (matches.length === 0) continue
      if (matches.some(({ kind }) => kind === 'match')) preview.matched++
      machine.add({ atMs: nowMs, facts: toFacts(matches, () => event.event_id) })
    }
    collect()
  }
  machine.advance(Math.min(toMs(endTime), Date.now()))
  collect()
  preview.alerts = opened.size
  preview.isCut = preview.messages > preview.firings.length
  return preview
}
