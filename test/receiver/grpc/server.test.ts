import { connect, constants } from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { eventArbitrary } from '../../support/arbitrary.ts'
import { createGrpcClient, logsMethod } from '../../support/grpc.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { findFreePort } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(flags: { [name: string]: string } = {}) {
  const receiver = await startTestReceiver({ flags: { grpc_port: '0', ...flags } })
  cleanups.push(() => receiver.close())
  return receiver
}

function clientOf(url: string, options?: Parameters<typeof createGrpcClient>[1]) {
  const client = createGrpcClient(url, options)
  cleanups.push(() => client.close())
  return client
}

const sample = (count: number) => {
  const events = fc.sample(eventArbitrary, count)
  return [...new Map(events.map((event) => [event.event_id, event])).values()]
}

const total = async (url: string) =>
  ((await (await fetch(`${url}health`)).json()) as { total_events: number }).total_events

const frame = (message: Uint8Array) => {
  const bytes = Buffer.alloc(5 + message.length)
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, 5)
  return bytes
}

/** A call by hand: bytes as they are. `end` is what ended the stream. */
function callRaw(
  url: string,
  bytes: Uint8Array,
  headers: { [name: string]: string } = {},
  leaveOpen = false,
) {
  const session = connect(url)
  cleanups.push(() => session.destroy())
  session.on('error', () => {})
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': logsMethod,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    },
    { endStream: false },
  )
  const result: { headers: { [name: string]: unknown }; body: Buffer } = {
    headers: {},
    body: Buffer.alloc(0),
  }
  stream.on('response', (one) => Object.assign(result.headers, one))
  stream.on('trailers', (one) => Object.assign(result.headers, one))
  stream.on('data', (chunk) => {
    result.body = Buffer.concat([result.body, chunk])
  })
  stream.on('error', () => {})
  stream.write(bytes)
  if (!leaveOpen) stream.end()
  return { stream, done: new Promise<typeof result>((resolve) => stream.on('close', () => resolve(result))) }
}

