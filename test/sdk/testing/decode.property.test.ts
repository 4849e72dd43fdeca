import { type Event, EventError } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeJson as referenceJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf as reference } from '../../../receiver/src/otlp/protobuf.ts'
import { decodeJson } from '../../../sdk/src/testing/json.ts'
import { toEvents } from '../../../sdk/src/testing/logs.ts'
import { decodeProtobuf } from '../../../sdk/src/testing/protobuf.ts'
import { eventArbitrary, valueArbitrary } from '../../support/arbitrary.ts'
import { anyCharacter } from '../../support/character.ts'
import { encodeLogs } from '../../support/otlp.ts'

const options = { receivedUnixNano: 1n, maxBodyBytes: 64 << 20 }

describe("the decoder of the users' test receiver", () => {
  it('gives the events that the real receiver gives, of protobuf and of JSON', () => {
    const attributes = fc.dictionary(fc.string({ unit: anyCharacter, maxLength: 8 }), valueArbitrary, {
      maxKeys: 3,
    })
    fc.assert(
      fc.property(fc.array(eventArbitrary, { maxLength: 4 }), attributes, (events, extra) => {
        const resource = { 'service.name': 'arm', ...extra }
        const scope = { name: 'app', version: '1', attributes: { a: 1 } }
        const bytes = encodeLogs(events, { resource, scope })
        const expected: Event[] = reference(bytes, options).events
        expect(toEvents(decodeProtobuf(bytes))).toEqual(expected)
        const json = encodeLogs(events, { encoding: 'json', resource, scope })
        expect(toEvents(decodeJson(json))).toEqual(referenceJson(json, options).events)
      }),
      { numRuns: 300 },
    )
  })

  it('any bytes are decoded or an EventError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeProtobuf, decodeJson]) {
          try {
            toEvents(decode(bytes))
          } catch (error) {
            expect(error).toBeInstanceOf(EventError)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})
