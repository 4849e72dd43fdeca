import { useSignal } from '@preact/signals'
import { AnswerError, tell } from './state.ts'

/** A button that changes something at the receiver, and says what came of it. */
export function Act(props: { label: string; url: string; body: object; token: string; onDone: () => void }) {
  const { label, url, body, token, onDone } = props
  const note = useSignal('')
  return (
    <button
      type="button"
      onClick={async () => {
        note.value = ' …'
        try {
          await tell(url, body, { 'x-page-token': token })
          note.value = ' – done'
          onDone()
        } catch (error) {
          const isOld = error instanceof AnswerError && error.status === 403
          note.value = ` – ${isOld ? 'the receiver has started again: load the page again' : (error as Error).message}`
        }
      }}
    >
      {label}
      <span role="status">{note.value}</span>
    </button>
  )
}
