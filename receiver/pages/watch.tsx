import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { WatchAlert, WatchAnswer } from '../src/http/watch-answer.ts'
import { toToken } from '../src/search/line.ts'
import { Act } from './act.tsx'
import { toAddress, type Wanted } from './explore-state.ts'
import { Histogram } from './histogram.tsx'
import { useAnswer } from './load.ts'
import { Level, shortId } from './shell.tsx'
import { follow, tell } from './state.ts'
import { useSummary } from './summary.ts'
import { countOf, showCount, showShort, showTime, toMs } from './time.ts'

/** Alerts, open ones first: why each fired and what became of its messages. */
export function WatchPage() {
  const { answer, problem, reload } = useAnswer<WatchAnswer>('/data/watch', 5000)
  const open = answer?.alerts.filter(({ state }) => state !== 'resolved') ?? []
  const over = answer?.alerts.filter(({ state }) => state === 'resolved') ?? []
  useEffect(() => {
    document.title = open.length > 0 ? `${open.length} open – Alerts` : 'Alerts'
  })
  if (!answer) return <h1 class="sentence">{problem || 'Asking the receiver …'}</h1>
  const shown = { now: answer.now, token: answer.token, reload }
  const sentence = !answer.is_set_up
    ? 'Nobody is told of errors yet'
    : open.length === 0
      ? 'Nothing open'
      : `${open.length} open ${open.length === 1 ? 'alert' : 'alerts'}`
  return (
    <>
      <h1 class={`sentence ${open.length > 0 ? 'sentence-bad' : ''}`}>{sentence}</h1>
      {problem && (
        <p class="note problem" role="alert">
          {problem}
        </p>
      )}
      {!answer.is_set_up && <p class="note">Set email_alerts or alert_channels.</p>}
      {open.length > 0 && answer.token === null && (
        <p class="note">Buttons to acknowledge, silence and resolve are here with the setting pages=act.</p>
      )}
      {open.length > 0 && (
        <section aria-labelledby="open">
          <h2 id="open">Open</h2>
          {open.map((alert) => (
            <Alert key={alert.alert_id} alert={alert} {...shown} />
          ))}
        </section>
      )}
      <Preview rules={answer.rules} lines={answer.lines} />
      {over.length > 0 && (
        <section aria-labelledby="over">
          <h2 id="over">Resolved</h2>
          {over.map((alert) => (
            <Alert key={alert.alert_id} alert={alert} {...shown} />
          ))}
        </section>
      )}
    </>
  )
}

function Alert(props: { alert: WatchAlert; now: string; token: string | null; reload: () => void }) {
  const { alert, now, token, reload } = props
  const { alert_id, rule, state, why, log_level, count, opened_at, last_event_id, deliveries } = alert
  const to = (kind: string) => `/alerts/${encodeURIComponent(alert_id)}/${kind}`
  const act = { token: token ?? '', onDone: reload }
  const isOpen = state !== 'resolved'
  return (
    <article class="alert">
      <h3>
        <Level level={log_level} /> <bdi>{rule}</bdi>
      </h3>
      {alert.message && (
        <p>
          <bdi>{alert.message}</bdi>
        </p>
      )}
      <p class="note">
        Why: <bdi>{why}</bdi>
      </p>
      <p class="note">
        {Object.entries(alert.group).map(([path, value]) =>
          value === null ? null : (
            <span key={path}>
              <Shared path={path} value={value} names={alert.names} />,{' '}
            </span>
          ),
        )}
        {state}
        {alert.acknowledged_by && (
          <>
            {' '}
            by <bdi>{alert.acknowledged_by}</bdi>
          </>
        )}
        {isOpen && alert.silenced_until && ` until ${showTime(alert.silenced_until)}`}
        {alert.resolution && (
          <>
            {' '}
            (<bdi>{alert.resolution}</bdi>)
          </>
        )}
        , since {showTime(opened_at)}
        {isOpen && ` (${showShort(toMs(now) - toMs(opened_at))})`}, {showCount(count)}{' '}
        {count === 1 ? 'event' : 'events'}
      </p>
      <ul class="lines">
        {deliveries.length === 0 && <li class="note">Nobody was told.</li>}
        {deliveries.map(
          ({ delivery_id, channel, target, state: became, attempts, error, next_attempt_at }) => (
            <li key={delivery_id} class={became === 'failed' ? 'problem' : ''}>
              {became} by <bdi>{channel}</bdi>
              {target && (
                <>
                  {' '}
                  to <bdi>{target}</bdi>
                </>
              )}
              , {attempts} {attempts === 1 ? 'attempt' : 'attempts'}
              {error && (
                <>
                  : <bdi>{error}</bdi>
                </>
              )}
              {next_attempt_at && `, next at ${showTime(next_attempt_at, false)}`}
            </li>
          ),
        )}
      </ul>
      <p class="actions">
        {last_event_id && (
          <a class="button" href={`/e/${encodeURIComponent(last_event_id)}`} onClick={follow}>
            Last event
          </a>
        )}
        {isOpen && token !== null && (
          <>
            {state !== 'acknowledged' && (
              <Act label="Acknowledge" url={to('acknowledge')} body={{ by: 'browser' }} {...act} />
            )}
            {state === 'firing' && (
              <Act
                label="Silence for an hour"
                url={to('silence')}
                body={{ by: 'browser', minutes: 60 }}
                {...act}
              />
            )}
            <Act label="Resolve" url={to('resolve')} body={{ by: 'browser' }} {...act} />
          </>
        )}
      </p>
    </article>
  )
}

