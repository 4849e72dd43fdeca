import {
  type Event,
  EventError,
  findDefect,
  type LogRecord,
  sourceKeys,
  toEventJson,
  toRecord,
  type Value,
} from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import type { DocumentWriter } from '../../../receiver/src/document/document-writer.ts'
import {
  EventDocument,
  eventOf,
  type NewEvent,
  runsOf,
} from '../../../receiver/src/document/event-document.ts'
import type { DecodedLogs } from '../../../receiver/src/otlp/decoded.ts'
import { toLogsDataText } from '../../../receiver/src/otlp/encode-json.ts'
import { groupRecords } from '../../../receiver/src/otlp/group.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { BsonWriter } from '../../../receiver/src/store/mongo/document-writer.ts'
import { createEventEncoder } from '../../../receiver/src/store/mongo/encode.ts'
import { JsonWriter } from '../../../receiver/src/store/sqlite/document-writer.ts'
import { eventArbitrary, keyArbitrary, ulidArbitrary, valueArbitrary } from '../../support/arbitrary.ts'
import { makeForeignRequests } from '../../support/foreign.ts'
import { buildForeign, foreignRecord } from '../../support/foreign-record.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { Double, requestType, toAny, toKeyValues, toLong } from '../../support/otlp-reference.ts'
import { makeEvents } from '../../support/workload.ts'

const options = { receivedUnixNano: 1_700_000_000_000_000_000n, maxBodyBytes: 64 << 20 }
const encoder = createEventEncoder()

/** How each store writes an event that came another way, as text. */
const forms: { writer: DocumentWriter; write: (event: Event) => string }[] = [
  {
    writer: new BsonWriter(),
    write(event) {
      encoder.reset()
      encoder.add(event, Number.POSITIVE_INFINITY)
      return encoder.bytes().toString('latin1')
    },
  },
  { writer: new JsonWriter(), write: (event) => Buffer.from(toEventJson(event)).toString('latin1') },
]

function tryDecode(
  bytes: Uint8Array,
  documents?: DocumentWriter,
  maxBodyBytes = options.maxBodyBytes,
  decode: typeof decodeProtobuf = decodeProtobuf,
): DecodedLogs<NewEvent> | string {
  try {
    return decode(bytes, { ...options, documents, maxBodyBytes })
  } catch (error) {
    if (!(error instanceof EventError)) throw error
    return `${error.code} ${error.message}`
  }
}

const wholeEvent = (event: Event): Event => {
  const { event_id, event_type, log_level, alert, event_timestamp, source, event_data } = event
  const { trace_id, span_id, archived, archived_at, otel } = event
  const plain = { event_id, event_type, log_level, alert, event_timestamp, source, event_data }
  return { ...plain, trace_id, span_id, archived, archived_at, ...(otel && { otel }) }
}

/** Decodes both ways, for both stores, and compares. Gives how many events came as documents, for each store. */
function compare(bytes: Uint8Array, decode = decodeProtobuf): number[] {
  const plain = tryDecode(bytes, undefined, undefined, decode)
  return forms.map(({ writer, write }) => {
    const direct = tryDecode(bytes, writer, undefined, decode)
    if (typeof plain === 'string' || typeof direct === 'string') {
      expect(direct).toEqual(plain)
      return 0
    }
    expect({ ...direct, events: [] }).toEqual({ ...plain, events: [] })
    expect(direct.events.length).toBe(plain.events.length)
    let copied = 0
    for (const [i, event] of direct.events.entries()) {
      const expected = plain.events[i]!
      expect(wholeEvent(eventOf(event))).toEqual(wholeEvent(eventOf(expected)))
      if (!(event instanceof EventDocument)) continue
      copied++
      // The gate does not look at it again.
      expect(findDefect(eventOf(expected))).toBe(undefined)
      expect(event.run.bytes.toString('latin1', event.start, event.end)).toBe(write(eventOf(expected)))
    }
    // Its memory goes to the next request: who keeps a part of it by mistake will be found.
    for (const { run, count } of runsOf(direct.events)) {
      run.bytes.fill(0xff)
      run.release(count)
    }
    return copied
  })
}

type Attributes = [string, Value][]
interface Sent {
  record: LogRecord
  attributes: Attributes
}
/** A record that is not quite what the SDK writes. */
type Twist = (sent: Sent) => void

const nano = fc.constantFrom(
  0n,
  1n,
  999n,
  1000n,
  1_764_000_000_000_001_000n,
  1_764_000_000_000_001_001n,
  2n ** 63n,
  2n ** 64n - 1n,
)
const members = fc.array(fc.tuple(keyArbitrary, valueArbitrary), { maxLength: 4 })
const set =
  (key: string) =>
  (value: Value): Twist =>
  ({ attributes }) => {
    attributes.push([key, value])
  }
