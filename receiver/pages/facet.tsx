import { levelNames } from '../../sdk/src/event/level.ts'
import { toToken } from '../src/search/line.ts'
import { type Json, memberOf, textOf } from './json.ts'
import { follow, go } from './state.ts'

const maxValues = 8

interface Facet {
  name: string
  label: string
  of: (event: Json) => string
}

const facets: Facet[] = [
  { name: 'level', label: 'Level', of: (event) => levelOf(textOf(memberOf(event, 'log_level'))) },
  { name: 'type', label: 'Type', of: typeOf },
  { name: 'node', label: 'Node', of: (event) => textOf(memberOf(event, 'event_data', 'node_name')) },
  {
    name: 'service',
    label: 'Service',
    of: (event) => textOf(memberOf(event, 'otel', 'resource', 'service.name')),
  },
  {
    name: 'workflow',
    label: 'Workflow',
    of: (event) => textOf(memberOf(event, 'event_data', 'workflow_name')),
  },
]

const levelOf = (level: string) => (level === '0' ? '' : (levelNames[Number(level) / 10] ?? ''))

/** MADSci's own programs store events as `log_*`, and say the type within. */
function typeOf(event: Json): string {
  return textOf(memberOf(event, 'event_data', 'event_type')) || textOf(memberOf(event, 'event_type'))
}

function count(events: readonly Json[], { of }: Facet): [value: string, count: number][] {
  const counts = new Map<string, number>()
  for (const event of events) {
    const value = of(event)
    if (value !== '') counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, maxValues)
}

/** What the shown events are of, by name, with their number; each narrows the search, with Alt it is left out. */
export function Facets(props: {
  events: readonly Json[]
  line: string
  addressOf: (line: string) => string
}) {
  const { events, line, addressOf } = props
  const add = (token: string) => addressOf(line === '' ? token : `${line} ${token}`)
  const isWide = matchMedia('(min-width: 1000px)').matches
  return (
    <details class="facets" open={isWide}>
      <summary>Of the {events.length} shown</summary>
      {facets.map((facet) => {
        const values = count(events, facet)
        if (values.length === 0) return null
        return (
          <section key={facet.name} aria-label={facet.label}>
            <h2>{facet.label}</h2>
            <ul>
              {values.map(([value, number]) => {
                const token = facet.name === 'level' ? `level>=${value}` : toToken(facet.name, value)
                return (
                  <li key={value}>
                    <a
                      href={add(token)}
                      title="With Alt: all but these"
                      onClick={(event) => {
                        if (!event.altKey || facet.name === 'level') return follow(event)
                        event.preventDefault()
                        go(add(`-${token}`))
                      }}
                    >
                      <bdi>{value}</bdi>
                    </a>{' '}
                    <span class="since">{number}</span>
                  </li>
                )
              })}
            </ul>
          </section>
        )
      })}
    </details>
  )
}
