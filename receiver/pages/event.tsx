import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { toToken } from '../src/search/line.ts'
import { copyText } from './copy.ts'
import { toAddress } from './explore-state.ts'
import { indentJson, type Json, memberOf, parseExact, textOf } from './json.ts'
import { JsonView } from './json-view.tsx'
import { nameOf } from './name.ts'
import { Neighbours } from './neighbour.tsx'
import { Level, shortId } from './shell.tsx'
import { ask, follow } from './state.ts'
import { showTime } from './time.ts'

/** One event by its id: what it says first, then all of it. */
export function EventPage({ id }: { id: string }) {
  const found = useSignal<Json | undefined>(undefined)
  const problem = useSignal('')
  useEffect(() => {
    document.title = 'Event'
    ask(`/event/${encodeURIComponent(id)}`).then(
      (text) => {
        const event = parseExact(text)
        found.value = event
        document.title = messageOf(event) || 'Event'
      },
      (error: Error) => {
        problem.value = error.message
      },
    )
  }, [id, found, problem])
  if (problem.value) return <h1 class="sentence sentence-bad">{problem.value}</h1>
  if (found.value === undefined) return <h1 class="sentence">Event</h1>
  return <Whole id={id} event={found.value} />
}

export const messageOf = (event: Json): string => {
  const message = textOf(memberOf(event, 'event_data', 'message')) || textOf(memberOf(event, 'event_type'))
  return message.length > maxMessage ? `${message.slice(0, maxMessage)} …` : message
}
const maxMessage = 2000

/** Who speaks: by name where there is one, also one that only other events tell. */
export function whoOf(event: Json): string {
  for (const names of [
    ['event_data', 'node_name'],
    ['otel', 'resource', 'service.name'],
    ['event_data', 'component_name'],
    ['event_data', 'workcell_name'],
  ]) {
    const name = textOf(memberOf(event, ...names))
    if (name !== '') return name
  }
  for (const kind of ['node', 'workcell', 'workflow', 'manager']) {
    const id = textOf(memberOf(event, 'source', `${kind}_id`))
    if (id !== '') return nameOf(kind, id) || shortId(id)
  }
  return '–'
}

const sources = [
  'node',
  'workcell',
  'workflow',
  'step',
  'action',
  'experiment',
  'campaign',
  'user',
  'manager',
  'lab',
]

function Whole({ id, event }: { id: string; event: Json }) {
  return (
    <article class="whole">
      <h1 class="message">
        <Level level={Number(textOf(memberOf(event, 'log_level')))} /> <bdi>{messageOf(event)}</bdi>
      </h1>
      <div>
        <EventFacts id={id} event={event} />
        <Neighbours id={id} event={event} addressOf={(one) => `/e/${encodeURIComponent(one)}`} isOpen />
      </div>
      <EventJson event={event} addressOf={(term) => toAddress({ line: term, span: 'all' })} />
    </article>
  )
}

/** Of what it is, and the buttons that copy it. */
export function EventFacts({ id, event }: { id: string; event: Json }) {
  const time = textOf(memberOf(event, 'event_timestamp'))
  const rows: [label: string, value: ComponentChildren][] = [
    [
      'time',
      <span key="time" title={time}>
        {showTime(time)}
      </span>,
    ],
    ['type', <bdi key="type">{textOf(memberOf(event, 'event_type'))}</bdi>],
    ...sources.flatMap((kind): [string, ComponentChildren][] => {
      const own = textOf(memberOf(event, 'source', `${kind}_id`))
      const name = textOf(memberOf(event, 'event_data', `${kind}_name`)) || nameOf(kind, own)
      return name || own ? [[kind, <Thing key={kind} kind={kind} id={own} name={name} />]] : []
    }),
    ['id', id],
  ]
  if (memberOf(event, 'archived') === true) rows.push(['archived', 'yes'])
  return (
    <>
      <dl>
        {rows.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="actions">
        <Copy label="Copy JSON" text={() => indentJson(event)} />
        <Copy label="Copy link" text={() => `${location.origin}/e/${encodeURIComponent(id)}`} />
        <Copy label="Copy id" text={() => id} />
      </p>
    </>
  )
}

/** By name, with the end of its id; leads to all its events, a run to its page. */
function Thing({ kind, id, name }: { kind: string; id: string; name: string }) {
  const isRun = id !== '' && (kind === 'workflow' || kind === 'experiment')
  const address = isRun
    ? `/run/${kind}/${encodeURIComponent(id)}`
    : toAddress({ line: toToken(kind, id || name), span: 'all' })
  return (
    <>
      <a href={address} title={id} onClick={follow}>
        <bdi>{name || shortId(id)}</bdi>
      </a>{' '}
      {name !== '' && id !== '' && <span class="since">{shortId(id)}</span>}
    </>
  )
}

export function EventJson({ event, addressOf }: { event: Json; addressOf: (term: string) => string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard
    <section tabIndex={0} aria-label="The event as JSON">
      <JsonView event={event} addressOf={addressOf} />
    </section>
  )
}

function Copy({ label, text }: { label: string; text: () => string }) {
  const done = useSignal('')
  return (
    <button
      type="button"
      onClick={async () => {
        done.value = (await copyText(text())) ? 'copied' : 'this browser does not let us copy'
      }}
    >
      {label}
      <span role="status">{done.value && ` – ${done.value}`}</span>
    </button>
  )
}
