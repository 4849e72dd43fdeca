import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { SummaryAnswer } from '../src/http/summary-answer.ts'
import { toAddress, toParameters, type Wanted } from './explore-state.ts'
import { checkLine } from './search.ts'
import { ask } from './state.ts'

/** The summary of a search. */
export interface ShownSummary {
  /** The last answer, which may be that of the question before. */
  answer: SummaryAnswer | undefined
  isBusy: boolean
  problem: string
  /** Counts everything, however long it takes. */
  countAll: () => void
}

const soonMs = 3000
// A receiver ends it at query_timeout_ms.
const patienceMs = 120_000
const liveMs = 10_000

/** Asked again when the address changes, and when `turn` does. */
export function useSummary(state: Wanted, isLive = false, withArchived = false, turn = 0): ShownSummary {
  const key = toAddress({ ...state, id: '', isUnfolded: false, isOneLine: false })
  const answer = useSignal<SummaryAnswer | undefined>(undefined)
  const isBusy = useSignal(false)
  const problem = useSignal('')
  const asked = useRef(0)

  const load = async (timeoutMs: number | undefined) => {
    const number = ++asked.current
    isBusy.value = true
    try {
      // The list says what is wrong with it.
      if ((await checkLine(state.line)).problem) return
      const parameters = toParameters(state)
      parameters.set('buckets', innerWidth < 700 ? '60' : '120')
      parameters.set('values', '8')
      if (withArchived) parameters.set('include_archived', 'true')
      if (timeoutMs !== undefined) parameters.set('timeout_ms', String(timeoutMs))
      const text = await ask(`/events/summary?${parameters}`, patienceMs)
      // Of several answers the one to the last question counts.
      if (number !== asked.current) return
      answer.value = JSON.parse(text) as SummaryAnswer
      problem.value = ''
    } catch (error) {
      if (number === asked.current) problem.value = (error as Error).message
    } finally {
      if (number === asked.current) isBusy.value = false
    }
  }

  useEffect(() => void load(soonMs), [key, turn])
  useEffect(() => {
    if (!isLive) return
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && !isBusy.value) void load(soonMs)
    }, liveMs)
    return () => clearInterval(timer)
  }, [isLive, key])
  return {
    answer: answer.value,
    isBusy: isBusy.value,
    problem: problem.value,
    countAll: () => void load(undefined),
  }
}
