import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { toToken } from '../src/search/line.ts'
import type { SummaryItem } from '../src/utilization/timeline/summary.ts'
import { toAddress } from './explore-state.ts'
import { Heat, timelineOf } from './heat.tsx'
import { shortId } from './shell.tsx'
import { spans } from './span.ts'
import { follow, go } from './state.ts'
import { showCount, showMicros, showSecond } from './time.ts'
import { toTimelineAddress } from './timeline-state.ts'
import {
  type Compared,
  type Loaded,
  maxWaits,
  type Subject,
  type Summary,
  useSpans,
  useState,
  useUse,
  type Waits,
} from './use-load.ts'

/** How much each node, user and experiment used, for what was waited, and why MADSci's own report says something else. */
export function UsePage() {
  const state = useState()
  const { nodes, users, experiments, waits, compared } = useUse(state)
  useEffect(() => {
    document.title = 'Use'
  }, [])
  const window = nodes.answer?.report_metadata
  return (
    <>
      <h1 class="hidden">Use</h1>
      <div class="bar">
        <label>
          Time{' '}
          <select
            value={state.start === '' ? state.span : ''}
            onChange={(event) => go(`/use?span=${event.currentTarget.value}`)}
          >
            {state.start !== '' && <option value="">as chosen</option>}
            {useSpans.map((name) => (
              <option key={name} value={name}>
                {spans[name]!.label}
              </option>
            ))}
          </select>
        </label>
        <span class="since" role="status">
          {window
            ? `${showSecond(window.start_time)} – ${showSecond(window.end_time)}`
            : (nodes.problem ?? 'reading …')}
        </span>
      </div>
      <Part title="Nodes over time" loaded={nodes}>
        {({ items }) => <Nodes items={items} />}
      </Part>
      <Part title="Nodes" loaded={nodes}>
        {({ items, report_metadata: { start_time, end_time } }) => (
          <Bars items={withTime(items)} toLink={({ id }) => timelineOf(id, start_time, end_time)} />
        )}
      </Part>
      <Part title="Users" loaded={users}>
        {(answer) => <Runs answer={answer} field="user" />}
      </Part>
      <Part title="Experiments" loaded={experiments}>
        {(answer) => <Runs answer={answer} field="experiment" />}
      </Part>
      <Part title="Waits by cause" loaded={waits}>
        {(answer) => <WaitList answer={answer} />}
      </Part>
      <Part title="What differs from MADSci's own report" loaded={compared}>
        {(answer) => <Comparison answer={answer} />}
      </Part>
    </>
  )
}

function Part<Answer>({
  title,
  loaded: { answer, problem },
  children,
}: {
  title: string
  loaded: Loaded<Answer>
  children: (answer: Answer) => ComponentChildren
}) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {answer === undefined ? problem === undefined && <p class="note">reading …</p> : children(answer)}
    </section>
  )
}

function Nodes({ items }: { items: readonly SummaryItem[] }) {
  const shown = items.filter(
    ({ buckets, totals_us }) => buckets?.length && totals_us.wall > totals_us.unknown,
  )
  const silent = items.length - shown.length
  return (
    <>
      {shown.length > 0 ? <Heat items={shown} /> : <p class="note">No node was heard of in this time.</p>}
      {shown.length > 0 && silent > 0 && (
        <p class="note">{showCount(silent)} more were not heard of in this time.</p>
      )}
    </>
  )
}

const withTime = (items: readonly SummaryItem[]) =>
  items
    .filter(({ totals_us: { wall, unknown } }) => wall > unknown)
    .sort((a, b) => b.totals_us.busy - a.totals_us.busy)

const nameOf = ({ name, id }: SummaryItem) => name ?? shortId(id)
/** Users have no name but what events call them. */
const userOf = ({ id }: SummaryItem) => (id === 'unknown' ? 'not known' : id)

const maxBars = 100

/** Of each the share of its known time in each state; the longest bar is the whole known time. */
function Bars({
  items,
  toLink,
  toName = nameOf,
}: {
  items: readonly SummaryItem[]
  toLink: (item: SummaryItem) => string
  toName?: (item: SummaryItem) => string
}) {
  if (items.length === 0) return <p class="note">None.</p>
  const most = Math.max(...items.map(({ totals_us: { wall, unknown } }) => wall - unknown))
  return (
    <>
      <ul class="bars">
        {items.slice(0, maxBars).map((item) => (
          <li key={item.id}>
            <a href={toLink(item)} onClick={follow} title={item.id}>
              <bdi>{toName(item)}</bdi>
            </a>
            <Bar item={item} most={most} />
            <span class="since">{sayUse(item)}</span>
          </li>
        ))}
      </ul>
      {items.length > maxBars && <p class="note">{showCount(items.length - maxBars)} more are not shown.</p>}
    </>
  )
}

const barStates = ['busy', 'error', 'down', 'idle'] as const

function Bar({ item: { totals_us }, most }: { item: SummaryItem; most: number }) {
  let x = 0
  return (
    <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
      {barStates.map((state) => {
        const wide = (totals_us[state] / most) * 1000
        const from = x
        x += wide
        // Idle lies low, error and down stand higher than busy.
        const top = state === 'idle' ? 8 : state === 'busy' ? 2 : 0
        return <rect key={state} class={`fill-${state}`} x={from} y={top} width={wide} height={10 - top} />
      })}
    </svg>
  )
}

