import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { TimelineColumns } from '../src/utilization/timeline/column.ts'
import { spans } from './span.ts'
import { ask } from './state.ts'
import { type TimelineState, toIso } from './timeline-state.ts'

export interface ShownTimeline {
  /** The last answer, which may be that of the question before. */
  columns: TimelineColumns | undefined
  isBusy: boolean
  problem: string
}

const liveMs = 10_000
const settleMs = 250
// The first report after a start reads all stored events.
const patienceMs = 180_000

/** What is loaded holds the shown time and some beside it; it is loaded again where the shown time leaves it, or what was left out may be in. */
export function useTimeline(state: TimelineState): ShownTimeline {
  const columns = useSignal<TimelineColumns | undefined>(undefined)
  const isBusy = useSignal(false)
  const problem = useSignal('')
  const asked = useRef(0)
  const { span, start, end, workflow } = state
  const isLive = start === '' && span !== 'all'

  const load = async () => {
    const number = ++asked.current
    isBusy.value = true
    try {
      const parameters = new URLSearchParams({
        kind: 'node,experiment,workflow,step,action',
        ...boundsOf(state),
      })
      const text = await ask(`/data/timeline?${parameters}`, patienceMs)
      // Of several answers the one to the last question counts.
      if (number !== asked.current) return
      columns.value = JSON.parse(text) as TimelineColumns
      problem.value = ''
    } catch (error) {
      if (number === asked.current) problem.value = (error as Error).message
    } finally {
      if (number === asked.current) isBusy.value = false
    }
  }

  useEffect(() => {
    if (
      start !== '' &&
      columns.value &&
      isEnough(columns.value, Date.parse(start) * 1000, Date.parse(end) * 1000)
    )
      return
    // Whoever zooms asks when it is done.
    const timer = setTimeout(load, columns.value && start !== '' ? settleMs : 0)
    return () => clearTimeout(timer)
  }, [span, start, end, workflow])
  useEffect(() => {
    if (!isLive) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && !isBusy.value) void load()
    }, liveMs)
    return () => clearInterval(timer)
  }, [isLive, span])
  return { columns: columns.value, isBusy: isBusy.value, problem: problem.value }
}

/** Half as much again on both sides, so that a small step asks nothing. */
function boundsOf({ span, start, end }: TimelineState): { start_time?: string; end_time?: string } {
  const { ms } = spans[span]!
  if (start !== '') {
    const [from, until] = [Date.parse(start), Date.parse(end)]
    const beside = (until - from) / 2
    return { start_time: toIso((from - beside) * 1000), end_time: toIso((until + beside) * 1000) }
  }
  if (ms === 0) return {}
  const now = Date.now()
  return { start_time: toIso((now - ms) * 1000), end_time: toIso(now * 1000) }
}

function isEnough(columns: TimelineColumns, start: number, end: number): boolean {
  const { start_us, end_us, now_us, left_out } = columns
  const isWithin = start >= start_us && end <= Math.max(end_us, Math.min(end, now_us))
  const isEnded = end_us >= now_us - 1e6 || end <= end_us
  const isMuchNarrower = (end - start) * 3 < end_us - start_us
  return isWithin && isEnded && !(Object.keys(left_out).length > 0 && isMuchNarrower)
}
