import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ask } from './state.ts'

// A report may have to read stored events first.
const patienceMs = 60_000

/** What the receiver answers at an address; asked again when the address changes, and by `reload`. */
export function useAnswer<Answer>(url: string, everyMs = 0) {
  const answer = useSignal<Answer | undefined>(undefined)
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
            answer.value = JSON.parse(text) as Answer
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
    answer: answer.value,
    problem: problem.value,
    reload: () => {
      turn.value++
    },
  }
}
