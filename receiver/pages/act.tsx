import { useSignal } from '@preact/signals'
import type { WatchAnswer } from '../src/http/watch-answer.ts'
import { AnswerError, ask, tell } from './state.ts'

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
          await act(url, body, token)
          note.value = ' – done'
          onDone()
        } catch (error) {
          const isOld = error instanceof AnswerError && error.status === 403
          note.value = ` – ${isOld ? 'pages may not change this now: load the page again' : (error as Error).message}`
        }
      }}
    >
      {label}
      <span role="status">{note.value}</span>
    </button>
  )
}

/** With the token of now, where that of the page is no longer taken: the database may be another since. */
async function act(url: string, body: object, token: string): Promise<void> {
  try {
    await tell(url, body, { 'x-page-token': token })
  } catch (error) {
    if (!(error instanceof AnswerError) || error.status !== 403) throw error
    const { token: fresh } = JSON.parse(await ask('/data/watch')) as WatchAnswer
    if (fresh === null || fresh === token) throw error
    await tell(url, body, { 'x-page-token': fresh })
  }
}
