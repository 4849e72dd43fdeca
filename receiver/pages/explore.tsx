import { signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { type SearchProblem, toToken } from '../src/search/line.ts'
import { EventDetail, messageOf } from './event.tsx'
import { Facets } from './facet.tsx'
import { type Json, memberOf, parseExact, textOf } from './json.ts'
import { Level, shortId } from './shell.tsx'
import { ask, askPage, follow, go, query } from './state.ts'
import { showTime } from './time.ts'

const spans: { [name: string]: { label: string; ms: number } } = {
  '15m': { label: 'last 15 minutes', ms: 900_000 },
  '1h': { label: 'last hour', ms: 3_600_000 },
  '24h': { label: 'last 24 hours', ms: 86_400_000 },
  '7d': { label: 'last 7 days', ms: 604_800_000 },
  all: { label: 'all time', ms: 0 },
}
const pageEvents = 100
/** More would make a page slow; a filter finds them. */
const maxRows = 1000

interface Row {
  id: string
  event: Json
}

const toRows = (events: { [id: string]: Json }): Row[] =>
  Object.entries(events).map(([id, event]) => ({ id, event }))

/** What the address says is looked for. */
function wanted() {
  const parameters = new URLSearchParams(query.value)
  const line = parameters.get('q') ?? ''
  const span = parameters.get('span') ?? '24h'
  const end = parameters.get('end') ?? ''
  return { line, span: Object.hasOwn(spans, span) ? span : '24h', end, id: parameters.get('id') ?? '' }
}

const toAddress = (parts: { line: string; span: string; end?: string; id?: string }) => {
  const parameters = new URLSearchParams()
  if (parts.line !== '') parameters.set('q', parts.line)
  if (parts.span !== '24h') parameters.set('span', parts.span)
  if (parts.end) parameters.set('end', parts.end)
  if (parts.id) parameters.set('id', parts.id)
  const text = parameters.toString()
  return text === '' ? '/explore' : `/explore?${text}`
}

/** The filter of the address as parameters of GET /events. */
function toParameters({ line, span, end }: ReturnType<typeof wanted>): URLSearchParams {
  const parameters = new URLSearchParams(line === '' ? {} : { q: line })
  const { ms } = spans[span]!
  if (end !== '') parameters.set('end_time', end)
  if (ms > 0) {
    const endMs = end === '' ? Date.now() : Date.parse(end)
    parameters.set('start_time', new Date(endMs - ms).toISOString())
  }
  return parameters
}

/** What of a line is not understood. Asked for first: a browser reports each refusal of a list as an error of its own. */
async function findProblem(line: string): Promise<SearchProblem | undefined> {
  if (line === '') return undefined
  const text = await ask(`/data/search?${new URLSearchParams({ q: line })}`)
  return (JSON.parse(text) as { problem: SearchProblem | null }).problem ?? undefined
}

// Kept while other pages are looked at.
const rows = signal<Row[]>([])
const next = signal<string | undefined>(undefined)
const fresh = signal<Row[]>([])
const loaded = signal('')

/** Events by a search line and a span of time, newest first, live where nobody reads. */
export function ExplorePage() {
  const state = wanted()
  const problem = useSignal('')
  const place = useSignal<SearchProblem | undefined>(undefined)
  const isBusy = useSignal(false)
  const isLive = useSignal(false)
  const isPaused = useSignal(false)
  const key = toAddress({ ...state, id: '' })

  const load = async (cursor: string) => {
    isBusy.value = true
    try {
      place.value = await findProblem(wanted().line)
      if (place.value) {
        problem.value = `Column ${place.value.column}: ${place.value.message}`
        isBusy.value = false
        return
      }
      const parameters = toParameters(wanted())
      parameters.set('cursor', cursor)
      parameters.set('number', String(pageEvents))
      const page = await askPage(`/events?${parameters}`)
      const found = toRows(parseExact(page.text) as { [id: string]: Json })
      rows.value = cursor === '' ? found : [...rows.value, ...found].slice(0, maxRows)
      next.value = page.next
      problem.value = ''
    } catch (error) {
      problem.value = (error as Error).message
    }
    isBusy.value = false
  }

  useEffect(() => {
    document.title = state.line === '' ? 'Explore' : `${state.line} – Explore`
    if (loaded.value !== key) {
      loaded.value = key
      rows.value = []
      fresh.value = []
      void load('')
    }
  }, [key])

  useLive(isLive.value && state.end === '', key, (row) => {
    if (isPaused.value || scrollY > 40 || wanted().id !== '' || !getSelection()?.isCollapsed)
      fresh.value = [row, ...fresh.value].slice(0, maxRows)
    else rows.value = [row, ...rows.value].slice(0, maxRows)
  })

  const showFresh = () => {
    rows.value = [...fresh.value, ...rows.value].slice(0, maxRows)
    fresh.value = []
    isPaused.value = false
    scrollTo(0, 0)
  }
  const select = (id: string) => go(toAddress({ ...state, id }), { isReplacing: state.id !== '' })
  useKeys({
    isLive: isLive.value,
    togglePause: () => {
      if (isPaused.value || fresh.value.length > 0) showFresh()
      else isPaused.value = true
    },
    move(by) {
      const at = rows.value.findIndex(({ id }) => id === state.id)
      const row = rows.value[at < 0 ? 0 : at + by]
      if (row) select(row.id)
    },
    close: () => {
      if (state.id !== '') select('')
    },
  })
  const open = useOpen(state.id)
  return (
    <>
      <h1 class="hidden">Explore events</h1>
      <SearchForm state={state} place={place.value} />
      {problem.value && (
        <p class="note problem" role="alert">
          {problem.value}
        </p>
      )}
      <p class="bar">
        <span role="status">
          {isBusy.value ? 'asking …' : `${rows.value.length}${next.value ? ' newest' : ''} events`}
        </span>
        <label>
          <input
            type="checkbox"
            checked={isLive.value}
            disabled={state.end !== ''}
            onChange={() => {
              isLive.value = !isLive.value
              isPaused.value = false
            }}
          />{' '}
          live
        </label>
        {isLive.value && (isPaused.value || fresh.value.length > 0) && (
          <button type="button" onClick={showFresh}>
            paused · {fresh.value.length} new
          </button>
        )}
        <Export state={state} />
      </p>
      <div class={open ? 'panes with-detail' : 'panes'}>
        <Facets
          events={rows.value.map(({ event }) => event)}
          line={state.line}
          addressOf={(line) => toAddress({ line, span: state.span, end: state.end })}
        />
        <EventTable rows={rows.value} state={state} />
        {open && <Detail row={open} state={state} />}
      </div>
      {next.value && rows.value.length < maxRows && (
        <p>
          <button type="button" disabled={isBusy.value} onClick={() => void load(next.value!)}>
            older
          </button>
        </p>
      )}
      {rows.value.length >= maxRows && (
        <p class="note">The first {maxRows} are shown: a narrower filter finds the others.</p>
      )}
    </>
  )
}

function SearchForm({
  state,
  place,
}: {
  state: ReturnType<typeof wanted>
  place: SearchProblem | undefined
}) {
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
          go(toAddress({ line: input.current!.value, span: state.span, end: state.end }))
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
          onChange={({ currentTarget: { value } }) => go(toAddress({ ...state, span: value, id: '' }))}
        >
          {Object.entries(spans).map(([name, { label }]) => (
            <option key={name} value={name}>
              {label}
            </option>
          ))}
        </select>
        <button type="submit">Search</button>
        {state.end !== '' && (
          <button type="button" onClick={() => go(toAddress({ line: state.line, span: state.span }))}>
            up to {showTime(state.end)} ✕
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

function Export({ state }: { state: ReturnType<typeof wanted> }) {
  const parameters = toParameters(state)
  parameters.set('number', '0')
  return (
    <a href={`/events?${parameters}`} download="events.json">
      Export JSON
    </a>
  )
}

/** Who speaks: by name where there is one. */
function whoOf(event: Json): string {
  for (const names of [
    ['event_data', 'node_name'],
    ['otel', 'resource', 'service.name'],
    ['event_data', 'component_name'],
    ['event_data', 'workcell_name'],
  ]) {
    const name = textOf(memberOf(event, ...names))
    if (name !== '') return name
  }
  for (const kind of ['node_id', 'workcell_id', 'workflow_id', 'manager_id']) {
    const id = textOf(memberOf(event, 'source', kind))
    if (id !== '') return shortId(id)
  }
  return '–'
}

function EventTable({ rows: shown, state }: { rows: Row[]; state: ReturnType<typeof wanted> }) {
  return (
    <table class="events">
      <caption class="hidden">Events, newest first</caption>
      <thead class="hidden">
        <tr>
          <th scope="col">Time</th>
          <th scope="col">Level</th>
          <th scope="col">Who</th>
          <th scope="col">Message</th>
        </tr>
      </thead>
      <tbody>
        {shown.map(({ id, event }) => (
          <tr key={id} class={id === state.id ? 'selected' : ''}>
            <td class="since">{showTime(textOf(memberOf(event, 'event_timestamp')))}</td>
            <td>
              <Level level={Number(textOf(memberOf(event, 'log_level')))} />
            </td>
            <td>
              <bdi>{whoOf(event)}</bdi>
            </td>
            <td>
              <a
                href={toAddress({ ...state, id })}
                onClick={follow}
                {...(id === state.id && { 'aria-current': 'true' as const })}
              >
                <bdi>{messageOf(event)}</bdi>
              </a>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Detail({ row: { id, event }, state }: { row: Row; state: ReturnType<typeof wanted> }) {
  const time = textOf(memberOf(event, 'event_timestamp'))
  const filters = [
    [
      'node',
      textOf(memberOf(event, 'event_data', 'node_name')) || textOf(memberOf(event, 'source', 'node_id')),
    ],
    ['type', textOf(memberOf(event, 'event_type'))],
    ['workflow', textOf(memberOf(event, 'source', 'workflow_id'))],
    ['experiment', textOf(memberOf(event, 'source', 'experiment_id'))],
    ['service', textOf(memberOf(event, 'otel', 'resource', 'service.name'))],
    ['trace', textOf(memberOf(event, 'trace_id'))],
  ].filter(([, value]) => value !== '') as [string, string][]
  const around = Number.isNaN(Date.parse(time)) ? '' : new Date(Date.parse(time) + 60_000).toISOString()
  return (
    <aside aria-label="Event">
      <p class="actions">
        <a href={toAddress({ ...state, id: '' })} onClick={follow}>
          Close
        </a>
        <a href={`/e/${encodeURIComponent(id)}`} onClick={follow}>
          Own page
        </a>
        {around !== '' && (
          <a href={toAddress({ line: '', span: '15m', end: around })} onClick={follow}>
            What was around
          </a>
        )}
      </p>
      <p class="actions">
        {filters.map(([name, value]) => (
          <a key={name} href={toAddress({ ...state, line: toToken(name, value), id: '' })} onClick={follow}>
            {name === 'type' ? value : `same ${name}`}
          </a>
        ))}
      </p>
      <p class="message-small">
        <Level level={Number(textOf(memberOf(event, 'log_level')))} /> <bdi>{messageOf(event)}</bdi>
      </p>
      <EventDetail key={id} id={id} event={event} />
    </aside>
  )
}

/** The event that the address names: of the list, or asked for where the list does not reach it. */
function useOpen(id: string): Row | undefined {
  const other = useSignal<Row | undefined>(undefined)
  const listed = rows.value.find((row) => row.id === id)
  const isMissing = id !== '' && listed === undefined
  useEffect(() => {
    if (!isMissing) return
    ask(`/event/${encodeURIComponent(id)}`).then(
      (text) => {
        other.value = { id, event: parseExact(text) }
      },
      () => {
        other.value = undefined
      },
    )
  }, [id, isMissing])
  return listed ?? (other.value?.id === id ? other.value : undefined)
}

/** New events that match, one by one, while `isOn`. */
function useLive(isOn: boolean, key: string, take: (row: Row) => void): void {
  const latest = useRef(take)
  latest.current = take
  useEffect(() => {
    if (!isOn) return
    const parameters = toParameters(wanted())
    parameters.delete('start_time')
    const source = new EventSource(`/events/stream?${parameters}`)
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const event = parseExact(data)
      latest.current({ id: textOf(memberOf(event, '_id')), event })
    }
    return () => source.close()
  }, [isOn, key])
}

interface Keys {
  isLive: boolean
  togglePause: () => void
  move: (by: 1 | -1) => void
  close: () => void
}

function useKeys(keys: Keys): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const { isLive, togglePause, move, close } = latest.current
      const { target } = event
      if (event.ctrlKey || event.metaKey || event.altKey) return
      if (event.key === 'Escape') return close()
      if (
        target instanceof HTMLElement &&
        /^(INPUT|SELECT|BUTTON|TEXTAREA|A)$/.test(target.tagName) &&
        event.key === ' '
      )
        return
      if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement) return
      if (event.key === 'j' || event.key === 'ArrowDown') move(1)
      else if (event.key === 'k' || event.key === 'ArrowUp') move(-1)
      else if (event.key === ' ' && isLive) togglePause()
      else if (event.key === '/') document.querySelector<HTMLInputElement>('input[type=search]')?.focus()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [])
}
