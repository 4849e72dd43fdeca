import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startHttpSink } from '../support/alert-sink.ts'
import { findMongo, freshDatabaseName, type Mongod, startMongod } from '../support/mongod.ts'
import { startTestReceiver } from '../support/receiver.ts'

const found = await findMongo()
const reason = 'skip' in found ? found.skip : ''

type Receiver = Awaited<ReturnType<typeof startTestReceiver>>
interface Alert {
  alert_id: string
  rule: string
  state: string
  count: number
  deliveries: { state: string }[]
}

describe('alerts of two receivers on one MongoDB', () => {
  let mongod: Mongod
  let sink: Awaited<ReturnType<typeof startHttpSink>>
  let receivers: Receiver[] = []
  beforeEach((ctx) => ctx.skip(reason !== '', reason))
  beforeAll(async () => {
    if (reason) return
    mongod = await startMongod()
    sink = await startHttpSink()
    const databaseName = freshDatabaseName()
    const start = () =>
      startTestReceiver({
        flags: {
          document_db_url: mongod.url,
          database_name: databaseName,
          alert_private_hosts: '["127.0.0.1"]',
          alert_channels: JSON.stringify({ hook: { kind: 'webhook', url: sink.url } }),
          alert_rules: JSON.stringify([
            { name: 'silent', kind: 'silent', minutes: 1 / 30, cooldown_seconds: 0 },
            {
              name: 'rate',
              kind: 'rate',
              selector: { event_type: 'log_warning' },
              count: 4,
              window_seconds: 60,
            },
          ]),
        },
      })
    receivers = [await start(), await start()]
  })
  afterAll(async () => {
    for (const receiver of receivers) await receiver.close()
    await sink?.stop()
    await mongod?.stop()
  })

  const post = (place: number, path: string, body: object) =>
    fetch(`${receivers[place]!.url}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  const alerts = async (place: number, query: string) =>
    (await (await fetch(`${receivers[place]!.url}alerts?${query}`)).json()) as Alert[]
  const told = (rule: string) =>
    sink.requests.map(({ body }) => JSON.parse(body)).filter((one) => one.rule === rule)

  it('a node that falls silent while a workflow runs is told once, and when it is heard again', async () => {
    const source = { node_id: createEventId(), workflow_id: createEventId() }
    await post(0, 'event', { event_type: 'workflow_start', source })
    await expect.poll(() => told('silent').length, { timeout: 15_000 }).toBe(1)
    expect(told('silent')[0]).toMatchObject({ kind: 'firing', source: { node_id: source.node_id } })
    await post(1, 'event', { event_type: 'log_info', source })
    await expect
      .poll(() => told('silent').map(({ kind }) => kind), { timeout: 10_000 })
      .toEqual(['firing', 'recovery'])
    await post(1, 'event', { event_type: 'workflow_complete', source })
    await new Promise((resolve) => setTimeout(resolve, 3000))
    expect(told('silent').map(({ kind }) => kind)).toEqual(['firing', 'recovery'])
  }, 40_000)

  it('a rate counts the events of both, and both know and change the same alerts', async () => {
    for (let i = 0; i < 5; i++) await post(i % 2, 'event', { event_type: 'log_warning', log_level: 30 })
    await expect.poll(async () => (await alerts(0, 'rule=rate'))[0]?.count, { timeout: 10_000 }).toBe(5)
    await expect.poll(() => told('rate').length, { timeout: 10_000 }).toBe(1)
    const [alert] = await alerts(1, 'rule=rate')
    for (const [place, verb, state] of [
      [1, 'silence', 'silenced'],
      [0, 'acknowledge', 'acknowledged'],
      [1, 'resolve', 'resolved'],
    ] as const)
      expect(await (await post(place, `alerts/${alert!.alert_id}/${verb}`, {})).json()).toMatchObject({
        state,
      })
    expect((await alerts(0, 'rule=rate&state=resolved')).length).toBe(1)
    expect(await (await fetch(`${receivers[0]!.url}health`)).json()).toMatchObject({
      alerts: { channels: ['hook'], pending: 0, failed: 0 },
    })
  }, 40_000)

  it('when the one that runs the rules goes away, the other goes on where it was', async () => {
    const first = receivers.shift()!
    await first.close()
    for (let i = 0; i < 4; i++) await post(0, 'event', { event_type: 'log_warning', log_level: 30 })
    // The window remembers the five of before: the first event is enough.
    await expect
      .poll(async () => (await alerts(0, 'rule=rate&state=firing'))[0]?.count, { timeout: 20_000 })
      .toBe(9)
  }, 40_000)
})
