import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventExporter, createEventId, EventClient } from '@madsci-events/sdk'
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'

const cleanups: (() => unknown)[] = []
let spoolDir: string
beforeEach(async () => {
  spoolDir = await mkdtemp(join(tmpdir(), 'madsci-audit-'))
  cleanups.push(() => rm(spoolDir, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startReceiver() {
  const receiver = await startTestReceiver()
  cleanups.push(() => receiver.close())
  return receiver
}

describe('audit', () => {
  it('resolves once the receiver says that the event is stored', async () => {
    const receiver = await startReceiver()
    const events = new EventClient({ url: receiver.url, spoolDir })
    const ids = Array.from({ length: 50 }, (_, i) => events.info('x', { i }))
    await Promise.all(ids.map((id) => events.audit(id)))
    await events.audit({ event_id: ids[3]! })
    expect(await events.getEvent(ids[3]!)).toMatchObject({ event_id: ids[3] })
    await events.close()
  })

  it('asks the receiver, not the Collector that took it', async () => {
    const receiver = await startReceiver()
    const collector = await startOtlpEndpoint()
    cleanups.push(() => collector.close())
    // It takes a request and passes it on later, as a Collector does.
    collector.reply = ({ body }) => {
      const send = () =>
        fetch(`${receiver.url}v1/logs`, {
          method: 'POST',
          body: new Uint8Array(body),
          headers: { 'content-type': 'application/x-protobuf' },
        })
      setTimeout(send, 300)
      return {}
    }
    const events = new EventClient({ url: collector.url, restUrl: receiver.url, spoolDir })
    const id = events.info('x')
    await events.flush()
    await expect(events.getEvent(id)).rejects.toMatchObject({ code: 'EVT_NOT_FOUND' })
    await events.audit(id)
    expect(await events.getEvent(id)).toMatchObject({ event_id: id })
    await events.close()
  })

  it('rejects saying why: refused, not taken, never arrived, nobody there', async () => {
    const receiver = await startReceiver()
    const endpoint = await startOtlpEndpoint()
    cleanups.push(() => endpoint.close())
    const events = new EventClient({ url: endpoint.url, restUrl: receiver.url, spoolDir })
    endpoint.script.push({ status: 400, body: 'not like this' })
    await expect(events.audit(events.info('x'))).rejects.toMatchObject({
      code: 'EVT_REFUSED',
      message: expect.stringContaining('not like this'),
    })
    await expect(events.audit(events.info('lost behind the Collector'), { timeoutMs: 200 })).rejects.toThrow(
      'the receiver does not have it',
    )
    await events.close()
    await expect(events.audit(events.info('too late'))).rejects.toMatchObject({ code: 'EVT_REFUSED' })
    const alone = new EventClient({ url: `http://127.0.0.1:${await findFreePort()}`, spoolDir })
    await expect(alone.audit(alone.info('x'), { timeoutMs: 100 })).rejects.toThrow('ECONNREFUSED')
    await alone.close({ timeoutMs: 1 }).catch(() => {})
  })
})

describe('an event refused by the queue fails its audit, at once', () => {
  const calls: { [name: string]: (events: EventClient) => string } = {
    'a text': (events) => events.info('x'),
    'a text with data': (events) => events.info('x', { a: 1 }),
    'a whole event': (events) => events.log({ event_type: 'action_start', event_data: { action: 'move' } }),
    'an event with an id': (events) => events.log({ event_id: createEventId(), event_data: 'x' }),
    'an error': (events) => events.error(new Error('jam')),
    'data that is not plain': (events) => events.info('x', { at: new Date(), n: 2n ** 70n }),
    'an alert of a bound client': (events) => events.bind({ node_id: createEventId() }).alert('x'),
    'too late': (events) => {
      events.close({ timeoutMs: 0 }).catch(() => {})
      return events.log({ event_data: { x: 1 } })
    },
  }
  it.each(Object.entries(calls))('%s', async (_, call) => {
    const receiver = await startReceiver()
    const url = `http://127.0.0.1:${await findFreePort()}`
    const events = new EventClient({ url, restUrl: receiver.url, spool: false, maxQueueEvents: 1 })
    const first = events.info('the one that there is room for')
    const id = call(events)
    const start = performance.now()
    await expect(events.audit(id, { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'EVT_REFUSED',
      message: `event ${id} was not delivered: it was not taken; events.stats says why`,
    })
    expect(performance.now() - start).toBeLessThan(5000)
    await expect(events.audit(first, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'EVT_UNREACHABLE' })
    await events.close({ timeoutMs: 1 }).catch(() => {})
  })
})

it('an exporter for an OpenTelemetry SDK: what it was given is in the spool, and reaches the receiver', async () => {
  const receiver = await startReceiver()
  const exporter = createEventExporter({ url: receiver.url, spoolDir })
  const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] })
  const logger = provider.getLogger('bench')
  for (let i = 0; i < 20; i++) logger.emit({ severityNumber: 13, body: 'x', attributes: { i } })
  await provider.forceFlush()
  await exporter.forceFlush!()
  const events = new EventClient({ url: receiver.url, spool: false })
  const stored = await events.queryEvents({ event_type: 'log_warning' })
  expect(stored.map((event) => (event.event_data as { i: number }).i).sort((a, b) => a - b)).toEqual(
    Array.from({ length: 20 }, (_, i) => i),
  )
  expect(exporter.stats).toMatchObject({ emitted: 20, exported: 20 })
  await provider.shutdown()
  await events.close()
})

it('`using` leaves the events to what runs behind it', async () => {
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  {
    using events = new EventClient({ url: endpoint.url, spoolDir })
    events.info('x')
  }
  await expect.poll(() => endpoint.events.length).toBe(1)
})
