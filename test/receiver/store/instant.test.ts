import { expect, it } from 'vitest'
import { toMicros } from '../../../receiver/src/store/instant.ts'

it('reads our times, those of the original, and those of other zones as instants', () => {
  const noon = Date.UTC(2001, 4, 7, 12) * 1000
  expect(toMicros('2001-05-07T12:00:00.000001Z')).toBe(noon + 1)
  expect(toMicros('2001-05-07T12:00:00.000001')).toBe(noon + 1)
  expect(toMicros('2001-05-07T12:00:00')).toBe(noon)
  expect(toMicros('2001-05-07T12:00:00Z')).toBe(noon)
  expect(toMicros('2001-05-07T14:00:00+02:00')).toBe(noon)
  expect(toMicros('2001-05-07T14:00:00.5+02:00')).toBe(noon + 500_000)
  for (const text of ['', 'bogus', '2001-05-07T12:00:0xZ']) expect(toMicros(text)).toBeNaN()
})
