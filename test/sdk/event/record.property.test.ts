import { fromRecord, toRecord } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { eventArbitrary } from '../../support/arbitrary.ts'

it('fromRecord is the inverse of toRecord for every event that an SDK can emit', () => {
  fc.assert(
    fc.property(eventArbitrary, (event) => {
      const back = fromRecord(toRecord(event), {
        receivedUnixNano: 1n,
        createId: () => 'no id on the wire',
      })
      expect(back).toEqual(event)
    }),
    { numRuns: 2000 },
  )
})
