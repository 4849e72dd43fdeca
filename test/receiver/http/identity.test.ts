import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { BatchLogRecordProcessor, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs'
import { afterEach, describe, expect, it } from 'vitest'
import { createGrpcClient, logsMethod } from '../../support/grpc.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { requestType } from '../../support/otlp-reference.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type TestReceiver = Awaited<ReturnType<typeof startTestReceiver>>
async function start(flags: { [name: string]: string } = {}): Promise<TestReceiver> {
  const receiver = await startTestReceiver({ flags: { grpc_port: '0', ...flags } })
  let closing: Promise<boolean> | undefined
  const close = () => {
    closing ??= receiver.close()
    return closing
  }
  cleanups.push(close)
  return { ...receiver, close }
}

const bodyOf = (records: object[]) =>
  JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] })
const dated = bodyOf([{ timeUnixNano: '1795000000000000000', body: { stringValue: 'valve stuck' } }])
const undated = bodyOf([{ body: { stringValue: 'valve stuck' } }])
const json = { 'content-type': 'application/json' }

async function post({ otlpUrl }: TestReceiver, body: string) {
  const answer = await fetch(otlpUrl, { method: 'POST', headers: json, body })
  expect(answer.status).toBe(200)
  return answer.text()
}
const total = async ({ url }: TestReceiver) =>
  ((await (await fetch(`${url}health`)).json()) as { total_events: number }).total_events

