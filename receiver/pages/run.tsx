import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import type { RunAnswer, RunEvent, RunRow, RunWait } from '../src/http/run-answer.ts'
import { useAnswer } from './load.ts'
import { nameOf } from './name.ts'
import { addressOfRun, Outcome } from './runs.tsx'
import { Level, shortId } from './shell.tsx'
import { follow, query } from './state.ts'
import { showCount, showShort, showTime, toMs } from './time.ts'

/** The black box of an experiment or workflow; of two, side by side, with `?with=KIND/ID`. */
export function RunPage({ kind, id }: { kind: string; id: string }) {
  const given = new URLSearchParams(query.value).get('with') ?? ''
  const cut = given.indexOf('/')
  const other =
    cut < 0
      ? given === ''
        ? ''
        : addressOfRun(kind, given)
      : addressOfRun(given.slice(0, cut), given.slice(cut + 1))
  const one = useAnswer<RunAnswer>(addressOfRun(kind, id))
  const two = useAnswer<RunAnswer>(other)
  useEffect(() => {
    if (one.answer) document.title = `${one.answer.name ?? shortId(id)} – ${kind}`
  })
  const runs = other === '' ? [one] : [one, two]
  // Of both the same scale, so that lengths compare.
  const scaleMs = Math.max(1, ...runs.map(({ answer }) => (answer ? spanOf(answer) : 0)))
  return (
    <div class={other === '' ? '' : 'pair'}>
      {runs.map(({ answer, problem }, index) => (
        <article key={index}>
          {problem && <h1 class="sentence">{problem}</h1>}
          {!answer && !problem && <p class="note">Asking the receiver …</p>}
          {answer && <Run run={answer} scaleMs={scaleMs} />}
        </article>
      ))}
    </div>
  )
}

const spanOf = ({ start_time, end_time }: RunAnswer) => toMs(end_time) - toMs(start_time)

function Run({ run, scaleMs }: { run: RunAnswer; scaleMs: number }) {
  const startMs = toMs(run.start_time)
  const { kind, name, id, waits, numbers, people, alerts, failures, events, cuts } = run
  return (
    <>
      <h1 class="message">
        <bdi>{name ?? shortId(id)}</bdi>
      </h1>
      <Facts run={run} />
      <p class="actions no-print">
        <button type="button" onClick={() => print()}>
          Print
        </button>
        <a
          class="button"
          href={`/explore?${new URLSearchParams({ q: `${kind}:${id}`, span: 'all' })}`}
          onClick={follow}
        >
          Explore its events
        </a>
      </p>
      <Part title="Timeline">
        <ul class="gantt">
          {run.rows.map((row) => (
            <Row key={row.kind + row.id} row={row} startMs={startMs} scaleMs={scaleMs} />
          ))}
        </ul>
        <p class="note">Bars: filled busy, high error or down, low idle.</p>
      </Part>
      <Part title={`Failures (${failures.length})`}>
        <p class="note">{failures.length === 0 ? 'None.' : 'Each below the ten events before it.'}</p>
        {failures.map(({ event, before }) => (
          <ol key={event.id} class="lines failure" aria-label="A failure below the ten events before it">
            {before.map((one) => (
              <li key={one.id}>
                <EventLine event={one} startMs={startMs} />
              </li>
            ))}
            <li class="failed">
              <EventLine event={event} startMs={startMs} />
            </li>
          </ol>
        ))}
      </Part>
      <Part title="Waits">
        {waits.length === 0 && <p class="note">None.</p>}
        <ul class="lines">
          {waits.map((wait, index) => (
            <li key={index}>
              <Wait wait={wait} />
            </li>
          ))}
        </ul>
      </Part>
      <Part title="Alerts">
        {alerts === null ? (
          <p class="note">Nobody is told of errors yet: set email_alerts or alert_channels.</p>
        ) : (
          alerts.length === 0 && <p class="note">None.</p>
        )}
        <ul class="lines">
          {alerts?.map((one) => (
            <li key={one.id}>
              <Level level={one.level} /> <bdi>{one.rule}</bdi>: <bdi>{one.why}</bdi>{' '}
              <span class="note">{one.state}</span>
            </li>
          ))}
        </ul>
      </Part>
      <Part title="People">
        <p>
          {people.length === 0 ? <span class="note">Nobody is named.</span> : <bdi>{people.join(', ')}</bdi>}
        </p>
      </Part>
      <Numbers numbers={numbers} />
      <Part title={`Events (${showCount(events.length)})`}>
        <ol class="lines">
          {events.map((event) => (
            <li key={event.id}>
              <EventLine event={event} startMs={startMs} />
            </li>
          ))}
        </ol>
      </Part>
      {cuts.length > 0 && <p class="note">Not shown: {cuts.join('; ')}.</p>}
    </>
  )
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  )
}

