import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { createEventId, fromDocument } from '@madsci-events/sdk/event'
import { afterEach, describe, expect, it } from 'vitest'
import { createGrpcClient } from '../../support/grpc.ts'
import { encodeLogs } from '../../support/otlp.ts'
import { startTestReceiver } from '../../support/receiver.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Line {
  fields: { kind?: string; count?: number; event_ids?: string[] }
  message: string
}

async function start(flags: { [name: string]: string } = {}) {
  const lines: Line[] = []
  const error = (fields: object, message: string) => void lines.push({ fields, message })
  const receiver = await startTestReceiver({
    flags,
    log: { info: () => {}, warn: () => {}, error },
    conservation: { intervalMs: 100, lateMs: 100 },
  })
  cleanups.push(() => receiver.close())
  return { receiver, lines }
}

type Started = Awaited<ReturnType<typeof start>>

async function healthOf({ receiver }: Started): Promise<{ [name: string]: number | boolean }> {
  const health = (await (await fetch(`${receiver.url}health`)).json()) as { conservation?: object }
  const { conservation = { lost: 0, late: 0, doubled: 0, unexpected: 0, unaccounted: 0 } } = health
  return { checked: receiver.metric.total('commits_checked'), ...conservation, holds: !health.conservation }
}

async function waitFor(started: Started, wanted: { [name: string]: number | boolean }) {
  const deadline = Date.now() + 10_000
  for (;;) {
    const health = await healthOf(started)
    if (Object.entries(wanted).every(([name, value]) => health[name] === value)) return health
    expect(Date.now(), JSON.stringify(health)).toBeLessThan(deadline)
    await sleep(20)
  }
}

async function post({ receiver }: Started, event_id = createEventId()): Promise<string> {
  const body = JSON.stringify({ event_id, event_type: 'log_info', event_data: { message: 'hello' } })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${receiver.url}event`, { method: 'POST', headers, body })
  expect(answer.status).toBe(200)
  return event_id
}

/** Another connection to the file, as another program has one. */
function openBehind({ receiver }: Started): DatabaseSync {
  const database = new DatabaseSync(join(receiver.folder, '.madsci/events.db'))
  cleanups.push(() => database.close())
  return database
}

const whole = { holds: true, lost: 0, late: 0, doubled: 0, unexpected: 0, unaccounted: 0 }

describe('conservation', () => {
  it('holds for events of every door: new, doubled, refused; each stored one is found once', async () => {
    const started = await start({ grpc_port: '0' })
    const { receiver, lines } = started
    const id = await post(started)
    for (let i = 0; i < 20; i++) await post(started)
    await post(started, id)
    await fetch(`${receiver.url}event`, { method: 'POST', body: '{"event_type": "no such type"}' })
    await fetch(`${receiver.url}event`, { method: 'POST', body: 'no JSON' })
    const event = fromDocument({ _id: createEventId(), event_type: 'log_info', event_data: {} })
    const body = Buffer.from(encodeLogs([event, event]))
    const headers = { 'content-type': 'application/x-protobuf' }
    for (const url of [`${receiver.url}v1/logs`, receiver.otlpUrl])
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200)
    const unkept = { body: { stringValue: 'x' }, timeUnixNano: '1', attributes: [{ key: 'a\0b', value: {} }] }
    await fetch(receiver.otlpUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [unkept, {}] }] }] }),
    })
    const grpc = createGrpcClient(receiver.grpcUrl)
    cleanups.push(() => grpc.close())
    expect((await grpc.export(body)).code).toBe(0)
    const stored = receiver.metric.total('events_stored')
    expect(stored).toBeGreaterThan(21)
    await waitFor(started, { ...whole, checked: stored })
    expect(lines).toEqual([])
    expect(receiver.metric.total('events_received')).toBeGreaterThan(stored + 5)
  })

  it('an event that is removed behind the store is lost: told with its id, counted, in /health', async () => {
    const started = await start()
    const database = openBehind(started)
    let ids: string[] = []
    // A check may come between the two: then this one was found before it went.
    for (let i = 0; i < 20 && (await healthOf(started)).lost === 0; i++) {
      const id = await post(started)
      database.prepare('DELETE FROM events WHERE id = ?').run(id)
      ids.push(id)
      await sleep(250)
    }
    const health = await healthOf(started)
    expect(health.holds).toBe(false)
    const line = started.lines.find(({ fields }) => fields.kind === 'lost')!
    expect(line.message).toMatch(/acknowledged as stored and (?:is|are) not in the store/)
    ids = ids.filter((id) => line.fields.event_ids!.includes(id))
    expect(ids).not.toEqual([])
    const metrics = await (await fetch(`${started.receiver.url}metrics`)).text()
    expect(metrics).toContain(`madsci_conservation_violations_total{kind="lost"} ${health.lost}`)
  })

  it('an event that comes twice along the order of commit is doubled', async () => {
    const started = await start()
    const id = await post(started)
    await waitFor(started, { ...whole, checked: 1 })
    openBehind(started).prepare('UPDATE events SET seq = seq + 1 WHERE id = ?').run(id)
    await waitFor(started, { holds: false, doubled: 1 })
    expect(started.lines.map(({ fields }) => fields)).toEqual([
      { kind: 'doubled', count: 1, event_ids: [id] },
    ])
  })

  it('an event of another writer of the file is unexpected', async () => {
    const started = await start()
    const id = await post(started)
    await waitFor(started, { ...whole, checked: 1 })
    const copied = createEventId()
    openBehind(started)
      .prepare(
        `INSERT INTO events SELECT seq + 1, ?, event_timestamp, log_level, archived, archived_at, document, exact, rest
         FROM events WHERE id = ?`,
      )
      .run(copied, id)
    await waitFor(started, { holds: false, unexpected: 1 })
    expect(started.lines.map(({ fields }) => fields.event_ids)).toEqual([[copied]])
  })

  it('an outcome that is counted twice, or not at all, is unaccounted, and told once', async () => {
    const started = await start()
    await post(started)
    started.receiver.metric.add('events_stored', 1)
    await waitFor(started, { holds: false, unaccounted: -1 })
    await sleep(250)
    expect(started.lines.map(({ fields }) => fields)).toEqual([{ kind: 'unaccounted', count: -1 }])
    started.receiver.metric.add('events_received', 3)
    await waitFor(started, { unaccounted: 2 })
    const metrics = await (await fetch(`${started.receiver.url}metrics`)).text()
    expect(metrics).toContain('madsci_events_unaccounted 2')
  })

  it('what is purged through the receiver is no loss', async () => {
    const started = await start()
    const { receiver } = started
    for (let i = 0; i < 5; i++) {
      const event_ids = [await post(started)]
      const headers = { 'content-type': 'application/json' }
      await fetch(`${receiver.url}events/archive`, {
        method: 'POST',
        headers,
        body: JSON.stringify({ event_ids }),
      })
      await sleep(2)
      await fetch(`${receiver.url}events/archived?older_than_days=0`, { method: 'DELETE' })
    }
    expect(
      ((await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }).total_events,
    ).toBe(0)
    await sleep(300)
    expect(await healthOf(started)).toMatchObject(whole)
    await post(started)
    await sleep(300)
    expect(await healthOf(started)).toMatchObject(whole)
  })
})
