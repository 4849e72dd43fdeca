import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientOptions, EventClient } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { findFreePort } from '../../support/process.ts'
import { runScript } from '../../support/script.ts'

let folder: string
let port: number
let warnings: string[]
const endpoints: OtlpEndpoint[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-spool-test-'))
  port = await findFreePort()
  warnings = []
  const warn = (...parts: unknown[]) => {
    if (parts[0] === 'madsci-events') warnings.push(parts.slice(1).join(' '))
  }
  diag.setLogger({ error() {}, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) await endpoint.close()
  diag.disable()
  await rm(folder, { recursive: true, force: true })
})

async function listen(): Promise<OtlpEndpoint> {
  const endpoint = await startOtlpEndpoint({ port })
  endpoints.push(endpoint)
  return endpoint
}

const connect = (options: ClientOptions = {}) =>
  new EventClient({ url: `http://127.0.0.1:${port}`, name: 'arm', spoolDir: folder, ...options })

/** A program of its own, that speaks to our port, with our spool. */
const run = (body: string, options: object = {}) =>
  runScript(`
    import { EventClient } from '@madsci-events/sdk'
    const options = ${JSON.stringify({ url: `http://127.0.0.1:${port}`, name: 'arm', spoolDir: folder, ...options })}
    const events = new EventClient(options)
    const emit = (count) => {
      for (let i = 0; i < count; i++) console.log(events.info('x', { i, text: 'é'.repeat(i % 50) }))
    }
    ${body}`)

const idsOf = (stdout: string): string[] => stdout.match(/^[0-9A-Z]{26}$/gm) ?? []
const arrivedAt = (endpoint: OtlpEndpoint) => endpoint.events.map((event) => event.event_id)

function emit(events: EventClient, count: number): string[] {
  return Array.from({ length: count }, (_, i) => events.info('x', { i }))
}

/** The homes that are left in the spool. */
function homes(): string[] {
  return readdirSync(folder).flatMap((stream) =>
    readdirSync(join(folder, stream)).filter((name) => name.includes('@')),
  )
}

describe('what push took outlives a SIGKILL', () => {
  it('the next process of the name sends it, in order, each once, whatever the first had sent', async () => {
    const killed = await run(`emit(300); process.kill(process.pid, 'SIGKILL')`)
    expect(killed.code).toBe(null)
    const ids = idsOf(killed.stdout)
    expect(ids).toHaveLength(300)
    const endpoint = await listen()
    const events = connect({ maxBatchEvents: 70 })
    await events.flush()
    expect(arrivedAt(endpoint)).toEqual(ids)
    expect(events.stats).toMatchObject({ emitted: 0, recovered: 300, exported: 300, waiting: 0 })
    const [first] = endpoint.events
    expect(first!.otel?.resource).toMatchObject({ 'service.name': 'arm' })
    await events.close()
    expect(homes()).toEqual([])
  })

  it('own events and those that were found take turns', async () => {
    const ids = idsOf((await run(`emit(100); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const endpoint = await listen()
    const events = connect({ maxBatchEvents: 10 })
    const own = emit(events, 100)
    await events.flush()
    const arrived = arrivedAt(endpoint)
    expect(arrived.filter((id) => ids.includes(id))).toEqual(ids)
    expect(arrived.filter((id) => own.includes(id))).toEqual(own)
    expect(arrived.slice(0, 40).filter((id) => own.includes(id))).toHaveLength(20)
    await events.close()
  })

  it('another name, or another endpoint, does not get it', async () => {
    const ids = idsOf((await run(`emit(5); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const other = await startOtlpEndpoint()
    endpoints.push(other)
    const endpoint = await listen()
    for (const options of [{ name: 'leg' }, { url: other.url }]) {
      const events = connect(options)
      emit(events, 1)
      await events.close()
    }
    expect([...arrivedAt(endpoint), ...arrivedAt(other)].some((id) => ids.includes(id))).toBe(false)
    await connect().close()
    expect(arrivedAt(endpoint).slice(-5)).toEqual(ids)
  })

  it('close() without an endpoint leaves it to the next client, and says so', async () => {
    const events = connect()
    const ids = emit(events, 10)
    await expect(events.close({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'EVT_UNREACHABLE' })
    expect(events.stats).toMatchObject({ emitted: 10, waiting: 0, dropped: 0, left: 10 })
    const endpoint = await listen()
    await connect().close()
    expect(arrivedAt(endpoint)).toEqual(ids)
  })
})

describe('how a program ends does not matter', () => {
  const ends = {
    'it returns': '',
    'process.exit()': 'process.exit(3)',
    'a throw': `throw new Error('end')`,
    'a rejection': `Promise.reject(new Error('end'))`,
    SIGTERM: `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`,
    SIGINT: `process.kill(process.pid, 'SIGINT'); setInterval(() => {}, 1000)`,
    SIGKILL: `process.kill(process.pid, 'SIGKILL')`,
  }
  it.each(Object.entries(ends))('%s: everything is delivered, or in the spool', async (name, end) => {
    const endpoint = await listen()
    const { stdout } = await run(`emit(50)\n${end}`)
    const ids = idsOf(stdout)
    expect(ids).toHaveLength(50)
    if (name === 'it returns') expect(arrivedAt(endpoint)).toEqual(ids)
    await connect().close()
    expect(new Set(arrivedAt(endpoint))).toEqual(new Set(ids))
    expect(homes()).toEqual([])
  })
})

it('without a spool nothing is written', async () => {
  const endpoint = await listen()
  const events = connect({ spool: false })
  emit(events, 10)
  await events.close()
  expect(endpoint.events).toHaveLength(10)
  expect(existsSync(folder) ? await readdir(folder) : []).toEqual([])
})
