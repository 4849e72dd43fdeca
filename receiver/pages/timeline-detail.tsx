import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { toToken } from '../src/search/line.ts'
import type { ColumnEntity, TimelineColumns } from '../src/utilization/timeline/column.ts'
import { shortId } from './shell.tsx'
import { ask, follow, go } from './state.ts'
import { showMicros, showTime } from './time.ts'
import type { Lane } from './timeline-row.ts'
import { timelineState, toIso, toTimelineAddress } from './timeline-state.ts'

interface Found {
  begun_by: string | null
  begun_by_type: string | null
  ended_by: string | null
  /** Whole, also where the drawing begins behind its start. */
  wait: Wait | undefined
}

interface Wait {
  waiter_id: string
  node_id: string | null
  node_name: string | null
  wait_us: number
  node_busy_us: number | null
  node_idle_us: number | null
  node_error_us: number | null
  node_down_us: number | null
}

export interface Picked {
  lane: Lane
  index: number
}

/** What an interval is, the events that began and ended it, and for what was waited. */
export function TimelineDetail({ columns, picked }: { columns: TimelineColumns; picked: Picked }) {
  const { lane, index } = picked
  const entity = columns.entities[lane.owners[index]!]!
  const start = lane.starts[index]!
  const end = lane.ends[index]!
  const paint = lane.paints[index]!
  const found = useSignal<Found | undefined>(undefined)
  const problem = useSignal('')
  useEffect(() => {
    let isOver = false
    found.value = undefined
    problem.value = ''
    // Whoever goes from bar to bar asks once.
    const timer = setTimeout(async () => {
      try {
        const answer = await findEvents(entity, start, end, paint === waitingPaint)
        if (!isOver) found.value = answer
      } catch (error) {
        if (!isOver) problem.value = (error as Error).message
      }
    }, 120)
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [entity.id, start, end])
  const isOpen = end >= columns.end_us && found.value?.ended_by === null
  const workflow = entity.kind === 'workflow' ? entity.id : entity.workflow_id
  const state = timelineState()
  const { begun_by: begunBy, ended_by: endedBy, wait } = found.value ?? {}
  return (
    <section class="timeline-detail" aria-label="Chosen interval">
      <p class="message-small">
        {entity.kind} <bdi title={entity.id}>{entity.name ?? shortId(entity.id)}</bdi>:{' '}
        {describe(columns, picked)}
      </p>
      <dl>
        <div>
          <dt>from</dt>
          <dd>
            {showTime(toIso(start))}{' '}
            <EventLink id={begunBy} none={start <= columns.start_us ? 'before this time' : 'no event'} />
          </dd>
        </div>
        <div>
          <dt>until</dt>
          <dd>
            {isOpen ? 'goes on' : showTime(toIso(end))}{' '}
            <EventLink id={endedBy} none={isOpen ? '' : 'no event'} />
          </dd>
        </div>
        {wait && (
          <div>
            <dt>waited for</dt>
            <dd>
              <bdi>
                {wait.node_name ?? (wait.node_id === null ? 'no node that is known' : shortId(wait.node_id))}
              </bdi>
              {meanwhile(wait)}
            </dd>
          </div>
        )}
        {problem.value && (
          <div>
            <dt>events</dt>
            <dd class="problem">{problem.value}</dd>
          </div>
        )}
      </dl>
      <p class="actions">
        <a href={explorerAddress(entity, start, end)} onClick={follow}>
          Events of this time
        </a>
        {workflow !== undefined && state.workflow !== workflow && (
          <button type="button" onClick={() => go(toTimelineAddress({ ...state, workflow }))}>
            Follow this workflow
          </button>
        )}
      </p>
    </section>
  )
}

const waitingPaint = 5

function EventLink({ id, none }: { id: string | null | undefined; none: string }) {
  if (id === undefined) return null
  if (id === null) return <span class="since">{none}</span>
  return (
    <a href={`/e/${encodeURIComponent(id)}`} onClick={follow} title={id}>
      event {shortId(id)}
    </a>
  )
}

/** 'idle (waiting), 3 min' */
export function describe(columns: TimelineColumns, { lane, index }: Picked): string {
  const entity = columns.entities[lane.owners[index]!]!
  const cause = columns.causes[lane.causes[index]!]!
  const state = stateWords[lane.paints[index]!]!
  const micros = lane.ends[index]! - lane.starts[index]!
  const span = showMicros(micros)
  const word = cause === state ? state : `${state} (${cause.replaceAll('_', ' ')})`
  const isLast = entity.outcome !== undefined && lane.ends[index] === endOf(columns, entity)
  return `${word}, ${span}${isLast ? `, ${entity.outcome}` : ''}`
}

const stateWords = ['busy', 'idle', 'error', 'down', 'unknown', 'idle', 'down']

function endOf({ start_us }: TimelineColumns, { gaps, lengths }: ColumnEntity): number {
  return gaps.reduce((at, gap, index) => at + gap + lengths[index]!, start_us)
}

function meanwhile({ node_busy_us, node_idle_us, node_error_us, node_down_us }: Wait): string {
  const parts = Object.entries({
    busy: node_busy_us,
    idle: node_idle_us,
    error: node_error_us,
    down: node_down_us,
  })
  const shown = parts.flatMap(([word, micros]) => (micros ? [`${word} ${showMicros(micros)}`] : []))
  return shown.length > 0 ? `, which was ${shown.join(', ')}` : ''
}

/** Asks for the instant at which it was so: few things are there then. */
async function findEvents(entity: ColumnEntity, start: number, end: number, isWait: boolean): Promise<Found> {
  const { kind, id } = entity
  const at = start + Math.floor((end - start) / 2)
  const instant = new URLSearchParams({
    kind,
    start_time: toIso(at),
    end_time: toIso(at + 1),
    limit: '10000',
  })
  if (kind === 'node') instant.set('node_id', id)
  const gap = new URLSearchParams({ start_time: toIso(start), end_time: toIso(end), limit: '10000' })
  const [timeline, waits] = await Promise.all([
    ask(`/utilization/timeline?${instant}`),
    isWait ? ask(`/utilization/waits?${gap}`) : undefined,
  ])
  const { entities } = JSON.parse(timeline) as {
    entities: { id: string; intervals: Omit<Found, 'wait'>[] }[]
  }
  const interval = entities.find((one) => one.id === id)?.intervals[0]
  const list = waits === undefined ? [] : (JSON.parse(waits) as { waits: Wait[] }).waits
  return {
    begun_by: interval?.begun_by ?? null,
    begun_by_type: interval?.begun_by_type ?? null,
    ended_by: interval?.ended_by ?? null,
    wait: list.find(({ waiter_id }) => waiter_id === id),
  }
}

/** The explorer with what the thing said in this time. */
function explorerAddress({ kind, id }: ColumnEntity, start: number, end: number): string {
  const parameters = new URLSearchParams({
    q: toToken(kind, id),
    start: toIso(start),
    end: toIso(end),
  })
  return `/explore?${parameters}`
}
