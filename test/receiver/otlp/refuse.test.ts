import { EventError, findDefect } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import type { DecodedLogs } from '../../../receiver/src/otlp/decoded.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { decodeProtobuf } from '../../../receiver/src/otlp/protobuf.ts'
import { requestType } from '../../support/otlp-reference.ts'

const options = { receivedUnixNano: 1_700_000_000_000_000_000n, maxBodyBytes: 64 << 20 }
const good = { timeUnixNano: '1700000000000000000', body: { stringValue: 'good' } }
const inScope = (logRecords: unknown[], scope?: object) => ({ scopeLogs: [{ scope, logRecords }] })
const fromJson = (resourceLogs: unknown[], change = (text: string): string | Buffer => text) =>
  decodeJson(Buffer.from(change(JSON.stringify({ resourceLogs }))), options)
const codeOf = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    if (error instanceof EventError) return error.code
    throw error
  }
  return 'taken'
}

/** What a store would keep of it, and what is refused for which reason, here or at the gate. */
function outcome({ events, refused }: DecodedLogs) {
  const kept = events.filter((event) => findDefect(event) === undefined)
  const reasons = new Map(refused)
  for (const event of events) {
    const defect = findDefect(event)
    if (defect !== undefined) reasons.set(defect, (reasons.get(defect) ?? 0) + 1)
  }
  const messages = kept.map(({ event_data }) => (event_data as { message: unknown }).message)
  return { messages, reasons: Object.fromEntries(reasons) }
}

/** An AnyValue as JSON text: deeper than JSON.stringify goes. */
const nestedText = (depth: number) =>
  `${'{"arrayValue":{"values":['.repeat(depth)}{"intValue":"1"}${']}}'.repeat(depth)}`
const attribute = (value: unknown) => ({ attributes: [{ key: 'k', value }] })
const badUtf8 = (text: string) =>
  Buffer.concat(
    text.split('BAD').flatMap((part, i) => [...(i > 0 ? [Buffer.of(0xc3)] : []), Buffer.from(part)]),
  )

