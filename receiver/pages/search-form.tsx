import { useEffect, useRef } from 'preact/hooks'
import type { SearchProblem } from '../src/search/line.ts'
import { toAddress, type Wanted } from './explore-state.ts'
import { spans } from './span.ts'
import { go } from './state.ts'
import { showTime } from './time.ts'

export function SearchForm({ state, place }: { state: Wanted; place: SearchProblem | undefined }) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (place) input.current?.setSelectionRange(place.column - 1, place.column - 1 + place.length)
  }, [place])
  return (
    <search>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault()
          go(toAddress({ ...state, line: input.current!.value, id: '' }))
        }}
      >
        <input
          ref={input}
          key={state.line}
          type="search"
          name="q"
          aria-label="Search"
          aria-describedby="search-help"
          defaultValue={state.line}
          placeholder={'words "a phrase" node:arm -type:log_info level>=error since:2h {selector}'}
        />
        <select
          aria-label="Time"
          value={state.span}
          onChange={({ currentTarget: { value } }) =>
            go(toAddress({ ...state, id: '', start: '', end: '', span: value }))
          }
        >
          {Object.entries(spans).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
        <button type="submit">Search</button>
        {(state.end !== '' || state.start !== '') && (
          <button type="button" onClick={() => go(toAddress({ ...state, id: '', start: '', end: '' }))}>
            {state.start === '' ? 'up to' : `${showTime(state.start)} –`}{' '}
            {state.end !== '' && showTime(state.end)} ✕
          </button>
        )}
        <span id="search-help" class="hidden">
          Words of the message, phrases in quotes, or name:value for node, type, workflow, experiment,
          service, trace, since; a minus excludes; level greater or equal error; a selector in braces. Keys: j
          and k go on, Escape closes, Space pauses.
        </span>
      </form>
    </search>
  )
}
