import { useSignal } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { TimelineColumns } from '../src/utilization/timeline/column.ts'
import { spans } from './span.ts'
import { go, zone } from './state.ts'
import { countOf, showTime } from './time.ts'
import { TimelineCanvas } from './timeline-canvas.tsx'
import { describe, type Picked, TimelineDetail } from './timeline-detail.tsx'
import type { View } from './timeline-draw.ts'
import { useTimeline } from './timeline-load.ts'
import { busyTimes, placeRows, type Row, toRows } from './timeline-row.ts'
import { plainScale, shortScale } from './timeline-scale.ts'
import { type TimelineState, timelineState, toIso, toTimelineAddress } from './timeline-state.ts'

/** Who was in which state when: nodes with their actions, workflows with their steps. */
export function TimelinePage() {
  const state = timelineState()
  const { columns, isBusy, problem } = useTimeline(state)
  const all = useMemo(() => (columns ? toRows(columns, state.workflow) : []), [columns, state.workflow])
  const rows = useMemo(() => all.slice(0, maxRows), [all])
  const scale = useMemo(() => {
    const found = columns && state.isShort ? shortScale(busyTimes(columns)) : plainScale
    placeRows(rows, found)
    return found
  }, [columns, rows, state.isShort])
  /** Where one is between two addresses, which follow a little later. */
  const moving = useSignal<View | undefined>(undefined)
  const timer = useRef(0)
  useEffect(() => {
    document.title = 'Timeline'
    return () => clearTimeout(timer.current)
  }, [])
  const [startUs, endUs] = boundsOf(state, columns)
  const view = moving.value ?? { from: scale.toDrawn(startUs), until: scale.toDrawn(endUs) }
  useEffect(() => {
    moving.value = undefined
  }, [state.start, state.end, state.span, state.isShort])

  const change = (parts: Partial<TimelineState>, isReplacing = false) =>
    go(toTimelineAddress({ ...timelineState(), ...parts }), { isReplacing })
  const move = (next: View) => {
    if (!(next.until - next.from >= minViewUs) || next.until - next.from > maxViewUs) return
    moving.value = next
    clearTimeout(timer.current)
    timer.current = window.setTimeout(() => {
      const [start, end] = [scale.toTime(next.from), scale.toTime(next.until)]
      change({ start: toIso(start), end: toIso(Math.max(end, start + minViewUs)) }, true)
    }, 150)
  }
  const zoom = (factor: number, part = 0.5) => {
    const wide = view.until - view.from
    const at = view.from + wide * part
    move({ from: at - wide * part * factor, until: at + wide * (1 - part) * factor })
  }
  const pan = (part: number) => {
    const by = (view.until - view.from) * part
    move({ from: view.from + by, until: view.until + by })
  }
  const picked = columns && findPicked(columns, rows, state.pick)
  const pick = (one: Picked | undefined) => change({ pick: one && columns ? toPick(columns, one) : '' }, true)
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const action = keyActions({ zoom, pan, change, state, picked, pick, rows, columns })[event.key]
    if (!action) return
    event.preventDefault()
    event.stopPropagation()
    action()
  }
  const followed = columns?.entities.find(({ kind, id }) => kind === 'workflow' && id === state.workflow)
  return (
    <>
      <h1 class="hidden">Timeline</h1>
      <div class="bar timeline-bar">
        <label>
          Time{' '}
          <select
            value={state.start === '' ? state.span : ''}
            onChange={(event) => change({ span: event.currentTarget.value, start: '', end: '', pick: '' })}
          >
            {state.start !== '' && <option value="">as chosen</option>}
            {Object.entries(spans).map(([name, { label }]) => (
              <option key={name} value={name}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <span class="buttons">
          <button type="button" aria-label="Earlier" onClick={() => pan(-0.5)}>
            ←
          </button>
          <button type="button" aria-label="Later" onClick={() => pan(0.5)}>
            →
          </button>
          <button type="button" aria-label="Zoom in" onClick={() => zoom(0.5)}>
            +
          </button>
          <button type="button" aria-label="Zoom out" onClick={() => zoom(2)}>
            −
          </button>
        </span>
        <label>
          <input
            type="checkbox"
            checked={state.isShort}
            onChange={(event) => change({ isShort: event.currentTarget.checked })}
          />{' '}
          shorten idle time
        </label>
        {state.workflow !== '' && (
          <span>
            only workflow <bdi>{followed?.name ?? `…${state.workflow.slice(-6)}`}</bdi>{' '}
            <button type="button" aria-label="Show all workflows" onClick={() => change({ workflow: '' })}>
              ✕
            </button>
          </span>
        )}
        <span class="since" role="status">
          {sayStatus(columns, { isBusy, problem, state, more: all.length - rows.length })}
        </span>
      </div>
      {columns && rows.length === 0 && <Nothing columns={columns} state={state} change={change} />}
      {columns && rows.length > 0 && (
        <>
          <TimelineCanvas
            rows={rows}
            scale={scale}
            view={view}
            columns={columns}
            picked={picked}
            workflow={state.workflow}
            zoneName={zone.value}
            isStale={isBusy || problem !== ''}
            move={move}
            pick={pick}
            press={press}
            text={picked ? describe(columns, picked) : countOf(rows.length, 'row')}
          />
          <Legend />
          {picked && <TimelineDetail columns={columns} picked={picked} />}
        </>
      )}
    </>
  )
}

/** More would make a page slow. */
const maxRows = 500
const minViewUs = 1000
const maxViewUs = 50 * 366 * 86_400e6

function boundsOf(state: TimelineState, columns: TimelineColumns | undefined): [number, number] {
  if (state.start !== '') return [Date.parse(state.start) * 1000, Date.parse(state.end) * 1000]
  if (columns) {
    const { ms } = spans[state.span]!
    // The answer may still be that of another span.
    if (ms === 0) return [columns.start_us, columns.end_us]
    const { now_us: now, first_us: first } = columns
    // Before the first event of all there is nothing to see.
    const fromFirst = first === null || first >= now ? 0 : first - (now - first) / 50
    return [Math.max(now - ms * 1000, Math.min(fromFirst, now - minViewUs)), now]
  }
  return [0, 1]
}

interface Actions {
  zoom: (factor: number) => void
  pan: (part: number) => void
  change: (parts: Partial<TimelineState>) => void
  state: TimelineState
  picked: Picked | undefined
  pick: (picked: Picked | undefined) => void
  rows: readonly Row[]
  columns: TimelineColumns | undefined
}

function keyActions({ zoom, pan, change, state, picked, pick, rows, columns }: Actions): {
  [key: string]: () => void
} {
  const rowAt = picked ? rows.findIndex(({ lanes }) => lanes.includes(picked.lane)) : -1
  const middle = picked ? picked.lane.starts[picked.index]! : Number.POSITIVE_INFINITY
  const toRow = (by: number) => {
    const row = rows[Math.min(rows.length - 1, Math.max(0, rowAt + by))]
    const lane = row?.lanes[0]
    if (!lane || lane.starts.length === 0) return
    const index = lane.starts.findLastIndex((start) => start <= middle)
    pick({ lane, index: Math.max(0, index) })
  }
  const along = (by: number) => {
    if (!picked) return toRow(1)
    const index = picked.index + by
    if (index >= 0 && index < picked.lane.starts.length) pick({ lane: picked.lane, index })
  }
  const toLane = () => {
    const lanes = rows[rowAt]?.lanes ?? []
    const lane = picked && lanes[(lanes.indexOf(picked.lane) + 1) % lanes.length]
    if (lane)
      pick({
        lane,
        index: Math.max(
          0,
          lane.starts.findLastIndex((start) => start <= middle),
        ),
      })
  }
  return {
    ArrowLeft: () => pan(-0.2),
    ArrowRight: () => pan(0.2),
    a: () => pan(-0.2),
    d: () => pan(0.2),
    '+': () => zoom(0.5),
    '=': () => zoom(0.5),
    w: () => zoom(0.5),
    '-': () => zoom(2),
    s: () => zoom(2),
    ArrowDown: () => toRow(1),
    ArrowUp: () => toRow(-1),
    j: () => along(1),
    k: () => along(-1),
    l: toLane,
    End: () => change({ start: '', end: '' }),
    Escape: () => (picked ? pick(undefined) : state.workflow !== '' && change({ workflow: '' })),
    c: () => change({ isShort: !state.isShort }),
    f: () => {
      const entity = picked && columns?.entities[picked.lane.owners[picked.index]!]
      const workflow = entity?.kind === 'workflow' ? entity.id : entity?.workflow_id
      if (workflow !== undefined) change({ workflow })
    },
    Enter: () => document.querySelector<HTMLElement>('.timeline-detail a')?.focus(),
  }
}

const toPick = ({ entities }: TimelineColumns, { lane, index }: Picked) => {
  const { kind, id } = entities[lane.owners[index]!]!
  return `${kind}:${Math.round(lane.starts[index]!)}:${id}`
}

/** Of an address that is older than the data, the interval that is there now. */
function findPicked(columns: TimelineColumns, rows: readonly Row[], pick: string): Picked | undefined {
  const [kind, at, ...rest] = pick.split(':')
  const start = Number(at)
  const id = rest.join(':')
  if (id === '' || Number.isNaN(start)) return undefined
  for (const { lanes } of rows)
    for (const lane of lanes)
      for (const [index, owner] of lane.owners.entries()) {
        const entity = columns.entities[owner]!
        if (entity.id !== id || entity.kind !== kind) continue
        if (lane.ends[index]! > start) return { lane, index }
      }
  return undefined
}

function sayStatus(
  columns: TimelineColumns | undefined,
  { isBusy, problem, state, more }: { isBusy: boolean; problem: string; state: TimelineState; more: number },
): string {
  if (problem) return columns ? `not read again: ${problem}` : problem
  if (!columns) return 'reading …'
  const { intervals, left_out: leftOut } = columns
  const parts = [countOf(intervals, 'interval')]
  const left = Object.entries(leftOut).map(([kind, count]) => countOf(count, kind))
  if (left.length > 0)
    parts.push(`too many to draw: the oldest ${left.join(' and ')} are left out, zoom in to see them`)
  if (more > 0)
    parts.push(
      `${countOf(more, 'more row is', 'more rows are')} not drawn: choose a shorter time, or follow one workflow`,
    )
  if (state.start === '' && state.span !== 'all') parts.push('live')
  if (isBusy && state.start !== '') parts.push('reading …')
  return parts.join(', ')
}

function Nothing({
  columns,
  state,
  change,
}: {
  columns: TimelineColumns
  state: TimelineState
  change: (parts: Partial<TimelineState>) => void
}) {
  const { last_us: last } = columns
  if (last === null) return <p class="note">No event yet that tells of a node or a workflow.</p>
  return (
    <p class="note">
      {state.workflow === '' ? 'Nothing in this time.' : 'Nothing of this workflow in this time.'} The last
      event is of {showTime(toIso(last))}.{' '}
      <button type="button" onClick={() => change({ span: 'all', start: '', end: '', workflow: '' })}>
        Show all time
      </button>
    </p>
  )
}

function Legend() {
  return (
    <p class="legend">
      {['busy', 'waiting', 'error', 'down', 'paused', 'idle', 'unknown'].map((word) => (
        <span key={word}>
          <span class={`swatch swatch-${word}`} aria-hidden="true" /> {word}
        </span>
      ))}
      <span class="since">
        Keys: ← → time, + − zoom, ↑ ↓ rows, j k along, l lane, Enter events, f follow, c shorten, End now
      </span>
    </p>
  )
}
