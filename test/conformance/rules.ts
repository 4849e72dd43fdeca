import { randomBytes } from 'node:crypto'
import { deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { createGrpcClient } from '../support/grpc.ts'
import { attribute, labels, now, record, resourceLogs, text, toJson, toProtobuf } from './record.ts'
import { isTaken, NotTried, type Rule, succeeded } from './rule.ts'

const protobuf = { 'content-type': 'application/x-protobuf' }

export const rules: Rule[] = [
  {
    name: 'R1',
    about: 'POST /v1/logs takes a request',
    async run({ send, stored, marker, expect }) {
      expect(succeeded(await send(resourceLogs([record(marker)]))), 'it was refused')
      expect((await stored(1)).length === 1, 'it was not stored once')
    },
  },
  {
    name: 'R2',
    about: 'protobuf and JSON on one port, with parameters in the media type',
    async run({ post, stored, marker, expect }) {
      const one = resourceLogs([record(marker)])
      for (const type of ['application/json', 'application/json; charset=utf-8'])
        expect(succeeded(await post(toJson(one), { 'content-type': type })), `${type} was refused`)
      expect(
        succeeded(await post(toProtobuf(resourceLogs([record(marker)])), protobuf)),
        'protobuf was refused',
      )
      expect((await stored(3)).length === 3, 'not all were stored')
    },
  },
  {
    name: 'R3',
    about: 'no compression and gzip; several gzip members are one body',
    async run({ post, stored, marker, expect }) {
      const body = toProtobuf(resourceLogs([record(marker)]))
      const gzip = { ...protobuf, 'content-encoding': 'gzip' }
      expect(succeeded(await post(gzipSync(body), gzip)), 'gzip was refused')
      const other = toProtobuf(resourceLogs([record(`${marker} again`)]))
      const halves = Buffer.concat([gzipSync(other.subarray(0, 50)), gzipSync(other.subarray(50))])
      expect(succeeded(await post(halves, gzip)), 'two gzip members were refused')
      expect((await stored(2)).length === 2, 'not all were stored')
    },
  },
  {
    name: 'compression',
    about: 'deflate and zstd, all frames or none',
    async run({ post, stored, marker, expect }) {
      const body = toProtobuf(resourceLogs([record(marker)]))
      const deflate = await post(deflateSync(body), { ...protobuf, 'content-encoding': 'deflate' })
      const zstd = { ...protobuf, 'content-encoding': 'zstd' }
      const whole = await post(zstdCompressSync(body), zstd)
      if (deflate.status === 415 && whole.status === 415) throw new NotTried('neither is offered')
      const sent = [deflate, whole].filter(succeeded).length
      const frames = [resourceLogs([record(marker)]), resourceLogs([record(marker)])].map((one) =>
        zstdCompressSync(toProtobuf(one)),
      )
      const both = await post(Buffer.concat(frames), zstd)
      const count = (await stored(sent + (succeeded(both) ? 2 : 0))).length
      expect(count === sent + (succeeded(both) ? 2 : 0), 'of two frames a part was lost with a 200')
    },
  },
  {
    name: 'R4',
    about: 'the answer is in the media type of the request',
    async run({ post, marker, expect }) {
      const json = await post(toJson(resourceLogs([record(marker)])))
      expect(json.type === 'application/json', `JSON was answered as '${json.type}'`)
      const binary = await post(toProtobuf(resourceLogs([record(marker)])), protobuf)
      expect(binary.type === 'application/x-protobuf', `protobuf was answered as '${binary.type}'`)
    },
  },
  {
    name: 'R5',
    about: 'a full success leaves partial_success unset',
    async run({ post, marker, expect }) {
      const json = await post(toJson(resourceLogs([record(marker)])))
      expect(json.status === 200, `the answer was ${json.status}`)
      expect(json.bytes.toString() === '{}', `the answer was '${json.bytes.toString().slice(0, 60)}'`)
      const binary = await post(toProtobuf(resourceLogs([record(marker)])), protobuf)
      expect(binary.bytes.length === 0, 'the answer in protobuf was not empty')
    },
  },
  {
    name: 'R6 R19',
    about: 'an empty request and empty envelopes are a success',
    async run({ post, expect }) {
      for (const body of ['{}', '{"resourceLogs":[]}', '{"resourceLogs":[{"scopeLogs":[{}]}]}'])
        expect(isTaken(await post(body)), `${body} was refused`)
      expect(isTaken(await post(new Uint8Array(), protobuf)), 'an empty message was refused')
    },
  },
  {
    name: 'R7',
    about: 'a bad record costs its neighbours nothing, and is told',
    async run({ post, stored, marker, expect }) {
      const bad = record('bad', { body: { intValue: 'seven' } })
      const answer = await post(toJson(resourceLogs([record(marker), bad, record(marker)])))
      expect(isTaken(answer), `all were refused with ${answer.status}`)
      expect(answer.bytes.includes('rejectedLogRecords'), 'nothing was told')
      expect((await stored(2)).length === 2, 'the neighbours were not stored')
    },
  },
  {
    name: 'resource',
    about: 'a bad resource costs the records of another nothing',
    async run({ post, stored, marker, expect }) {
      const bytes = Buffer.from(
        toProtobuf(
          resourceLogs([record('bad')], { resource: { attributes: [attribute('k', text('EVIL'))] } }),
          resourceLogs([record(marker)]),
        ),
      )
      bytes.fill(0xc3, bytes.indexOf('EVIL'), bytes.indexOf('EVIL') + 4)
      const answer = await post(bytes, protobuf)
      expect(isTaken(answer), `all were refused with ${answer.status}`)
      expect((await stored(1)).length === 1, 'the good record was not stored')
    },
  },
  {
    name: 'R8 R17',
    about: 'a record without a time is stored with that of receipt; one with an observed time has that',
    async run({ send, stored, marker, expect }) {
      const undated = { body: text(marker) }
      const observed = { body: text(`${marker} observed`), observedTimeUnixNano: now() }
      expect(isTaken(await send(resourceLogs([undated, observed]))), 'they were refused')
      const found = await stored(2)
      expect(found.length === 2, `${found.length} of 2 were stored`)
      expect(!found.some((one) => one.includes('1970-01-01')), 'one of them is of 1970')
    },
  },
  {
    name: 'R9 R10',
    about: 'what cannot be decoded is 400 with google.rpc.Status in the encoding of the request',
    async run({ post, expect }) {
      const json = await post('{')
      expect(json.status === 400, `broken JSON was answered ${json.status}`)
      let status: { code?: unknown; message?: unknown } = {}
      try {
        status = JSON.parse(json.bytes.toString())
      } catch {
        // It is told below.
      }
      expect(typeof status.message === 'string', 'the answer to JSON is no Status')
      const binary = await post('garbage', protobuf)
      expect(binary.status === 400, `broken protobuf was answered ${binary.status}`)
      expect(binary.bytes[0] === 0x08 || binary.bytes[0] === 0x12, 'the answer to protobuf is no Status')
    },
  },
  {
    name: 'R12',
    about: 'a body that inflates to 300 MiB is refused, and costs its limit',
    async run({ post, expect }) {
      const bomb = gzipSync(Buffer.alloc(300 << 20, 32))
      const { status } = await post(bomb, { 'content-encoding': 'gzip' })
      expect(status === 413 || status === 400, `it was answered ${status}`)
      expect(isTaken(await post(new Uint8Array(), protobuf)), 'the next request was refused')
    },
  },
  {
    name: 'R13',
    about: 'a wrong media type is 415, a wrong method 405, and neither is a 500',
    async run({ target, post, expect }) {
      for (const type of ['text/plain', 'json', 'application/json, application/json']) {
        const { status } = await post('{}', { 'content-type': type })
        expect(status === 415, `'${type}' was answered ${status}`)
      }
      const { status } = await fetch(target.url)
      expect(status === 405, `GET was answered ${status}`)
    },
  },
  {
    name: 'R14',
    about: 'JSON: hex ids in either case, 64-bit integers as text or number, unknown fields ignored, base64',
    async run({ post, stored, marker, expect }) {
      const answer = await post(
        toJson(
          resourceLogs([
            record(marker, {
              traceId: 'ABCDEF0123456789abcdef0123456789',
              spanId: 'ABCDEF0123456789',
              laterField: { deep: [1] },
              attributes: [
                attribute('big', { intValue: '1152921504606846977' }),
                attribute('small', { intValue: 7 }),
                attribute('bytes', { bytesValue: 'AQL/' }),
              ],
            }),
          ]),
        ),
      )
      expect(succeeded(answer), `it was answered ${answer.status}`)
      const [found] = await stored(1)
      expect(/abcdef0123456789abcdef0123456789/i.test(found ?? ''), 'the trace id is lost')
      expect(found?.includes('1152921504606846977') === true, 'the digits of an integer are lost')
    },
  },
  {
    name: 'R15',
    about: 'attributes of any kind: empty, bytes, mixed lists, nested maps',
    async run({ send, stored, marker, expect }) {
      const nested = { kvlistValue: { values: [attribute('inner-key', { arrayValue: { values: [{}] } })] } }
      const attributes = [
        attribute('empty', {}),
        attribute('mixed', { arrayValue: { values: [{ intValue: '1' }, text('b'), { boolValue: true }] } }),
        attribute('nested', nested),
      ]
      expect(succeeded(await send(resourceLogs([record(marker, { attributes })]))), 'it was refused')
      const [found] = await stored(1)
      expect(found?.includes('inner-key') || found?.includes('inner_key') === true, 'a nested key is lost')
    },
  },
  {
    name: 'R16',
    about: 'ids of a wrong length are absent, and cost nothing else',
    async run({ post, stored, marker, expect }) {
      const bytes = toProtobuf(
        resourceLogs([record(marker, { traceId: randomBytes(3), spanId: Buffer.alloc(8) })]),
      )
      expect(isTaken(await post(bytes, protobuf)), 'it was refused')
      expect((await stored(1)).length === 1, 'it was not stored')
    },
  },
  {
    name: 'R18',
    about: 'index fields of a string table are ignored',
    async run({ post, stored, marker, expect }) {
      const attributes = [{ keyStrindex: 1, key: 'k', value: text('v') }]
      expect(isTaken(await post(toJson(resourceLogs([record(marker, { attributes })])))), 'it was refused')
      expect((await stored(1)).length === 1, 'it was not stored')
    },
  },
  {
    name: 'R20',
    about: 'a key that comes twice costs nothing else',
    async run({ send, stored, marker, expect }) {
      const attributes = [attribute('k', text('first')), attribute('k', text('second'))]
      expect(isTaken(await send(resourceLogs([record(marker, { attributes })]))), 'it was refused')
      expect((await stored(1)).length === 1, 'it was not stored')
    },
  },
  {
    name: 'R21',
    about: 'an answer stays below 4 MiB, whatever was wrong',
    async run({ post, expect }) {
      const bad = Array.from({ length: 2000 }, (_, i) => ({
        body: { intValue: `${'x'.repeat(2000)}${i}` },
      }))
      const { bytes } = await post(toJson(resourceLogs(bad)))
      expect(bytes.length <= 4 << 20, `it has ${bytes.length} bytes`)
    },
  },
  {
    name: 'R22',
    about: 'a record with log.record.uid that is sent again is stored once',
    async run({ post, stored, marker, expect }) {
      const body = toProtobuf(
        resourceLogs([record(marker, { attributes: [attribute('log.record.uid', text(marker))] })]),
      )
      for (let i = 0; i < 3; i++) expect(isTaken(await post(body, protobuf)), 'it was refused')
      expect((await stored(1)).length === 1, 'it is there more than once')
    },
  },
  {
    name: 'equal',
    about: 'equal records, in one request and in several that were answered, are all stored',
    async run({ post, stored, marker, expect }) {
      const one = record(marker)
      const body = toProtobuf(resourceLogs([one, one]))
      for (let i = 0; i < 2; i++) expect(isTaken(await post(body, protobuf)), 'it was refused')
      const found = (await stored(4)).length
      expect(found === 4, `${found} of 4 were stored`)
    },
  },
  {
    name: 'R23',
    about: 'gRPC: LogsService/Export; another method is UNIMPLEMENTED',
    async run({ target, stored, marker, expect }) {
      if (target.grpcUrl === undefined) throw new NotTried('no address was given')
      const client = createGrpcClient(target.grpcUrl)
      try {
        const reply = await client.export(toProtobuf(resourceLogs([record(marker)])))
        expect(reply.code === 0, `Export was answered ${reply.code} ${reply.text}`)
        const other = await client.export(
          Buffer.alloc(0),
          '/opentelemetry.proto.collector.logs.v1.LogsService/X',
        )
        expect(other.code === 12, `another method was answered ${other.code}`)
        expect((await stored(1)).length === 1, 'it was not stored')
      } finally {
        client.close()
      }
    },
  },
  {
    name: 'R24',
    about: 'resource, scope, schema URLs, dropped counts and event name are kept',
    async run({ post, stored, marker, expect }) {
      const body = toProtobuf({
        resource: {
          attributes: [...labels, attribute('deployment', text('res-value'))],
          droppedAttributesCount: 31,
        },
        schemaUrl: 'https://schema.example/resource',
        scopeLogs: [
          {
            scope: {
              name: 'scope-name',
              version: '9.8.7',
              attributes: [attribute('sk', text('scope-value'))],
            },
            schemaUrl: 'https://schema.example/scope',
            logRecords: [record(marker, { eventName: 'device.up', droppedAttributesCount: 37 })],
          },
        ],
      })
      expect(succeeded(await post(body, protobuf)), 'it was refused')
      const [found = ''] = await stored(1)
      const wanted = [
        'res-value',
        'scope-name',
        '9.8.7',
        'scope-value',
        'schema.example/resource',
        'schema.example/scope',
        'device.up',
        '37',
      ]
      const lost = wanted.filter((one) => !found.includes(one))
      expect(lost.length === 0, `lost: ${lost.join(', ')}`)
    },
  },
  {
    name: 'R25',
    about: 'pages of other origins may not send unless somebody says so',
    async run({ target, expect }) {
      const answer = await fetch(target.url, {
        method: 'OPTIONS',
        headers: { origin: 'https://page.example', 'access-control-request-method': 'POST' },
      })
      expect(answer.headers.get('access-control-allow-origin') === null, 'they may')
    },
  },
  {
    name: 'severity',
    about: 'a severity as text alone is kept',
    async run({ send, stored, marker, expect }) {
      expect(
        succeeded(await send(resourceLogs([record(marker, { severityText: 'FATAL' })]))),
        'it was refused',
      )
      expect((await stored(1))[0]?.includes('FATAL') === true, 'it is lost')
    },
  },
  {
    name: 'slash',
    about: 'a slash behind the path is served in place',
    async run({ target, stored, marker, expect }) {
      const answer = await fetch(`${target.url}/`, {
        method: 'POST',
        redirect: 'manual',
        headers: { ...protobuf },
        body: Buffer.from(toProtobuf(resourceLogs([record(marker)]))),
      })
      expect(isTaken(answer), `it was answered ${answer.status}`)
      expect((await stored(1)).length === 1, 'it was not stored')
    },
  },
]
