import { type Event, EventError, fromDocument, type Value } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { toWatch } from '../../../receiver/src/alert/alerts.ts'
import { createMatch } from '../../../receiver/src/alert/match.ts'
import { parseRules } from '../../../receiver/src/alert/rule.ts'
import { eventOf, type NewEvent } from '../../../receiver/src/document/event-document.ts'
import { createUnpacker, type Unpacker } from '../../../receiver/src/ingest/unpack.ts'
import type { DecodedLogs } from '../../../receiver/src/otlp/decoded.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { BsonWriter } from '../../../receiver/src/store/mongo/document-writer.ts'
import { JsonWriter } from '../../../receiver/src/store/sqlite/document-writer.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { makeEvents } from '../../support/workload.ts'

const limits = {
  receivedUnixNano: 1_790_000_000_000_000_000n,
  maxBodyBytes: 64 * 2 ** 20,
  maxRecords: 200_000,
}
const stores = {
  sqlite: { documents: () => new JsonWriter(), folder: 'sqlite' },
  mongodb: { documents: () => new BsonWriter(), folder: 'mongo' },
}
const encoderOf = (folder: string) =>
  new URL(`../../../receiver/src/store/${folder}/encode-document.ts`, import.meta.url)

const odd: { [name: string]: Value } = {
  bytes: new Uint8Array([1, 2, 250]),
  long: 2n ** 62n,
  zero: -0,
  infinite: Number.POSITIVE_INFINITY,
  text: 'Ünïcode "quoted"\n',
  nested: [{ a: [1, 2.5, null, true] }],
}

/** A copy with plain members, as stores see it. */
const plain = (one: NewEvent) => toPlain(eventOf(one))
const toPlain = (event: Event) => ({
  event_id: event.event_id,
  event_type: event.event_type,
  log_level: event.log_level,
  alert: event.alert,
  event_timestamp: event.event_timestamp,
  source: event.source,
  event_data: event.event_data,
  trace_id: event.trace_id,
  span_id: event.span_id,
  archived: event.archived,
  archived_at: event.archived_at,
  otel: event.otel,
})

