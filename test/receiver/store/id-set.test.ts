import { expect, it } from 'vitest'
import { createIdSet } from '../../../receiver/src/store/id-set.ts'
import { makeEvents } from '../../support/workload.ts'

it('a set of ids tells the first time from every other', () => {
  const ids = createIdSet()
  const events = makeEvents(20_000)
  for (const { event_id } of events) expect(ids.add(event_id)).toBe(true)
  for (const { event_id } of events) expect(ids.add(event_id)).toBe(false)
  expect(ids.size).toBe(20_000)
})
