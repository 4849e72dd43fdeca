import { expect, it } from 'vitest'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { requestType } from '../../support/otlp-reference.ts'

const options = { receivedUnixNano: 1n, maxBodyBytes: 64 * 1024 }
const timeUnixNano = { low: 1, high: 0, unsigned: true }
const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
const marker = 'MARKER-OF-A-BODY'

/** The text of the marker becomes a group that never ends. */
function encode(logRecords: object[]): Buffer {
  const bytes = Buffer.from(requestType.encode({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }).finish())
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) bytes[at - 2] = 0x0b
  return bytes
}

const refused = {
  timeUnixNano,
  attributes: [{ key: 'n', value: { doubleValue: 1 } }],
  body: { stringValue: marker },
}
const doubled = [
  text('log.record.uid', 'x'),
  text('log.record.uid', ''),
  text('madsci.event.type', 'workflow_start'),
  { key: 'madsci.event.type', value: { intValue: { low: 7, high: 0 } } },
]

it('what a record is depends neither on a refused neighbour nor on a whole double beside', () => {
  const factsOf = (records: object[]) => {
    const { events } = decodeProtobuf(encode(records), options)
    const { event_type, otel } = events.at(-1)!
    return { count: events.length, event_type, attributes: otel?.attributes }
  }
  const record = { timeUnixNano, attributes: doubled }
  const alone = factsOf([record])
  expect(alone.count).toBe(1)
  expect(factsOf([refused, record])).toEqual(alone)
  const beside = factsOf([
    { timeUnixNano, attributes: [...doubled, { key: 'n', value: { doubleValue: 1 } }] },
  ])
  expect(beside.event_type).toBe(alone.event_type)
})
