import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { createStreamSeats } from '../../../receiver/src/http/stream-seat.ts'
import { readIds } from '../../support/answer-ids.ts'
import { findMongo, freshDatabaseName, startMongod } from '../../support/mongod.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Receiver = Awaited<ReturnType<typeof startTestReceiver>>

async function start(flags: { [name: string]: string } = {}, log?: { lines: string[] }): Promise<Receiver> {
  const note = (_fields: object, message: string) => void log?.lines.push(message)
  const receiver = await startTestReceiver({
    flags,
    ...(log && { log: { info: () => {}, warn: note, error: note } }),
  })
  cleanups.push(() => receiver.close())
  return receiver
}

async function post({ url }: Receiver, data: unknown): Promise<string> {
  const answer = await fetch(`${url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ event_type: 'log_info', event_data: data }),
  })
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { _id: string })._id
}

/** A client that asks and reads nothing. */
async function ask({ url }: Receiver, path: string): Promise<Socket> {
  const { port } = new URL(url)
  const socket = connect({ port: Number(port), host: '127.0.0.1' })
  socket.pause()
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
  return socket
}

async function until(isDone: () => boolean, timeoutMs = 20_000): Promise<void> {
  for (const endMs = Date.now() + timeoutMs; Date.now() < endMs && !isDone(); ) await sleep(50)
}

const gaugeOf = ({ metric }: Receiver, name: string) =>
  metric.readGauges().find((gauge) => gauge.name === name)?.value

async function setUp(kind: 'sqlite' | 'mongodb', flags: { [name: string]: string }) {
  if (kind === 'sqlite') return { flags }
  const source = await findMongo()
  if ('skip' in source) return source
  const mongod = await startMongod()
  cleanups.push(() => mongod.stop())
  return { flags: { ...flags, document_db_url: mongod.url, database_name: freshDatabaseName() } }
}

for (const kind of ['sqlite', 'mongodb'] as const) {
  describe(`answers that nobody reads, over ${kind}`, () => {
    it('a page ends early at its bound in bytes, and the next one begins behind it', async (context) => {
      const set = await setUp(kind, {})
      if ('skip' in set) return context.skip(set.skip)
      const receiver = await start(set.flags)
      const wanted: string[] = []
      for (let i = 0; i < 8; i++)
        wanted.push(await post(receiver, { message: 'x'.repeat(6 * 1024 * 1024), i }))
      wanted.push(await post(receiver, { message: 'small' }))
      const seen: string[] = []
      let pages = 0
      for (let cursor: string | null = ''; cursor !== null; pages++) {
        const answer: Response = await fetch(`${receiver.url}events?number=10000&cursor=${cursor}`)
        expect(answer.status).toBe(200)
        const text = await answer.text()
        expect(text.length).toBeLessThan(23 * 1024 * 1024)
        seen.push(...Object.keys(JSON.parse(text)))
        cursor = answer.headers.get('x-next-cursor')
      }
      expect(seen).toEqual(wanted.toReversed())
      expect(pages).toBe(3)
    })

    it('a client that reads nothing is disconnected and counted, and holds little memory', async (context) => {
      const set = await setUp(kind, { write_timeout_ms: '1500', rate_limit_enabled: 'false' })
      if ('skip' in set) return context.skip(set.skip)
      const log = { lines: [] as string[] }
      const receiver = await start(set.flags, log)
      for (let i = 0; i < 40; i++) await post(receiver, { message: 'x'.repeat(500_000), i })
      const sockets: Socket[] = []
      for (let i = 0; i < 100; i++) sockets.push(await ask(receiver, '/events?number=0'))
      // Who reads is answered meanwhile.
      const answer = await fetch(`${receiver.url}events?number=1`)
      expect(Object.keys((await answer.json()) as object)).toHaveLength(1)
      await until(() => receiver.metric.total('answers_dropped') >= 100)
      expect(receiver.metric.total('answers_dropped')).toBe(100)
      expect(log.lines.filter((line) => line.includes('did not read')).length).toBeLessThan(10)
    }, 60_000)
  })
}

it('readers of the stream that do not read are disconnected, and the next one has room', async () => {
  const receiver = await start({ write_timeout_ms: '1500' })
  const honest = await fetch(`${receiver.url}events/stream`)
  const unread = await new Promise<IncomingMessage>((resolve) => get(`${receiver.url}events/stream`, resolve))
  unread.pause()
  for (let i = 0; i < 198; i++) await ask(receiver, '/events/stream')
  await until(() => gaugeOf(receiver, 'streams_open') === 200)
  expect((await fetch(`${receiver.url}events/stream`)).status).toBe(429)
  const beforeBytes = process.memoryUsage().rss
  const ids: string[] = []
  for (let i = 0; i < 30; i++) ids.push(await post(receiver, { message: 'x'.repeat(500_000), i }))
  expect(await readIds(honest, (seen) => seen.has(ids.at(-1)!))).toEqual(ids)
  await until(() => gaugeOf(receiver, 'streams_open')! < 5)
  // The last few may be ended after the first look.
  await until(() => receiver.metric.total('answers_dropped') >= 199)
  // About a megabyte for each, in the process that also holds the clients and their text.
  expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(450 * 1024 * 1024)

  // A dropped one has a part, and goes on behind the last id that it has seen.
  let part = ''
  unread.setEncoding('utf8')
  unread.on('data', (chunk) => {
    part += chunk
  })
  unread.on('error', () => {})
  unread.resume()
  if (!unread.closed) await new Promise((resolve) => unread.once('close', resolve))
  const whole = part.slice(0, part.lastIndexOf('\n\n') + 2)
  const lastEventId = [...whole.matchAll(/^id: (.+)$/gm)].at(-1)![1]!
  const missing = ids.filter((id) => !whole.includes(`"_id":"${id}"`))
  expect(missing.length).toBeGreaterThan(0)
  expect(missing.length).toBeLessThan(ids.length)
  const again = await fetch(`${receiver.url}events/stream`, { headers: { 'last-event-id': lastEventId } })
  expect(again.status).toBe(200)
  expect(await readIds(again, (seen) => seen.has(ids.at(-1)!))).toEqual(missing)
}, 60_000)

it('streams are shared by address: who has many makes room for who has few', () => {
  const seats = createStreamSeats(10)
  const evicted: number[] = []
  for (let i = 0; i < 10; i++) seats.take('many', () => evicted.push(i))
  const few = seats.take('few', () => evicted.push(-1))
  expect(few).toBeDefined()
  expect(evicted).toEqual([0])
  expect(seats.take('many', () => {})).toBeUndefined()
  expect(seats.taken).toBe(10)
  few!.leave()
  few!.leave()
  expect(seats.taken).toBe(9)
})
