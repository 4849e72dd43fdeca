import { EventError, fromDocument, toOtelRecord } from '@madsci-events/sdk/event'
import { expect, it } from 'vitest'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { requestType } from '../../support/otlp-reference.ts'

const options = { receivedUnixNano: 1n, maxBodyBytes: 64 * 1024 }
const number = (value: number) =>
  value % 2 === 0 ? { intValue: { low: value, high: 0 } } : { doubleValue: value }
const mixed = { arrayValue: { values: Array.from({ length: 74 }, (_, value) => number(value)) } }
const attributes = [{ key: 'k'.repeat(900), value: mixed }]

it('places of any length and depth that came by REST take no memory', () => {
  const before = process.memoryUsage().heapUsed
  const doubles = ['/'.repeat(3_000_000), `/attributes${'/a'.repeat(500_000)}`]
  const event = fromDocument({ _id: 'a', event_data: { message: 1 }, otel: { form: 'record', doubles } })
  const { body } = toOtelRecord(event)
  expect(body).toBe(1)
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 2 ** 20)
})

it.for([
  ['a resource', { resource: { attributes } }, {}],
  ['a record', {}, { attributes }],
] as const)('places of %s count for the size of a request', ([, ofResource, ofRecord]) => {
  const record = { timeUnixNano: { low: 1, high: 0, unsigned: true }, ...ofRecord }
  const count = 'attributes' in ofRecord ? 60 : 2000
  const request = {
    resourceLogs: [{ ...ofResource, scopeLogs: [{ logRecords: new Array(count).fill(record) }] }],
  }
  const bytes = Buffer.from(requestType.encode(request).finish())
  try {
    const { events } = decodeProtobuf(bytes, options)
    expect(events[0]!.otel!.doubles!.join('').length).toBeLessThanOrEqual(4096)
    let characters = 0
    for (const event of events) characters += JSON.stringify(event).length
    expect(characters).toBeLessThan(options.maxBodyBytes * 8)
  } catch (error) {
    expect(error).toBeInstanceOf(EventError)
    expect(error).toMatchObject({ code: 'EVT_TOO_LARGE' })
  }
})
