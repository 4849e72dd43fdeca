import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createEventProcessor, EventClient } from '@madsci-events/sdk'
import { createEventId, type Event } from '@madsci-events/sdk/event'
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { LoggerProvider } from '@opentelemetry/sdk-logs'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'

let endpoint: OtlpEndpoint
let workcell: EventClient
let node: EventClient
const ids = { node_id: createEventId(), lab_id: createEventId() }
beforeEach(async () => {
  endpoint = await startOtlpEndpoint()
  const caller = { node_id: createEventId(), lab_id: createEventId(), manager_id: createEventId() }
  workcell = new EventClient({ url: endpoint.url, name: 'workcell', source: caller })
  node = new EventClient({ url: endpoint.url, name: 'arm', source: ids })
})
afterEach(async () => {
  context.disable()
  trace.disable()
  propagation.disable()
  await Promise.allSettled([workcell.close(), node.close()])
  await endpoint.close()
})

async function arrived(): Promise<Event[]> {
  await workcell.flush()
  await node.flush()
  return endpoint.events
}

const messageOf = (event: Event) => (event.event_data as { message?: string }).message
const named = (all: Event[], message: string) => all.find((event) => messageOf(event) === message)!

describe('ids and traces between processes', () => {
  it('over HTTP the events of a node name the workflow that called it, and continue its trace', async () => {
    const server = createServer(async (request: IncomingMessage, response) => {
      await node.within(request.headers, () => node.action('transfer', async () => void node.info('moving')))
      response.end('done')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`
    const workflow_id = createEventId()
    const user_id = createEventId()
    await workcell.bind({ user_id }).workflow('assay', { workflow_id }, async () => {
      await workcell.step('move', async () => {
        await (await fetch(url, { headers: workcell.headers() })).text()
      })
    })
    server.close()
    const all = await arrived()
    const step = named(all, 'move started')
    for (const message of ['transfer started', 'moving', 'transfer completed']) {
      const event = named(all, message)
      expect(event.trace_id, message).toBe(step.trace_id)
      expect(event.span_id, message).not.toBe(step.span_id)
      expect(event.source, message).toEqual({ ...ids, workflow_id, user_id, step_id: step.source.step_id })
    }
  })

  it('takes headers in any form, and no harm from garbage', async () => {
    const workflow_id = createEventId()
    const headers = workcell.workflow('assay', { workflow_id }, () => workcell.headers())
    expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    const forms = [
      headers,
      new Headers(headers),
      new Map(Object.entries(headers)),
      { TraceParent: [headers.traceparent!], BAGGAGE: headers.baggage },
    ]
    for (const form of forms)
      expect(node.within(form as never, () => node.headers().baggage)).toContain(workflow_id)
    const garbage = [
      {},
      null,
      undefined,
      7,
      { traceparent: 'x', baggage: '=,;%%,madsci.source.workflow_id=nope' },
    ]
    for (const one of garbage) expect(node.within(one as never, () => node.info('garbage'))).toMatch(/^0/)
    const all = await arrived()
    for (const event of all.filter((one) => messageOf(one) === 'garbage')) {
      expect(event).toMatchObject({ trace_id: null, source: ids })
      expect(event.source.workflow_id).toBe(undefined)
    }
  })

  it('who the caller is stays with the caller, and what the node knows of itself wins', async () => {
    const headers = workcell.headers()
    expect(decodeURIComponent(headers.baggage!)).not.toMatch(/node_id|manager_id/)
    const forged = {
      baggage: `madsci.source.node_id=${createEventId()},madsci.source.lab_id=${createEventId()}`,
    }
    node.within(headers, () => node.info('by headers'))
    node.within(forged, () => node.info('by forgery'))
    for (const event of await arrived()) expect(event.source).toEqual(ids)
  })

  it("what is around a request's handler does not mix with what the request says", async () => {
    const [mine, theirs] = [createEventId(), createEventId()]
    const headers = workcell.workflow('theirs', { workflow_id: theirs }, () => workcell.headers())
    node.experiment('mine', { workflow_id: mine, user_id: mine }, () => {
      node.within(headers, () => node.info('theirs'))
    })
    const event = named(await arrived(), 'theirs')
    expect(event.source).toEqual({ ...ids, workflow_id: theirs })
  })
})

describe('beside an OpenTelemetry SDK of the program', () => {
  const exporter = new InMemorySpanExporter()
  beforeEach(() => {
    exporter.reset()
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    propagation.setGlobalPropagator(
      new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
    )
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] } as never)
    trace.setGlobalTracerProvider(provider)
  })

  it('an action is a span of its tracer, under the active one, with the error', async () => {
    const tracer = trace.getTracer('app')
    const workflow_id = createEventId()
    await tracer.startActiveSpan('request', async (span) => {
      await node
        .action('transfer', { workflow_id }, async () => {
          expect(trace.getActiveSpan()?.spanContext().spanId).not.toBe(span.spanContext().spanId)
          await tracer.startActiveSpan('inner', async (inner) => {
            node.info('in a span of the program')
            inner.end()
          })
          throw new Error('jam')
        })
        .catch(() => {})
      span.end()
    })
    const [inner, action, request] = exporter.getFinishedSpans()
    expect([inner!.name, action!.name, request!.name]).toEqual(['inner', 'transfer', 'request'])
    expect(action!.parentSpanContext?.spanId).toBe(request!.spanContext().spanId)
    expect(inner!.parentSpanContext?.spanId).toBe(action!.spanContext().spanId)
    expect(action!.attributes).toMatchObject({ 'madsci.source.workflow_id': workflow_id })
    expect(action!.status).toEqual({ code: 2, message: 'jam' })
    expect(action!.events[0]!.attributes).toMatchObject({ 'exception.message': 'jam' })
    const all = await arrived()
    expect(named(all, 'in a span of the program')).toMatchObject({
      trace_id: inner!.spanContext().traceId,
      span_id: inner!.spanContext().spanId,
      source: { workflow_id },
    })
    expect(named(all, 'transfer failed: jam').span_id).toBe(action!.spanContext().spanId)
  })

  it('its propagators carry the ids by themselves, both ways', async () => {
    const workflow_id = createEventId()
    const carrier: { [name: string]: string } = {}
    workcell.workflow('assay', { workflow_id }, () => propagation.inject(context.active(), carrier))
    context.with(propagation.extract(ROOT_CONTEXT, carrier), () => node.info('by instrumentation'))
    const event = named(await arrived(), 'by instrumentation')
    expect(event.source).toEqual({ ...ids, workflow_id })
    expect(carrier.traceparent).toContain(event.trace_id!)
  })

  it('a span that its instrumentation began for the request stays the parent', async () => {
    const headers = workcell.workflow('assay', () => workcell.headers())
    const server = trace.getTracer('http').startSpan('GET', {}, propagation.extract(ROOT_CONTEXT, headers))
    context.with(trace.setSpan(ROOT_CONTEXT, server), () => {
      node.within(headers, () => node.info('handled'))
    })
    const event = named(await arrived(), 'handled')
    expect(event.span_id).toBe(server.spanContext().spanId)
    expect(event.source.workflow_id).toBeDefined()
  })

  it('a tracer that throws costs the span, not the events', async () => {
    trace.disable()
    const broken = () => {
      throw new Error('broken')
    }
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan: broken, startActiveSpan: broken }) })
    expect(node.action('transfer', () => 7)).toBe(7)
    const all = await arrived()
    expect(all).toHaveLength(4)
    expect(all[0]!.trace_id).toMatch(/^[0-9a-f]{32}$/)
  })

  it('an empty context is empty on purpose', async () => {
    node.action('transfer', { workflow_id: createEventId() }, () => {
      context.with(ROOT_CONTEXT, () => node.info('detached'))
    })
    const event = named(await arrived(), 'detached')
    expect(event).toMatchObject({ trace_id: null, source: ids })
    expect(event.source.workflow_id).toBe(undefined)
  })
})

describe('a processor in an OpenTelemetry SDK', () => {
  for (const hasManager of [true, false]) {
    it(`adds the ids and the trace around, ${hasManager ? 'with' : 'without'} a context manager`, async () => {
      if (hasManager) context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
      const processor = createEventProcessor({ url: endpoint.url, source: ids })
      const logger = new LoggerProvider({ processors: [processor] }).getLogger('app')
      const workflow_id = createEventId()
      workcell.workflow('assay', { workflow_id }, () => logger.emit({ body: 'logged' }))
      await processor.forceFlush()
      const all = await arrived()
      const event = named(all, 'logged')
      expect(event.source).toEqual({ ...ids, workflow_id })
      expect(event.trace_id).toBe(named(all, 'assay started').trace_id)
      await processor.shutdown()
    })
  }
})
