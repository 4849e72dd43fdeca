import { type AddressInfo, createServer } from 'node:net'
import { type ClientOptions, EventClient, type EventError, type Stats } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { foreignReplies } from '../support/foreign-reply.ts'
import { type OtlpEndpoint, partialSuccess, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort } from '../support/process.ts'

let endpoint: OtlpEndpoint
let warnings: string[]
beforeEach(async () => {
  endpoint = await startOtlpEndpoint()
  warnings = []
  const warn = (...parts: unknown[]) => {
    if (parts[0] === 'madsci-events') warnings.push(parts.slice(1).join(' '))
  }
  diag.setLogger({ error() {}, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  await endpoint.close()
  diag.disable()
})

// In memory: the spool has tests of its own.
const connect = (options: ClientOptions = {}) =>
  new EventClient({ url: endpoint.url, timeoutMs: 300, scheduleDelayMs: 20, spool: false, ...options })

function emit(events: EventClient, count: number): string[] {
  return Array.from({ length: count }, (_, number) => events.info('x', { number }))
}

const arrived = () => endpoint.events.map((event) => event.event_id)

async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not come to be in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

async function failureOf(promise: Promise<unknown>): Promise<EventError> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error) => error,
  )
}

function sum({ waiting, exported, rejected, dropped }: Stats): number {
  return waiting + exported + rejected + dropped
}

