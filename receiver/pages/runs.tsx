import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { RunSummary, RunsAnswer } from '../src/http/run-answer.ts'
import { useAnswer } from './load.ts'
import { shortId } from './shell.tsx'
import { follow } from './state.ts'
import { showShort, showTime, toMs } from './time.ts'

export const addressOfRun = (kind: string, id: string) => `/run/${kind}/${encodeURIComponent(id)}`

/** What became of it in a word, and the colour of that. */
export function Outcome({ run }: { run: Pick<RunSummary, 'outcome' | 'state' | 'is_open'> }) {
  const word = run.is_open ? (run.state === 'busy' ? 'running' : run.state) : (run.outcome ?? 'unknown')
  const isBad = word === 'failed' || word === 'error' || word === 'down'
  const mark = isBad ? '✗' : word === 'completed' ? '✓' : word === 'running' ? '▸' : '–'
  return (
    <span class={`outcome ${isBad ? 'problem' : ''}`}>
      <span aria-hidden="true">{mark}</span> {word}
    </span>
  )
}

/** Experiments and workflows, newest first. */
export function RunsPage() {
  const { answer, problem } = useAnswer<RunsAnswer>('/runs?number=500', 10_000)
  const words = useSignal('')
  const chosen = useSignal<string[]>([])
  useEffect(() => {
    document.title = 'Runs'
  }, [])
  const wanted = words.value.toLowerCase()
  const runs = answer?.runs.filter((run) =>
    [run.name, run.user, run.kind, run.id, run.outcome].some((text) => text?.toLowerCase().includes(wanted)),
  )
  return (
    <>
      <h1 class="message">Runs</h1>
      <form class="search" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          aria-label="Runs by name, person, kind or outcome"
          placeholder="name, person, kind or outcome"
          value={words.value}
          onInput={({ currentTarget }) => {
            words.value = currentTarget.value
          }}
        />
        <Compare chosen={chosen.value} />
      </form>
      {problem && (
        <p class="note problem" role="alert">
          {problem}
        </p>
      )}
      {!answer && !problem && <p class="note">Asking the receiver …</p>}
      {runs?.length === 0 && (
        <p class="note">
          {answer!.runs.length > 0 ? 'None of this kind.' : 'No experiment or workflow was heard of yet.'}
        </p>
      )}
      <ul class="rows runs">
        {runs?.map((run) => (
          <Run key={run.kind + run.id} run={run} chosen={chosen} />
        ))}
      </ul>
      {answer?.is_cut && <p class="note">Older ones are not shown.</p>}
    </>
  )
}

const keyOf = ({ kind, id }: RunSummary) => `${kind}/${id}`

function Compare({ chosen }: { chosen: string[] }) {
  const [one, two] = chosen.map((key): [kind: string, id: string] => {
    const cut = key.indexOf('/')
    return [key.slice(0, cut), key.slice(cut + 1)]
  })
  if (!one || !two) return <span class="note">Choose two to see them side by side</span>
  const address = `${addressOfRun(...one)}?${new URLSearchParams({ with: two.join('/') })}`
  return (
    <a class="button" href={address} onClick={follow}>
      Side by side
    </a>
  )
}

function Run({ run, chosen }: { run: RunSummary; chosen: { value: string[] } }) {
  const { kind, id, name, user, start_time, end_time, is_open } = run
  const key = keyOf(run)
  const text = name ?? shortId(id)
  return (
    <li>
      <input
        type="checkbox"
        aria-label={`Compare ${text}`}
        checked={chosen.value.includes(key)}
        onChange={({ currentTarget }) => {
          const others = chosen.value.filter((one) => one !== key)
          chosen.value = currentTarget.checked ? [...others, key].slice(-2) : others
        }}
      />
      <a href={addressOfRun(kind, id)} title={id} onClick={follow}>
        <bdi>{text}</bdi>
      </a>
      <span class="note">
        {kind}
        {user && (
          <>
            , <bdi>{user}</bdi>
          </>
        )}
      </span>
      <Outcome run={run} />
      <span class="since">{showTime(`${new Date(toMs(start_time)).toISOString().slice(0, 19)}Z`)}</span>
      <span class="since">
        {is_open ? 'for ' : ''}
        {showShort(toMs(end_time) - toMs(start_time))}
      </span>
    </li>
  )
}
