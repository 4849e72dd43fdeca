import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { fromDocument } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeLogs } from '../../support/otlp.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const protobuf = 'application/x-protobuf'
const json = 'application/json'
let count = 0
const makeEvent = (fields: object = {}) => ({
  ...fromDocument({
    _id: `01M84XRCB04R2X0EN07MZ${String(++count).padStart(5, '0')}`,
    event_type: 'log_info',
    event_timestamp: '2026-11-23T19:25:51.286773Z',
    event_data: { message: 'a text', volume_ul: 50 },
  }),
  ...fields,
})

/** A record as a foreign OTel SDK would say it in JSON. */
const makeRequest = (record: object, envelope: object = {}) =>
  JSON.stringify({ resourceLogs: [{ ...envelope, scopeLogs: [{ logRecords: [record] }] }] })

describe('POST /v1/logs', () => {
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  beforeAll(async () => {
    receiver = await startTestReceiver({ flags: { max_body_bytes: '1048576' } })
  })
  afterAll(() => receiver.close())

  const post = async (
    body: string | Uint8Array<ArrayBuffer>,
    type: string = json,
    headers: { [name: string]: string } = {},
    url = `${receiver.url}v1/logs`,
  ) => {
    const answer = await fetch(url, { method: 'POST', body, headers: { 'content-type': type, ...headers } })
    const bytes = Buffer.from(await answer.arrayBuffer())
    return { status: answer.status, type: answer.headers.get('content-type'), bytes, headers: answer.headers }
  }
  const stored = async (id: string) => (await (await fetch(`${receiver.url}event/${id}`)).json()) as never
  const total = async () =>
    ((await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }).total_events
  /** The event that a record became: the newest of all. */
  const becomes = async (record: object, envelope?: object) => {
    const before = await total()
    const time = String(BigInt(4_000_000_000 + count++) * 1_000_000_000n)
    const answer = await post(makeRequest({ timeUnixNano: time, ...record }, envelope))
    expect(answer.status).toBe(200)
    expect(await total()).toBe(before + 1)
    const events = (await (await fetch(`${receiver.url}events?number=1`)).json()) as { [id: string]: unknown }
    return { event: Object.values(events)[0] as { [key: string]: never }, answer }
  }

  it('R1 R2 R4 R5: both encodings on both ports, with parameters, answered in kind with partial_success unset', async () => {
    for (const url of [`${receiver.url}v1/logs`, receiver.otlpUrl]) {
      for (const type of [protobuf, json, `${json}; charset=utf-8`, 'Application/X-Protobuf']) {
        const event = makeEvent()
        const encoding = type.includes('json') ? 'json' : 'protobuf'
        const answer = await post(Buffer.from(encodeLogs([event], { encoding })), type, {}, url)
        expect(answer).toMatchObject({ status: 200, type: encoding === 'json' ? json : protobuf })
        expect(answer.bytes.toString()).toBe(encoding === 'json' ? '{}' : '')
        expect(await stored(event.event_id)).toMatchObject({ event_data: event.event_data })
      }
    }
  })

  it('R3: identity, gzip, deflate and zstd; anything else is 415', async () => {
    const pack = {
      identity: (b: Uint8Array) => b,
      gzip: gzipSync,
      deflate: deflateSync,
      zstd: zstdCompressSync,
    }
    for (const [encoding, compress] of Object.entries(pack)) {
      const event = makeEvent()
      const body = Buffer.from(compress(encodeLogs([event])))
      expect(await post(body, protobuf, { 'content-encoding': encoding })).toMatchObject({ status: 200 })
      expect(await stored(event.event_id)).toMatchObject({ _id: event.event_id })
    }
    expect((await post('{}', json, { 'content-encoding': 'br' })).status).toBe(415)
    expect((await post('no gzip at all', json, { 'content-encoding': 'gzip' })).status).toBe(400)
  })

  it('R6 R19: an empty request, and empty envelopes, are a success', async () => {
    expect(await post('', protobuf)).toMatchObject({ status: 200 })
    for (const body of [
      '{}',
      '{"resourceLogs":[]}',
      '{"resourceLogs":[{}]}',
      '{"resourceLogs":[{"scopeLogs":[{}]}]}',
    ])
      expect((await post(body)).bytes.toString(), body).toBe('{}')
  })

  it('R7: a record that cannot be kept is rejected with a count, its neighbours are stored', async () => {
    const good = makeEvent()
    const bad = makeEvent({ event_data: 'n' })
    const text = Buffer.from(encodeLogs([good, bad], { encoding: 'json' })).toString()
    const deep = `${'['.repeat(0)}${'{"arrayValue":{"values":['.repeat(190)}${'{"intValue":1}'}${']}}'.repeat(190)}`
    const broken = text.replace(/"body":\{"stringValue":"n"\}/, `"body":${deep}`)
    expect(broken).not.toBe(text)
    const answer = await post(broken)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.bytes.toString())).toEqual({
      partialSuccess: {
        rejectedLogRecords: '1',
        errorMessage: expect.stringMatching(/^1 rejected: .*nested/),
      },
    })
    expect(await stored(good.event_id)).toMatchObject({ _id: good.event_id })
  })

  it('R8: a warning has a message and rejects nothing', async () => {
    const { event, answer } = await becomes({
      attributes: [{ key: 'madsci.source.node_id', value: { stringValue: 'no ulid' } }],
    })
    const { partialSuccess } = JSON.parse(answer.bytes.toString())
    expect(partialSuccess).toMatchObject({
      rejectedLogRecords: '0',
      errorMessage: expect.stringContaining('ULID'),
    })
    expect(event).toMatchObject({ source: {}, otel: { source: { node_id: 'no ulid' } } })
  })

  it('R9 R10: an undecodable request is 400 with a Status and BadRequest, in the encoding of the request', async () => {
    for (const body of [
      '{',
      '[]',
      '{"resourceLogs":{}}',
      '{"resourceLogs":[{"scopeLogs":[{"logRecords":[7]}]}]}',
    ]) {
      const answer = await post(body)
      expect([body, answer.status, answer.type]).toEqual([body, 400, json])
      expect(JSON.parse(answer.bytes.toString())).toMatchObject({
        code: 3,
        message: expect.any(String),
        details: [{ '@type': expect.stringContaining('BadRequest') }],
      })
    }
    const answer = await post('garbage', protobuf)
    expect([answer.status, answer.type]).toEqual([400, protobuf])
    // Status: field 1 varint 3, field 2 text.
    expect([...answer.bytes.subarray(0, 3)]).toEqual([0x08, 3, 0x12])
  })

  it('R11: too many bytes in flight are 429 with Retry-After, before the body is read, and the next request is served', async () => {
    const small = await startTestReceiver({ flags: { max_in_flight_bytes: '1024' } })
    try {
      const { port } = new URL(small.url)
      const slow = connect(Number(port), '127.0.0.1')
      slow.on('error', () => {})
      slow.write(
        `POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: ${json}\r\ncontent-length: 900\r\n\r\n{${' '.repeat(400)}`,
      )
      const url = `${small.url}v1/logs`
      const full = ' '.repeat(800)
      let answer = await post(full, json, {}, url)
      for (let i = 0; i < 50 && answer.status !== 429; i++) answer = await post(full, json, {}, url)
      expect(answer.status).toBe(429)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(JSON.parse(answer.bytes.toString())).toHaveProperty('message')
      slow.destroy()
      do answer = await post('{}', json, {}, url)
      while (answer.status === 429)
      expect(answer.status).toBe(200)
    } finally {
      await small.close()
    }
  })

  it('bodies that are announced and do not come keep nobody out, by any handler', async () => {
    const receiver = await startTestReceiver()
    try {
      const { port } = new URL(receiver.url)
      const idle = ['/v1/logs', '/event', '/events/query', '/backup', '/receipts'].flatMap((path) =>
        Array.from({ length: 3 }, () => {
          const socket = connect(Number(port), '127.0.0.1')
          socket.on('error', () => {})
          const length = path === '/event' ? 60_000 : 67_108_864
          socket.write(
            `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: ${json}\r\ncontent-length: ${length}\r\n\r\n`,
          )
          return socket
        }),
      )
      await new Promise((resolve) => setTimeout(resolve, 300))
      for (let i = 0; i < 20; i++) {
        const answer = await fetch(`${receiver.url}event`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ event_data: { text: 'x'.repeat(100_000) } }),
        })
        expect(answer.status).toBe(200)
        await answer.text()
      }
      expect((await post('{}', json, {}, `${receiver.url}v1/logs`)).status).toBe(200)
      for (const socket of idle) socket.destroy()
    } finally {
      await receiver.close()
    }
  })

  it('an empty record is dropped and counted, and more records than the limit are refused whole', async () => {
    const receiver = await startTestReceiver({ flags: { max_request_records: '1000' } })
    try {
      const url = `${receiver.url}v1/logs`
      const request = (records: unknown[]) =>
        JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] })
      const mixed = await post(
        request([{}, { body: { stringValue: 'one' } }, { severityNumber: 0 }]),
        json,
        {},
        url,
      )
      expect(JSON.parse(mixed.bytes.toString())).toMatchObject({
        partialSuccess: { rejectedLogRecords: '2', errorMessage: expect.stringContaining('an empty record') },
      })
      expect(receiver.metric.total('events_stored')).toBe(1)
      expect(receiver.metric.read()).toContainEqual({
        name: 'events_rejected',
        reason: 'an empty record',
        count: 2,
      })
      const field = (tag: number, payload: Buffer) => {
        const length: number[] = []
        for (let rest = payload.length; ; rest >>>= 7) {
          length.push(rest > 127 ? (rest & 127) | 128 : rest)
          if (rest <= 127) break
        }
        return Buffer.concat([Buffer.from([tag, ...length]), payload])
      }
      const empties = (count: number) =>
        gzipSync(field(0x0a, field(0x12, Buffer.alloc(count * 2, Buffer.from([0x12, 0])))))
      const gzip = { 'content-encoding': 'gzip' }
      expect((await post(empties(524_288), protobuf, gzip, url)).status).toBe(413)
      expect((await post(empties(1001), protobuf, gzip, url)).status).toBe(413)
      expect((await post(empties(1000), protobuf, gzip, url)).status).toBe(200)
      const records = (count: number) =>
        request(Array.from({ length: count }, () => ({ body: { intValue: 1 } })))
      expect((await post(records(1001), json, {}, url)).status).toBe(413)
      expect((await post(records(1000), json, {}, url)).status).toBe(200)
      expect(receiver.metric.total('events_stored')).toBe(1001)
    } finally {
      await receiver.close()
    }
  })

  it('R12: too large is 413 with a Status, before and after decompression; a zip bomb costs its limit', async () => {
    const large = Buffer.alloc(1_048_577, 32)
    expect((await post(large)).status).toBe(413)
    const before = process.memoryUsage().rss
    for (const [encoding, bomb] of [
      ['gzip', gzipSync(Buffer.alloc(300 << 20))],
      ['zstd', zstdCompressSync(Buffer.alloc(300 << 20))],
    ] as const) {
      const answer = await post(Buffer.from(bomb), json, { 'content-encoding': encoding })
      expect([answer.status, JSON.parse(answer.bytes.toString()).code]).toEqual([413, 8])
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(700 << 20)
    expect((await post('{}')).status).toBe(200)
  })

  it('R12: a chunked body that nobody announced is cut at the limit', async () => {
    const { port } = new URL(receiver.url)
    const socket = connect(Number(port), '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(
      `POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: ${json}\r\ntransfer-encoding: chunked\r\n\r\n`,
    )
    const chunk = ' '.repeat(65536)
    for (let i = 0; i < 40 && !socket.destroyed; i++) socket.write(`10000\r\n${chunk}\r\n`)
    await closed
    expect(answer).toMatch(/^HTTP\/1\.1 413/)
  })

  it('R13: a wrong content type is 415, a wrong method 405, both with a Status', async () => {
    expect((await post('{}', 'text/plain')).status).toBe(415)
    const answer = await fetch(`${receiver.url}v1/logs`)
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST'])
    await answer.arrayBuffer()
  })

  it('R14: JSON: hex ids in either case, 64-bit integers as text or number, base64 bytes, unknown fields ignored', async () => {
    const { event } = await becomes({
      traceId: 'ABCDEF0123456789abcdef0123456789',
      spanId: 'ABCDEF0123456789',
      severityNumber: 17,
      observedTimeUnixNano: 4_000_000_000_000_000_000,
      unknownField: { deep: [1] },
      body: { stringValue: 'hello', unknown: 1 },
      attributes: [
        { key: 'big', value: { intValue: '9007199254740993' } },
        { key: 'small', value: { intValue: 7 } },
        { key: 'bytes', value: { bytesValue: 'AQL/' } },
        { key: 'empty', value: {} },
        { key: 'mixed', value: { arrayValue: { values: [{ intValue: '1' }, { stringValue: 'x' }, {}] } } },
        {
          key: 'nested',
          value: { kvlistValue: { values: [{ key: '__proto__', value: { boolValue: true } }] } },
        },
      ],
    })
    expect(event).toMatchObject({
      event_type: 'log_error',
      log_level: 40,
      trace_id: 'abcdef0123456789abcdef0123456789',
      span_id: 'abcdef0123456789',
    })
    const text = await (await fetch(`${receiver.url}event/${event._id}`)).text()
    expect(text).toContain(
      '"event_data":{"message":"hello","big":9007199254740993,"small":7,"bytes":"AQL/","empty":null,"mixed":[1,"x",null],"nested":{"__proto__":true}}',
    )
    // Names of enums are protobuf's own JSON, which OTLP does not take.
    for (const wrong of [
      { severityNumber: 'SEVERITY_NUMBER_INFO' },
      { timeUnixNano: 1.5 },
      { body: { intValue: 'seven' } },
    ])
      expect([wrong, (await post(makeRequest(wrong))).status]).toEqual([wrong, 400])
  })

  it('R15: empty values, bytes, mixed arrays and nested lists are values of an attribute', async () => {
    const { event } = await becomes({
      body: { stringValue: 'a text' },
      attributes: [
        { key: 'empty', value: {} },
        { key: 'bytes', value: { bytesValue: 'AAECAw==' } },
        {
          key: 'mixed',
          value: {
            arrayValue: { values: [{ intValue: '1' }, { stringValue: 'b' }, { boolValue: true }, {}] },
          },
        },
        {
          key: 'nested',
          value: { kvlistValue: { values: [{ key: 'a', value: { kvlistValue: { values: [] } } }] } },
        },
      ],
    })
    expect(event.event_data).toEqual({
      message: 'a text',
      empty: null,
      bytes: 'AAECAw==',
      mixed: [1, 'b', true, null],
      nested: { a: {} },
    })
  })

  it('R16: ids of a wrong length or of zeros are absent; flags keep their low byte', async () => {
    const { event } = await becomes({ traceId: '00'.repeat(16), spanId: 'abcd', flags: 0x1ff })
    expect(event).toMatchObject({ trace_id: null, span_id: null, otel: { flags: 255 } })
  })

  it('R17: a record without time takes the observed one, and without both the time of receipt', async () => {
    const seconds = 4_000_000_000 + count++
    const { event } = await becomes({ timeUnixNano: '0', observedTimeUnixNano: `${seconds}000000000` })
    expect(event.event_timestamp).toBe(new Date(seconds * 1000).toISOString().replace('Z', '000Z'))
    const before = new Date().toISOString()
    const answer = await post(makeRequest({ body: { stringValue: `undated ${before}` } }))
    expect(answer.status).toBe(200)
    const found = await fetch(`${receiver.url}events/query`, {
      method: 'POST',
      headers: { 'content-type': json },
      body: JSON.stringify({ 'event_data.message': `undated ${before}` }),
    })
    const [undated] = Object.values((await found.json()) as object) as { event_timestamp: string }[]
    expect(undated!.event_timestamp.slice(0, 19) >= before.slice(0, 19)).toBe(true)
  })

  it('R17: the time of receipt, ids left out and names that nobody read are told with nothing rejected, and counted', async () => {
    const told = async (record: object) => {
      const answer = await post(makeRequest({ body: { stringValue: `told ${count++}` }, ...record }))
      return JSON.parse(answer.bytes.toString()).partialSuccess
    }
    const totalsOf = () =>
      ['records_undated', 'ids_unreadable', 'events_stored'].map((name) =>
        receiver.metric.total(name as never),
      )
    const before = totalsOf()
    expect(await told({})).toEqual({
      rejectedLogRecords: '0',
      errorMessage: '1 record has neither a time nor an observed time: the time of receipt counts',
    })
    const timeUnixNano = '1700000000000000000'
    expect(await told({ timeUnixNano, traceId: 'AAAAAAAAAAAAAAAAAAAAAQ==' })).toMatchObject({
      rejectedLogRecords: '0',
      errorMessage: expect.stringContaining('1 trace or span ids are left out'),
    })
    expect(await told({ timeUnixNano, severity_text: 'ERROR' })).toMatchObject({
      rejectedLogRecords: '0',
      errorMessage: 'not read: severity_text for severityText',
    })
    const [undated, ids, stored] = totalsOf().map((total, i) => total - before[i]!)
    expect({ undated, ids, stored }).toEqual({ undated: 1, ids: 1, stored: 3 })
  })

  it('a severity as text alone means its level, and both are kept as they were', async () => {
    for (const [severityText, level, type] of [
      ['FATAL', 50, 'log_critical'],
      ['warn', 30, 'log_warning'],
      ['Error', 40, 'log_error'],
      ['DEBUG2', 10, 'log_debug'],
      ['SEVERE', 40, 'log_error'],
      ['Noteworthy', 20, 'log_info'],
    ] as const) {
      const { event } = await becomes({ severityText })
      expect(event).toMatchObject({
        log_level: level,
        event_type: type,
        otel: { severity_number: 0, severity_text: severityText },
      })
    }
    const { event } = await becomes({ severityText: 'ERROR', severityNumber: 9 })
    expect(event).toMatchObject({ log_level: 20, otel: { severity_text: 'ERROR' } })
  })

  it('R18: index fields of the string table are ignored', async () => {
    const { event } = await becomes({
      body: { stringValueStrindex: 3 },
      attributes: [{ keyStrindex: 1, key: 'k' }],
    })
    expect(event.event_data).toMatchObject({ k: null })
  })

  it('R20: of a key that comes twice the last counts, and it is counted', async () => {
    const before = receiver.metric.total('attributes_duplicate')
    const { event } = await becomes({
      attributes: [
        { key: 'k', value: { intValue: '1' } },
        { key: 'k', value: { intValue: '2' } },
      ],
    })
    expect(event.event_data).toEqual({ k: 2 })
    expect(receiver.metric.total('attributes_duplicate')).toBe(before + 1)
  })

  it('R21: a reply stays small, however many records are rejected and whatever their reasons hold', async () => {
    const logRecords = Array.from({ length: 2000 }, (_, index) => ({
      attributes: [{ key: `${'k'.repeat(100)}${index}\0`, value: { intValue: 1 } }],
    }))
    const answer = await post(JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords }] }] }))
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.bytes.toString())).toMatchObject({
      partialSuccess: { rejectedLogRecords: '2000' },
    })
    expect(answer.bytes.length).toBeLessThan(8192)
  })

  it('R22: the same request sent again stores nothing twice where its records have ids; see identity.test.ts', async () => {
    const uid = { key: 'log.record.uid', value: { stringValue: 'f47ac10b-58cc-4372-a567-0e02b2c3d479' } }
    const record = {
      timeUnixNano: '1700000000000000000',
      body: { stringValue: 'twice' },
      attributes: [uid],
    }
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record, record] }] }] })
    const before = await total()
    for (let i = 0; i < 3; i++) expect((await post(body)).bytes.toString()).toBe('{}')
    expect(await total()).toBe(before + 1)
  })

  it('R24: resource, scope, schema URLs, dropped counts and foreign severities are kept', async () => {
    const { event } = await becomes(
      { severityNumber: 12, severityText: 'NOTICE', droppedAttributesCount: 3, eventName: 'device.up' },
      {
        resource: {
          attributes: [{ key: 'service.name', value: { stringValue: 'arm' } }],
          droppedAttributesCount: 2,
        },
        schemaUrl: 'https://example.org/1',
      },
    )
    expect(event).toMatchObject({
      log_level: 20,
      event_type: 'log_info',
      otel: {
        severity_number: 12,
        severity_text: 'NOTICE',
        event_name: 'device.up',
        dropped_attributes_count: 3,
        resource: { 'service.name': 'arm' },
        resource_dropped_attributes_count: 2,
        resource_schema_url: 'https://example.org/1',
      },
    })
  })

  it('any bytes in any dress: a clear 4xx or a success, and the next good request is served', async () => {
    const types = [protobuf, json]
    const encodings = ['identity', 'gzip', 'deflate', 'zstd']
    for (let i = 0; i < 200; i++) {
      const body = randomBytes(1 + (i % 60))
      const answer = await post(body, types[i % 2]!, { 'content-encoding': encodings[(i >> 1) % 4]! })
      expect([200, 400, 413]).toContain(answer.status)
    }
    const event = makeEvent()
    expect((await post(Buffer.from(encodeLogs([event])), protobuf)).status).toBe(200)
    expect(await stored(event.event_id)).toMatchObject({ _id: event.event_id })
  })

  it('received = stored + duplicate + rejected + unavailable', () => {
    const sum = (...names: Parameters<typeof receiver.metric.total>[0][]) =>
      names.map((name) => receiver.metric.total(name)).reduce((a, b) => a + b)
    expect(sum('events_received')).toBeGreaterThan(20)
    expect(sum('events_received')).toBe(
      sum('events_stored', 'events_duplicate', 'events_rejected', 'events_unavailable'),
    )
  })
})