describe('a record leaves the queue only once it is delivered or refused for good', () => {
  it.each([[429], [502], [503, 'cut'], [504]] as const)(
    '%s %s: it waits, and is sent again',
    async (...statuses) => {
      const events = connect()
      endpoint.script.push(...statuses.map((status) => ({ status })))
      const ids = emit(events, 3)
      await until(() => endpoint.requests.length > 0)
      expect(events.stats).toMatchObject({ emitted: 3, waiting: 3, exported: 0 })
      await until(() => events.stats.waiting === 0)
      expect(arrived()).toEqual(ids)
      expect(endpoint.requests).toHaveLength(statuses.length + 1)
      expect(events.stats).toMatchObject({ emitted: 3, exported: 3, dropped: 0 })
      expect(warnings).toEqual([
        expect.stringContaining(`cannot deliver to ${endpoint.url}/v1/logs, 3 events wait`),
        `${endpoint.url}/v1/logs answers again`,
      ])
      await events.close()
    },
  )

  it.each([400, 413, 422])('%i: it is dropped, counted, told, and never sent again', async (status) => {
    const events = connect()
    endpoint.script.push({ status, body: 'no' })
    emit(events, 1)
    const error = await failureOf(events.flush())
    expect(error).toMatchObject({ code: 'EVT_REFUSED', message: expect.stringContaining('1 event was') })
    expect(events.stats).toMatchObject({ exported: 0, dropped: 1, droppedBy: { refused: 1 } })
    expect(warnings).toEqual([expect.stringContaining(`HTTP ${status} no`)])
    const later = emit(events, 1)
    await events.flush()
    expect(arrived()).toEqual(later)
    expect(endpoint.requests).toHaveLength(2)
    await events.close()
  })

  it.each([301, 401, 403, 404, 405, 408, 415, 500, 501])(
    '%i may change: nothing is lost, and one warning says where and what',
    async (status) => {
      const url = endpoint.url.replace('//', '//user:s3cret@')
      const events = connect({ url: `${url}/base?key=s3cret` })
      for (let i = 0; i < 3; i++) endpoint.script.push({ status, body: 'no' })
      const ids = emit(events, 3)
      for (let i = 0; i < 3; i++)
        expect(await failureOf(events.flush({ timeoutMs: 100 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
      expect(warnings).toEqual([
        `cannot deliver to ${endpoint.url}/base/v1/logs, 3 events wait: HTTP ${status} no`,
      ])
      await events.flush()
      expect(arrived()).toEqual(ids)
      expect(events.stats).toMatchObject({ exported: 3, dropped: 0 })
      expect(warnings.slice(1)).toEqual([`${endpoint.url}/base/v1/logs answers again`])
      await events.close()
    },
  )

  it('one event that the endpoint chokes on does not block the others: it is found after ten answers', async () => {
    for (const protocol of ['http/protobuf', 'http/json'] as const) {
      const events = connect({ protocol, timeoutMs: 5000 })
      endpoint.requests.length = 0
      endpoint.events.length = 0
      endpoint.reply = ({ events }) =>
        events.some((event) => [7, 300].includes((event.event_data as { number: number }).number))
          ? { status: 500, body: 'it choked' }
          : {}
      const ids = emit(events, 400)
      // On a busy machine a flush may end before its answer comes.
      while (endpoint.requests.length < 9)
        expect(await failureOf(events.flush({ timeoutMs: 100 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
      expect(events.stats).toMatchObject({ waiting: 400, dropped: 0 })
      expect(await failureOf(events.flush())).toMatchObject({ code: 'EVT_REFUSED' })
      expect(arrived()).toEqual(ids.filter((_, number) => number !== 7 && number !== 300))
      expect(events.stats).toMatchObject({ waiting: 0, exported: 398, droppedBy: { refused: 2 } })
      await events.close()
    }
  })

  it('an endpoint that chokes on everything loses nothing', async () => {
    const events = connect({ timeoutMs: 5000 })
    endpoint.reply = () => ({ status: 404 })
    const ids = emit(events, 200)
    for (let i = 0; i < 25; i++)
      expect(await failureOf(events.flush({ timeoutMs: 150 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(events.stats).toMatchObject({ waiting: 200, dropped: 0 })
    endpoint.reply = () => ({})
    await events.flush()
    expect(arrived()).toEqual(ids)
    await events.close()
  })

  it('a 2xx that is no answer of OTLP delivers nothing, and one warning shows what came', async () => {
    for (const protocol of ['http/protobuf', 'http/json'] as const) {
      for (const [body, type, shown] of foreignReplies) {
        const events = connect({ protocol })
        warnings.length = 0
        endpoint.events.length = 0
        endpoint.script.push({ body, headers: { 'content-type': type }, takes: false })
        const ids = emit(events, 2)
        expect(await failureOf(events.flush({ timeoutMs: 100 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
        expect(events.stats).toMatchObject({ waiting: 2, exported: 0 })
        expect(warnings).toEqual([expect.stringContaining(shown)])
        expect(warnings[0]).toContain('HTTP 200 is no answer of OTLP')
        expect(warnings[0]!.length).toBeLessThan(500)
        await events.flush()
        expect(arrived()).toEqual(ids)
        await events.close()
      }
    }
  })

  it.each([200, 202, 204])('%i with an empty body is a delivery, whatever its type', async (status) => {
    const events = connect()
    endpoint.script.push({ status, headers: { 'content-type': 'text/plain' } })
    emit(events, 2)
    await events.flush()
    expect(events.stats).toMatchObject({ exported: 2 })
    await events.close()
  })

  it('413: the batch is halved until each part fits; one that fits no request is dropped', async () => {
    const events = connect()
    endpoint.reply = ({ events }) =>
      events.length > 3 || events.some((event) => (event.event_data as { number: number }).number === 7)
        ? { status: 413 }
        : {}
    const ids = emit(events, 20)
    expect(await failureOf(events.flush())).toMatchObject({ code: 'EVT_REFUSED' })
    expect(arrived()).toEqual(ids.filter((_, number) => number !== 7))
    expect(events.stats).toMatchObject({ exported: 19, dropped: 1, waiting: 0 })
    await events.close()
  })

  it('a partial success is final: what it refused is counted and told, and nothing is sent again', async () => {
    for (const protocol of ['http/protobuf', 'http/json'] as const) {
      const events = connect({ protocol })
      endpoint.requests.length = 0
      endpoint.reply = (request) => ({ body: partialSuccess(request, 2, 'too old') })
      emit(events, 5)
      expect(await failureOf(events.flush())).toMatchObject({ code: 'EVT_REFUSED' })
      expect(events.stats).toMatchObject({ exported: 3, rejected: 2, dropped: 0 })
      expect(endpoint.requests).toHaveLength(1)
      expect(warnings.at(-1)).toBe('the receiver refused 2 events: too old')
      endpoint.reply = (request) => ({ body: partialSuccess(request, 0, 'slow down') })
      emit(events, 1)
      await events.flush()
      expect(warnings.at(-1)).toBe('the receiver says: slow down')
      await events.close()
    }
  })

  it('a reply that is too large is not read to its end, and no delivery', async () => {
    const events = connect({ timeoutMs: 5000 })
    endpoint.script.push({ body: 'x'.repeat(5 << 20) })
    emit(events, 1)
    expect(await failureOf(events.flush({ timeoutMs: 500 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
    await events.flush()
    expect(endpoint.requests).toHaveLength(2)
    expect(events.stats).toMatchObject({ exported: 1, dropped: 0 })
    await events.close()
  })
})

describe('flush() resolves after everything taken before was delivered, and rejects when some of it was not', () => {
  it('it waits for a request that is slow', async () => {
    const events = connect({ timeoutMs: 5000 })
    endpoint.reply = () => ({ delayMs: 200 })
    const ids = emit(events, 1000)
    await events.flush()
    expect(arrived()).toEqual(ids)
    expect(events.stats).toMatchObject({ exported: 1000, waiting: 0 })
    await events.close()
  })

  it('it does not wait for what is emitted later', async () => {
    const events = connect({ maxBatchEvents: 10, timeoutMs: 5000 })
    let more = 50
    endpoint.reply = () => {
      if (more-- > 0) emit(events, 10)
      return { delayMs: 5 }
    }
    emit(events, 10)
    await events.flush()
    expect(endpoint.requests.length).toBeLessThan(10)
    await events.close()
  })

  it('nobody listens: it rejects within the timeout, keeps all, and delivers when somebody does', async () => {
    const port = await findFreePort()
    const events = connect({ url: `http://127.0.0.1:${port}` })
    const ids = emit(events, 5)
    const started = performance.now()
    const error = await failureOf(events.flush({ timeoutMs: 400 }))
    expect(performance.now() - started).toBeLessThan(2000)
    expect(error).toMatchObject({ code: 'EVT_UNREACHABLE', retry: true })
    expect(error.message).toMatch(/5 events are not delivered yet: .*ECONNREFUSED/)
    expect(events.stats).toMatchObject({ waiting: 5, dropped: 0 })
    const healed = await startOtlpEndpoint({ port })
    await events.flush()
    expect(healed.events.map((event) => event.event_id)).toEqual(ids)
    await events.close()
    await healed.close()
  })

  it('close() says what becomes of events that are in memory alone', async () => {
    const events = connect({ url: `http://127.0.0.1:${await findFreePort()}` })
    emit(events, 1)
    const error = await failureOf(events.close({ timeoutMs: 50 }))
    expect(error.message).toMatch(
      /^1 event is not delivered yet: .*; 1 event was in memory alone and is lost$/,
    )
    expect(events.stats).toMatchObject({ waiting: 0, dropped: 1, left: 0 })
  })

  it('it goes on trying within the timeout', async () => {
    const events = connect()
    endpoint.script.push({ status: 503 })
    const ids = emit(events, 1)
    await events.flush({ timeoutMs: 5000 })
    expect(arrived()).toEqual(ids)
    await events.close()
  })

  it('a receiver that says nothing: it rejects, and the connection is cut', async () => {
    const events = connect({ timeoutMs: 200 })
    endpoint.script.push({ status: 'hang' })
    const ids = emit(events, 1)
    expect(await failureOf(events.flush({ timeoutMs: 500 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
    await events.flush()
    expect(arrived()).toEqual(ids)
    expect(endpoint.mostAtOnce).toBe(1)
    await events.close()
  })

  it('Retry-After, in both its forms, is waited for, by a flush too', async () => {
    for (const wait of [() => '2', () => new Date(Date.now() + 3000).toUTCString()]) {
      const events = connect()
      endpoint.requests.length = 0
      endpoint.script.push({ status: 429, headers: { 'retry-after': wait() } })
      emit(events, 1)
      await until(() => endpoint.requests.length === 1)
      await new Promise((resolve) => setTimeout(resolve, 50))
      await events.flush({ timeoutMs: 10_000 })
      const [first, second] = endpoint.requests
      expect(second!.atMs - first!.atMs).toBeGreaterThan(1900)
      await events.close()
    }
  })

  it('Retry-After is waited for in the background, where nobody flushes', async () => {
    const events = connect()
    endpoint.script.push({ status: 429, headers: { 'retry-after': '2' } })
    const ids = emit(events, 1)
    await until(() => endpoint.requests.length === 2)
    const [first, second] = endpoint.requests
    // A backoff alone would be 1.2 s at most.
    expect(second!.atMs - first!.atMs).toBeGreaterThan(1900)
    await events.flush()
    expect(arrived()).toEqual(ids)
    await events.close()
  })

  it('it does not wait longer than its timeout for a Retry-After', async () => {
    const events = connect()
    endpoint.script.push({ status: 429, headers: { 'retry-after': '3600' } })
    emit(events, 1)
    const started = performance.now()
    expect(await failureOf(events.flush())).toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(await failureOf(events.flush())).toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(performance.now() - started).toBeLessThan(1000)
    expect(await failureOf(events.close())).toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(events.stats).toMatchObject({ waiting: 0, droppedBy: { closed: 1 } })
    expect(endpoint.requests).toHaveLength(1)
  })

  it.each(['ends', 'stays open'])(
    'an answer that switches protocols is none, where its connection %s',
    async (then) => {
      const answer = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
      const accepted = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
      let requests = 0
      const server = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () => {
          if (++requests > 1) socket.end(accepted)
          else if (then === 'ends') socket.end(answer)
          else socket.write(answer)
        })
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const events = connect({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
      emit(events, 1)
      await until(() => events.stats.exported === 1)
      expect(requests).toBe(2)
      await events.close()
      await new Promise((resolve) => server.close(resolve))
    },
  )

  it('a loss is told to one flush, not to the next', async () => {
    const events = connect()
    endpoint.script.push({ status: 400 })
    emit(events, 1)
    await failureOf(events.flush())
    await events.flush()
    await events.close()
  })
})

describe('trouble that may pass costs no record while the queue has room', () => {
  it('the newest are dropped when it has none, by number', async () => {
    const port = await findFreePort()
    const events = connect({ url: `http://127.0.0.1:${port}`, maxQueueEvents: 100, maxBatchEvents: 10 })
    const ids = emit(events, 250)
    expect(events.stats).toMatchObject({ waiting: 100, dropped: 150, droppedBy: { queue_full: 150 } })
    expect(warnings).toEqual([
      expect.stringMatching(/^events are being dropped: 100 wait already \(\d+ bytes\)$/),
    ])
    await failureOf(events.flush({ timeoutMs: 100 }))
    const healed = await startOtlpEndpoint({ port })
    await failureOf(events.flush())
    expect(healed.events.map((event) => event.event_id)).toEqual(ids.slice(0, 100))
    await events.close()
    await healed.close()
  })

  it('and by bytes', async () => {
    const events = connect({ maxQueueBytes: 100_000 })
    for (let i = 0; i < 50; i++) events.info('x'.repeat(10_000))
    expect(events.stats.waiting).toBeGreaterThan(4)
    expect(events.stats.waiting).toBeLessThan(11)
    expect(sum(events.stats)).toBe(50)
    await failureOf(events.close())
    expect(endpoint.events).toHaveLength(events.stats.exported)
  })
})

describe('what is lost is counted with its reason, and told once until things are well again', () => {
  it('each trouble is one line', async () => {
    const events = connect({ maxQueueEvents: 5 })
    for (let i = 0; i < 3; i++) {
      emit(events, 20)
      await failureOf(events.flush())
    }
    expect(events.stats).toMatchObject({ emitted: 60, exported: 15, droppedBy: { queue_full: 45 } })
    expect(warnings.filter((line) => line.includes('are being dropped'))).toHaveLength(3)
    expect(warnings.filter((line) => line.includes('were dropped so far'))).toHaveLength(3)
    await events.close()
  })

  it('close() in the middle of a request that hangs ends soon, and counts what it leaves', async () => {
    const events = connect({ timeoutMs: 60_000, exportTimeoutMs: 60_000 })
    endpoint.reply = () => ({ status: 'hang' })
    emit(events, 10)
    const started = performance.now()
    expect(await failureOf(events.close({ timeoutMs: 200 }))).toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(performance.now() - started).toBeLessThan(2000)
    expect(events.stats).toMatchObject({ emitted: 10, waiting: 0, dropped: 10, droppedBy: { closed: 10 } })
    await events.close().catch(() => {})
    events.info('later')
    expect(events.stats).toMatchObject({ emitted: 11, droppedBy: { closed: 11 } })
  })

  it('emitted = waiting + exported + rejected + dropped, through any weather', async () => {
    const events = connect({ maxQueueEvents: 300, maxBatchEvents: 20, timeoutMs: 5000 })
    const weather = [200, 200, 503, 400, 200, 'cut', 413, 200, 429] as const
    let number = 0
    endpoint.reply = (request) => {
      const status = weather[number++ % weather.length]!
      if (status === 200 && number % 5 === 0) return { body: partialSuccess(request, 1, 'one') }
      return { status, ...(status === 429 && { headers: { 'retry-after': '0' } }) }
    }
    const started = performance.now()
    while (number < 200 && performance.now() - started < 10_000) {
      emit(events, 37)
      expect(sum(events.stats)).toBe(events.stats.emitted)
      void events.flush({ timeoutMs: 100 }).catch(() => {}) // it does not sit a backoff out
      await new Promise((resolve) => setTimeout(resolve, 15))
    }
    expect(number).toBeGreaterThan(100)
    await events.close().catch(() => {})
    const { stats } = events
    expect(sum(stats)).toBe(stats.emitted)
    expect(stats.waiting).toBe(0)
    const ids = arrived()
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBe(stats.exported + stats.rejected)
    expect(endpoint.mostAtOnce).toBe(1)
  })
})

it('the endpoint never has two requests of ours at a time', async () => {
  const events = connect({ maxBatchEvents: 5, timeoutMs: 5000 })
  endpoint.reply = () => ({ delayMs: 10 })
  for (let i = 0; i < 10; i++) {
    emit(events, 12)
    void events.flush()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await events.close()
  expect(endpoint.mostAtOnce).toBe(1)
  expect(endpoint.events).toHaveLength(120)
})

it('a reply that drips for ever is cut after exportTimeoutMs, and its events are sent again', async () => {
  const { createServer } = await import('node:http')
  let drips = 0
  const server = createServer((request, response) => {
    request.resume()
    if (drips++ > 0) return response.end()
    response.writeHead(503)
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  }).listen(0)
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const events = connect({ url: `http://127.0.0.1:${port}`, exportTimeoutMs: 300 })
  emit(events, 1)
  await events.flush({ timeoutMs: 5000 })
  expect(events.stats).toMatchObject({ exported: 1 })
  await events.close()
  server.closeAllConnections()
  server.close()
})
