import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it, type TestContext } from 'vitest'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../support/mongod.ts'
import { type ReceiverProcess, spawnReceiver } from '../support/process.ts'
import { mountSmallDisk } from '../support/small-disk.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(flags: { [name: string]: string }): Promise<ReceiverProcess> {
  const receiver = await spawnReceiver({ flags: { server_url: 'http://127.0.0.1:0/', ...flags } })
  cleanups.push(async () => {
    receiver.kill('SIGKILL')
    await receiver.exited
  })
  return receiver
}

const post = (receiver: ReceiverProcess, event: object) =>
  fetch(`${receiver.url}event`, {
    method: 'POST',
    body: JSON.stringify(event),
    headers: { 'content-type': 'application/json' },
  })

/** Posts until the answer is 200, as a client would; the ids acknowledged on the way are returned with the refusals. */
async function postUntil(receiver: ReceiverProcess, status: number, event: () => object, limitMs = 60_000) {
  const acknowledged: string[] = []
  const deadline = Date.now() + limitMs
  for (;;) {
    const answer = await post(receiver, event())
    const text = await answer.text()
    if (answer.status === 200) acknowledged.push(JSON.parse(text)._id)
    if (answer.status === status) return { answer, acknowledged }
    expect([200, 503]).toContain(answer.status)
    if (Date.now() > deadline)
      throw new Error(`no ${status} within ${limitMs} ms; last: ${answer.status} ${text}`)
    if (status === 200) await sleep(50)
  }
}

/** A mongod that the test may kill and stop; without one the test is skipped. */
async function startOwnMongod(context: TestContext): Promise<Mongod> {
  const mongo = await findMongo()
  if ('skip' in mongo) return context.skip(mongo.skip)
  if (mongo.kind !== 'binary') return context.skip('only a mongod of our own can be killed or stopped')
  const mongod = await startMongod()
  cleanups.push(() => mongod.stop())
  return mongod
}

