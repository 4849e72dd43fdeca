import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { findPeer, type Peer, spawnPeer, waitForPort } from '../support/peer.ts'
import { findFreePort, restartReceiver, spawnReceiver } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const rounds = 12
const posts = 15
const records = 40

it('equal records without ids, through an agent that is killed: each is stored once', async (context) => {
  const otelcol = findPeer('OTELCOL_BINARY')
  if ('skip' in otelcol) return context.skip(otelcol.skip)
  const folder = await mkdtemp(join(tmpdir(), 'madsci-agent-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const flags = {
    server_url: `http://127.0.0.1:${await findFreePort()}/`,
    otlp_port: 'none',
    document_db_url: `sqlite:${join(folder, 'events.db')}`,
    log_level: 'error',
    rate_limit_enabled: 'false',
  }
  let receiver = await spawnReceiver({ flags })
  cleanups.push(() => receiver.kill('SIGKILL'))
  const port = await findFreePort()
  const env = {
    LISTEN: '127.0.0.1',
    HTTP_PORT: String(port),
    GRPC_PORT: String(await findFreePort()),
    HEALTH_PORT: String(await findFreePort()),
    GATEWAY_ENDPOINT: flags.server_url.slice(0, -1),
    QUEUE_DIRECTORY: join(folder, 'agent'),
  }
  const start = async () => {
    const peer = spawnPeer(
      otelcol.path,
      ['--config', join(import.meta.dirname, '../../collector/agent.yaml')],
      {
        env,
      },
    )
    await waitForPort(port, peer)
    return peer
  }
  let agent: Peer = await start()
  cleanups.push(() => agent.stop())

  const record = { body: { stringValue: 'valve stuck' }, severityNumber: 17 }
  const body = JSON.stringify({
    resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: records }, () => record) }] }],
  })
  const total = async () =>
    ((await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }).total_events
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < posts; i++) {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      expect(answer.status).toBe(200)
    }
    if (round % 3 === 1) {
      receiver.kill('SIGKILL')
      await receiver.exited
    }
    // Somewhere between the queue and the answer of the receiver.
    await sleep(round * 40)
    process.kill(-agent.pid, 'SIGKILL')
    await agent.exited
    if (round % 3 === 1) receiver = await restartReceiver({ flags })
    agent = await start()
  }
  const sent = rounds * posts * records
  await waitUntil(async () => (await total()) >= sent, 'all records in the receiver', 60_000)
  await sleep(2000)
  expect(await total()).toBe(sent)
}, 180_000)
