import { signal, useSignal } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { toExportName } from '../src/http/export-name.ts'
import type { SummaryAnswer } from '../src/http/summary-answer.ts'
import type { SearchProblem } from '../src/search/line.ts'
import { EventTable } from './event-table.tsx'
import { Detail } from './explore-detail.tsx'
import { useKeys } from './explore-key.ts'
import { foldRows, type Row, toAddress, toParameters, toRows, type Wanted, wanted } from './explore-state.ts'
import { Facets } from './facet.tsx'
import { Histogram } from './histogram.tsx'
import { type Json, memberOf, parseExact, textOf } from './json.ts'
import { checkLine, useLateNames } from './search.ts'
import { SearchForm } from './search-form.tsx'
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
/** Names of the line whose ids the receiver is still looking for. */
const late = signal<string[]>([])
/** Counts the times that it found them. */
const turn = signal(0)
/** Counts the questions for lists. */
let asked = 0

/** Events by a search line and a span of time, newest first, live where nobody reads. */
export function ExplorePage() {
  const state = wanted()
  const problem = useSignal('')
  const place = useSignal<SearchProblem | undefined>(undefined)
  const isBusy = useSignal(false)
  const isLive = useSignal(false)
  const isPaused = useSignal(false)
  const key = toAddress({ ...state, id: '', isUnfolded: false, isOneLine: false })
  const all = rows.value
  const folded = useMemo(() => foldRows(all), [all])
  const shown = state.isUnfolded ? all : folded

  const load = async (cursor: string) => {
    isBusy.value = true
    const number = ++asked
    try {
      const check = await checkLine(wanted().line)
      if (number !== asked) return
      // What stands in the list already was found with the names that were known.
      if (cursor === '') late.value = check.late_names
      place.value = check.problem ?? undefined
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
      // Of several answers the one to the last question counts.
      if (number !== asked) return
      const found = toRows(parseExact(page.text) as { [id: string]: Json })
      rows.value = cursor === '' ? found : [...rows.value, ...found].slice(0, maxRows)
      next.value = page.next
      scannedTo.value = page.scannedTo
      problem.value = ''
    } catch (error) {
      if (number === asked) problem.value = (error as Error).message
    }
    if (number === asked) isBusy.value = false
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
      late.value = []
      void load('')
    }
  }, [key])

  useLateNames(state.line, late.value, () => {
    turn.value++
    void load('')
  })
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
  const summary = useSummary(state, isLive.value && state.end === '', false, turn.value)
  // Nothing of these changes with the event that is shown whole.
  const [histogram, facets] = useMemo(
    () => [<Histogram summary={summary} state={state} />, <Facets summary={summary} state={state} />],
    [toAddress({ ...state, id: '' }), summary.answer, summary.isBusy, summary.problem, zone.value],
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
      {late.value.length > 0 && (
        <p class="note" role="status">
          Still looking up what <bdi>{late.value.join(', ')}</bdi> is: events that do not carry the name
          itself may be missing here, or not be left out.
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
        <label>
          <input
            type="checkbox"
            checked={!state.isOneLine}
            onChange={() => go(toAddress({ ...state, isOneLine: !state.isOneLine }), { isReplacing: true })}
          />{' '}
          whole messages
        </label>
        <FoldSwitch state={state} folded={all.length - folded.length} />
        <Export state={state} />
      </p>
      <div class={open ? 'panes with-detail' : 'panes'}>
        {facets}
        <div>
          <EventTable rows={shown} state={state} />
          {all.length === 0 &&
            !next.value &&
            loaded.value === key &&
            !isBusy.value &&
            problem.value === '' && <Nothing state={state} />}
        </div>
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

/** What one may do where nothing is found. */
function Nothing({ state }: { state: Wanted }) {
  const isAllTime = state.span === 'all' && state.start === '' && state.end === ''
  return (
    <p class="note">
      {state.line === '' ? 'No event in this time.' : 'No event is found by this search in this time.'}{' '}
      {!isAllTime && (
        <a href={toAddress({ ...state, id: '', start: '', end: '', span: 'all' })} onClick={follow}>
          Look in all time
        </a>
      )}
    </p>
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
