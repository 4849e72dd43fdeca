import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { messageOf, whoOf } from './event.tsx'
import { type Row, toRows } from './explore-state.ts'
import { type Json, memberOf, parseExact, textOf } from './json.ts'
import { Level } from './shell.tsx'
import { ask, follow } from './state.ts'
import { showTime } from './time.ts'

/** By what, and where an event says that it is of such a thing. */
const kinds: { [by: string]: string[][] } = {
  time: [],
  workflow: [
    ['source', 'workflow_id'],
    ['event_data', 'workflow_id'],
  ],
  node: [
    ['source', 'node_id'],
    ['event_data', 'node_id'],
  ],
  trace: [['trace_id']],
}
const eachSide = 5
// Kept from event to event, so that one goes along a workflow.
const chosen = signal('time')
const isShown = signal(false)

/** The events just before and after one, by time or of the same workflow, node or trace. */
export function Neighbours(props: {
  id: string
  event: Json
  addressOf: (id: string) => string
  isOpen?: boolean
}) {
  const { id, event, addressOf, isOpen = false } = props
  const rows = useSignal<Row[]>([])
  const problem = useSignal('')
  const possible = Object.keys(kinds).filter(
    (kind) => kind === 'time' || kinds[kind]!.some((path) => textOf(memberOf(event, ...path)) !== ''),
  )
  const by = possible.includes(chosen.value) ? chosen.value : 'time'
  const isWanted = isOpen || isShown.value
  useEffect(() => {
    if (!isWanted) return
    let isCurrent = true
    const parameters = new URLSearchParams({ by, before: String(eachSide), after: String(eachSide) })
    ask(`/event/${encodeURIComponent(id)}/around?${parameters}`).then(
      (text) => {
        if (!isCurrent) return
        rows.value = toRows(parseExact(text) as { [id: string]: Json })
        problem.value = ''
      },
      (error: Error) => {
        if (isCurrent) problem.value = error.message
      },
    )
    return () => {
      isCurrent = false
    }
  }, [id, by, isWanted])
  return (
    <details
      class="neighbours"
      open={isWanted}
      onToggle={({ currentTarget }) => {
        if (!isOpen) isShown.value = currentTarget.open
      }}
    >
      <summary>Before and after</summary>
      <fieldset class="actions">
        <legend class="hidden">Neighbours by</legend>
        {possible.map((kind) => (
          <button
            key={kind}
            type="button"
            aria-pressed={kind === by}
            onClick={() => {
              chosen.value = kind
            }}
          >
            {kind}
          </button>
        ))}
      </fieldset>
      {problem.value && (
        <p class="note problem" role="alert">
          {problem.value}
        </p>
      )}
      <ol>
        {rows.value.map((row) => (
          <li key={row.id} class={row.id === id ? 'selected' : ''}>
            <span class="since">{showTime(textOf(memberOf(row.event, 'event_timestamp')), false)}</span>
            <Level level={Number(textOf(memberOf(row.event, 'log_level')))} />
            <a
              href={addressOf(row.id)}
              onClick={follow}
              {...(row.id === id && { 'aria-current': 'true' as const })}
            >
              <bdi>{whoOf(row.event)}</bdi>: <bdi>{messageOf(row.event)}</bdi>
            </a>
          </li>
        ))}
      </ol>
    </details>
  )
}
