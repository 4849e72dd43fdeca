import { signal, useSignal } from '@preact/signals'
import { Component } from 'preact'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { toExportName } from '../src/http/export-name.ts'
import type { SummaryAnswer } from '../src/http/summary-answer.ts'
import { type SearchProblem, toToken } from '../src/search/line.ts'
import { EventDetail, messageOf, whoOf } from './event.tsx'
import { useKeys } from './explore-key.ts'
import { foldRows, type Row, toAddress, toParameters, toRows, type Wanted, wanted } from './explore-state.ts'
import { Facets } from './facet.tsx'
import { Histogram } from './histogram.tsx'
import { type Json, memberOf, parseExact, textOf } from './json.ts'
import { Neighbours } from './neighbour.tsx'
import { findProblem } from './search.ts'
import { SearchForm } from './search-form.tsx'
import { Level } from './shell.tsx'
import { ask, askPage, follow, go, zone } from './state.ts'
import { followEvents } from './stream.ts'
import { useSummary } from './summary.ts'
import { countOf, showCount, showTime } from './time.ts'
import { SavedViews } from './views.tsx'

const pageEvents = 100
/** Then the page shows what is found so far. */
const searchMs = 8000
/** More would make a page slow; a filter finds them. */
const maxRows = 1000

// Kept while other pages are looked at.
const rows = signal<Row[]>([])
const next = signal<string | undefined>(undefined)
const scannedTo = signal<string | undefined>(undefined)
const fresh = signal<Row[]>([])
/** All that came while somebody reads; of more than `maxRows` the newest are kept. */
const freshCount = signal(0)
const loaded = signal('')

/** Events by a search line and a span of time, newest first, live where nobody reads. */
export function ExplorePage() {
  const state = wanted()
  const problem = useSignal('')
  const place = useSignal<SearchProblem | undefined>(undefined)
  const isBusy = useSignal(false)
  const isLive = useSignal(false)
  const isPaused = useSignal(false)
  const key = toAddress({ ...state, id: '', isUnfolded: false })
  const all = rows.value
  const folded = useMemo(() => foldRows(all), [all])
  const shown = state.isUnfolded ? all : folded

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
      parameters.set('timeout_ms', String(searchMs))
      const page = await askPage(`/events?${parameters}`)
      const found = toRows(parseExact(page.text) as { [id: string]: Json })
      rows.value = cursor === '' ? found : [...rows.value, ...found].slice(0, maxRows)
      next.value = page.next
      scannedTo.value = page.scannedTo
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
      freshCount.value = 0
      problem.value = ''
      place.value = undefined
      void load('')
    }
  }, [key])

  useLive(isLive.value && state.end === '', key, (row) => {
    if (isPaused.value || scrollY > 40 || wanted().id !== '' || !getSelection()?.isCollapsed) {
      fresh.value = [row, ...fresh.value].slice(0, maxRows)
      freshCount.value++
    } else rows.value = [row, ...rows.value].slice(0, maxRows)
  })

  const showFresh = () => {
    rows.value = [...fresh.value, ...rows.value].slice(0, maxRows)
    fresh.value = []
    freshCount.value = 0
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
      const at = shown.findIndex(({ id }) => id === state.id)
      const row = shown[at < 0 ? 0 : at + by]
      if (row) select(row.id)
    },
    close: () => {
      if (state.id !== '') select('')
    },
  })
  const open = useOpen(state.id)
  const summary = useSummary(state, isLive.value && state.end === '')
  // Nothing of these changes with the event that is shown whole.
  const [histogram, facets] = useMemo(
    () => [<Histogram summary={summary} state={state} />, <Facets summary={summary} state={state} />],
    [key, summary.answer, summary.isBusy, summary.problem, zone.value],
  )
  return (
    <>
      <h1 class="hidden">Explore events</h1>
      <SearchForm state={state} place={place.value} />
      {problem.value && (
        <p class="note problem" role="alert">
          {problem.value}
        </p>
      )}
      <SavedViews />
      {histogram}
      <p class="bar">
        <span role="status">{isBusy.value ? 'asking …' : toCount(rows.value.length, summary.answer)}</span>
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
            paused · {showCount(freshCount.value)} new
          </button>
        )}
        <FoldSwitch state={state} folded={all.length - folded.length} />
        <Export state={state} />
      </p>
      <div class={open ? 'panes with-detail' : 'panes'}>
        {facets}
        <EventTable rows={shown} state={state} />
        {open && <Detail row={open} state={state} />}
      </div>
      {next.value && rows.value.length < maxRows && (
        <p>
          <button type="button" disabled={isBusy.value} onClick={() => void load(next.value!)}>
            older
          </button>
          {scannedTo.value && ` Looked at back to ${showTime(scannedTo.value)}: the search takes long.`}
        </p>
      )}
      {rows.value.length >= maxRows && (
        <p class="note">The first {maxRows} are shown: a narrower filter finds the others.</p>
      )}
    </>
  )
}