const change =
  <Key extends keyof LogRecord>(key: Key) =>
  (value: LogRecord[Key]): Twist =>
  ({ record }) => {
    record[key] = value
  }
const twist: fc.Arbitrary<Twist> = fc.oneof(
  nano.map(change('timeUnixNano')),
  nano.map(change('observedTimeUnixNano')),
  nano.map(
    (value): Twist =>
      ({ record }) => {
        record.timeUnixNano = record.observedTimeUnixNano = value
      },
  ),
  fc.integer({ min: -1, max: 30 }).map(change('severityNumber')),
  fc.constantFrom('', 'info', 'INFO', 'WARN').map(change('severityText')),
  fc.constantFrom('', 'madsci.log', 'log_info', 'madsci.unknown', 'other').map(change('eventName')),
  fc.oneof(valueArbitrary, fc.constantFrom('', 'log_info')).map(change('body')),
  fc.constant(undefined).map(change('body')),
  fc.constantFrom(0, 1, 255, 256).map(change('flags')),
  fc.constantFrom(0, 1).map(change('droppedAttributesCount')),
  fc.constantFrom('', '00', '00'.repeat(16), 'ab'.repeat(16), 'ab'.repeat(8)).map(change('traceId')),
  fc.constantFrom('', '00'.repeat(8), 'ab'.repeat(8)).map(change('spanId')),
  fc.constantFrom('', 'x', 'an id', 'a"\\\n', 'é', 'i'.repeat(64), 'i'.repeat(65)).map(set('log.record.uid')),
  fc.constantFrom('log_info', 'LOG_INFO', 'experiment_stop', 'none', '', 7).map(set('madsci.event.type')),
  valueArbitrary.map(set('madsci.event.data')),
  fc.constantFrom<Value>(true, false, null, 1, 'true').map(set('madsci.event.alert')),
  fc.constantFrom<Value>(0, 1, '0', 0.5).map(set('madsci.event.log_level')),
  fc.constantFrom('{"a":1}', '{', 'null').map(set('madsci.event.json')),
  fc
    .tuple(fc.constantFrom(...sourceKeys, 'other_id'), fc.oneof(ulidArbitrary, fc.constantFrom('', 'x', 3)))
    .map(([name, id]) => set(`madsci.source.${name}`)(id)),
  fc.tuple(keyArbitrary, valueArbitrary).map(([key, value]) => set(key)(value)),
  fc.nat(20).map(
    (place): Twist =>
      ({ attributes }) => {
        attributes.splice(place % Math.max(1, attributes.length), 1)
      },
  ),
  fc.nat(20).map(
    (place): Twist =>
      ({ attributes }) => {
        const one = attributes[place % Math.max(1, attributes.length)]
        if (one) attributes.push(one)
      },
  ),
  fc.constant<Twist>(({ attributes }) => {
    attributes.reverse()
  }),
)

const time = (value: bigint) => ({ ...toLong(BigInt.asIntN(64, value)), unsigned: true })

interface ForeignRequest {
  resourceLogs: { scopeLogs: { logRecords: { attributes: unknown[] }[] }[] }[]
}
const logRecordsIn = ({ resourceLogs }: ForeignRequest) =>
  resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords))

interface Context {
  resource: Attributes
  scope: { name: string; attributes: Attributes }
}

function encodeReference(sent: Sent[], { resource, scope }: Context): Buffer {
  const logRecords = sent.map(({ record: { keys: _, values: __, ...record }, attributes }) => ({
    ...record,
    timeUnixNano: time(record.timeUnixNano),
    observedTimeUnixNano: time(record.observedTimeUnixNano),
    traceId: Buffer.from(record.traceId, 'hex'),
    spanId: Buffer.from(record.spanId, 'hex'),
    body: record.body === undefined ? undefined : toAny(record.body, false),
    attributes: toKeyValues(attributes, false),
  }))
  const scopeLogs = [{ scope: { ...scope, attributes: toKeyValues(scope.attributes, false) }, logRecords }]
  const resourceLogs = [{ resource: { attributes: toKeyValues(resource, false) }, scopeLogs }]
  // Twice: what follows a message must not be taken for a part of it.
  return Buffer.from(requestType.encode({ resourceLogs: [...resourceLogs, ...resourceLogs] }).finish())
}

