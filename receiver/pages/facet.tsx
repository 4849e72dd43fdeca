import { type FacetName, facetNames } from '../src/store/summary.ts'
import { hasTerm, toAddress, toggleTerm, type Wanted } from './explore-state.ts'
import { shortId } from './shell.tsx'
import { follow, go } from './state.ts'
import type { ShownSummary } from './summary.ts'
import { showCount, showTime } from './time.ts'

const labelOf = (name: FacetName) => name[0]!.toUpperCase() + name.slice(1)

/** What all events of the search are of, by name, with their number; each narrows the search or is taken back, with Alt it is left out. */
export function Facets({ summary, state }: { summary: ShownSummary; state: Wanted }) {
  const { answer, problem, isBusy } = summary
  const addressOf = (term: string) => toAddress({ ...state, line: toggleTerm(state.line, term), id: '' })
  const isWide = matchMedia('(min-width: 1000px)').matches
  if (!answer) return <div class="facets since">{problem && `Not counted: ${problem}`}</div>
  if (answer.total === 0 && answer.is_complete && !problem) return <div class="facets" />
  return (
    <details class={isBusy || problem ? 'facets stale' : 'facets'} open={isWide}>
      <summary>
        {problem
          ? `Not counted again: ${problem}`
          : `Of ${answer.is_complete ? 'all' : 'the newest'} ${showCount(answer.total)}`}
      </summary>
      {!answer.is_complete && (
        <p class="since">
          {answer.complete_since === null
            ? 'Counting takes long'
            : `since ${showTime(answer.complete_since)}`}{' '}
          <button type="button" disabled={isBusy} onClick={summary.countAll}>
            {isBusy ? 'counting …' : 'count all'}
          </button>
        </p>
      )}
      {facetNames.map((name) => {
        const { values, other } = answer.facets[name]
        if (values.length === 0) return null
        const names = values.map((value) => value.name)
        // Workflows of one recipe bear one name.
        const isShared = (called: string | null) => names.indexOf(called) !== names.lastIndexOf(called)
        return (
          <section key={name} aria-label={labelOf(name)}>
            <h2>{labelOf(name)}</h2>
            <ul>
              {values.map(({ id, name: called, count, q }) => (
                <li key={q}>
                  <a
                    href={addressOf(q)}
                    class={hasTerm(state.line, q) ? 'chosen' : ''}
                    title={`${id === null ? '' : `${id} – `}With Alt: all but these`}
                    {...(hasTerm(state.line, q) && { 'aria-current': 'true' as const })}
                    onClick={(event) => {
                      if (!event.altKey) return follow(event)
                      event.preventDefault()
                      go(addressOf(`-${q}`))
                    }}
                  >
                    <bdi>{called ?? shortId(id ?? '')}</bdi>
                    {called !== null && id !== null && isShared(called) && ` ${shortId(id)}`}
                  </a>{' '}
                  <span class="since">{showCount(count)}</span>
                </li>
              ))}
              {other > 0 && (
                <li class="since">
                  <span>others</span> <span>{showCount(other)}</span>
                </li>
              )}
            </ul>
          </section>
        )
      })}
    </details>
  )
}