function Facts({ run }: { run: RunAnswer }) {
  const { kind, id, user, experiment_id, start_time, end_time, is_open, totals_us } = run
  const shares = Object.entries(totals_us).filter(([state, us]) => state !== 'wall' && us > 0)
  const rows: [string, ComponentChildren][] = [
    ['outcome', <Outcome key="o" run={run} />],
    ['began', showTime(start_time)],
    ['ended', is_open ? 'still open' : showTime(end_time)],
    ['took', showShort(spanOf(run))],
    ['of that', shares.map(([state, us]) => `${state} ${showShort(us / 1000)}`).join(', ')],
    ...(user ? [['person', <bdi key="u">{user}</bdi>] as [string, ComponentChildren]] : []),
    ...(experiment_id
      ? [
          [
            'experiment',
            <a key="e" href={addressOfRun('experiment', experiment_id)} onClick={follow}>
              <bdi>{nameOf('experiment', experiment_id) || shortId(experiment_id)}</bdi>
            </a>,
          ] as [string, ComponentChildren],
        ]
      : []),
    [kind, id],
  ]
  return (
    <dl>
      {rows.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function EventLine({ event, startMs }: { event: RunEvent; startMs: number }) {
  const { id, level, message, type, timestamp } = event
  const sinceMs = toMs(timestamp) - startMs
  const since =
    sinceMs < 0 ? `${showShort(-sinceMs)} before the start` : `${showShort(sinceMs)} after the start`
  return (
    <>
      <span class="since" title={`${timestamp}, ${since}`}>
        {showTime(timestamp, false)}
      </span>{' '}
      <Level level={level} />{' '}
      <a href={`/e/${encodeURIComponent(id)}`} onClick={follow}>
        <bdi>{message || type}</bdi>
      </a>
    </>
  )
}

function Wait({ wait }: { wait: RunWait }) {
  return (
    <>
      <span class="since">{showShort(wait.wait_us / 1000)}</span> {wait.reason.replaceAll('_', ' ')}:{' '}
      <bdi>{wait.waiter}</bdi>
      {wait.node !== null && (
        <>
          {' '}
          for <bdi>{wait.node}</bdi>
        </>
      )}
      {wait.is_open && ', still waiting'}
    </>
  )
}

function Numbers({ numbers }: { numbers: RunAnswer['numbers'] }) {
  if (numbers.length === 0) return null
  return (
    <Part title="Numbers">
      <table class="figures-table">
        <thead>
          <tr>
            <th>name</th>
            <th>values</th>
            <th>least</th>
            <th>greatest</th>
            <th>last</th>
          </tr>
        </thead>
        <tbody>
          {numbers.map(({ name, count, least, greatest, last }) => (
            <tr key={name}>
              <td>
                <bdi>{name}</bdi>
              </td>
              <td>{count}</td>
              <td>{least}</td>
              <td>{greatest}</td>
              <td>{last}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Part>
  )
}

const heights: { [state: string]: number } = { error: 10, down: 10, busy: 7, unknown: 4, idle: 2 }

function Row({ row, startMs, scaleMs }: { row: RunRow; startMs: number; scaleMs: number }) {
  const { kind, name, id, intervals, node_name, outcome, begun_by } = row
  const text = name ?? `${kind} ${shortId(id)}`
  const label = (
    <>
      <bdi>{text}</bdi>
      {node_name && (
        <>
          {' '}
          on <bdi>{node_name}</bdi>
        </>
      )}
    </>
  )
  return (
    <li class={`gantt-${kind}`}>
      <span class={outcome === 'failed' ? 'problem' : ''} title={`${kind} ${id}`}>
        {begun_by ? (
          <a href={`/e/${encodeURIComponent(begun_by)}`} onClick={follow}>
            {label}
          </a>
        ) : (
          label
        )}
        {outcome === 'failed' && ' ✗'}
      </span>
      <svg
        class="strip"
        viewBox="0 0 1000 10"
        preserveAspectRatio="none"
        role="img"
        aria-label={`${text}: ${intervals
          .map(
            ({ state, start_time, end_time }) => `${state} ${showShort(toMs(end_time) - toMs(start_time))}`,
          )
          .slice(0, 20)
          .join(', ')}`}
      >
        {intervals.map(({ state, start_time, end_time }) => {
          const from = ((toMs(start_time) - startMs) / scaleMs) * 1000
          const width = ((toMs(end_time) - toMs(start_time)) / scaleMs) * 1000
          const height = heights[state] ?? 4
          return (
            <rect
              key={start_time}
              class={`fill-${state}`}
              x={from}
              y={10 - height}
              width={Math.max(2, width)}
              height={height}
            />
          )
        })}
      </svg>
    </li>
  )
}