function sayUse({ totals_us, utilization_percent, runs }: SummaryItem): string {
  const parts = [`busy ${showMicros(totals_us.busy)}`]
  if (utilization_percent !== null) parts.push(`${utilization_percent} %`)
  for (const state of ['error', 'down'] as const)
    if (totals_us[state] > 0) parts.push(`${state} ${showMicros(totals_us[state])}`)
  if (runs.total > 0)
    parts.push(
      `${showCount(runs.total)} ${runs.total === 1 ? 'run' : 'runs'}${runs.failed > 0 ? `, ${showCount(runs.failed)} failed` : ''}`,
    )
  return parts.join(', ')
}

/** A bar leads to the events of its user or experiment. */
function Runs({ answer: { items, report_metadata }, field }: { answer: Summary; field: string }) {
  const { start_time: start, end_time: end } = report_metadata
  return (
    <Bars
      items={withTime(items)}
      {...(field === 'user' && { toName: userOf })}
      toLink={({ id }) => toAddress({ line: id === 'unknown' ? '' : toToken(field, id), start, end })}
    />
  )
}

const reasonWords: { [reason: string]: string } = {
  queued: 'workflows in the queue, before their first work',
  between_steps: 'workflows between two steps',
  step_without_action: 'steps before their first action',
}
const meanwhiles = {
  busy: 'its node was busy',
  idle: 'its node was idle',
  error: 'its node was in error',
  down: 'its node was down',
  unknown: 'nothing is known of its node',
} as const

type Meanwhile = keyof typeof meanwhiles
type WaitSum = Record<Meanwhile | 'all' | 'count', number>

function WaitList({ answer: { waits, total_waits: total } }: { answer: Waits }) {
  if (waits.length === 0) return <p class="note">Nothing waited.</p>
  const sum = new Map<string, WaitSum>()
  for (const wait of waits) {
    const one = sum.get(wait.reason) ?? { busy: 0, idle: 0, error: 0, down: 0, unknown: 0, all: 0, count: 0 }
    sum.set(wait.reason, one)
    one.all += wait.wait_us
    one.count++
    for (const state of Object.keys(meanwhiles) as Meanwhile[]) one[state] += wait[`node_${state}_us`] ?? 0
    if (wait.node_busy_us === null) one.unknown += wait.wait_us
  }
  return (
    <>
      {total > waits.length && (
        <p class="note">
          Of {showCount(total)} waits the longest {showCount(maxWaits)} are counted here.
        </p>
      )}
      <ul class="rows">
        {[...sum].map(([reason, one]) => (
          <li key={reason}>
            <strong>{reasonWords[reason] ?? reason}</strong>
            <span>
              {Object.entries(meanwhiles)
                .filter(([state]) => one[state as Meanwhile] > 0)
                .map(([state, words]) => `${words} ${showMicros(one[state as Meanwhile])}`)
                .join(', ')}
            </span>
            <span class="since">
              {showMicros(one.all)} in {showCount(one.count)}
            </span>
          </li>
        ))}
      </ul>
      <details>
        <summary>The longest</summary>
        <ul class="rows">
          {waits.slice(0, 20).map((wait) => (
            <li key={`${wait.reason} ${wait.waiter_id} ${wait.start_time}`}>
              <a href={waitAddress(wait)} onClick={follow} title={wait.waiter_id}>
                <bdi>{wait.waiter_name ?? shortId(wait.waiter_id)}</bdi>
              </a>
              <span>
                {wait.node_id === null ? 'for no node that is known' : 'for '}
                {wait.node_id !== null && <bdi>{wait.node_name ?? shortId(wait.node_id)}</bdi>},{' '}
                {showSecond(wait.start_time)}
              </span>
              <span class="since">{showMicros(wait.wait_us)}</span>
            </li>
          ))}
        </ul>
      </details>
    </>
  )
}

const waitAddress = ({ start_time, end_time, workflow_id }: Waits['waits'][number]) =>
  toTimelineAddress({
    start: new Date(start_time).toISOString(),
    end: new Date(end_time).toISOString(),
    ...(workflow_id !== null && { workflow: workflow_id }),
  })

const hoursOf = (micros: number) => showMicros(Math.abs(micros))

function Comparison({ answer: { sessions, subjects } }: { answer: Compared }) {
  const differing = subjects.filter(({ differences }) => differences.length > 0)
  return (
    <>
      <p class="note">
        MADSci's report at <code>/utilization/sessions</code> has {showCount(sessions)}{' '}
        {sessions === 1 ? 'session' : 'sessions'} in this time, and reads some types of events alone; this
        page reads all.
      </p>
      {differing.length === 0 ? (
        <p class="note">Nothing differs.</p>
      ) : (
        differing
          .slice(0, maxBars)
          .map((subject) => <Differing key={`${subject.kind} ${subject.id}`} subject={subject} />)
      )}
    </>
  )
}

function Differing({
  subject: { kind, id, name, original_us, exact_us, differences },
}: {
  subject: Subject
}) {
  const more = exact_us.busy - original_us.busy
  return (
    <details>
      <summary>
        <bdi>{kind === 'experiments' ? 'all experiments' : (name ?? shortId(id))}</bdi>: busy{' '}
        {hoursOf(original_us.busy)} there, {hoursOf(exact_us.busy)} here
        {more === 0 ? '' : `, ${hoursOf(more)} ${more > 0 ? 'more' : 'less'}`}
      </summary>
      <ul class="rows">
        {differences.map(({ reason, because, original, exact, duration_us, event_ids }) => (
          <li key={`${reason} ${original} ${exact}`}>
            <strong>
              {original} there, {exact} here
            </strong>
            <span>
              {because}{' '}
              {event_ids.slice(0, 3).map((event) => (
                <>
                  <a href={`/e/${encodeURIComponent(event)}`} onClick={follow} title={event}>
                    event {shortId(event)}
                  </a>{' '}
                </>
              ))}
            </span>
            <span class="since">{hoursOf(duration_us)}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}
