import { spans } from './span.ts'
import { query } from './state.ts'

/** What the timeline shows, as its address says it. */

export interface TimelineState {
  /** Ends now, and moves with it; without effect where `start` and `end` are there. */
  span: string
  /** Bounds, ISO 8601; '' where the span says them. */
  start: string
  end: string
  /** Id of the one workflow that is followed. */
  workflow: string
  /** Times in which nothing happened are drawn short. */
  isShort: boolean
  /** The chosen interval: kind, id and where it starts, microseconds. */
  pick: string
}

export function timelineState(): TimelineState {
  const parameters = new URLSearchParams(query.value)
  const of = (name: string) => parameters.get(name) ?? ''
  const isRange = Date.parse(of('start')) < Date.parse(of('end'))
  return {
    span: Object.hasOwn(spans, of('span')) ? of('span') : '24h',
    start: isRange ? of('start') : '',
    end: isRange ? of('end') : '',
    workflow: of('workflow'),
    isShort: of('idle') === 'short',
    pick: of('pick'),
  }
}

export function toTimelineAddress(parts: Partial<TimelineState>): string {
  const { span = '24h', start = '', end = '', workflow = '', isShort = false, pick = '' } = parts
  const parameters = new URLSearchParams()
  if (start !== '' && end !== '') {
    parameters.set('start', start)
    parameters.set('end', end)
  } else if (span !== '24h') parameters.set('span', span)
  if (workflow !== '') parameters.set('workflow', workflow)
  if (isShort) parameters.set('idle', 'short')
  if (pick !== '') parameters.set('pick', pick)
  const text = parameters.toString()
  return text === '' ? '/timeline' : `/timeline?${text}`
}

/** Microseconds since 1970 to ISO 8601, with all six digits. */
export function toIso(micros: number): string {
  const ms = Math.floor(micros / 1000)
  const rest = String(Math.floor(micros - ms * 1000)).padStart(3, '0')
  return new Date(ms).toISOString().replace('Z', `${rest}Z`)
}