describe('OTLP/JSON: what is bad costs its own records alone', () => {
  it.each([
    ['a fraction for an integer', { body: { intValue: 1.5 } }, 'intValue is no integer'],
    [
      'an integer beyond 64 bits',
      { body: { intValue: '9223372036854775808' } },
      'intValue is beyond 64 bits',
    ],
    ['the name of a severity', { severityNumber: 'SEVERITY_NUMBER_ERROR' }, 'severityNumber is no integer'],
    ['a severity as text', { severityNumber: '17' }, 'severityNumber is no integer'],
    ['bytes that are no base64', attribute({ bytesValue: '§' }), 'bytesValue is no base64'],
    ['bytes that are cut off', attribute({ bytesValue: 'AP8AA===' }), 'bytesValue is no base64'],
    ['bytes that are cut off, without padding', { body: { bytesValue: 'A' } }, 'bytesValue is no base64'],
    ['a time before 1970', { timeUnixNano: '-1' }, 'timeUnixNano is out of range'],
    ['a time as ISO 8601', { timeUnixNano: '2026-11-27T00:00:00Z' }, 'timeUnixNano is no integer'],
    ['a boolean as text', { body: { boolValue: 'true' } }, 'boolValue is no boolean'],
    ['a number as body', { body: 7 }, 'body is no object'],
    ['attributes as a map', { attributes: { k: 'v' } }, 'attributes is no array'],
    ['an attribute that is none', { attributes: [7] }, 'attributes holds what is no object'],
    ['a key that is no text', { attributes: [{ key: 7 }] }, 'key is no string'],
    ['flags beyond 32 bits', { flags: 4294967296 }, 'flags is out of range'],
  ])('record: %s', (_, bad, reason) => {
    const decoded = fromJson([inScope([good, { ...good, ...bad }, good])])
    expect(outcome(decoded)).toEqual({ messages: ['good', 'good'], reasons: { [reason]: 1 } })
  })

  it('resource and scope: their records are refused with a reason, those of the others are kept', () => {
    const deepest = (text: string) =>
      text.replaceAll('"NESTED"', nestedText(205)).replaceAll('"DEEP"', nestedText(5000))
    for (const bad of [attribute({ intValue: 1.5 }), attribute('NESTED'), attribute('DEEP'), 7]) {
      const resource = fromJson(
        [
          { resource: bad, ...inScope([good, good]) },
          { resource: attribute({ stringValue: 'B' }), ...inScope([good]) },
        ],
        deepest,
      )
      const { messages, reasons } = outcome(resource)
      expect(messages).toEqual(['good'])
      expect(Object.entries(reasons)).toEqual([[expect.stringMatching(/^a resource with /), 2]])
      const scope = outcome(
        fromJson([inScope([good, good], bad as object), inScope([good], { name: 'B' })], deepest),
      )
      expect(scope.messages).toEqual(['good'])
      expect(Object.entries(scope.reasons)).toEqual([[expect.stringMatching(/^a scope with /), 2]])
    }
  })

  it('text that is no UTF-8, wherever it stands', () => {
    const bad = [
      inScope([{ ...good, body: { stringValue: 'xBADy' } }, good]),
      inScope([{ ...good, ...attribute({ stringValue: 'BAD' }) }, { ...good, severityText: 'BAD' }, good]),
      inScope([{ ...good, eventName: 'BAD' }, good, { ...good, attributes: [{ key: 'BAD', value: {} }] }]),
      { resource: attribute({ stringValue: 'BAD' }), ...inScope([good, good]) },
      inScope([good], { name: 'BAD' }),
      { ...inScope([good]), schemaUrl: 'BAD' },
      inScope([{ ...good, body: { stringValue: 'a sign: \u{fffd}' } }]),
      // With an escape at its side, the mark would be half of a pair.
      inScope([{ ...good, body: { stringValue: 'HIGHBADLOW' } }]),
    ]
    const { messages, reasons } = outcome(
      fromJson(bad, (text) => badUtf8(text.replace('HIGH', '\\ud83d').replace('LOW', '\\ude00'))),
    )
    expect(messages).toEqual(['good', 'good', 'good', 'a sign: \u{fffd}'])
    expect(Object.values(reasons).reduce((sum, count) => sum + count, 0)).toBe(10)
    for (const reason of Object.keys(reasons)) expect(reason).toContain('surrogate')
  })

  it('a request with nothing but malformed records is malformed itself, and so is one without its lists', () => {
    expect(codeOf(() => fromJson([inScope([{ body: { intValue: 'seven' } }])]))).toBe('EVT_OTLP')
    for (const body of [
      '[]',
      '{',
      '{"resourceLogs":{}}',
      '{"resourceLogs":[{"scopeLogs":[{"logRecords":[7]}]}]}',
    ])
      expect([body, codeOf(() => decodeJson(Buffer.from(body), options))]).toEqual([body, 'EVT_OTLP'])
    expect(codeOf(() => decodeJson(badUtf8('{"resourceLogs":[BAD]}'), options))).toBe('EVT_OTLP')
  })

  it('what stands in the place of a resource, a scope or a record costs itself alone', () => {
    for (const bad of [null, 7, 'x', []])
      expect(
        outcome(fromJson([bad, inScope([good, bad, good]), { scopeLogs: [bad, { logRecords: [good] }] }])),
      ).toEqual({
        messages: ['good', 'good', 'good'],
        reasons: {
          'resourceLogs holds what is no object': 1,
          'scopeLogs holds what is no object': 1,
          'logRecords holds what is no object': 1,
        },
      })
    for (const bad of [{}, 7, 'x'])
      expect(
        outcome(fromJson([{ scopeLogs: bad }, { scopeLogs: [{ logRecords: bad }] }, inScope([good])])),
      ).toEqual({
        messages: ['good'],
        reasons: { 'scopeLogs is no array': 1, 'logRecords is no array': 1 },
      })
  })

  it('names that are almost those of OTLP are told; names of a later release are passed over', () => {
    const unread = (body: object) => decodeJson(Buffer.from(JSON.stringify(body)), options).unreadNames
    expect(unread({ resource_logs: [] })).toEqual(['resource_logs for resourceLogs'])
    expect(unread({ resourceSpans: [] })).toEqual(['a body without resourceLogs'])
    expect(unread({})).toEqual([])
    expect(unread({ resourceLogs: [{ ScopeLogs: [] }] })).toEqual(['ScopeLogs for scopeLogs'])
    const record = { time_unix_nano: '1', SeverityText: 'ERROR', body: { stringValue: 'x' }, later: 1 }
    expect(unread({ resourceLogs: [inScope([record, record])], later: 1 })).toEqual([
      'time_unix_nano for timeUnixNano',
      'SeverityText for severityText',
    ])
  })
})