/** There where something is folded, or would be. */
function FoldSwitch({ state, folded }: { state: Wanted; folded: number }) {
  if (folded === 0) return null
  return (
    <label title="Nodes tell of each moment of an action by two events, one of them a change of status">
      <input
        type="checkbox"
        checked={!state.isUnfolded}
        onChange={() => go(toAddress({ ...state, isUnfolded: !state.isUnfolded }), { isReplacing: true })}
      />{' '}
      one row for each moment of an action ({showCount(folded)} folded)
    </label>
  )
}

function Export({ state }: { state: Wanted }) {
  const parameters = toParameters(state)
  const toExport = (format: string) => `/events/export?${parameters}&format=${format}`
  const [ndjson, csv] = [toExport('ndjson'), toExport('csv')]
  const name = toExportName(parameters, 'json')
  parameters.set('number', '0')
  // The answers of /events/export name themselves likewise.
  return (
    <span title="The name of the file says the filter. Times in it are UTC.">
      Export{' '}
      <a href={`/events?${parameters}`} download={name}>
        JSON
      </a>{' '}
      <a href={ndjson} download>
        NDJSON
      </a>{' '}
      <a href={csv} download>
        CSV
      </a>{' '}
      <span class="since">in UTC</span>
    </span>
  )
}

function toCount(shown: number, answer: SummaryAnswer | undefined): string {
  if (!answer || (next.value === undefined && answer.total <= shown))
    return countOf(shown, next.value ? 'newest event' : 'event')
  return `${shown} newest of ${answer.is_complete ? '' : 'more than '}${countOf(answer.total, 'event')}`
}

function EventTable({ rows: shown, state }: { rows: Row[]; state: Wanted }) {
  const on = `${zone.value} ${toAddress({ ...state, id: '' })}`
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
        {shown.map((row) => (
          <EventRow key={row.id} row={row} state={state} on={on} isSelected={row.id === state.id} />
        ))}
      </tbody>
    </table>
  )
}

interface EventRowProps {
  row: Row
  state: Wanted
  /** What all rows hang on: the clock, and the search in their addresses. */
  on: string
  isSelected: boolean
}

/** Of hundreds of rows two change when another event is shown whole. */
class EventRow extends Component<EventRowProps> {
  override shouldComponentUpdate({ row, on, isSelected }: EventRowProps) {
    return row !== this.props.row || on !== this.props.on || isSelected !== this.props.isSelected
  }

  override render({ row: { id, event }, state, isSelected }: EventRowProps) {
    return (
      <tr class={isSelected ? 'selected' : ''}>
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
            {...(isSelected && { 'aria-current': 'true' as const })}
          >
            <bdi>{messageOf(event)}</bdi>
          </a>
        </td>
      </tr>
    )
  }
}

function Detail({ row: { id, event }, state }: { row: Row; state: Wanted }) {
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
          <a href={toAddress({ span: '15m', end: around })} onClick={follow}>
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
      <Neighbours
        key={`${id} around`}
        id={id}
        event={event}
        addressOf={(one) => toAddress({ ...state, id: one })}
      />
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
    return followEvents(`/events/stream?${parameters}`, (data) => {
      const event = parseExact(data)
      latest.current({ id: textOf(memberOf(event, '_id')), event })
    })
  }, [isOn, key])
}