describe.each(Object.entries(stores))('large bodies for %s', (_name, { documents, folder }) => {
  let unpacker: Unpacker
  const open = () =>
    createUnpacker({
      documents: documents(),
      encoderUrl: encoderOf(folder),
      managerId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      naiveTimezone: 'Europe/Berlin',
    })
  afterEach(() => unpacker.close())

  it('1. what comes of a body is what comes of it on the calling thread', async () => {
    unpacker = open()
    const events = makeEvents(5000).map((event, index) =>
      index % 100 === 0 ? { ...event, event_data: { ...odd, index } } : event,
    )
    const bytes = encodeLogs(events)
    const expected = decodeProtobuf(bytes, limits)
    const decoded = await unpacker.logs(bytes.slice(), 'protobuf', limits)
    expect(decoded.events.map(plain)).toEqual(expected.events.map(plain))
    expect(countsOf(decoded)).toEqual(countsOf(expected))

    const text = Buffer.from(
      JSON.stringify({
        resourceLogs: [
          {
            resource: { attributes: [{ key: 'service.name', value: { stringValue: 'arm' } }] },
            scopeLogs: [
              {
                logRecords: [
                  { timeUnixNano: '1790000000000000001', body: { doubleValue: 'NaN' } },
                  {},
                  { timeUnixNano: '1790000000000000002', body: { stringValue: 'a line' } },
                ],
              },
            ],
          },
        ],
      }),
    )
    const fromJson = await unpacker.logs(Uint8Array.from(text), 'json', limits)
    const expectedFromJson = decodeJson(text, limits)
    expect(fromJson.events.map(plain)).toEqual(expectedFromJson.events.map(plain))
    expect(countsOf(fromJson)).toEqual(countsOf(expectedFromJson))
  })

  it('gives what REST answers, and why an event cannot be kept', async () => {
    unpacker = open()
    const send = (body: string) => unpacker.event(Buffer.from(body), 'application/json')
    const sent = await send(
      '{"event_id":"x","event_type":"test","event_timestamp":"2026-07-01T12:00:00","event_data":{"n":12345678901234567890}}',
    )
    if ('refused' in sent) {
      expect(sent.refused.message).toBe('event_data holds an integer beyond 64 bits')
    } else expect.fail('an integer beyond 64 bits was taken')
    const kept = await send(
      '{"event_id":"x","event_type":"test","event_timestamp":"2026-07-01T12:00:00","event_data":{"n":1234567890123456789},"archived":true,"archived_at":"2026-07-02T00:00:00.123456Z"}',
    )
    if ('refused' in kept) throw kept.refused
    expect(kept.isTimed).toBe(true)
    expect(kept.event.event_timestamp).toBe('2026-07-01T10:00:00.000000Z')
    const event = eventOf(kept.event)
    expect(event.event_data).toEqual({ n: 1234567890123456789n })
    expect(kept.event.archived).toBe(true)
    expect(event.source).toEqual({ manager_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV' })
    expect(Buffer.from(kept.json).toString()).toContain('"n":1234567890123456789')
    const invalid = await send('{"log_level":"high"}')
    expect('refused' in invalid && invalid.refused.code).toBe('EVT_INVALID')
    await expect(send('{"event_type":')).rejects.toMatchObject({ code: 'EVT_JSON' })
    const [deep, cut] = await Promise.allSettled([send('['.repeat(2000)), send('')])
    expect(deep).toMatchObject({ reason: { code: 'EVT_JSON' } })
    expect(cut).toMatchObject({ reason: { code: 'EVT_INVALID' } })
    expect(
      await unpacker.isSame('{"a":1,"archived":true}', { json: Buffer.from('{"a":1}'), isTimed: false }),
    ).toBe(true)
    const large = `"${'x'.repeat(600_000)}"`
    const other = Buffer.from(`{"a":${large},"b":2}`)
    expect(await unpacker.isSame(`{"b":2,"a":${large}}`, { json: other, isTimed: false })).toBe(true)
    expect(await unpacker.isSame(`{"b":3,"a":${large}}`, { json: other, isTimed: false })).toBe(false)
  })

  it('what rules see in its events, the thread sees, and nobody reads them again', async () => {
    const { rules } = parseRules({
      alertLevel: 40,
      rules: [
        { name: 'slow', kind: 'slow_step', minutes: 5 },
        { name: 'code', selector: { 'event_data.code': { $gt: 3 } }, group_by: ['event_data.unit'] },
      ],
      quiet: [],
      maintenance: [],
      channels: [],
    })
    const writer = documents()
    unpacker = createUnpacker({
      documents: writer,
      encoderUrl: encoderOf(folder),
      managerId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      watch: toWatch({ rules, quiet: [], maintenance: [] }),
    })
    const bodies = [
      { event_type: 'log_error', log_level: 40, event_data: { code: 5, unit: 'x' } },
      {
        event_type: 'workflow_step_start',
        source: { workflow_id: '01ARZ3NDEKTSV4RRFFQ69G5FAW', step_id: '01ARZ3NDEKTSV4RRFFQ69G5FAX' },
      },
      { event_type: 'log_info', event_data: { code: 1 } },
      { event_type: 'log_info', alert: true, event_data: { message: 'look' } },
    ].map(({ source, ...body }: { source?: object }) => ({
      event_timestamp: '2026-11-23T19:25:51.286773Z',
      source: { manager_id: '01ARZ3NDEKTSV4RRFFQ69G5FAV', ...source },
      ...body,
    }))
    const match = createMatch(rules)!
    for (const body of bodies) {
      const sent = await unpacker.event(Buffer.from(JSON.stringify(body)), 'application/json')
      if ('refused' in sent) throw sent.refused
      writer.read = () => expect.fail('the event was read')
      const seen = match([sent.event])
      expect(seen).toEqual(match([fromDocument({ _id: sent.event.event_id, ...body } as never)]))
      expect(seen.length > 0).toBe(body !== bodies[2])
    }
  })

  it('2. a body that needs more memory than one request may take is refused alone', async () => {
    unpacker = createUnpacker({
      documents: documents(),
      encoderUrl: encoderOf(folder),
      managerId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      maxHeapMb: 24,
    })
    const objects = `{"event_data":[${'{"a":1},'.repeat(600_000)}1]}`
    const [large, honest] = await Promise.allSettled([
      unpacker.event(Buffer.from(objects), 'application/json'),
      unpacker.event(Buffer.from('{"event_type":"test"}'), 'application/json'),
    ])
    expect(large).toMatchObject({ reason: expect.any(EventError) })
    expect(large).toMatchObject({ reason: { code: 'EVT_TOO_LARGE' } })
    expect(honest).toMatchObject({ status: 'fulfilled', value: { event: { event_type: 'test' } } })
  })

  it('3. the thread goes when nothing was large for a while', async () => {
    unpacker = createUnpacker({
      documents: documents(),
      encoderUrl: encoderOf(folder),
      managerId: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
      idleMs: 20,
    })
    await unpacker.event(Buffer.from('{"event_type":"test"}'), 'application/json')
    expect(unpacker.isRunning).toBe(true)
    await expect.poll(() => unpacker.isRunning).toBe(false)
    const again = await unpacker.event(Buffer.from('{"event_type":"test"}'), 'application/json')
    expect('refused' in again).toBe(false)
  })
})

const countsOf = ({ refused, duplicateKeyCount, otherSourceCount, undatedCount }: DecodedLogs<NewEvent>) => ({
  refused,
  duplicateKeyCount,
  otherSourceCount,
  undatedCount,
})
