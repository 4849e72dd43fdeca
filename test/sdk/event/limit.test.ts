import {
  containerBytes,
  findDefect,
  maxEventBytes,
  parseEvent,
  type Value,
  valueBytes,
} from '@madsci-events/sdk/event'
import { expect, it } from 'vitest'

const defectOf = (data: Value) => findDefect(parseEvent({ event_type: 'log_info', event_data: data }, {}))

it('an event counts for what a reader needs to hold it: values, characters, and objects and lists in their own measure', () => {
  const most = Math.floor(maxEventBytes / containerBytes) - 100
  for (const container of [{}, []]) {
    expect(defectOf({ a: Array.from({ length: most }, () => container) })).toBeUndefined()
    expect(defectOf({ a: Array.from({ length: most + 200 }, () => container) })).toContain('larger than')
  }
  const mostNumbers = Math.floor(maxEventBytes / valueBytes) - 100
  expect(defectOf({ a: Array.from({ length: mostNumbers }, () => 1.5) })).toBeUndefined()
  expect(defectOf({ a: 'x'.repeat(maxEventBytes - 1000) })).toBeUndefined()
  expect(defectOf({ a: 'x'.repeat(maxEventBytes) })).toContain('larger than')
})