describe('trouble below the receiver is 503, and heals without hands', () => {
  it('SQLite: a disk that is full, and freed', async (context) => {
    const disk = mountSmallDisk(24)
    if (!disk) return context.skip('no right to mount a small file system')
    cleanups.push(disk.remove)
    const receiver = await start({ document_db_url: `sqlite:${join(disk.path, 'events.db')}` })
    const big = () => ({ event_id: createEventId(), event_data: { text: 'x'.repeat(20_000) } })
    const before = await postUntil(receiver, 200, big)
    const free = disk.fill()
    const full = await postUntil(receiver, 503, big)
    expect(Number(full.answer.headers.get('retry-after'))).toBeGreaterThan(0)
    // Reading goes on, and so does saying what is wrong.
    expect((await fetch(`${receiver.url}event/${before.acknowledged[0]}`)).status).toBe(200)
    expect((await fetch(`${receiver.url}health`)).status).toBe(200)
    for (let i = 0; i < 20; i++) {
      expect((await post(receiver, big())).status).toBe(503)
      expect((await fetch(`${receiver.url}health/ready`)).status).toBe(503)
      expect(await (await fetch(`${receiver.url}health`)).json()).toMatchObject({ healthy: false })
      expect(await (await fetch(`${receiver.url}metrics`)).text()).toMatch(/store_up 0\n/)
    }
    free()
    await expect.poll(async () => (await fetch(`${receiver.url}health/ready`)).status).toBe(200)
    const after = await postUntil(receiver, 200, big)
    for (const id of [...before.acknowledged, ...full.acknowledged, ...after.acknowledged]) {
      expect((await fetch(`${receiver.url}event/${id}`)).status, id).toBe(200)
    }
    expect(receiver.stderr).toMatch(/EVT_STORE_UNAVAILABLE/)
  })

  it('SQLite: a disk that became full while no event came is told by the probes', async (context) => {
    const disk = mountSmallDisk(24)
    if (!disk) return context.skip('no right to mount a small file system')
    cleanups.push(disk.remove)
    const receiver = await start({ document_db_url: `sqlite:${join(disk.path, 'events.db')}` })
    await postUntil(receiver, 200, () => ({ event_id: createEventId() }))
    const ready = async () => (await fetch(`${receiver.url}health/ready`)).status
    expect(await ready()).toBe(200)
    const free = disk.fill()
    expect(await ready()).toBe(503)
    expect(await (await fetch(`${receiver.url}health`)).json()).toMatchObject({ healthy: false })
    expect(await (await fetch(`${receiver.url}metrics`)).text()).toMatch(/store_up 0\n/)
    free()
    await expect.poll(ready).toBe(200)
    await postUntil(receiver, 200, () => ({ event_id: createEventId() }))
  })

  it('MongoDB: a database that dies, stays away and comes back', async (context) => {
    const mongod = await startOwnMongod(context)
    const receiver = await start({ document_db_url: mongod.url, database_name: freshDatabaseName() })
    const event = () => ({ event_id: createEventId() })
    const before = await postUntil(receiver, 200, event)
    await mongod.kill()
    for (let i = 0; i < 3; i++) {
      const startedMs = Date.now()
      const answer = await post(receiver, event())
      expect(answer.status).toBe(503)
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(await answer.json()).toHaveProperty('detail')
      expect(Date.now() - startedMs).toBeLessThan(15_000)
    }
    const startedMs = Date.now()
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { [key: string]: unknown }
    expect(health).toMatchObject({ healthy: false, db_connected: false, total_events: null })
    expect(Date.now() - startedMs).toBeLessThan(4000)
    await mongod.restart()
    const after = await postUntil(receiver, 200, event)
    for (const id of [...before.acknowledged, ...after.acknowledged]) {
      expect((await fetch(`${receiver.url}event/${id}`)).status).toBe(200)
    }
  })

  it('MongoDB: the disk of mongod is full, and freed', async (context) => {
    const disk = mountSmallDisk(420)
    if (!disk) return context.skip('no right to mount a small file system')
    cleanups.push(disk.remove)
    const { TMPDIR } = process.env
    // Its files lie in a temporary folder.
    process.env.TMPDIR = disk.path
    const mongod = await startOwnMongod(context).finally(() => {
      if (TMPDIR === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = TMPDIR
    })
    const receiver = await start({ document_db_url: mongod.url, database_name: freshDatabaseName() })
    const big = () => ({
      event_id: createEventId(),
      event_data: { text: randomBytes(2 ** 20).toString('hex') },
    })
    const before = await postUntil(receiver, 200, big)
    const free = disk.fill()
    const full = await postUntil(receiver, 503, big, 180_000)
    const ready = async () => (await fetch(`${receiver.url}health/ready`)).status
    await expect.poll(ready, { timeout: 90_000, interval: 200 }).toBe(503)
    free()
    // Without room MongoDB ends itself; whoever keeps it running starts it again.
    await mongod.restart()
    const after = await postUntil(receiver, 200, big)
    for (const id of [...before.acknowledged, ...full.acknowledged, ...after.acknowledged])
      expect((await fetch(`${receiver.url}event/${id}`)).status, id).toBe(200)
    console.log(
      `${full.acknowledged.length} events of 2 MiB were stored on a full disk, in room that mongod had`,
    )
  }, 400_000)

  it('MongoDB: a receiver that starts before its database', async (context) => {
    const mongod = await startOwnMongod(context)
    await mongod.kill()
    const receiver = await start({ document_db_url: mongod.url, database_name: freshDatabaseName() })
    expect((await post(receiver, {})).status).toBe(503)
    await mongod.restart()
    await postUntil(receiver, 200, () => ({}))
  })

  it('MongoDB: a database that hangs', async (context) => {
    const mongod = await startOwnMongod(context)
    const receiver = await start({ document_db_url: mongod.url, database_name: freshDatabaseName() })
    await postUntil(receiver, 200, () => ({}))
    process.kill(mongod.pid!, 'SIGSTOP')
    const startedMs = Date.now()
    try {
      const answers = await Promise.all(Array.from({ length: 20 }, () => post(receiver, {})))
      for (const answer of answers) expect(answer.status).toBe(503)
      expect(Date.now() - startedMs).toBeLessThan(60_000)
    } finally {
      process.kill(mongod.pid!, 'SIGCONT')
    }
    await postUntil(receiver, 200, () => ({}))
  })
})
