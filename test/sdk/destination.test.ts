import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientOptions, createEventProcessor, EventClient } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { LoggerProvider } from '@opentelemetry/sdk-logs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort } from '../support/process.ts'

let spoolDir: string
let near: OtlpEndpoint
let far: OtlpEndpoint
let warnings: string[]
beforeEach(async () => {
  spoolDir = mkdtempSync(join(tmpdir(), 'madsci-destination-'))
  near = await startOtlpEndpoint()
  far = await startOtlpEndpoint()
  warnings = []
  const warn = (...parts: unknown[]) => {
    if (parts[0] === 'madsci-events') warnings.push(parts.slice(1).join(' '))
  }
  diag.setLogger({ error() {}, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  await near.close()
  await far.close()
  diag.disable()
  rmSync(spoolDir, { recursive: true, force: true })
})

const connect = (options: ClientOptions = {}) =>
  new EventClient({
    url: near.url,
    name: 'arm',
    spoolDir,
    scheduleDelayMs: 10,
    destinations: [{ url: far.url }],
    ...options,
  })
const emit = (events: EventClient, count: number) =>
  Array.from({ length: count }, (_, i) => events.info('x', { i }))
const arrivedAt = (endpoint: OtlpEndpoint) => endpoint.events.map((event) => event.event_id)

describe('several destinations', () => {
  it('each gets every event, once and in order, as it asks for it', async () => {
    const destinations = [
      { url: far.url, protocol: 'http/json', compression: 'gzip', headers: { 'x-far': '1' } } as const,
    ]
    const events = connect({ headers: { authorization: 'secret' }, destinations })
    const ids = emit(events.bind({}), 1000)
    await events.flush()
    expect(arrivedAt(near)).toEqual(ids)
    expect(arrivedAt(far)).toEqual(ids)
    expect(near.requests[0]!.headers).toMatchObject({
      authorization: 'secret',
      'content-type': 'application/x-protobuf',
    })
    expect(far.requests[0]!.headers).toMatchObject({
      'x-far': '1',
      'content-type': 'application/json',
      'content-encoding': 'gzip',
    })
    expect(far.requests[0]!.headers).not.toHaveProperty('authorization')
    const stats = { emitted: 1000, exported: 1000, waiting: 0, dropped: 0 }
    expect(events.destinations).toMatchObject([
      { url: `${near.url}/v1/logs`, stats },
      { url: `${far.url}/v1/logs`, stats },
    ])
    expect(events.stats).toMatchObject(stats)
    await events.close()
    expect(events.destinations).toMatchObject([{ stats }, { stats }])
  })

  it('one that is away, or says nothing, holds up no other, whichever it is', async () => {
    for (const isFirst of [true, false]) {
      near.events.length = 0
      const port = await findFreePort()
      const away = `http://127.0.0.1:${port}`
      far.reply = () => ({ status: 'hang' })
      const events = connect({
        ...(isFirst ? { url: away, destinations: [{ url: near.url }] } : { destinations: [{ url: away }] }),
        timeoutMs: 5000,
      })
      const hangs = connect({ url: far.url, destinations: [{ url: near.url }] })
      const ids = emit(events, 100)
      const others = emit(hangs, 100)
      await expect.poll(() => near.events.length, { timeout: 2000 }).toBe(200)
      const failure = await events.flush({ timeoutMs: 100 }).catch((error) => error)
      expect(failure).toMatchObject({ code: 'EVT_UNREACHABLE' })
      expect(failure.message).toMatch(
        new RegExp(`^${away}/v1/logs: 100 events are not delivered yet: .*ECONNREFUSED`),
      )
      const waiting = events.destinations.map(({ stats }) => stats.waiting)
      expect(waiting).toEqual(isFirst ? [100, 0] : [0, 100])
      expect(warnings.filter((line) => line.includes('ECONNREFUSED'))).toEqual([
        expect.stringMatching(`^${away}/v1/logs: cannot deliver to ${away}/v1/logs, 100 events wait`),
      ])
      const back = await startOtlpEndpoint({ port })
      await events.flush()
      expect(arrivedAt(back)).toEqual(ids)
      expect(new Set(arrivedAt(near))).toEqual(new Set([...ids, ...others]))
      expect(near.events).toHaveLength(200)
      await events.close()
      await back.close()
      await hangs.close({ timeoutMs: 10 }).catch(() => {})
      warnings.length = 0
    }
  })

  it('one that is full, or refuses, loses its own copies, counted; nobody else does', async () => {
    far.reply = () => ({ status: 400, body: 'no' })
    const events = connect({ spool: false, destinations: [{ url: far.url, maxQueueEvents: 10 }] })
    const ids = emit(events, 50)
    await expect(events.flush()).rejects.toMatchObject({
      code: 'EVT_REFUSED',
      message: expect.stringContaining(far.url),
    })
    expect(arrivedAt(near)).toEqual(ids)
    const [first, second] = events.destinations
    expect(first!.stats).toMatchObject({ emitted: 50, exported: 50, dropped: 0 })
    expect(second!.stats).toMatchObject({ emitted: 50, droppedBy: { queue_full: 40, refused: 10 } })
    await events.close()
  })

  it('what waits for one that is away is sent by the next client, to that one alone', async () => {
    const port = await findFreePort()
    const destinations = [{ url: `http://127.0.0.1:${port}` }]
    const events = connect({ destinations })
    const ids = emit(events, 20)
    await expect(events.close({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(events.destinations.map(({ stats }) => [stats.exported, stats.left])).toEqual([
      [20, 0],
      [0, 20],
    ])
    expect(readdirSync(spoolDir)).toHaveLength(1)
    const back = await startOtlpEndpoint({ port })
    await connect({ destinations }).close()
    expect(arrivedAt(back)).toEqual(ids)
    expect(arrivedAt(near)).toEqual(ids)
    await back.close()
  })

  it('a processor has them, too', async () => {
    const processor = createEventProcessor({ url: near.url, spoolDir, destinations: [{ url: far.url }] })
    const provider = new LoggerProvider({ processors: [processor] })
    provider.getLogger('x').emit({ body: 'x' })
    await provider.forceFlush()
    expect(arrivedAt(near)).toEqual(arrivedAt(far))
    expect(processor.destinations.map(({ stats }) => stats.exported)).toEqual([1, 1])
    await provider.shutdown()
  })

  it('wrong ones are refused, each with its place', () => {
    const destinations = [
      {},
      { url: 'x' },
      { url: near.url },
      { url: far.url, maxBatchEvents: 0 },
      { url: far.url },
    ] as never
    expect(() => connect({ destinations })).toThrow(
      expect.objectContaining({
        code: 'EVT_CONFIG',
        detail: [
          'destinations[0].url is missing',
          "destinations[1].url is no http or https URL: 'x'",
          `destinations[2].url is a destination already: '${near.url}'`,
          'destinations[3].maxBatchEvents must be a number of at least 1',
          `destinations[4].url is a destination already: '${far.url}'`,
        ],
      }),
    )
    expect(() => connect({ destinations: 'x' as never })).toThrow('destinations must be a list')
  })
})
