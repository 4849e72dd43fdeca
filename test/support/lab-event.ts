import { isObject, parseJson, ulidFrom } from '@madsci-events/sdk/event'
import { createTimelineFold, type TimelineFold } from '../../receiver/src/utilization/timeline/fold.ts'
import { toTimelineEvent } from './timeline-history.ts'
import type { PlainEvent } from './timeline-reference.ts'

const bytes = (index: number) =>
  new Uint8Array(10).map((_, at) => (at === 9 ? index & 255 : at === 8 ? index >> 8 : 0))

/** An event of a small history, as a Python client stores it: `log_info` with its type inside. Ids come with the order of the list. */
export type Told = [
  second: number,
  type: string,
  source: { [key: string]: string },
  data?: { [key: string]: unknown },
]

export const labStart = Date.UTC(2026, 2, 8, 5) * 1000

export function toLogs(told: readonly Told[]): PlainEvent[] {
  return told.map(([second, type, source, data = {}], index) => ({
    id: ulidFrom(1_750_000_000_000 + index, bytes(index)),
    type: 'log_info',
    at: labStart + Math.round(second * 1e6),
    source,
    data: { ...data, event_type: type },
  }))
}

/** Documents of a MADSci database, a line each. */
export function parseRecording(text: string): PlainEvent[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const document = parseJson(line)
      if (!isObject(document)) throw new Error(`not a document: ${line.slice(0, 80)}`)
      const time = String(document.event_timestamp)
      const [seconds, fraction = ''] = time.replace(/Z$/, '').split('.')
      return {
        id: String(document._id),
        type: String(document.event_type),
        at: Date.parse(`${seconds}Z`) * 1000 + Number(fraction.padEnd(6, '0')),
        source: document.source as PlainEvent['source'],
        data: document.event_data as PlainEvent['data'],
      }
    })
}

export function foldOf(events: readonly PlainEvent[], fold = createTimelineFold()): TimelineFold {
  for (const event of events) fold.add(toTimelineEvent(event))
  if (fold.settle() === 'settled') return fold
  fold.reset({ keepsAll: true })
  for (const event of events) fold.add(toTimelineEvent(event))
  fold.settle()
  return fold
}
