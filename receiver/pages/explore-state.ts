import { type Json, memberOf, textOf } from './json.ts'
import { spans } from './span.ts'
import { query } from './state.ts'

/** What the explorer is asked for, as its address says it. */

export interface Row {
  id: string
  event: Json
}

export const toRows = (events: { [id: string]: Json }): Row[] =>
  Object.entries(events).map(([id, event]) => ({ id, event }))

export interface Wanted {
  line: string
  span: string
  /** Bounds of time instead of the span, ISO 8601; with `end` alone the span ends there. '': none. */
  start: string
  end: string
  /** Of the event that is shown whole. */
  id: string
  /** The two events in which a node tells of one moment of an action have a row each. */
  isUnfolded: boolean
  /** A message has one line, however long it is. */
  isOneLine: boolean
}

export function wanted(): Wanted {
  const parameters = new URLSearchParams(query.value)
  const of = (name: string) => parameters.get(name) ?? ''
  const span = of('span')
  return {
    line: of('q'),
    span: Object.hasOwn(spans, span) ? span : '24h',
    start: of('start'),
    end: of('end'),
    id: of('id'),
    isUnfolded: of('rows') === 'all',
    isOneLine: of('wrap') === 'no',
  }
}

export function toAddress(parts: Partial<Wanted>): string {
  const {
    line = '',
    span = '24h',
    start = '',
    end = '',
    id = '',
    isUnfolded = false,
    isOneLine = false,
  } = parts
  const parameters = new URLSearchParams()
  if (line !== '') parameters.set('q', line)
  if (span !== '24h') parameters.set('span', span)
  if (start !== '') parameters.set('start', start)
  if (end !== '') parameters.set('end', end)
  if (id !== '') parameters.set('id', id)
  if (isUnfolded) parameters.set('rows', 'all')
  if (isOneLine) parameters.set('wrap', 'no')
  const text = parameters.toString()
  return text === '' ? '/explore' : `/explore?${text}`
}

/** The filter of the address as parameters of GET /events. */
export function toParameters({ line, span, start, end }: Wanted): URLSearchParams {
  const parameters = new URLSearchParams(line === '' ? {} : { q: line })
  const { ms } = spans[span]!
  if (end !== '') parameters.set('end_time', end)
  if (start !== '') parameters.set('start_time', start)
  else if (ms > 0) {
    const endMs = end === '' ? Date.now() : Date.parse(end)
    if (!Number.isNaN(endMs)) parameters.set('start_time', new Date(endMs - ms).toISOString())
  }
  return parameters
}

/** The line with a term more, or without it when it is there. */
export function toggleTerm(line: string, term: string): string {
  const padded = ` ${line} `
  if (!padded.includes(` ${term} `)) return line === '' ? term : `${line} ${term}`
  return padded.replace(` ${term} `, () => ' ').trim()
}

export const hasTerm = (line: string, term: string) => ` ${line} `.includes(` ${term} `)

/** Without what says again, as a change of status, what another row says of the same moment of an action; `query` does the same. */
export function foldRows(rows: readonly Row[]): Row[] {
  const told = new Set<string>()
  for (const { event } of rows) if (!isChange(event)) told.add(momentOf(event))
  told.delete('')
  return rows.filter(({ event }) => !isChange(event) || !told.has(momentOf(event)))
}

const isChange = (event: Json) => textOf(memberOf(event, 'event_type')) === 'action_status_change'

/** Action, status and time; '' for what tells of no action. */
function momentOf(event: Json): string {
  if (!textOf(memberOf(event, 'event_type')).startsWith('action_')) return ''
  const parts = [
    memberOf(event, 'event_data', 'action_id'),
    memberOf(event, 'event_data', 'status'),
    memberOf(event, 'event_timestamp'),
  ].map(textOf)
  return parts.includes('') ? '' : JSON.stringify(parts)
}
