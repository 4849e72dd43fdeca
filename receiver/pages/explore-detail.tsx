import { toToken } from '../src/search/line.ts'
import { EventFacts, EventJson, messageOf } from './event.tsx'
import { type Row, toAddress, toggleTerm, type Wanted } from './explore-state.ts'
import { memberOf, textOf } from './json.ts'
import { Neighbours } from './neighbour.tsx'
import { Level } from './shell.tsx'
import { follow } from './state.ts'

/** The whole of an event beside the list, which stays. */
export function Detail({ row: { id, event }, state }: { row: Row; state: Wanted }) {
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
      <EventFacts key={id} id={id} event={event} />
      <EventJson
        event={event}
        addressOf={(term) => toAddress({ ...state, line: toggleTerm(state.line, term) })}
      />
    </aside>
  )
}