const sent = fc.tuple(eventArbitrary, fc.array(twist, { maxLength: 3 })).map(([event, twists]): Sent => {
  const record = toRecord(event)
  const one: Sent = { record, attributes: record.keys.map((key, i) => [key, record.values[i]!]) }
  for (const change of twists) change(one)
  return one
})
const context: fc.Arbitrary<Context> = fc.record({
  resource: fc.oneof(
    fc.constant<Attributes>([]),
    fc.constant<Attributes>([['service.name', 'arm']]),
    members,
    ulidArbitrary.map((id): Attributes => [['madsci.source.node_id', id]]),
    fc.constant<Attributes>([['madsci.source.node_id', 'none']]),
  ),
  scope: fc.record({
    name: fc.constantFrom('', 'lab'),
    attributes: fc.oneof(fc.constant<Attributes>([]), members),
  }),
})

describe('records copied into documents', () => {
  it('what the SDK sends is copied, and is what the store would have written', () => {
    const copied = [0, 0]
    let events = 0
    fc.assert(
      fc.property(fc.array(eventArbitrary, { minLength: 1, maxLength: 5 }), members, (sent, resource) => {
        const bytes = encodeLogs(sent, { resource: Object.fromEntries(resource) })
        for (const [form, count] of compare(bytes).entries()) copied[form]! += count
        events += sent.length
      }),
      { numRuns: 500 },
    )
    // The rest is what no attribute carries as it is: event_data that is no object, numbers that JSON has not.
    expect(copied[0]! / events).toBeGreaterThan(0.2)
    expect(copied[1]! / events).toBeGreaterThan(0.1)
  })

  it('of a busy laboratory every event is copied', () => {
    const events = makeEvents(500)
    const alert: Event = { ...events[0]!, alert: true, log_level: 0, trace_id: null, span_id: null }
    const nested: Value = {
      list: [[{ on: true }], null, [], {}],
      float: 0.1,
      large: 2 ** 40,
      text: '"\\\n\u0001é💡',
    }
    const bodies = [
      ...events,
      alert,
      { ...alert, event_data: nested },
      { ...alert, event_data: { message: 'é' } },
    ]
    expect(compare(encodeLogs(bodies))).toEqual([503, 503])
  })

  it('a record that says anything else is the same event as ever', () => {
    const copied = [0, 0]
    let events = 0
    fc.assert(
      fc.property(fc.array(sent, { minLength: 1, maxLength: 4 }), context, (records, context) => {
        for (const [form, count] of compare(encodeReference(records, context)).entries())
          copied[form]! += count
        events += records.length * 2
      }),
      { numRuns: 3000 },
    )
    for (const count of copied) {
      expect(count / events).toBeGreaterThan(0.2)
      expect(count / events).toBeLessThan(0.9)
    }
  })

  it('records of the plain JS SDK are all copied', () => {
    for (const bytes of makeForeignRequests(300, 100)) expect(compare(bytes)).toEqual([100, 100])
  })

  it('what other senders write is the same event as ever, with an id and without', () => {
    const copied = [0, 0]
    let events = 0
    fc.assert(
      fc.property(
        fc.array(foreignRecord, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (records, hasIds) => {
          const request = buildForeign(records, 0) as ForeignRequest
          if (!hasIds) for (const one of logRecordsIn(request)) one.attributes.shift()
          const bytes = Buffer.from(requestType.encode(request).finish())
          for (const [form, count] of compare(bytes).entries()) copied[form]! += count
          events += records.length
        },
      ),
      { numRuns: 2000 },
    )
    // Most have bytes, NaN, or integers beyond 2^53 somewhere, or a resource with such.
    for (const count of copied) expect(count / events).toBeGreaterThan(0.03)
  })

  it('JSON goes the same way: the same events as ever, of any sender', () => {
    const copied = [0, 0]
    let events = 0
    const anyRequest = fc.oneof(
      fc.array(eventArbitrary, { minLength: 1, maxLength: 4 }).map((events) => encodeLogs(events)),
      fc
        .array(foreignRecord, { minLength: 1, maxLength: 4 })
        .map((records) => requestType.encode(buildForeign(records, 0)).finish()),
      fc
        .array(sent, { minLength: 1, maxLength: 4 })
        .map((records) => encodeReference(records, { resource: [], scope: { name: 'lab', attributes: [] } })),
    )
    fc.assert(
      fc.property(anyRequest, fc.constantFrom('', '\\ud800', '\\u0000'), (bytes, spoilt) => {
        const decoded = decodeProtobuf(bytes, options)
        const text = toLogsDataText(groupRecords(decoded.events, {}))
        // The letter that texts and keys begin with most often.
        const json = Buffer.from(spoilt === '' ? text : text.replaceAll(':"a', `:"${spoilt}`))
        for (const [form, count] of compare(json, decodeJson).entries()) copied[form]! += count
        events += decoded.events.length
      }),
      { numRuns: 1000 },
    )
    for (const count of copied) expect(count / events).toBeGreaterThan(0.05)
    const [foreign] = makeForeignRequests(50, 50)
    const text = toLogsDataText(groupRecords(decodeProtobuf(foreign!, options).events, {}))
    expect(compare(Buffer.from(text), decodeJson)).toEqual([50, 50])
    const own = Buffer.from(encodeLogs(makeEvents(50), { encoding: 'json' }))
    expect(compare(own, decodeJson)).toEqual([50, 50])
  })

  it('what JSON says of a resource, and a store may refuse, costs nothing but its own records', () => {
    for (const key of ['\ud800', 'a\0', 'fine'])
      for (const value of [
        { stringValue: 'x\ud800' },
        { intValue: '9223372036854775807' },
        { stringValue: 'x' },
      ]) {
        const resource = { attributes: [{ key, value }] }
        const logRecords = [
          { timeUnixNano: '1790000000000000000', body: { stringValue: 'a line' }, severityNumber: -4 },
        ]
        logRecords.push({ ...logRecords[0]!, severityNumber: 9 })
        const json = { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] }
        compare(Buffer.from(JSON.stringify(json)), decodeJson)
      }
  })

  it('whole doubles are copied, with their places', () => {
    const double = (value: number) => new Double(value) as never as Value
    const value: Value = { list: [double(1), 0.5], mixed: [double(1), 2], 'a/b~': { x: double(-3) }, no: [] }
    const sample = fc.sample(foreignRecord, { numRuns: 1, seed: 1 })[0]!
    const one = { ...sample, attributes: [['r', double(4)]] as Attributes, scope: { ...sample.scope } }
    one.scope.attributes = [['s', [double(2)]]]
    one.record = { ...sample.record, timeUnixNano: 1n, observedTimeUnixNano: 0n, severityText: '' }
    one.record.body = double(7)
    one.record.attributes = [
      ['__proto__', value],
      ['n', double(0)],
      ['a', [double(1), [double(2)]]],
      ['text', 'x'],
    ]
    const bytes = Buffer.from(requestType.encode(buildForeign([one], 0)).finish())
    expect(compare(bytes)).toEqual([1, 1])
    const [event] = (tryDecode(bytes) as DecodedLogs).events
    expect(event!.otel!.doubles).toEqual([
      '/attributes/__proto__/a~1b~0',
      '/attributes/__proto__/list',
      '/attributes/__proto__/mixed/0',
      '/attributes/a',
      '/attributes/n',
      '/body',
      '/resource/r',
      '/scope/s',
    ])
  })

  it('flipped bits and cuts: the same events, or the same refusal', () => {
    const outcomes = new Set<boolean>()
    fc.assert(
      fc.property(
        fc.array(eventArbitrary, { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (events, places, isCut) => {
          const bytes = Buffer.from(encodeLogs(events))
          for (const place of places) bytes[(place >>> 3) % bytes.length]! ^= 1 << (place & 7)
          const sent = isCut ? bytes.subarray(0, places[0]! % bytes.length) : bytes
          outcomes.add(typeof tryDecode(sent) === 'string')
          compare(sent)
        },
      ),
      { numRuns: 3000 },
    )
    expect(outcomes.size).toBe(2)
  })

  it('an empty value is not taken for what follows it', () => {
    const [event] = makeEvents(1)
    const record = toRecord(event!)
    for (const body of [undefined, null, '']) {
      for (const value of [null, '', {}, []]) {
        const attributes: Attributes = record.keys.map((key, i) => [key, record.values[i]!])
        const twisted = [
          {
            record: { ...record, body: body as Value },
            attributes: [...attributes, ['madsci.event.data', value]],
          },
          { record: { ...record, body: body as Value }, attributes: [...attributes, ['x', value]] },
        ] as Sent[]
        compare(encodeReference(twisted, { resource: [], scope: { name: '', attributes: [] } }))
      }
    }
    // Behind it comes the next message of the request, whose tag is that of a text.
    const resourceLogs = [{ scopeLogs: [{ logRecords: [{ body: {} }] }] }]
    compare(Buffer.from(requestType.encode({ resourceLogs: [...resourceLogs, ...resourceLogs] }).finish()))
  })

  it('keys that are numbers come first, as in every object of JavaScript', () => {
    const [event] = makeEvents(1)
    const bytes = Buffer.from(encodeLogs([{ ...event!, event_data: { b1: 1, a2: 2 } }]))
    bytes.write('10', bytes.indexOf('a2'))
    compare(bytes)
    expect(Object.keys((tryDecode(bytes) as DecodedLogs).events[0]!.event_data as object)).toEqual([
      '10',
      'b1',
    ])
  })

  it('keys that share a place in the table of words are told apart', () => {
    const names = Array.from({ length: 60 }, (_, i) => `k${i}`)
    const data = Object.fromEntries(names.map((name, i) => [name, i]))
    const [event] = makeEvents(1)
    const record = toRecord({ ...event!, event_data: data })
    const attributes: Attributes = record.keys.map((key, i) => [key, record.values[i]!])
    const none = { resource: [], scope: { name: '', attributes: [] } }
    expect(compare(encodeReference([{ record, attributes }], none))).toEqual([2, 2])

    // The same object with its first key once more at its end, which no object of JavaScript can say.
    const bytes = Buffer.from(encodeLogs([{ ...event!, event_data: { a1: 1, bb: 2, a2: 3 } }]))
    const at = bytes.indexOf('a2')
    bytes.write('a1', at)
    const decoded = tryDecode(bytes) as DecodedLogs
    expect(decoded.duplicateKeyCount).toBe(1)
    expect(compare(bytes)).toEqual([0, 0])
  })

  it('after a request that was refused half-way, the next one begins anew', () => {
    const bytes = Buffer.from(encodeLogs(makeEvents(3)))
    for (let end = bytes.length - 1; end > 0; end -= 7) {
      compare(bytes.subarray(0, end))
      expect(compare(bytes)).toEqual([3, 3])
    }
  })

  it('a resource is prepared once, and only when there is a record', () => {
    const writer = new JsonWriter()
    const prepared = vi.spyOn(writer, 'prepare')
    const resource = { attributes: toKeyValues([['text', 'x'.repeat(100_000)]], false) }
    const send = (logRecords: object[]) => {
      const scopeLogs = Array.from({ length: 200 }, () => ({ logRecords }))
      const bytes = Buffer.from(requestType.encode({ resourceLogs: [{ resource, scopeLogs }] }).finish())
      return (tryDecode(bytes, writer) as DecodedLogs).events.length
    }
    expect(send([])).toBe(0)
    expect(prepared).not.toHaveBeenCalled()
    const { keys, values, ...record } = toRecord({ ...makeEvents(1)[0]!, trace_id: null, span_id: null })
    const attributes = toKeyValues(
      keys.map((key, i): [string, Value] => [key, values[i]!]),
      false,
    )
    const traceId = Buffer.alloc(0)
    const times = { timeUnixNano: time(1_764_000_000_000_001_000n), observedTimeUnixNano: time(0n) }
    const body = toAny(record.body!, false)
    expect(send([{ ...record, ...times, attributes, body, traceId, spanId: traceId }])).toBe(200)
    expect(prepared).toHaveBeenCalledTimes(1)
  })

  it('documents take four times the memory of their body at most, whatever their resource', () => {
    const events = makeEvents(300)
    const bytes = encodeLogs(events, { resource: { text: 'x'.repeat(60_000) } })
    const [bson, json] = compare(bytes)
    for (const copied of [bson!, json!]) {
      expect(copied).toBeGreaterThan(5)
      expect(copied * 60_000).toBeLessThan(bytes.length * 4 + 130_000)
    }
  })

  it('values are counted as ever: the same requests are too large', () => {
    const [event] = makeEvents(1)
    for (const value of [1, null, '', {}, [null]] as Value[]) {
      const event_data = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, value]))
      const isTaken = (count: number, documents?: DocumentWriter) => {
        const bytes = encodeLogs(Array(count).fill({ ...event!, event_data }))
        return typeof tryDecode(bytes, documents, 1 << 20) !== 'string'
      }
      // So many records of it are just not too many.
      let [least, most] = [100, 3000]
      while (most - least > 1) {
        const middle = (least + most) >> 1
        if (isTaken(middle)) least = middle
        else most = middle
      }
      expect(least).toBeGreaterThan(400)
      for (const { writer } of forms)
        expect([isTaken(least, writer), isTaken(most, writer)]).toEqual([true, false])
    }
  })

  it('long lists, and what a store may refuse, go the ordinary way', () => {
    const [event] = makeEvents(1)
    const list = (length: number) => ({
      ...event!,
      event_data: { list: Array.from({ length }, (_, i) => i) },
    })
    expect(compare(encodeLogs([list(1024), list(1025), event!]))).toEqual([2, 2])
    expect(compare(encodeLogs([event!], { resource: { 'a\0': 1 } }))).toEqual([0, 0])
  })
})
