import { signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { LabAlert, LabAnswer, LabEvent, LabNode, LabWorkflow } from '../src/http/lab-answer.ts'
import { Level, shortId, staleMs } from './shell.tsx'
import { ask, contact, follow, nowMs } from './state.ts'
import { countOf, showSpan, showTime, toMs } from './time.ts'

const pollMs = 2000
const hiddenPollMs = 15_000

interface Seen {
  lab: LabAnswer
  /** Events a second since the answer before; undefined at first. */
  rate: number | undefined
}
// Kept while other pages are looked at.
const seen = signal<Seen | undefined>(undefined)

/** Is all right now? One sentence, the nodes, what runs, what is open. */
export function LabPage() {
  const problem = useSignal('')
  useEffect(() => {
    let timer = 0
    let isOver = false
    const poll = async () => {
      try {
        take(JSON.parse(await ask('/data/lab')) as LabAnswer)
        problem.value = ''
      } catch (error) {
        problem.value = (error as Error).message
      }
      if (!isOver) timer = window.setTimeout(poll, document.hidden ? hiddenPollMs : pollMs)
    }
    const awake = () => {
      if (document.hidden) return
      clearTimeout(timer)
      void poll()
    }
    void poll()
    document.addEventListener('visibilitychange', awake)
    return () => {
      isOver = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', awake)
    }
  }, [problem])
  useEffect(() => {
    document.title = seen.value ? `${sentenceOf(seen.value.lab).text} – ${seen.value.lab.name}` : 'Lab'
  })
  if (!seen.value) return <h1 class="sentence">{problem.value || 'Asking the receiver …'}</h1>
  const { lab, rate } = seen.value
  const isStale =
    contact.value.error !== undefined || nowMs.value - (contact.value.atMs ?? 0) > staleMs + hiddenPollMs
  const { text, kind } = sentenceOf(lab)
  return (
    <div class={isStale ? 'stale' : ''}>
      <h1 class={`sentence sentence-${kind}`}>{text}</h1>
      <LastEvent lab={lab} rate={rate} />
      {lab.report_error !== null && <p class="note">Nodes and workflows: {lab.report_error}</p>}
      <section aria-labelledby="nodes">
        <h2 id="nodes">Nodes</h2>
        {lab.nodes.length === 0 && lab.report_error === null && (
          <p class="note">
            Programs send their events to {location.origin}/, those with OpenTelemetry to {location.origin}
            /v1/logs.
          </p>
        )}
        <ul class="tiles">
          {lab.nodes.map((node) => (
            <Node key={node.id} node={node} now={lab.now} />
          ))}
        </ul>
      </section>
      <Workflows workflows={lab.workflows} now={lab.now} />
      <Alerts alerts={lab.alerts} now={lab.now} />
    </div>
  )
}

function take(lab: LabAnswer): void {
  const before = seen.value?.lab
  const seconds = before ? (toMs(lab.now) - toMs(before.now)) / 1000 : 0
  const isKnown = seconds > 0 && before?.total_events != null && lab.total_events !== null
  const rate = isKnown ? Math.max(0, (lab.total_events! - before.total_events!) / seconds) : seen.value?.rate
  seen.value = { lab, rate }
}

const count = (number: number, one: string, many = `${one}s`) => `${number} ${number === 1 ? one : many}`

interface Sentence {
  text: string
  kind: 'bad' | 'fine' | 'unknown'
}

/** What a person at the door wants to know. */
function sentenceOf(lab: LabAnswer): Sentence {
  const { is_store_up, report_error, nodes, workflows, alerts } = lab
  if (!is_store_up) return { text: 'The database does not answer: events are not stored', kind: 'bad' }
  const failed = workflows.filter(({ state }) => state === 'error').length
  const faults = [
    ...faultsOf(nodes),
    ...(failed > 0 ? [`${count(failed, 'workflow')} failed`] : []),
    ...(alerts?.length ? [count(alerts.length, 'open alert')] : []),
  ]
  if (faults.length > 0) return { text: faults.join(', '), kind: 'bad' }
  if (report_error !== null) return { text: `Not known yet: ${report_error}`, kind: 'unknown' }
  if (nodes.length === 0) return { text: 'No node has spoken yet', kind: 'unknown' }
  const open = alerts === null ? '' : ', nothing open'
  return {
    text: `All right: ${count(nodes.length, 'node')}, ${workflows.length} running${open}`,
    kind: 'fine',
  }
}

/** 'robot-arm in error', '3 nodes down'. */
function faultsOf(nodes: readonly LabNode[]): string[] {
  const faults: string[] = []
  for (const state of ['error', 'down', 'unknown'] as const) {
    const found = nodes.filter((node) => node.state === state)
    const word = state === 'error' ? 'in error' : state
    if (found.length > 2) faults.push(`${found.length} nodes ${word}`)
    else if (found.length > 0) faults.push(`${found.map(nameOf).join(', ')} ${word}`)
  }
  return faults
}

const nameOf = ({ name, id }: { name: string | null; id: string }) => name ?? shortId(id)

function LastEvent({ lab, rate }: { lab: LabAnswer; rate: number | undefined }) {
  const { last_event: event, total_events } = lab
  if (!event) return <p class="last">No event yet.</p>
  return (
    <p class="last">
      <span>Last event {ago(event, lab.now)}</span> <EventLink event={event} />{' '}
      <span class="figures">
        {total_events !== null && countOf(total_events, 'event')}
        {rate !== undefined && `, ${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second`}
      </span>
    </p>
  )
}

const ago = ({ timestamp }: LabEvent, now: string) => {
  const ms = toMs(now) - toMs(timestamp)
  return ms < -1000 ? `by a clock ${showSpan(-ms)} ahead` : `${showSpan(ms)} ago`
}

function EventLink({ event }: { event: LabEvent }) {
  return (
    <a href={`/e/${encodeURIComponent(event.id)}`} onClick={follow}>
      <Level level={event.level} /> <bdi>{event.message || event.type}</bdi>
    </a>
  )
}

// Beside the word, so that a far or colourless screen tells them apart.
const stateMarks = { busy: '▶', idle: '–', error: '!', down: '×', unknown: '?' } as const

function Node({ node, now }: { node: LabNode; now: string }) {
  const { state, cause, action, since, is_longer: isLonger } = node
  const about = state === 'busy' && action !== null ? action : cause
  return (
    <li class={`tile state-${state}`}>
      <strong title={node.id}>
        <bdi>{nameOf(node)}</bdi>
      </strong>
      <span class="state">
        <span class="mark" aria-hidden="true">
          {stateMarks[state]}
        </span>{' '}
        {state}
        {about && about !== state && <bdi> ({about})</bdi>}
      </span>
      <span class="since" title={showTime(since)}>
        {isLonger ? 'over 1 h' : showSpan(toMs(now) - toMs(since))}
      </span>
      <Strip strip={node.strip} />
    </li>
  )
}

/** The last hour, left to right. Error and down stand higher, so that colour is not all that tells. */
function Strip({ strip }: { strip: LabNode['strip'] }) {
  const shares = new Map<string, number>()
  for (const [state, from, to] of strip) shares.set(state, (shares.get(state) ?? 0) + to - from)
  const text = [...shares].map(([state, share]) => `${state} ${Math.round(share * 100)} %`).join(', ')
  return (
    <svg
      class="strip"
      viewBox="0 0 1000 10"
      preserveAspectRatio="none"
      role="img"
      aria-label={`Last hour: ${text}`}
    >
      {strip.map(([state, from, to]) => {
        const top = state === 'error' || state === 'down' ? 0 : state === 'busy' ? 3 : 8
        return (
          <rect
            key={from}
            class={`fill-${state}`}
            x={from * 1000}
            y={top}
            width={(to - from) * 1000}
            height={10 - top}
          />
        )
      })}
    </svg>
  )
}

function Workflows({ workflows, now }: { workflows: LabWorkflow[]; now: string }) {
  return (
    <section aria-labelledby="workflows">
      <h2 id="workflows">Running workflows</h2>
      {workflows.length === 0 && <p class="note">None.</p>}
      <ul class="rows">
        {workflows.map((one) => (
          <li key={one.id} class={`state-${one.state}`}>
            <strong title={one.id}>
              <bdi>{nameOf(one)}</bdi>
            </strong>
            <span>
              <bdi>{one.step ?? one.cause}</bdi>
            </span>
            <span class="since" title={showTime(one.since)}>
              {one.is_longer ? 'over 1 h' : showSpan(toMs(now) - toMs(one.since))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

function Alerts({ alerts, now }: { alerts: LabAlert[] | null; now: string }) {
  return (
    <section aria-labelledby="alerts">
      <h2 id="alerts">Open alerts</h2>
      {alerts === null && (
        <p class="note">Nobody is told of errors yet: set email_alerts or alert_channels.</p>
      )}
      {alerts?.length === 0 && <p class="note">None.</p>}
      <ul class="rows">
        {alerts?.map((one) => (
          <li key={one.id}>
            <strong>
              <Level level={one.level} /> <bdi>{one.rule}</bdi>
            </strong>
            <span>
              {one.node !== null && (
                <>
                  <bdi>{one.node}</bdi>:{' '}
                </>
              )}
              {one.event_id === null ? (
                <bdi>{one.why}</bdi>
              ) : (
                <a href={`/e/${encodeURIComponent(one.event_id)}`} onClick={follow} title={one.why}>
                  <bdi>{one.message || one.why || 'event'}</bdi>
                </a>
              )}
            </span>
            <span class="since" title={showTime(one.opened_at)}>
              {one.state}, {showSpan(toMs(now) - toMs(one.opened_at))}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}
