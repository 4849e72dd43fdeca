import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, type Event, parseJson, toEventJson } from '@madsci-events/sdk/event'
import { MongoClient } from 'mongodb'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { expireEntries } from '../../../receiver/src/store/mongo/expire.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../../support/mongod.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { type OtlpEndpoint, partialSuccess, startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { makeEvents } from '../../support/workload.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Receiver = Awaited<ReturnType<typeof startTestReceiver>>

async function startEndpoint(port?: number): Promise<OtlpEndpoint> {
  const endpoint = await startOtlpEndpoint(port === undefined ? {} : { port })
  cleanups.push(() => endpoint.close())
  return endpoint
}

async function start(
  destinations: object[],
  flags: { [name: string]: string } = {},
): Promise<{ receiver: Receiver; stop(): Promise<void> }> {
  const receiver = await startTestReceiver({ flags: { fanout: JSON.stringify(destinations), ...flags } })
  let isStopped = false
  const stop = async () => {
    if (!isStopped) await receiver.close()
    isStopped = true
  }
  cleanups.push(stop)
  return { receiver, stop }
}

async function post(url: string, event: Event): Promise<void> {
  const answer = await fetch(`${url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: toEventJson(event).replace('"_id"', '"event_id"'),
  })
  expect(answer.status, await answer.text()).toBe(200)
}

const postAll = async (url: string, events: readonly Event[]) => {
  for (const event of events) await post(url, event)
}

async function sendOtlp(url: string, events: readonly Event[]): Promise<void> {
  const headers = { 'content-type': 'application/x-protobuf' }
  const answer = await fetch(url, { method: 'POST', headers, body: encodeLogs(events) })
  expect(answer.status).toBe(200)
}

// A loaded machine is slow, and nothing here is about time.
vi.setConfig({ testTimeout: 120_000 })
const patient = { timeout: 30_000, interval: 50 }
const idsOf = (events: readonly Event[]) => events.map(({ event_id }) => event_id)
const arrival = (endpoint: OtlpEndpoint, events: readonly Event[], timeout = 30_000) =>
  expect.poll(() => idsOf(endpoint.events), { timeout, interval: 50 }).toEqual(idsOf(events))

type Health = { name: string; state: string; lag_seconds: number | null; sent: number; refused: number }
const healthOf = async ({ url }: { url: string }) =>
  ((await (await fetch(`${url}health`)).json()) as { fanout?: Health[] }).fanout

describe('fan-out', () => {
  it.for([
    ['http/protobuf', 'gzip'],
    ['http/json', 'none'],
  ] as const)(
    'what came by REST arrives whole and in order, as %s with %s',
    async ([protocol, compression]) => {
      const endpoint = await startEndpoint()
      const url = `${endpoint.url}/otlp`
      const headers = { 'x-scope-orgid': 'lab' }
      const { receiver } = await start([{ name: 'one', url, protocol, compression, headers }])
      const events = makeEvents(120)
      await postAll(receiver.url, events)
      await arrival(endpoint, events)
      for (const [index, event] of endpoint.events.entries()) {
        const { otel, ...plain } = event
        expect(otel).toEqual({ resource: { 'service.name': 'EventManager' } })
        expect(parseJson(toEventJson(plain))).toEqual(parseJson(toEventJson(events[index]!)))
      }
      for (const request of endpoint.requests) {
        expect(request.path).toBe('/otlp/v1/logs')
        expect(request.headers['x-scope-orgid']).toBe('lab')
        expect(request.headers['content-encoding']).toBe(compression === 'gzip' ? 'gzip' : undefined)
      }
      await expect
        .poll(() => healthOf(receiver), patient)
        .toEqual([{ name: 'one', state: 'forwarding', lag_seconds: 0, sent: 120, refused: 0 }])
      const metrics = await (await fetch(`${receiver.url}metrics`)).text()
      expect(metrics).toContain('\nmadsci_fanout_sent_total{destination="one"} 120\n')
      expect(metrics).toContain('\nmadsci_fanout_lag_seconds{destination="one"} 0\n')
    },
  )

  it('by default what came by OTLP is not sent again, nor an event whose first door was OTLP; `all` sends everything', async () => {
    const [some, all] = [await startEndpoint(), await startEndpoint()]
    const { receiver } = await start([
      { name: 'some', url: some.url },
      { name: 'all', url: all.url, include: 'all' },
    ])
    const events = makeEvents(30)
    await sendOtlp(receiver.otlpUrl, events.slice(0, 20))
    await postAll(receiver.url, events.slice(15))
    await arrival(some, events.slice(20))
    await arrival(all, events)
    // Resource and scope are those that the events came with.
    expect(all.events[0]!.otel).toEqual({ resource: { 'service.name': 'load' } })
  })

  it('a selector chooses, and a destination that is new begins now or at the beginning', async () => {
    const [errors, old] = [await startEndpoint(), await startEndpoint()]
    const before = makeEvents(40)
    const folder = await startTestReceiver()
    cleanups.push(() => folder.close())
    const document_db_url = `sqlite:${folder.folder}/shared.db`
    const first = await start([], { document_db_url })
    expect(await healthOf(first.receiver)).toBeUndefined()
    await postAll(first.receiver.url, before)
    await first.stop()
    const { receiver } = await start(
      [
        { name: 'errors', url: errors.url, selector: { log_level: { $gte: 40 } } },
        { name: 'old', url: old.url, from: 'beginning' },
      ],
      { document_db_url },
    )
    const after = makeEvents(60).map((event, i) => ({ ...event, log_level: (i % 3 ? 20 : 40) as 20 | 40 }))
    await postAll(receiver.url, after)
    await arrival(
      errors,
      after.filter(({ log_level }) => log_level >= 40),
    )
    await arrival(old, [...before, ...after])
    const lags = async () => (await healthOf(receiver))!.map(({ lag_seconds }) => lag_seconds)
    await expect.poll(lags, patient).toEqual([0, 0])
  })

  it('a destination that is away costs lag and no failed request; retries honour Retry-After; then everything arrives once, in order', async () => {
    const endpoint = await startEndpoint()
    const { receiver } = await start([{ name: 'one', url: endpoint.url, batch_events: 50 }])
    endpoint.script.push({ status: 503, headers: { 'retry-after': '1' } }, { status: 'cut' })
    const events = makeEvents(200)
    await postAll(receiver.url, events.slice(0, 100))
    await expect.poll(() => endpoint.requests.length, patient).toBeGreaterThan(0)
    await expect.poll(async () => (await healthOf(receiver))![0]!.state, patient).toBe('waiting')
    await postAll(receiver.url, events.slice(100))
    await arrival(endpoint, events, 30_000)
    const [first, second] = endpoint.requests
    expect(second!.atMs - first!.atMs).toBeGreaterThan(990)
    const metrics = await (await fetch(`${receiver.url}metrics`)).text()
    expect(metrics).toContain('\nmadsci_fanout_failures_total{destination="one"} 2\n')
    expect(metrics).toContain('\nmadsci_fanout_sent_total{destination="one"} 200\n')
    expect(endpoint.mostAtOnce).toBe(1)
  })

  it('what is refused for good is found by halves, counted and passed over; a partial success is counted; neighbours arrive', async () => {
    const endpoint = await startEndpoint()
    const events = makeEvents(100)
    const poison = new Set([events[17]!.event_id, events[18]!.event_id, events[80]!.event_id])
    let isPartial = true
    endpoint.reply = (request) => {
      if (request.events.some(({ event_id }) => poison.has(event_id))) return { status: 400, body: 'no' }
      if (!isPartial || request.events.length < 3) return {}
      isPartial = false
      return { body: partialSuccess(request, 2, 'two were bad') }
    }
    const { receiver } = await start([{ name: 'one', url: endpoint.url }])
    await postAll(receiver.url, events)
    await arrival(
      endpoint,
      events.filter(({ event_id }) => !poison.has(event_id)),
      30_000,
    )
    await expect.poll(async () => (await healthOf(receiver))![0]!.refused, patient).toBe(5)
    expect(receiver.metric.read()).toContainEqual({ name: 'fanout_refused', reason: 'one', count: 5 })
    expect(receiver.metric.read()).toContainEqual({ name: 'fanout_sent', reason: 'one', count: 95 })
  })

  it('a restart goes on where it was; a cursor or place that is damaged is told as a gap and the fan-out goes on', async () => {
    const endpoint = await startEndpoint()
    const folder = await startTestReceiver()
    cleanups.push(() => folder.close())
    const document_db_url = `sqlite:${folder.folder}/shared.db`
    const destinations = [{ name: 'one', url: endpoint.url }]
    const events = makeEvents(60)
    const first = await start(destinations, { document_db_url })
    await postAll(first.receiver.url, events.slice(0, 20))
    await arrival(endpoint, events.slice(0, 20))
    endpoint.reply = () => ({ status: 503 })
    await postAll(first.receiver.url, events.slice(20, 40))
    await first.stop()
    endpoint.reply = () => ({})
    const second = await start(destinations, { document_db_url })
    await arrival(endpoint, events.slice(0, 40))
    await second.stop()

    const { DatabaseSync } = await import('node:sqlite')
    const damaged = [
      '{"cursor":"99999","holder":"","caughtUpMs":1}',
      '{"cursor":"x\u0000","holder":"","caughtUpMs":1}',
      '{',
    ]
    for (const text of damaged) {
      const database = new DatabaseSync(`${folder.folder}/shared.db`)
      database.prepare("UPDATE notes SET text = ? WHERE name = 'fanout:one'").run(text)
      database.close()
      const { receiver, stop } = await start(destinations, { document_db_url })
      await expect.poll(() => receiver.metric.total('fanout_gaps'), patient).toBe(1)
      await expect.poll(async () => (await healthOf(receiver))![0]!.state, patient).toBe('forwarding')
      const event = { ...events[50]!, event_id: createEventId() }
      const count = endpoint.events.length
      await post(receiver.url, event)
      await expect.poll(() => endpoint.events.length, patient).toBe(count + 1)
      expect(endpoint.events.at(-1)!.event_id).toBe(event.event_id)
      await stop()
    }
  })

  it('settings: all that is wrong is told; headers and logins are never shown', async () => {
    const wrong = [
      '{}',
      '[{"url": "http://x"}]',
      '[{"name": "a", "url": "ftp://x"}]',
      '[{"name": "a", "url": "http://x", "colour": 1}]',
      '[{"name": "a", "url": "http://x", "headers": {"a": 1}}]',
      '[{"name": "a", "url": "http://x"}, {"name": "a", "url": "http://y"}]',
      '[{"name": "a", "url": "http://x", "selector": {"$where": "1"}}]',
      '[{"name": "a", "url": "http://x", "include": "none"}]',
    ]
    for (const fanout of wrong)
      await expect(startTestReceiver({ flags: { fanout } }), fanout).rejects.toMatchObject({
        code: 'EVT_CONFIG',
      })
    const endpoint = await startEndpoint()
    const url = endpoint.url.replace('//', '//ada:geheim@')
    const { receiver } = await start([{ name: 'a', url, headers: { 'x-key': 'secret' } }])
    const shown = await (await fetch(`${receiver.url}settings`)).text()
    expect(shown).toContain('x-key')
    expect(shown).not.toMatch(/geheim|secret"/)
    await postAll(receiver.url, makeEvents(1))
    await expect.poll(() => endpoint.requests.length, patient).toBe(1)
    expect(endpoint.requests[0]!.headers.authorization).toBe(`Basic ${btoa('ada:geheim')}`)
  })
})

const source = await findMongo()
const reason = 'skip' in source ? source.skip : ''

describe('fan-out on MongoDB', () => {
  let mongod: Mongod
  async function startDatabase(): Promise<{ document_db_url: string; database_name: string }> {
    mongod ??= await startMongod()
    return { document_db_url: mongod.url, database_name: freshDatabaseName() }
  }

  it('of two receivers one forwards what both stored; when it closes, the other goes on', async (context) => {
    if (reason) return context.skip(reason)
    const flags = await startDatabase()
    const endpoint = await startEndpoint()
    const destinations = [{ name: 'one', url: endpoint.url }]
    const first = await start(destinations, flags)
    await expect.poll(async () => (await healthOf(first.receiver))![0]!.state, patient).toBe('forwarding')
    const second = await start(destinations, flags)
    await expect.poll(async () => (await healthOf(second.receiver))![0]!.state, patient).toBe('elsewhere')
    const events = makeEvents(80)
    await postAll(first.receiver.url, events.slice(0, 20))
    await postAll(second.receiver.url, events.slice(20, 40))
    await sendOtlp(first.receiver.otlpUrl, makeEvents(5))
    const ids = () => idsOf(endpoint.events).sort()
    await expect.poll(ids, patient).toEqual(idsOf(events.slice(0, 40)).sort())
    await first.stop()
    await expect.poll(async () => (await healthOf(second.receiver))![0]!.state, patient).toBe('forwarding')
    await postAll(second.receiver.url, events.slice(40))
    await expect.poll(ids, patient).toEqual(idsOf(events).sort())
  })

  it('commits that expired before they were read are counted as a gap, and told', async (context) => {
    if (reason) return context.skip(reason)
    const flags = await startDatabase()
    const endpoint = await startEndpoint()
    const destinations = [{ name: 'one', url: endpoint.url }]
    const { receiver } = await start(destinations, flags)
    const events = makeEvents(30)
    await postAll(receiver.url, events.slice(0, 2))
    await arrival(endpoint, events.slice(0, 2))
    endpoint.reply = () => ({ status: 503 })
    await postAll(receiver.url, events.slice(2, 12))
    const client = await new MongoClient(flags.document_db_url).connect()
    cleanups.push(() => client.close())
    const journal = client
      .db(flags.database_name)
      .collection<{ _id: string; n: number; at: Date; ids: string[] }>('events_commits')
    await expect.poll(() => journal.countDocuments({ n: { $gt: 0 } }), patient).toBe(12)
    // Everything up to the tenth event.
    const { n: first } = (await journal.findOne({ ids: idsOf(events.slice(9, 10)) }))!
    await journal.updateMany({ n: { $lt: first } }, { $set: { at: new Date(0) } })
    const clock = { now: async () => Date.now() }
    const db = client.db(flags.database_name)
    await expireEntries({ db, collectionName: 'events', clock, journalDays: 7 })
    endpoint.reply = () => ({})
    await arrival(endpoint, [...events.slice(0, 2), ...events.slice(9, 12)], 30_000)
    await expect.poll(() => receiver.metric.total('fanout_gaps'), patient).toBe(first - 3)
  })

  it('the database goes away and comes back', async (context) => {
    if (reason || ('kind' in source && source.kind !== 'binary'))
      return context.skip(reason || 'needs a mongod of its own')
    const flags = await startDatabase()
    const endpoint = await startEndpoint()
    const { receiver } = await start([{ name: 'one', url: endpoint.url }], flags)
    const events = makeEvents(20)
    await postAll(receiver.url, events.slice(0, 10))
    await arrival(endpoint, events.slice(0, 10))
    await mongod.kill()
    await expect.poll(async () => (await healthOf(receiver))![0]!.state, patient).not.toBe('forwarding')
    await mongod.restart()
    for (const event of events.slice(10)) {
      await expect
        .poll(
          async () => {
            const body = toEventJson(event).replace('"_id"', '"event_id"')
            const headers = { 'content-type': 'application/json' }
            return (await fetch(`${receiver.url}event`, { method: 'POST', headers, body })).status
          },
          { timeout: 20_000 },
        )
        .toBe(200)
    }
    await arrival(endpoint, events, 60_000)
    await sleep(10)
  }, 120_000)

  it('its mongod ends', async () => {
    await mongod?.stop()
  })
})