/** What the events of an alert have in common: a thing by its name, which leads to its events, or a value by its path. */
function Shared({ path, value, names }: { path: string; value: string; names: WatchAlert['names'] }) {
  const name = names[path]
  if (name === undefined)
    return (
      <>
        <bdi>{path === 'event_type' ? 'type' : path}</bdi> <bdi>{value}</bdi>
      </>
    )
  const kind = path.replace(/^.*\.|_id$/g, '')
  return (
    <>
      {kind}{' '}
      <a href={toAddress({ line: toToken(kind, value), span: '7d' })} title={value} onClick={follow}>
        <bdi>{name ?? shortId(value)}</bdi>
      </a>
    </>
  )
}

interface PreviewAnswer {
  start_time: string
  end_time: string
  events: number
  matched: number
  alerts: number
  messages: number
  is_cut: boolean
  firings: { at: string; kind: string; count: number; why: string; event_ids: string[] }[]
}

/** A rule tried on what is stored: when it would have fired. */
function Preview({ rules, lines }: Pick<WatchAnswer, 'rules' | 'lines'>) {
  const text = useSignal('')
  const problem = useSignal('')
  const answer = useSignal<(PreviewAnswer & { line: string }) | undefined>(undefined)
  const run = async () => {
    problem.value = 'Counting …'
    answer.value = undefined
    try {
      const given = text.value.trim()
      const rule: unknown = given.startsWith('{') ? JSON.parse(given) : given
      const tried = JSON.parse(await tell('/alerts/preview', { rule })) as PreviewAnswer
      answer.value = { ...tried, line: typeof rule === 'string' ? (lines[rule] ?? '') : lineOf(rule) }
      problem.value = ''
    } catch (error) {
      problem.value = (error as Error).message
    }
  }
  return (
    <section aria-labelledby="preview">
      <h2 id="preview">Try a rule on the last seven days</h2>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault()
          void run()
        }}
      >
        <input
          aria-label="A rule by its name, or as JSON"
          list="rules"
          placeholder='a name, or {"selector": {"event_type": "node_error"}}'
          value={text.value}
          onInput={({ currentTarget }) => {
            text.value = currentTarget.value
          }}
        />
        <datalist id="rules">
          {rules.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <button type="submit">Try</button>
      </form>
      <p class="note" role="status">
        {problem.value}
      </p>
      {answer.value && <Tried answer={answer.value} />}
    </section>
  )
}

/** The search line that finds what the rule looks at; '' where it looks at all events. */
function lineOf(rule: unknown): string {
  const { selector } = (rule ?? {}) as { selector?: unknown }
  return typeof selector === 'object' && selector !== null ? JSON.stringify(selector) : ''
}

function Tried({ answer }: { answer: PreviewAnswer & { line: string } }) {
  const { events, matched, alerts, messages, firings, is_cut, line, start_time, end_time } = answer
  const [start, end] = [start_time, end_time]
  const state: Wanted = { line, span: '7d', start, end, id: '', isUnfolded: false, isOneLine: false }
  // A rule is tried on archived events too.
  const summary = useSummary(state, false, true)
  return (
    <>
      <p>
        Of {countOf(events, 'event')} {showCount(matched)} {matched === 1 ? 'matches' : 'match'}:{' '}
        {countOf(alerts, 'alert')}, {countOf(messages, 'message')}.
      </p>
      <Histogram summary={summary} state={state} marks={firings.map(({ at }) => ({ atMs: toMs(at) }))} />
      <p class="note">
        {line === '' ? 'All events' : 'What the rule looks at'}, an arrow for each message; a click or a drag
        opens them.
      </p>
      <ol class="lines">
        {firings.map(({ at, kind, why, event_ids }, index) => (
          <li key={index}>
            <span class="since">{showTime(at)}</span> {kind}{' '}
            {event_ids[0] ? (
              <a href={`/e/${encodeURIComponent(event_ids[0])}`} onClick={follow}>
                <bdi>{why}</bdi>
              </a>
            ) : (
              <bdi>{why}</bdi>
            )}
          </li>
        ))}
      </ol>
      {is_cut && <p class="note">Later ones are not shown.</p>}
    </>
  )
}
