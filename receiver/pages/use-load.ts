import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { SummaryItem } from '../src/utilization/timeline/summary.ts'
import { spans } from './span.ts'
import { AnswerError, ask, query, zoneName } from './state.ts'

export type UseSpan = '24h' | '7d' | '30d' | 'all'
export const useSpans: readonly UseSpan[] = ['24h', '7d', '30d', 'all']

export interface UseState {
  span: UseSpan
  /** Bounds, ISO 8601; '' where the span says them. */
  start: string
  end: string
}

export function useState(): UseState {
  const parameters = new URLSearchParams(query.value)
  const [start, end] = [parameters.get('start') ?? '', parameters.get('end') ?? '']
  const span = useSpans.find((one) => one === parameters.get('span')) ?? '7d'
  return Date.parse(start) < Date.parse(end) ? { span, start, end } : { span, start: '', end: '' }
}

/** What every report says of its window. */
interface Metadata {
  report_metadata: { start_time: string; end_time: string; wall_us: number }
}

export interface Summary extends Metadata {
  items: SummaryItem[]
}

export interface UseWait {
  reason: string
  waiter_name: string | null
  waiter_id: string
  workflow_id: string | null
  start_time: string
  end_time: string
  wait_us: number
  node_name: string | null
  node_id: string | null
  node_busy_us: number | null
  node_idle_us: number | null
  node_error_us: number | null
  node_down_us: number | null
  node_unknown_us: number | null
}

export interface Waits extends Metadata {
  total_waits: number
  waits: UseWait[]
}

export interface Subject {
  kind: 'node' | 'experiments'
  id: string
  name: string | null
  original_us: { busy: number; idle: number }
  exact_us: { busy: number; idle: number }
  differences: {
    reason: string
    because: string
    original: string
    exact: string
    duration_us: number
    event_ids: string[]
  }[]
}

export interface Compared extends Metadata {
  sessions: number
  subjects: Subject[]
}

/** An answer, or why there is none. */
export interface Loaded<Answer> {
  answer?: Answer
  problem?: string
}

export interface Use {
  nodes: Loaded<Summary>
  users: Loaded<Summary>
  experiments: Loaded<Summary>
  waits: Loaded<Waits>
  compared: Loaded<Compared>
}

/** Of more the longest are asked for, and the page says so. */
export const maxWaits = 2000
const hoursUpToMs = 8 * 86_400_000
// The first report after a start reads all stored events.
const patienceMs = 180_000

/** Each report by itself: where one fails, the others are shown. */
export function useUse({ span, start, end }: UseState): Use {
  const use = useSignal<Use>({ nodes: {}, users: {}, experiments: {}, waits: {}, compared: {} })
  const shownZone = zoneName()
  useEffect(() => {
    let isOver = false
    const load = async <Name extends keyof Use>(name: Name, work: () => Promise<string>) => {
      let loaded: Use[Name]
      try {
        loaded = { answer: JSON.parse(await work()) } as Use[Name]
      } catch (error) {
        loaded = { ...use.value[name], problem: (error as Error).message }
      }
      if (!isOver) use.value = { ...use.value, [name]: loaded }
    }
    const bounds = boundsOf({ span, start, end })
    const report = (name: string, more: { [parameter: string]: string }) =>
      ask(`/utilization/${name}?${new URLSearchParams({ ...bounds, zone: shownZone, ...more })}`, patienceMs)
    const isShort =
      'start_time' in bounds && Date.parse(bounds.end_time) - Date.parse(bounds.start_time) <= hoursUpToMs
    void load('nodes', () =>
      firstAccepted(isShort ? ['hour'] : ['day', 'month'], (bucket) =>
        report('summary', { by: 'node', bucket }),
      ),
    )
    void load('users', () => report('summary', { by: 'user' }))
    void load('experiments', () => report('summary', { by: 'experiment' }))
    void load('waits', () => report('waits', { limit: String(maxWaits) }))
    void load('compared', () => report('compare', {}))
    return () => {
      isOver = true
    }
  }, [span, start, end, shownZone])
  return use.value
}

function boundsOf({
  span,
  start,
  end,
}: UseState): { start_time: string; end_time: string } | Record<never, string> {
  if (start !== '') return { start_time: start, end_time: end }
  const { ms } = spans[span]!
  const now = Date.now()
  return ms === 0
    ? {}
    : { start_time: new Date(now - ms).toISOString(), end_time: new Date(now).toISOString() }
}

/** Of too many days months are asked for. */
async function firstAccepted(words: string[], work: (word: string) => Promise<string>): Promise<string> {
  const [word, ...rest] = words
  try {
    return await work(word!)
  } catch (error) {
    if (rest.length === 0 || !(error instanceof AnswerError) || error.status !== 422) throw error
    return firstAccepted(rest, work)
  }
}