/** The request over a connection of its own, whose end is up to the caller. */
function open({ otlpUrl }: TestReceiver, body: string) {
  const socket = connect(Number(new URL(otlpUrl).port), '127.0.0.1')
  socket.on('error', () => {})
  let text = ''
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      text += chunk
      if (/\r\n\r\n[\s\S]/.test(text)) resolve()
    })
  })
  const bytes = `POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  return { socket, bytes, answered }
}
const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))
/** The receiver has seen the end of a connection. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 100))

describe('equal records without log.record.uid', () => {
  it.each([
    ['with a time', dated],
    ['without', undated],
  ])(
    '%s: of requests that were answered all are stored, one after the other and at once',
    async (_, body) => {
      const receiver = await start()
      for (let i = 0; i < 5; i++) await post(receiver, body)
      expect(await total(receiver)).toBe(5)
      await Promise.all(Array.from({ length: 25 }, () => post(receiver, body)))
      expect(await total(receiver)).toBe(30)
      // Another request, in which the record comes again, and twice.
      const [record] = JSON.parse(body).resourceLogs[0].scopeLogs[0].logRecords
      await post(receiver, bodyOf([record, record]))
      expect(await total(receiver)).toBe(32)
      expect(receiver.metric.total('events_duplicate')).toBe(0)
    },
  )

  it.each([
    ['with a time', dated],
    ['without', undated],
  ])('%s: a request whose answer was lost is stored once, however it was lost', async (_, body) => {
    const receiver = await start()
    await post(receiver, body)
    for (const lose of [
      async (socket: Socket, bytes: string, answered: Promise<void>) => {
        socket.write(bytes)
        await answered
        socket.resetAndDestroy()
      },
      async (socket: Socket, bytes: string) => {
        // As a client that waits no longer.
        socket.end(bytes)
      },
      async (socket: Socket, bytes: string) => {
        await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
        socket.resetAndDestroy()
      },
    ]) {
      const before = await total(receiver)
      const { socket, bytes, answered } = open(receiver, body)
      const end = closed(socket)
      await lose(socket, bytes, answered)
      await end
      await settled()
      await post(receiver, body)
      expect(await total(receiver)).toBe(before + 1)
      await post(receiver, body)
      expect(await total(receiver)).toBe(before + 2)
    }
  })

  it('on a connection that is kept, each answered request is done with when the next one comes', async () => {
    const receiver = await start()
    const { socket, bytes, answered } = open(receiver, dated)
    socket.write(bytes)
    await answered
    socket.write('GET /v1/logs HTTP/1.1\r\nhost: x\r\n\r\n')
    await new Promise((resolve) => socket.once('data', resolve))
    socket.resetAndDestroy()
    await settled()
    await post(receiver, dated)
    expect(await total(receiver)).toBe(2)
  })

  it('a body that is decoded in another thread has the same rights', async () => {
    const receiver = await start()
    const records = Array.from({ length: 3000 }, (_, i) => ({
      timeUnixNano: `179500000000000${String(i).padStart(4, '0')}`,
      body: { stringValue: 'x'.repeat(200) },
    }))
    const body = bodyOf(records)
    expect(body.length).toBeGreaterThan(600_000)
    await post(receiver, body)
    await post(receiver, body)
    expect(await total(receiver)).toBe(6000)
  })

  it('after a restart those with a time count as the same, and those without as new', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-identity-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true }))
    const flags = { document_db_url: `sqlite:${join(folder, 'events.db')}` }
    const first = await start(flags)
    await post(first, dated)
    await post(first, undated)
    await first.close()
    const second = await start(flags)
    await post(second, dated)
    expect(await total(second)).toBe(2)
    await post(second, undated)
    expect(await total(second)).toBe(3)
  })

  it('at another receiver on the same MongoDB likewise', async (ctx) => {
    const found = await findMongo()
    ctx.skip('skip' in found, 'skip' in found ? found.skip : '')
    const mongod = await startMongod()
    cleanups.push(() => mongod.stop())
    const flags = { document_db_url: mongod.url, database_name: freshDatabaseName() }
    const [one, other] = [await start(flags), await start(flags)]
    const { socket, bytes, answered } = open(one, dated)
    socket.write(bytes)
    await answered
    socket.resetAndDestroy()
    await post(other, dated)
    await post(other, undated)
    await post(one, undated)
    expect(await total(one)).toBe(3)
  })

  it('of the plain JS SDK, whose clock counts milliseconds: each line of the simple and of the batch processor', async () => {
    const receiver = await start()
    const exporter = () => new OTLPLogExporter({ url: receiver.otlpUrl })
    const simple = new LoggerProvider({
      processors: [new SimpleLogRecordProcessor({ exporter: exporter() } as never)],
    })
    const logger = simple.getLogger('valves')
    for (let i = 0; i < 25; i++) logger.emit({ severityNumber: 17, body: 'valve stuck' })
    await simple.forceFlush()
    await simple.shutdown()
    expect(await total(receiver)).toBe(25)
    const batch = new LoggerProvider({
      processors: [
        new BatchLogRecordProcessor({
          exporter: exporter(),
          maxQueueSize: 5000,
          maxExportBatchSize: 100,
        } as never),
      ],
    })
    const other = batch.getLogger('valves')
    for (let i = 0; i < 2000; i++) other.emit({ severityNumber: 17, body: 'valve stuck' })
    await batch.forceFlush()
    await batch.shutdown()
    expect(await total(receiver)).toBe(2025)
  })

  it('gRPC: equal calls are all stored; one that was cancelled is stored once', async () => {
    const receiver = await start()
    const message = Buffer.from(
      requestType
        .encode({
          resourceLogs: [
            {
              scopeLogs: [
                { logRecords: [{ timeUnixNano: 1_795_000_000_000_000, body: { stringValue: 'again' } }] },
              ],
            },
          ],
        })
        .finish(),
    )
    const client = createGrpcClient(receiver.grpcUrl)
    cleanups.push(() => client.close())
    for (let i = 0; i < 3; i++) expect((await client.export(message)).code).toBe(0)
    expect(await total(receiver)).toBe(3)
    for (const lose of ['cancel', 'reset'] as const) {
      const session = connectHttp2(receiver.grpcUrl)
      session.on('error', () => {})
      const stream = session.request({
        ':method': 'POST',
        ':path': logsMethod,
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      stream.on('error', () => {}).resume()
      const head = Buffer.alloc(5)
      head.writeUInt32BE(message.length, 1)
      stream.end(Buffer.concat([head, message]))
      if (lose === 'cancel') stream.close(constants.NGHTTP2_CANCEL)
      else {
        await new Promise((resolve) => stream.once('end', resolve))
        ;(session.socket as Socket).resetAndDestroy?.()
        session.destroy()
      }
      await settled()
      session.destroy()
      const before = receiver.metric.total('events_received')
      expect((await client.export(message)).code).toBe(0)
      expect(receiver.metric.total('events_received')).toBe(before + 1)
    }
    expect(await total(receiver)).toBe(5)
  })
})
