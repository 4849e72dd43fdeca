import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, expect, it } from 'vitest'
import { startLoki } from '../support/loki.ts'
import { findPeer, type Peer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort, restartReceiver, spawnReceiver } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const eventCount = 100_000

/** One of the shipped configurations in a real Collector that can be killed. */
async function startCollector(path: string, file: string, env: { [name: string]: string }) {
  const port = Number(env.HTTP_PORT)
  const start = async () => {
    const peer = spawnPeer(path, ['--config', join(import.meta.dirname, '../../collector', file)], { env })
    await waitForPort(port, peer)
    return peer
  }
  let peer: Peer = await start()
  cleanups.push(() => peer.stop())
  return {
    url: `http://127.0.0.1:${port}`,
    get output() {
      return peer.output
    },
    async killAndRestart() {
      process.kill(-peer.pid, 'SIGKILL')
      await peer.exited
      peer = await start()
    },
  }
}

const pythonScript = `
import sys, time
from madsci.client.event_client import EventClient
client = EventClient(event_server_url=sys.argv[1])
for i in range(20): client.info("from Python", number=i)
client.error("an error from Python")
deadline = time.time() + 30
while time.time() < deadline and len(client.get_events(number=100, level=0)) < 21: time.sleep(0.2)
`

it('100,000 events through SDK, agent and gateway while each part is killed: stored once, all in Loki; those of Python as well', async (context) => {
  const [otelcol, lokiBinary] = [findPeer('OTELCOL_BINARY'), findPeer('LOKI_BINARY')]
  if ('skip' in otelcol) return context.skip(otelcol.skip)
  if ('skip' in lokiBinary) return context.skip(lokiBinary.skip)
  const folder = await mkdtemp(join(tmpdir(), 'madsci-stack-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const free = async () => String(await findFreePort())
  const [receiverPort, fanoutPort] = [await free(), await free()]
  const loki = await startLoki(lokiBinary.path)
  cleanups.push(() => loki.stop())

  const flags = {
    server_url: `http://127.0.0.1:${receiverPort}/`,
    otlp_port: 'none',
    document_db_url: `sqlite:${join(folder, 'events.db')}`,
    log_level: 'error',
    rate_limit_enabled: 'false',
    fanout: JSON.stringify([{ name: 'gateway', url: `http://127.0.0.1:${fanoutPort}` }]),
  }
  let receiver = await spawnReceiver({ flags })
  cleanups.push(() => receiver.kill('SIGKILL'))
  const ports = async () => ({
    LISTEN: '127.0.0.1',
    GRPC_PORT: await free(),
    HTTP_PORT: await free(),
    HEALTH_PORT: await free(),
  })
  const gateway = await startCollector(otelcol.path, 'gateway.yaml', {
    ...(await ports()),
    FANOUT_PORT: fanoutPort,
    RECEIVER_ENDPOINT: flags.server_url.slice(0, -1),
    LOKI_ENDPOINT: `${loki.url}otlp`,
    LAB: 'test-lab',
    QUEUE_DIRECTORY: join(folder, 'gateway'),
  })
  const agent = await startCollector(otelcol.path, 'agent.yaml', {
    ...(await ports()),
    GATEWAY_ENDPOINT: gateway.url,
    QUEUE_DIRECTORY: join(folder, 'agent'),
  })

  const client = new EventClient({ url: agent.url, name: 'stack-test', spoolDir: join(folder, 'spool') })
  const nodes = Array.from({ length: 4 }, () => client.bind({ node_id: createEventId() }))
  const ids = new Set<string>()
  async function emit(): Promise<void> {
    for (let i = 0; i < eventCount; i++) {
      const event_type = (['action_start', 'action_complete', 'log_info'] as const)[i % 3]!
      const log_level = i % 50 === 0 ? 40 : 20
      ids.add(
        nodes[i % 4]!.log({ event_type, log_level, event_data: { message: `event ${i}`, well: i % 96 } }),
      )
      if (i % 1000 === 999) {
        await client.drained()
        await sleep(100)
      }
    }
  }
  const emitting = emit()
  await sleep(1000)
  const restartingLoki = loki.killAndRestart()
  receiver.kill('SIGKILL')
  await receiver.exited
  await sleep(500)
  receiver = await restartReceiver({ flags })
  await sleep(1500)
  await gateway.killAndRestart()
  await sleep(1500)
  await agent.killAndRestart()
  await restartingLoki
  await emitting
  // Once more all together, when most is in the queues.
  await Promise.all([agent.killAndRestart(), gateway.killAndRestart()])
  receiver.kill('SIGKILL')
  await receiver.exited
  receiver = await restartReceiver({ flags })
  await client.close()
  expect(client.stats).toMatchObject({ waiting: 0, dropped: 0, rejected: 0 })

  const python = findPeer('MADSCI_PEER')
  const fromPython: string[] = []
  if ('path' in python) {
    const file = join(folder, 'client.py')
    await writeFile(file, pythonScript)
    const peer = spawnPeer(python.path, ['python', file, receiver.url], { cwd: folder })
    await peer.exited
    const found = await fetch(`${receiver.url}events/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ 'event_data.message': { $regex: 'from Python' } }),
    })
    fromPython.push(...Object.keys((await found.json()) as object))
    expect(fromPython.length, peer.output).toBeGreaterThanOrEqual(21)
  } else console.warn(`without the Python client: ${python.skip}`)

  const health = async () => (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }
  const all = [...ids, ...fromPython]
  await waitUntil(
    async () => (await health()).total_events >= all.length,
    'all events in the receiver',
    120_000,
  )
  // Give what might come twice the time to come.
  await sleep(2000)
  expect((await health()).total_events).toBeGreaterThanOrEqual(all.length)
  const text = await (await fetch(`${receiver.url}events?number=0&include_archived=true`)).text()
  const stored = [...text.matchAll(/"([0-9A-HJKMNP-TV-Z]{26})":\{"_id"/g)].map(([, id]) => id!)
  expect(stored.length).toBe(new Set(stored).size)
  const storedSet = new Set(stored)
  expect(all.filter((id) => !storedSet.has(id))).toEqual([])

  let inLoki = new Set<string>()
  const lacking = () => all.filter((id) => !inLoki.has(id))
  await waitUntil(
    async () => {
      inLoki = await loki.ids('{lab="test-lab"}')
      return lacking().length === 0
    },
    'all events in Loki',
    120_000,
  ).catch((error) => {
    throw new Error(`${error.message}: ${lacking().length} lack\n${gateway.output.slice(-2000)}`)
  })
  // Few streams: at most nodes (and none) × types × levels.
  const labels = (await (await fetch(`${loki.url}loki/api/v1/labels`)).json()) as { data: string[] }
  expect(labels.data.filter((label) => !label.startsWith('__')).sort()).toEqual([
    'event_type',
    'lab',
    'level',
    'node',
  ])
  const series = (await (
    await fetch(`${loki.url}loki/api/v1/series?${new URLSearchParams({ 'match[]': '{lab="test-lab"}' })}`)
  ).json()) as { data: unknown[] }
  expect(series.data.length).toBeLessThan(60)
  console.info(`${eventCount} events through the stack; ${series.data.length} streams in Loki`)
}, 400_000)
