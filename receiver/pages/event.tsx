import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { copyText } from './copy.ts'
import { indentJson, type Json, memberOf, parseExact, textOf } from './json.ts'
import { Neighbours } from './neighbour.tsx'
import { Level, shortId } from './shell.tsx'
import { ask } from './state.ts'
import { showTime } from './time.ts'

interface Found {
  text: string
  event: Json
}

/** One event by its id: what it says first, then all of it. */
export function EventPage({ id }: { id: string }) {
  const found = useSignal<Found | undefined>(undefined)
  const problem = useSignal('')
  useEffect(() => {
    document.title = 'Event'
    ask(`/event/${encodeURIComponent(id)}`).then(
      (text) => {
        const event = parseExact(text)
        found.value = { text, event }
        document.title = messageOf(event) || 'Event'
      },
      (error: Error) => {
        problem.value = error.message
      },
    )
  }, [id, found, problem])
  if (problem.value) return <h1 class="sentence sentence-bad">{problem.value}</h1>
  if (!found.value) return <h1 class="sentence">Event</h1>
  return <Whole id={id} {...found.value} />
}

export const messageOf = (event: Json): string => {
  const message = textOf(memberOf(event, 'event_data', 'message')) || textOf(memberOf(event, 'event_type'))
  return message.length > maxMessage ? `${message.slice(0, maxMessage)} …` : message
}
const maxMessage = 2000

/** Who speaks: by name where there is one. */
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
  for (const kind of ['node_id', 'workcell_id', 'workflow_id', 'manager_id']) {
    const id = textOf(memberOf(event, 'source', kind))
    if (id !== '') return shortId(id)
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

function Whole({ id, text, event }: { id: string } & Found) {
  return (
    <article>
      <h1 class="message">
        <Level level={Number(textOf(memberOf(event, 'log_level')))} /> <bdi>{messageOf(event)}</bdi>
      </h1>
      <EventDetail id={id} event={event} />
      <Neighbours id={id} event={event} addressOf={(one) => `/e/${encodeURIComponent(one)}`} isOpen />
      <p class="actions">
        <Copy label="Copy JSON" text={text} />
        <Copy label="Copy link" text={location.href} />
        <Copy label="Copy id" text={id} />
      </p>
    </article>
  )
}

/** What it is of, and all of it. */
export function EventDetail({ id, event }: { id: string; event: Json }) {
  const rows: [label: string, value: string][] = [
    ['time', showTime(textOf(memberOf(event, 'event_timestamp')))],
    ['type', textOf(memberOf(event, 'event_type'))],
    ...sources.flatMap((kind): [string, string][] => {
      const name = textOf(memberOf(event, 'event_data', `${kind}_name`))
      const own = textOf(memberOf(event, 'source', `${kind}_id`))
      return name || own ? [[kind, name && own ? `${name} (${own})` : name || own]] : []
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
            <dd>
              <bdi>{value}</bdi>
            </dd>
          </div>
        ))}
      </dl>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard */}
      <section tabIndex={0} aria-label="The event as JSON">
        <pre>{indentJson(event)}</pre>
      </section>
    </>
  )
}

function Copy({ label, text }: { label: string; text: string }) {
  const done = useSignal('')
  return (
    <button
      type="button"
      onClick={async () => {
        done.value = (await copyText(text)) ? 'copied' : 'this browser does not let us copy'
      }}
    >
      {label}
      <span role="status">{done.value && ` – ${done.value}`}</span>
    </button>
  )
}
