import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { residentBytesOf } from '../support/load.ts'
import { findMongo, freshDatabaseName, startMongod } from '../support/mongod.ts'
import { startOracle } from '../support/oracle.ts'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort, restartReceiver, spawnReceiver } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const batchEvents = 200

describe.for(['sqlite', 'mongodb'] as const)('the receiver killed while it forwards, on %s', (backend) => {
  it('every acknowledged event arrives; twice only what was under way at a kill', async (context) => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-fanout-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true }))
    let document_db_url = `sqlite:${join(folder, 'events.db')}`
    if (backend === 'mongodb') {
      const source = await findMongo()
      if ('skip' in source) return context.skip(source.skip)
      const mongod = await startMongod()
      cleanups.push(() => mongod.stop())
      document_db_url = mongod.url
    }
    const endpoint = await startOtlpEndpoint()
    cleanups.push(() => endpoint.close())
    // A destination as bad as they come: slow, away, refusing for a while, losing its answers after it took the events.
    const cuts: number[] = []
    let number = 0
    endpoint.reply = (request) => {
      number++
      if (number % 7 === 0) return { status: 503, headers: { 'retry-after': '0' } }
      if (number % 11 === 0) {
        cuts.push(request.events.length)
        return { status: 'cut', takes: true }
      }
      return { delayMs: number % 5 }
    }
    const flags = {
      server_url: `http://127.0.0.1:${await findFreePort()}/`,
      otlp_port: 'none',
      document_db_url,
      database_name: freshDatabaseName(),
      log_level: 'error',
      rate_limit_enabled: 'false',
      fanout: JSON.stringify([{ name: 'one', url: endpoint.url, include: 'all', batch_events: batchEvents }]),
    }
    let receiver = await spawnReceiver({ flags })
    cleanups.push(async () => {
      receiver.kill('SIGKILL')
      await receiver.exited
    })
    const oracle = startOracle({
      url: () => receiver.url,
      singleClients: 3,
      batchClients: 1,
      batchEvents: 20,
    })
    // On MongoDB a new receiver waits for the lease of the killed one.
    const kills = backend === 'sqlite' ? 5 : 1
    for (let cycle = 0; cycle < kills; cycle++) {
      const before = endpoint.events.length
      await waitUntil(async () => endpoint.events.length > before + 200, 'forwarded events')
      await sleep(Math.random() * 300)
      receiver.kill('SIGKILL')
      await receiver.exited
      receiver = await restartReceiver({ flags })
    }
    const before = oracle.acknowledged.size
    await waitUntil(async () => oracle.acknowledged.size > before + 500, 'acknowledged events')
    await oracle.stop()
    const lacking = () => {
      const there = new Set(endpoint.events.map(({ event_id }) => event_id))
      return [...oracle.acknowledged.keys()].filter((id) => !there.has(id)).length
    }
    await waitUntil(async () => lacking() === 0, 'every acknowledged event at the destination', 90_000)
    const distinct = new Set(endpoint.events.map(({ event_id }) => event_id)).size
    const twice = endpoint.events.length - distinct
    const allowed = kills * batchEvents + cuts.reduce((sum, count) => sum + count, 0)
    expect(twice).toBeLessThanOrEqual(allowed)
    console.info(
      `${backend}: ${kills} kills, ${distinct} events forwarded, ${twice} twice, of at most ${allowed}`,
    )
  }, 240_000)
})

describe('a destination that is away for long', () => {
  it('costs lag and no memory: 60,000 events wait in the store, and arrive once, in order, when it comes back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-fanout-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true }))
    const port = await findFreePort()
    const flags = {
      server_url: 'http://127.0.0.1:0/',
      document_db_url: `sqlite:${join(folder, 'events.db')}`,
      log_level: 'error',
      fanout: JSON.stringify([{ name: 'one', url: `http://127.0.0.1:${port}`, include: 'all' }]),
    }
    const receiver = await spawnReceiver({ flags })
    cleanups.push(async () => {
      receiver.kill('SIGKILL')
      await receiver.exited
    })
    const { encodeLogs } = await import('../support/otlp.ts')
    const { makeEvents, toBatches } = await import('../support/workload.ts')
    const events = makeEvents(60_000)
    const send = async (batch: ReturnType<typeof makeEvents>) => {
      const headers = { 'content-type': 'application/x-protobuf' }
      const answer = await fetch(receiver.otlpUrl, { method: 'POST', headers, body: encodeLogs(batch) })
      expect(answer.status).toBe(200)
    }
    const batches = toBatches(events, 1000)
    for (const batch of batches.slice(0, 20)) await send(batch)
    const early = residentBytesOf(receiver.pid)
    for (const batch of batches.slice(20)) await send(batch)
    const late = residentBytesOf(receiver.pid)
    if (early !== undefined && late !== undefined) expect(late - early).toBeLessThan(150 * 1024 * 1024)
    const health = async () => {
      const answer = await (await fetch(`${receiver.url}health`)).json()
      return (answer as { fanout: { state: string; lag_seconds: number; sent: number }[] }).fanout[0]!
    }
    expect(await health()).toMatchObject({ state: 'waiting', sent: 0 })
    expect((await health()).lag_seconds).toBeGreaterThan(0)
    const endpoint = await startOtlpEndpoint({ port })
    cleanups.push(() => endpoint.close())
    await waitUntil(
      async () => endpoint.events.length >= events.length,
      'all events at the destination',
      90_000,
    )
    expect(endpoint.events.map(({ event_id }) => event_id)).toEqual(events.map(({ event_id }) => event_id))
    await waitUntil(async () => (await health()).lag_seconds === 0, 'no lag')
  }, 180_000)
})
