import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { findMongo, freshDatabaseName } from '../support/mongod.ts'
import { judge, startOracle } from '../support/oracle.ts'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { spawnReceiver } from '../support/process.ts'
import { startReplicaSet } from '../support/replica-set.ts'
import { waitUntil } from '../support/wait.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

it('two receivers on one replica set under load, the primary stepped down, killed and cut off: no acknowledged event lost, none doubled, none forwarded twice', async (context) => {
  const mongo = await findMongo()
  if ('skip' in mongo) return context.skip(mongo.skip)
  if (mongo.kind !== 'binary') return context.skip('only a mongod of our own can be killed')
  const replicaSet = await startReplicaSet()
  cleanups.push(() => replicaSet.stop())
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  const flags = {
    server_url: 'http://127.0.0.1:0/',
    document_db_url: replicaSet.url,
    database_name: freshDatabaseName(),
    log_level: 'error',
    rate_limit_enabled: 'false',
    fanout: JSON.stringify([{ name: 'one', url: endpoint.url, include: 'all' }]),
  }
  const receivers = [await spawnReceiver({ flags }), await spawnReceiver({ flags })]
  cleanups.push(async () => {
    for (const receiver of receivers) {
      receiver.kill('SIGKILL')
      await receiver.exited
    }
  })
  // Each try goes to either receiver: what one stored, the other must know.
  let tries = 0
  const oracle = startOracle({
    url: () => receivers[tries++ % 2]!.url,
    singleClients: 6,
    batchClients: 2,
    batchEvents: 20,
  })
  const progress = async () => {
    const before = oracle.acknowledged.size
    await waitUntil(async () => oracle.acknowledged.size > before + 200, 'more acknowledged events')
  }
  await progress()
  for (let round = 0; round < 2; round++) {
    await replicaSet.stepDown()
    await progress()
    if (round === 0) {
      const killed = await replicaSet.killPrimary()
      await progress()
      await killed.restart()
    } else {
      const goOn = await replicaSet.stopPrimary()
      await progress()
      goOn()
    }
    await sleep(1000)
  }
  await progress()
  await oracle.stop()
  expect(oracle.surprises).toEqual([])
  expect(oracle.retryCount).toBeGreaterThan(0)
  for (const { url } of receivers) {
    const verdict = await judge(url, oracle)
    expect(verdict).toMatchObject({ lost: [], altered: [], foreign: [] })
  }

  const forwarded = () => new Set(endpoint.events.map(({ event_id }) => event_id))
  const lacking = () => {
    const there = forwarded()
    return [...oracle.acknowledged.keys()].filter((id) => !there.has(id))
  }
  await waitUntil(
    async () => lacking().length === 0,
    'every acknowledged event at the destination',
    90_000,
  ).catch((error) => {
    throw new Error(
      `${error.message}: ${lacking().length} lack\n${receivers.map(({ stderr }) => stderr).join('\n')}`,
    )
  })
  await sleep(1000)
  expect(endpoint.events.length).toBe(forwarded().size)
  console.info(
    `${oracle.acknowledged.size} events acknowledged, ${oracle.retryCount} retries, ${endpoint.events.length} forwarded`,
  )
}, 300_000)