describe('OTLP/protobuf: what is bad costs its own records alone', () => {
  const encode = (message: object) => Buffer.from(requestType.encode(message).finish())
  const time = { timeUnixNano: 1_700_000_000 }
  const record = (message: string) => ({ ...time, body: { stringValue: message } })
  /** The same length, so that every frame stays sound. */
  const replaced = (bytes: Buffer, text: string, by: Buffer) => {
    const at = bytes.indexOf(text)
    expect(at).toBeGreaterThan(0)
    expect(bytes.indexOf(text, at + 1)).toBe(-1)
    by.copy(bytes, at)
    return bytes
  }
  const frame = (tag: number, payload: Buffer): Buffer<ArrayBuffer> => {
    const length: number[] = []
    let rest = payload.length
    for (; rest > 127; rest >>>= 7) length.push((rest & 127) | 128)
    return Buffer.concat([Buffer.from([tag, ...length, rest]), payload])
  }
  const invalid = Buffer.from('c3c3c3c3', 'hex')
  const kvs = (value: string) => [{ key: 'service.name', value: { stringValue: value } }]

  it.each([
    ['a resource', [{ resource: { attributes: kvs('EVIL') }, ...inScope([record('1'), record('2')]) }]],
    ['a scope', [inScope([record('1'), record('2')], { name: 'EVIL' })]],
    ['attributes of a scope', [inScope([record('1'), record('2')], { attributes: kvs('EVIL') })]],
    ['a schema URL', [{ schemaUrl: 'EVIL', ...inScope([record('1'), record('2')]) }]],
    ['two records', [inScope([{ ...record('1'), attributes: kvs('EVIL') }, record('good')])]],
  ])('text that is no UTF-8 in %s', (_, bad) => {
    const bytes = encode({ resourceLogs: [...bad, { ...inScope([record('good')]) }] })
    const { messages, reasons } = outcome(decodeProtobuf(replaced(bytes, 'EVIL', invalid), options))
    expect(new Set(messages)).toEqual(new Set(['good']))
    const [[reason, count]] = Object.entries(reasons) as [[string, number]]
    expect(reason).toContain('text that is no UTF-8')
    expect(count + messages.length).toBe(3)
  })

  it('a resource nested too deep, and frames of a resource or record that hold no such message', () => {
    let deep = Buffer.from([0x18, 1])
    for (let i = 0; i < 205; i++) deep = frame(0x2a, frame(0x0a, deep))
    const keyed = frame(0x0a, Buffer.concat([frame(0x0a, Buffer.from('k')), frame(0x12, deep)]))
    const scopeLogs = frame(0x12, frame(0x12, frame(0x2a, frame(0x0a, Buffer.from('deep')))))
    const resource = frame(0x0a, Buffer.concat([frame(0x0a, keyed), scopeLogs]))
    const both = Buffer.concat([resource, encode({ resourceLogs: [inScope([record('good')])] })])
    expect(outcome(decodeProtobuf(both, options))).toEqual({
      messages: ['good'],
      reasons: { 'a resource with a value nested deeper than 200': 1 },
    })
    // Field 1 of a KeyValue as a varint.
    const broken = Buffer.from([8, 1, 8, 1, 8, 1])
    const sent = encode({
      resourceLogs: [
        { resource: { attributes: [{ key: 'EVIL' }] }, ...inScope([record('1'), record('2')]) },
        inScope([{ ...record('3'), attributes: [{ key: 'WORD' }] }, record('good')]),
      ],
    })
    replaced(replaced(sent, '\n\u0004EVIL', broken), '\n\u0004WORD', broken)
    expect(outcome(decodeProtobuf(sent, options))).toEqual({
      messages: ['good'],
      reasons: { 'a resource with fields that OTLP does not have': 2, 'a record that is no LogRecord': 1 },
    })
    const alone = encode({ resourceLogs: [inScope([{ attributes: [{ key: 'WORD' }] }])] })
    expect(codeOf(() => decodeProtobuf(replaced(alone, '\n\u0004WORD', broken), options))).toBe('EVT_OTLP')
  })

  it('an envelope in which something cannot be read costs its own records alone', () => {
    const group = Buffer.of(0x53, 0x54)
    const textAsNumber = Buffer.of(0x18, 1)
    const cut = Buffer.of(0x1a, 100)
    const scopeOf = (message: string) =>
      frame(0x12, frame(0x12, frame(0x2a, frame(0x0a, Buffer.from(message)))))
    const after = frame(0x0a, scopeOf('good'))
    const join = (...parts: Buffer[]) => Buffer.concat(parts)
    for (const rest of [group, textAsNumber, cut, Buffer.of(0xff), Buffer.of(0x0a, 1)]) {
      const inResource = join(frame(0x0a, join(scopeOf('1'), scopeOf('2'), rest, scopeOf('3'))), after)
      expect(outcome(decodeProtobuf(inResource, options))).toEqual({
        messages: ['good'],
        reasons: { 'a resource with fields that OTLP does not have': 2 },
      })
      const records = scopeOf('1').subarray(2)
      const inScopeLogs = frame(0x0a, join(frame(0x12, join(records, records, rest)), scopeOf('good')))
      expect(outcome(decodeProtobuf(join(inScopeLogs, after), options))).toEqual({
        messages: ['good', 'good'],
        reasons: { 'a scope with fields that OTLP does not have': 2 },
      })
      const nothing = join(frame(0x0a, rest), frame(0x0a, frame(0x12, rest)), after)
      expect(outcome(decodeProtobuf(nothing, options))).toEqual({
        messages: ['good'],
        reasons: { 'ResourceLogs that are none': 1, 'ScopeLogs that are none': 1 },
      })
      expect(codeOf(() => decodeProtobuf(frame(0x0a, rest), options))).toBe('EVT_OTLP')
    }
  })

  it('a body without resource_logs is told', () => {
    expect(decodeProtobuf(Buffer.from([0x12, 0]), options).unreadNames).toEqual([
      'a body without resource_logs',
    ])
    expect(decodeProtobuf(Buffer.alloc(0), options).unreadNames).toEqual([])
  })

  it('ids of another length are counted, in both encodings; zeros and nothing are no ids', () => {
    const ids = (traceId: Buffer, spanId: Buffer) => ({ ...record('x'), traceId, spanId })
    const logRecords = [
      ids(Buffer.alloc(16, 1), Buffer.alloc(8, 1)),
      ids(Buffer.alloc(16), Buffer.alloc(0)),
      ids(Buffer.alloc(8, 1), Buffer.alloc(16, 1)),
    ]
    const fromProtobuf = decodeProtobuf(encode({ resourceLogs: [inScope(logRecords)] }), options)
    expect(fromProtobuf.unreadableIdCount).toBe(2)
    expect(fromProtobuf.events.map((event) => event.trace_id)).toEqual(['01'.repeat(16), null, null])
    const inBase64 = { traceId: Buffer.alloc(16, 1).toString('base64'), spanId: '0x01' }
    const decoded = fromJson([
      inScope([
        { ...good, ...inBase64 },
        { ...good, traceId: '00'.repeat(16) },
      ]),
    ])
    expect([decoded.unreadableIdCount, decoded.events[0]!.trace_id]).toEqual([2, null])
  })
})
