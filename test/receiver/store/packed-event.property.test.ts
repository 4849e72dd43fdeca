import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { StoredEvent } from '../../../receiver/src/store/event-store.ts'
import { packEvents, unpackEvents } from '../../../receiver/src/store/packed-event.ts'
import { anyCharacter } from '../../support/character.ts'

const text = fc.string({ unit: anyCharacter })
const event: fc.Arbitrary<StoredEvent> = fc.record(
  {
    id: text,
    json: text,
    exact: fc.string({ unit: anyCharacter, minLength: 1 }),
    partial: fc.constant(true),
  },
  { requiredKeys: ['id', 'json'] },
)

it('gives back what was packed, also through a structured clone', () => {
  fc.assert(
    fc.property(fc.array(event), (events) => {
      expect(unpackEvents(structuredClone(packEvents(events)))).toEqual(events)
    }),
  )
})
