import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventProcessor, EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { LoggerProvider } from '@opentelemetry/sdk-logs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let receiver: TestReceiver
beforeEach(async () => {
  receiver = await startTestReceiver()
})
afterEach(() => receiver.close())

describe("the users' test receiver", () => {
  for (const protocol of ['http/protobuf', 'http/json'] as const) {
    for (const compression of ['none', 'gzip'] as const) {
      it(`takes events as ${protocol}, compression ${compression}`, async () => {
        const node_id = createEventId()
        const data = { volume_ul: 50.5, big: 9007199254740993n, list: [1, 'a', null], deep: { a: true } }
        await using events = new EventClient({
          url: receiver.url,
          protocol,
          compression,
          source: { node_id },
        })
        const id = events.info('Aspirated', data)
        await events.flush()
        const [event] = receiver.events()
        expect(event).toMatchObject({
          event_id: id,
          event_type: 'log_info',
          source: { node_id },
          event_data: { message: 'Aspirated', ...data },
        })
        expect(await events.getEvent(id)).toEqual(event)
      })
    }
  }

  it('waits for what a selector, a type or a predicate means, and says what came instead', async () => {
    await using events = new EventClient({ url: receiver.url, scheduleDelayMs: 10 })
    const waiting = [
      receiver.waitFor('action_complete'),
      receiver.waitFor({ 'event_data.action': 'transfer', log_level: { $gte: 20 } }, { count: 4 }),
      receiver.waitFor((event) => event.event_type === 'action_start'),
    ]
    events.action('transfer', () => {})
    expect((await Promise.all(waiting)).map((found) => found.length)).toEqual([1, 4, 1])
    await expect(receiver.waitFor('node_error', { timeoutMs: 20 })).rejects.toThrow(
      "0 of 1 events after 20 ms; arrived: action_start 'transfer started'",
    )
    receiver.clear()
    expect(receiver.events()).toEqual([])
    await expect(receiver.waitFor('test', { timeoutMs: 1 })).rejects.toThrow('nothing arrived')
    expect(() => receiver.events({ a: { $where: 1 } })).toThrow('$where')
  })

  it('fails as it is told to, and has each event once all the same', async () => {
    await using events = new EventClient({ url: receiver.url })
    receiver.failNext(503, { status: 429, retryAfterSeconds: 0 }, 'cut')
    const id = events.info('persistent')
    await receiver.waitFor({ event_id: id }, { timeoutMs: 20_000 })
    await events.flush()
    expect(receiver.events()).toHaveLength(1)
    receiver.failNext(400)
    events.info('refused')
    await expect(events.flush()).rejects.toMatchObject({ code: 'EVT_REFUSED' })
    expect(receiver.events()).toHaveLength(1)
  }, 30_000)

  it("answers MADSci's REST calls", async () => {
    const post = (body: object) =>
      fetch(`${receiver.url}/event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const event_id = createEventId()
    for (let i = 0; i < 2; i++)
      expect((await post({ event_id, event_type: 'test', log_level: 40 })).status).toBe(200)
    expect((await post({ event_type: 'nonsense' })).status).toBe(422)
    await using events = new EventClient({ url: receiver.url })
    events.info('second', { well: 'A1' })
    await events.flush()
    expect((await events.getEvents()).length).toBe(2)
    expect((await events.getEvents({ level: 'error' })).map((event) => event.event_id)).toEqual([event_id])
    const query = { $or: [{ 'event_data.well': { $in: ['A1'] } }, { event_type: 'none' }] }
    expect(await events.queryEvents(query)).toHaveLength(1)
    await expect(events.getEvent('nope')).rejects.toMatchObject({ code: 'EVT_NOT_FOUND' })
    const asked = { method: 'POST', body: JSON.stringify({ event_ids: [event_id, 'nope'] }) }
    expect(await (await fetch(`${receiver.url}/events/receipts`, asked)).json()).toEqual({
      stored: { [event_id]: { commit: null } },
      missing: ['nope'],
    })
  })

  it('takes records of any OpenTelemetry logger, with the same id when they are sent again', async () => {
    const processor = createEventProcessor({ url: receiver.url })
    const provider = new LoggerProvider({ processors: [processor] })
    provider.getLogger('app').emit({ body: 'hello', severityNumber: 17, attributes: { a: 1 } })
    await provider.forceFlush()
    expect(receiver.events({ log_level: 40 })[0]).toMatchObject({ event_data: { message: 'hello', a: 1 } })
    await provider.shutdown()
    const record = { timeUnixNano: '1700000000000000000', body: { stringValue: 'foreign' } }
    const body = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    for (let i = 0; i < 2; i++) await fetch(`${receiver.url}/v1/logs`, { method: 'POST', headers, body })
    expect(receiver.events({ event_data: { message: 'foreign' } })).toHaveLength(1)
  })

  it('gives a client that delivers at once, writes no spool, and ends with it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-testing-'))
    for (let i = 0; i < 20; i++) {
      const own = await startTestReceiver()
      const events = own.createClient({ spoolDir: folder })
      const started = performance.now()
      events.action('transfer', () => 7)
      await own.waitFor({ event_type: 'action_complete', 'event_data.action': 'transfer' })
      expect(performance.now() - started).toBeLessThan(500)
      await own.close()
    }
    expect(await readdir(folder)).toEqual([])
    const left = await startTestReceiver()
    const closed = left.createClient()
    await left.close()
    closed.info('too late')
    expect(closed.stats.droppedBy.closed).toBe(1)
    await rm(folder, { recursive: true })
  })
})
