import { EventClient, EventError, eventTypes } from '@madsci-events/sdk'
import { createEventId, type Event, isUlid } from '@madsci-events/sdk/event'
import { context, ROOT_CONTEXT, type SpanContext, trace } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'

let endpoint: OtlpEndpoint
beforeEach(async () => {
  endpoint = await startOtlpEndpoint()
})
afterEach(() => endpoint.close())

/** What arrived for these calls; `otel` left out, as it tells of the sending process. */
async function arrivedOf(client: EventClient): Promise<Event[]> {
  await client.flush()
  return endpoint.events.map(({ otel: _, ...event }) => event)
}

const spanContext: SpanContext = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: 1,
}

describe('EventClient', () => {
  it('sends a text with data as an event of its level, and gives its id at once', async () => {
    const node_id = createEventId()
    const events = new EventClient({ url: endpoint.url, name: 'liquid-handler', source: { node_id } })
    const before = new Date().toISOString()
    const id = events.info('Aspirated', { volume_ul: 50 })
    expect(isUlid(id)).toBe(true)
    const [event] = await arrivedOf(events)
    expect(event).toEqual({
      event_id: id,
      event_type: 'log_info',
      log_level: 20,
      alert: false,
      event_timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      source: { node_id },
      event_data: { message: 'Aspirated', volume_ul: 50 },
      trace_id: null,
      span_id: null,
      archived: false,
      archived_at: null,
    })
    expect(event!.event_timestamp.slice(0, 23) >= before.slice(0, 23)).toBe(true)
    expect(endpoint.events[0]!.otel?.resource).toMatchObject({ 'service.name': 'liquid-handler' })
    await events.close()
  })

  it('has a method for each level', async () => {
    const events = new EventClient({ url: endpoint.url })
    for (const level of ['debug', 'info', 'warning', 'error', 'critical'] as const) events[level](level)
    const arrived = await arrivedOf(events)
    expect(arrived.map(({ event_type, log_level }) => [event_type, log_level])).toEqual([
      ['log_debug', 10],
      ['log_info', 20],
      ['log_warning', 30],
      ['log_error', 40],
      ['log_critical', 50],
    ])
    await events.close()
  })

  it('log() sends an event with what it says, and defaults for the rest', async () => {
    const events = new EventClient({ url: endpoint.url })
    const event_id = createEventId()
    const full = {
      event_id,
      event_type: 'action_start',
      log_level: 'warning',
      alert: true,
      event_timestamp: '2026-01-02T03:04:05.123456+02:00',
      source: { workflow_id: createEventId() },
      event_data: { action: 'transfer' },
      trace_id: '0AF7651916CD43DD8448EB211C80319C',
      span_id: null,
    } as const
    expect(events.log(full)).toBe(event_id)
    events.log({ event_type: 'ACTION_COMPLETE' })
    const [first, second] = await arrivedOf(events)
    expect(first).toMatchObject({
      event_id,
      event_type: 'action_start',
      log_level: 30,
      alert: true,
      event_timestamp: '2026-01-02T01:04:05.123456Z',
      source: full.source,
      event_data: { action: 'transfer' },
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: null,
    })
    expect(second).toMatchObject({ event_type: 'action_complete', log_level: 20, event_data: {} })
    expect(events.stats.altered).toBe(0)
    await events.close()
  })

  it('takes every type of MADSci', async () => {
    const events = new EventClient({ url: endpoint.url })
    for (const event_type of eventTypes) events.log({ event_type })
    expect((await arrivedOf(events)).map((event) => event.event_type)).toEqual([...eventTypes])
    await events.close()
  })

  it('warning(event) overrides the level, not the type', async () => {
    const events = new EventClient({ url: endpoint.url })
    events.warning({ event_type: 'node_error', log_level: 50, event_data: { code: 7 } })
    events.warning({ log_level: 50, event_data: { code: 8 } })
    const arrived = await arrivedOf(events)
    expect(arrived[0]).toMatchObject({ event_type: 'node_error', log_level: 30, event_data: { code: 7 } })
    expect(arrived[1]).toMatchObject({ event_type: 'log_warning', log_level: 30 })
    await events.close()
  })

  it('alert() sends one event, of level 50, with alert set', async () => {
    const events = new EventClient({ url: endpoint.url })
    const id = events.alert('Door opened during run')
    expect(await arrivedOf(events)).toEqual([
      expect.objectContaining({
        event_id: id,
        event_type: 'log_critical',
        log_level: 50,
        alert: true,
        event_data: { message: 'Door opened during run' },
      }),
    ])
    await events.close()
  })

  it('an error becomes its type, message and stack', async () => {
    const events = new EventClient({ url: endpoint.url })
    const cause = Object.assign(new Error('no pressure'), { code: 'E42' })
    events.error(new TypeError('pump stopped', { cause }), { pump: 3 })
    events.error('While pumping', new Error('jam'))
    const [first, second] = await arrivedOf(events)
    expect(first!.event_data).toMatchObject({
      message: 'pump stopped',
      exception: {
        type: 'TypeError',
        message: 'pump stopped',
        stacktrace: expect.stringContaining('client.test.ts'),
        cause: { type: 'Error', message: 'no pressure', code: 'E42' },
      },
      data: { pump: 3 },
    })
    expect(second!.event_data).toMatchObject({ message: 'While pumping', exception: { message: 'jam' } })
    await events.close()
  })

  it('data that is no object, or has a message of its own, hides nothing', async () => {
    const events = new EventClient({ url: endpoint.url })
    events.info('text', { message: 'mine', a: 1 })
    events.info('text', [1, 2])
    events.info('text', null)
    events.log({ volume_ul: 5 } as object)
    expect((await arrivedOf(events)).map((event) => event.event_data)).toEqual([
      { message: 'text', data: { message: 'mine', a: 1 } },
      { message: 'text', data: [1, 2] },
      { message: 'text', data: null },
      { volume_ul: 5 },
    ])
    await events.close()
  })

  it('what changes after the call does not reach the event', async () => {
    const events = new EventClient({ url: endpoint.url })
    const data = { tip: { position: 1 } }
    events.info('Moved', data)
    data.tip.position = 2
    expect((await arrivedOf(events))[0]!.event_data).toEqual({ message: 'Moved', tip: { position: 1 } })
    await events.close()
  })

  it('bind() gives a client whose every event carries the ids; the event wins, then the innermost', async () => {
    const [node_id, lab_id, workflow_id, step_id, other] = Array.from({ length: 5 }, () => createEventId())
    const events = new EventClient({ url: endpoint.url, source: { node_id: node_id!, lab_id: lab_id! } })
    const child = events.bind({ workflow_id: workflow_id! })
    const grandchild = child.bind({ step_id: step_id!, lab_id: other! })
    events.info('root')
    child.info('child')
    grandchild.log({ source: { workflow_id: other! } })
    expect((await arrivedOf(events)).map((event) => event.source)).toEqual([
      { node_id, lab_id },
      { node_id, lab_id, workflow_id },
      { node_id, lab_id: other, workflow_id: other, step_id },
    ])
    expect(child.stats).toEqual(events.stats)
    await child.close()
    events.info('a bound client closes nothing')
    await events.close()
    expect(events.stats).toMatchObject({ emitted: 4, exported: 4 })
  })

  it('takes trace and span id from the active context, unless the event has its own', async () => {
    const manager = {
      active: () => trace.setSpanContext(ROOT_CONTEXT, spanContext),
      with: (_context: unknown, run: () => unknown) => run(),
      bind: (_context: unknown, target: unknown) => target,
      enable: () => manager,
      disable: () => manager,
    }
    const events = new EventClient({ url: endpoint.url })
    events.info('outside')
    context.setGlobalContextManager(manager as never)
    try {
      events.info('inside')
      events.info({ trace_id: 'f'.repeat(32), event_data: 'its own' })
      events.info({ trace_id: null, event_data: 'none' })
    } finally {
      context.disable()
    }
    expect((await arrivedOf(events)).map(({ trace_id, span_id }) => [trace_id, span_id])).toEqual([
      [null, null],
      [spanContext.traceId, spanContext.spanId],
      ['f'.repeat(32), null],
      [null, null],
    ])
    await events.close()
  })

  it('counts each event in exactly one place', async () => {
    const events = new EventClient({ url: endpoint.url })
    for (let i = 0; i < 10; i++) events.info('x')
    expect(events.stats).toMatchObject({ emitted: 10, waiting: 10, exported: 0 })
    await events.flush()
    expect(events.stats).toMatchObject({ emitted: 10, waiting: 0, exported: 10 })
    await events.close()
    events.info('too late')
    expect(events.stats).toMatchObject({ emitted: 11, exported: 10, dropped: 1, droppedBy: { closed: 1 } })
  })

  it('is closed at the end of an `await using` block', async () => {
    {
      await using events = new EventClient({ url: endpoint.url })
      events.info('inside')
    }
    expect(endpoint.events).toHaveLength(1)
  })

  it('refuses wrong options, naming all of them', () => {
    const options = {
      url: 'ftp://lab',
      source: { node_id: 'me', robot_id: createEventId() },
      maxQueueEvents: 0,
      protocol: 'grpc',
      compression: 'br',
    }
    let error: unknown
    try {
      new EventClient(options as object)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(EventError)
    expect((error as EventError).code).toBe('EVT_CONFIG')
    expect((error as EventError).detail).toHaveLength(6)
  })

  it('what fits no event gets its default, and is counted', async () => {
    const events = new EventClient({ url: endpoint.url })
    events.log({
      event_id: '',
      event_type: 'espresso',
      log_level: 25,
      event_timestamp: 'yesterday',
      source: { node_id: 'me' },
      trace_id: 'xyz',
      colour: 'red',
    } as object)
    const [event] = await arrivedOf(events)
    expect(isUlid(event!.event_id)).toBe(true)
    expect(event).toMatchObject({ event_type: 'log_info', log_level: 20, source: {}, trace_id: null })
    expect(events.stats.altered).toBe(7)
    await events.close()
  })

  it('tells of a source that is a text once, and of the first strange members alone', async () => {
    const events = new EventClient({ url: endpoint.url })
    const strange = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 1]))
    const node_id = createEventId()
    events.log({ event_type: 'log_info', source: 'robot arm'.repeat(10_000) as never })
    expect(events.stats.altered).toBe(1)
    events.log({ event_type: 'log_info', source: { ...strange, node_id } as object })
    expect(events.stats.altered).toBe(10)
    events.log({ event_type: 'log_info', ...strange } as object)
    expect(events.stats.altered).toBe(19)
    expect((await arrivedOf(events)).map(({ source }) => source)).toEqual([{}, { node_id }, {}])
    await events.close()
  })

  it('an event that is emitted while another is read disturbs neither', async () => {
    const events = new EventClient({ url: endpoint.url })
    const lazy = (text: string) => ({
      first: 'x'.repeat(500),
      get later() {
        events.warning(`${text}, inside`, { tip: 3, far: 'y'.repeat(3000) })
        return 7
      },
      last: text,
    })
    events.info('plain', lazy('plain'))
    events.info('not plain', { ...lazy('spread'), at: new Date(0), more: lazy('not plain') })
    events.log({ event_type: 'log_info', event_data: lazy('whole') })
    const arrived = await arrivedOf(events)
    const texts = arrived.map(({ event_data }) => (event_data as { message?: string }).message)
    expect(texts.filter((text) => text === 'plain')).toHaveLength(1)
    for (const text of ['plain', 'whole'])
      expect(arrived.map(({ event_data }) => event_data)).toContainEqual(
        expect.objectContaining({ first: 'x'.repeat(500), later: 7, last: text }),
      )
    for (const text of ['plain', 'spread', 'not plain', 'whole']) expect(texts).toContain(`${text}, inside`)
    expect(events.stats.rejected).toBe(0)
    await events.close()
  })

  it('data that emits itself ends', async () => {
    const events = new EventClient({ url: endpoint.url })
    const data = {
      get again() {
        events.info('again', data)
        return 1
      },
    }
    events.info('once', data)
    const { emitted, droppedBy } = events.stats
    expect(droppedBy.failed).toBeGreaterThan(0)
    expect(emitted).toBeLessThan(1000)
    expect(await arrivedOf(events)).toHaveLength(emitted - droppedBy.failed)
    await events.close()
  })

  it.each([-14_182_940_000, Number.NaN, 9e15])('takes events while a fake clock says %d', async (now) => {
    const events = new EventClient({ url: endpoint.url })
    const clock = vi.spyOn(Date, 'now').mockReturnValue(now)
    events.info('plain', { a: 1 })
    events.log({ event_type: 'log_info', event_data: { message: 'not plain', at: new Map() } })
    expect(events.stats.droppedBy.failed).toBe(0)
    clock.mockRestore()
    const messages = (await arrivedOf(events)).map(({ event_data }) => event_data)
    expect(messages).toEqual([
      { message: 'plain', a: 1 },
      { message: 'not plain', at: {} },
    ])
    await events.close()
  })
})
