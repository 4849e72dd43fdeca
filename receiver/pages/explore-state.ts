import type { Json } from './json.ts'
import { query } from './state.ts'

/** What the explorer is asked for, as its address says it. */

export const spans: { [name: string]: { label: string; ms: number } } = {
  '15m': { label: 'last 15 minutes', ms: 900_000 },
  '1h': { label: 'last hour', ms: 3_600_000 },
  '24h': { label: 'last 24 hours', ms: 86_400_000 },
  '7d': { label: 'last 7 days', ms: 604_800_000 },
  all: { label: 'all time', ms: 0 },
}

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
  }
}

export function toAddress(parts: Partial<Wanted>): string {
  const { line = '', span = '24h', start = '', end = '', id = '' } = parts
  const parameters = new URLSearchParams()
  if (line !== '') parameters.set('q', line)
  if (span !== '24h') parameters.set('span', span)
  if (start !== '') parameters.set('start', start)
  if (end !== '') parameters.set('end', end)
  if (id !== '') parameters.set('id', id)
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
