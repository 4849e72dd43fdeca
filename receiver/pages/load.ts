import { useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import { ask } from './state.ts'

// A report may have to read stored events first.
const patienceMs = 60_000

/** What the receiver answers at an address; asked again when the address changes, and by `reload`. */
export function useAnswer<Answer>(url: string, everyMs = 0) {
  const { text, ...rest } = useAsked(url, everyMs)
  return {
    answer: useMemo(() => (text === undefined ? undefined : (JSON.parse(text) as Answer)), [text]),
    ...rest,
  }
}

/** The same as text; '' until it is there. */
export const useText = (url: string, everyMs = 0): string => useAsked(url, everyMs).text ?? ''

function useAsked(url: string, everyMs: number) {
  const answer = useSignal<string | undefined>(undefined)
  const problem = useSignal('')
  const turn = useSignal(0)
  useEffect(() => {
    let isCurrent = true
    let timer = 0
    const load = () =>
      ask(url, patienceMs)
        .then(
          (text) => {
            if (!isCurrent) return
            answer.value = text
            problem.value = ''
          },
          (error: Error) => {
            if (isCurrent) problem.value = error.message
          },
        )
        .finally(() => {
          if (isCurrent && everyMs > 0)
            timer = window.setTimeout(load, document.hidden ? everyMs * 4 : everyMs)
        })
    if (url !== '') void load()
    return () => {
      isCurrent = false
      clearTimeout(timer)
    }
  }, [url, turn.value])
  return {
    text: answer.value,
    problem: problem.value,
    reload: () => {
      turn.value++
    },
  }
}