describe('OTLP/gRPC', () => {
  it('R23: a standard client stores events; plain and gzip; a full success has an empty message', async () => {
    const receiver = await start()
    const plain = sample(50)
    const zipped = sample(50)
    const first = await clientOf(receiver.grpcUrl).export(encodeLogs(plain))
    expect(first).toMatchObject({ code: 0, message: Buffer.alloc(0) })
    const second = await clientOf(receiver.grpcUrl, { compression: 'gzip' }).export(encodeLogs(zipped))
    expect(second).toMatchObject({ code: 0, message: Buffer.alloc(0) })
    for (const event of [...plain, ...zipped])
      expect((await fetch(`${receiver.url}event/${event.event_id}`)).status).toBe(200)
    const before = await total(receiver.url)
    expect((await clientOf(receiver.grpcUrl).export(encodeLogs(plain))).code).toBe(0)
    expect(await total(receiver.url)).toBe(before)
    expect(receiver.metric.total('events_duplicate')).toBe(plain.length)
  })

  it('R6 R7: an empty request is a success; what is rejected is told in partial_success', async () => {
    const receiver = await start()
    const client = clientOf(receiver.grpcUrl)
    expect(await client.export(new Uint8Array())).toMatchObject({ code: 0, message: Buffer.alloc(0) })
    const [good, bad] = sample(2)
    const reply = await client.export(encodeLogs([good!, { ...bad!, event_id: 'x'.repeat(3000) }]))
    expect(reply.code).toBe(0)
    expect([...reply.message!.subarray(2, 4)]).toEqual([0x08, 1])
    expect(reply.message!.toString()).toContain('1 rejected')
  })

  it('bytes that are no request: INVALID_ARGUMENT with BadRequest', async () => {
    const { grpcUrl } = await start()
    const answer = await clientOf(grpcUrl).export(Buffer.from([0x0a, 0xff, 1]))
    expect(answer.code).toBe(3)
    expect(answer.details!.toString()).toContain('google.rpc.BadRequest')
  })

  it('too large: RESOURCE_EXHAUSTED without RetryInfo, by its length alone, and after decompression', async () => {
    const receiver = await start({ max_body_bytes: '100000' })
    const long = await clientOf(receiver.grpcUrl).export(Buffer.alloc(100_001))
    expect(long).toMatchObject({ code: 8, details: undefined })
    const bomb = await clientOf(receiver.grpcUrl, { compression: 'gzip' }).export(Buffer.alloc(50_000_000))
    expect(bomb).toMatchObject({ code: 8, details: undefined })
    // Five bytes are enough to be refused.
    const prefix = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
    const { headers } = await callRaw(receiver.grpcUrl, prefix, {}, true).done
    expect(headers['grpc-status']).toBe('8')
  })

  it('overload, a database that is away and closing: UNAVAILABLE with RetryInfo', async () => {
    const receiver = await start({
      max_in_flight_bytes: '2000',
      document_db_url: 'mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200',
    })
    const away = await clientOf(receiver.grpcUrl).export(encodeLogs(sample(1)))
    expect(away.code).toBe(14)
    expect(away.details!.toString()).toContain('google.rpc.RetryInfo')
    const held = callRaw(
      receiver.grpcUrl,
      Buffer.concat([Buffer.from([0, 0, 0, 0x05, 0]), Buffer.alloc(1200)]),
      {},
      true,
    )
    await sleep(100)
    const refused = await clientOf(receiver.grpcUrl).export(Buffer.alloc(1500))
    expect(refused.code).toBe(14)
    expect(refused.details!.toString()).toContain('google.rpc.RetryInfo')
    expect(receiver.metric.read()).toContainEqual({
      name: 'requests_refused',
      reason: 'EVT_OVERLOAD',
      count: 1,
    })
    held.stream.close(constants.NGHTTP2_CANCEL)
    await held.done
    await sleep(50)
    // Its place is free again.
    expect((await clientOf(receiver.grpcUrl).export(Buffer.alloc(1500))).code).not.toBe(14)
  })

  it('unknown methods: UNIMPLEMENTED with a text', async () => {
    const { grpcUrl } = await start()
    const client = clientOf(grpcUrl)
    const other = await client.export(new Uint8Array(), '/other.Service/Method')
    expect(other).toMatchObject({ code: 12, text: expect.stringContaining('/other.Service/Method') })
  })

  it('an unknown compression is UNIMPLEMENTED and names those that are known; other content types are 415', async () => {
    const { grpcUrl } = await start()
    const message = Buffer.from([1, 0, 0, 0, 1, 0])
    const { headers } = await callRaw(grpcUrl, message, { 'grpc-encoding': 'snappy' }).done
    expect(headers['grpc-status']).toBe('12')
    expect(headers['grpc-accept-encoding']).toContain('gzip')
    const json = await callRaw(grpcUrl, message, { 'content-type': 'application/json' }).done
    expect(json.headers[':status']).toBe(415)
  })

  it('cut off, two messages, a wrong length, late: an error for that call, and the next is served', async () => {
    const receiver = await start({ request_timeout_ms: '300' })
    const good = frame(encodeLogs(sample(1)))
    const two = await callRaw(receiver.grpcUrl, Buffer.concat([good, good])).done
    expect(two.headers['grpc-status']).toBe('3')
    const short = await callRaw(receiver.grpcUrl, good.subarray(0, 20)).done
    expect(short.headers['grpc-status']).toBe('3')
    const unzippable = await callRaw(receiver.grpcUrl, Buffer.from([1, 0, 0, 0, 1, 0]), {
      'grpc-encoding': 'gzip',
    }).done
    expect(unzippable.headers['grpc-status']).toBe('3')
    const cut = callRaw(receiver.grpcUrl, good.subarray(0, 20), {}, true)
    await sleep(20)
    cut.stream.close(constants.NGHTTP2_CANCEL)
    const late = await callRaw(receiver.grpcUrl, good.subarray(0, 20), {}, true).done
    expect(late.headers['grpc-status']).toBe('4')
    expect((await callRaw(receiver.grpcUrl, good).done).headers['grpc-status']).toBe('0')
    expect(await total(receiver.url)).toBe(1)
    const text = await (await fetch(`${receiver.url}metrics`)).text()
    expect(text).toContain('\nmadsci_bytes_in_flight 0\n')
    expect(text).toContain('request_duration_seconds_count{route="grpc LogsService/Export"}')
  })

  it('any bytes: an answer, and the next good call is served', async () => {
    const receiver = await start()
    const client = clientOf(receiver.grpcUrl)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.boolean(), async (bytes, framedToo) => {
        const { headers } = await callRaw(receiver.grpcUrl, framedToo ? frame(bytes) : bytes, {
          'grpc-encoding': 'gzip',
        }).done
        expect(['0', '3', '8', '12']).toContain(headers['grpc-status'])
      }),
      { numRuns: 60 },
    )
    expect((await client.export(encodeLogs(sample(1)))).code).toBe(0)
  })

  it('closing: calls under way end well, and nothing acknowledged is lost', async () => {
    const receiver = await startTestReceiver({ flags: { grpc_port: '0' } })
    const url = receiver.grpcUrl
    const client = clientOf(url)
    const acknowledged: string[] = []
    let isClosed = false
    const senders = Array.from({ length: 4 }, async () => {
      while (!isClosed) {
        const event = { ...sample(1)[0]!, event_id: createEventId() }
        const { code } = await client.export(encodeLogs([event]))
        if (code === 0) acknowledged.push(event.event_id)
        else expect(code).toBe(14)
      }
    })
    await sleep(200)
    const stored = () => receiver.metric.total('events_stored')
    const clean = await receiver.close()
    isClosed = true
    await Promise.all(senders)
    expect(clean).toBe(true)
    expect(acknowledged.length).toBeGreaterThan(0)
    expect(stored()).toBe(acknowledged.length)
  })

  it('a taken port is an error when it was asked for, and a warning when it was not', async () => {
    const port = await findFreePort()
    await start({ grpc_port: String(port) })
    await expect(startTestReceiver({ flags: { grpc_port: String(port) } })).rejects.toThrow('grpc_port')
  })
})
