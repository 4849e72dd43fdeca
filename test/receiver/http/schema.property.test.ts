import { eventLevels, eventTypes, parseEvent, type Value } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { eventInput, eventOutput } from '../../../receiver/src/http/schema.ts'
import { ulidArbitrary } from '../../support/arbitrary.ts'

const anything = fc.oneof(fc.constantFrom(null, true, 15, 'x', '', 2.5), fc.array(fc.integer()))
const maybe = (good: fc.Arbitrary<unknown>) =>
  fc.option(fc.oneof({ weight: 6, arbitrary: good }, anything), { nil: undefined })

const inputArbitrary = fc
  .record({
    event_id: maybe(fc.string({ minLength: 1, unit: 'grapheme' })),
    event_type: maybe(fc.constantFrom(...eventTypes)),
    log_level: maybe(fc.constantFrom(...eventLevels, 'error', 'notset')),
    alert: maybe(fc.boolean()),
    event_timestamp: maybe(fc.constantFrom('2025-01-01T00:00:00Z', '2025-01-01', 1735689600)),
    source: maybe(
      fc.dictionary(
        fc.constantFrom('node_id', 'lab_id', 'other'),
        fc.oneof(ulidArbitrary, fc.constantFrom('x', null)),
      ),
    ),
    event_data: maybe(fc.jsonValue()),
    trace_id: maybe(fc.string()),
    archived: maybe(fc.boolean()),
  })
  .map((input) => JSON.parse(JSON.stringify(input)) as { [key: string]: Value })

describe('the OpenAPI schema and the parser agree', () => {
  it('what the schema allows is accepted, times aside', () => {
    fc.assert(
      fc.property(inputArbitrary, (input) => {
        // A schema cannot say which text is a time.
        if (!eventInput.safeParse(input).success || typeof input.event_timestamp === 'string') return
        parseEvent(input)
      }),
      { numRuns: 500 },
    )
  })

  it('what the parser accepts is answered as the schema of the answer says', () => {
    fc.assert(
      fc.property(inputArbitrary, (input) => {
        let event: ReturnType<typeof parseEvent>
        try {
          event = parseEvent(input)
        } catch {
          return
        }
        const { event_id, ...fields } = event
        eventOutput.parse({ _id: event_id, ...fields })
      }),
      { numRuns: 500 },
    )
  })
})
