import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildReceiverImage, buildStandIn, createCompose, docker, whyNoDocker } from '../support/docker.ts'
import { findFreePort } from '../support/process.ts'
import { waitUntil } from '../support/wait.ts'

// The mail catcher and the balancer are built here; MongoDB, Collector and Loki come by name, as in docker/compose.full.yaml.
const skip =
  (await whyNoDocker()) ??
  (process.env.MONGO_IMAGE && process.env.OTELCOL_IMAGE && process.env.LOKI_IMAGE
    ? undefined
    : 'MONGO_IMAGE, OTELCOL_IMAGE and LOKI_IMAGE are not set')

let stack: Awaited<ReturnType<typeof start>>

async function start() {
  const [RECEIVER_IMAGE, BALANCER_IMAGE, MAIL_IMAGE] = [
    await buildReceiverImage(),
    await buildStandIn('balancer'),
    await buildStandIn('mail'),
  ]
  const names = ['RECEIVER_PORT', 'OTLP_PORT', 'OTLP_GRPC_PORT', 'LOKI_PORT', 'MAIL_PORT'] as const
  const ports = Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, String(await findFreePort())])),
  ) as Record<(typeof names)[number], string>
  const project = `madsci-events-full-${process.pid}`
  const compose = createCompose('docker/compose.full.yaml', project, {
    RECEIVER_IMAGE,
    BALANCER_IMAGE,
    MAIL_IMAGE,
    ...ports,
  })
  await compose.run('up', '-d', '--wait', '--wait-timeout', '180').catch(async (error: Error) => {
    const text = `${error.message}\n${await compose.logs()}`
    await compose.down()
    throw new Error(text)
  })
  const at = (name: (typeof names)[number]) => `http://127.0.0.1:${ports[name]}/`
  return {
    compose,
    url: at('RECEIVER_PORT'),
    otlp: at('OTLP_PORT'),
    loki: at('LOKI_PORT'),
    mail: at('MAIL_PORT'),
  }
}

beforeAll(async () => {
  if (!skip) stack = await start()
}, 400_000)

afterAll(async () => {
  if (stack) await stack.compose.down()
}, 120_000)

/** The lines of Loki that match, of the last hour. */
async function queryLoki(
  query: string,
): Promise<{ stream: { [label: string]: string }; values: string[][] }[]> {
  const parameters = new URLSearchParams({ query, since: '1h', limit: '1000' })
  const answer = await fetch(`${stack.loki}loki/api/v1/query_range?${parameters}`)
  if (!answer.ok) return []
  return ((await answer.json()) as { data: { result: [] } }).data.result
}

const post = (event: object) =>
  fetch(`${stack.url}event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(event),
  })

describe('docker/compose.full.yaml', () => {
  it('an event by OTLP through the gateway is found by REST and in Loki', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const events = new EventClient({ url: stack.otlp, name: 'full-test' })
    const id = events.log({ event_type: 'workflow_start', event_data: { workflow_id: 'w' } })
    await events.close()
    await waitUntil(async () => (await fetch(`${stack.url}event/${id}`)).status === 200, 'the event by REST')
    const query = `{lab="lab", event_type="workflow_start", level="info"} | log_record_uid="${id}"`
    await waitUntil(async () => (await queryLoki(query)).length === 1, 'the event in Loki')
  })

  it('an event by REST is found in Loki too, once', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const id = createEventId()
    expect((await post({ event_id: id, event_type: 'node_error', log_level: 30 })).status).toBe(200)
    const query = `{lab="lab", event_type="node_error", level="warning"} | log_record_uid="${id}"`
    await waitUntil(async () => (await queryLoki(query)).length === 1, 'the event in Loki')
    await sleep(2000)
    expect((await queryLoki(query)).flatMap(({ values }) => values)).toHaveLength(1)
  })

  it('an alert is one mail', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const id = createEventId()
    await post({ event_id: id, event_type: 'log_critical', log_level: 50, alert: true })
    const mails = async () => {
      const list = (await (await fetch(`${stack.mail}email`)).json()) as { text: string }[]
      return list.filter(({ text }) => text.includes(id))
    }
    await waitUntil(async () => (await mails()).length > 0, 'the mail')
    await sleep(3000)
    expect(await mails()).toHaveLength(1)
  })

  it('a client that asks too often takes nothing from others behind the balancer', async ({
    skip: leave,
  }) => {
    if (skip) leave(skip)
    // A container asks until a second of rest does not help it: its share of the long window of both receivers is used.
    const ask = `
      const get = () => fetch('http://balancer:8001/events?number=1').then(async (r) => (await r.arrayBuffer(), r.status))
      for (let round = 0; round < 60; round++) {
        const statuses = await Promise.all(Array.from({ length: 60 }, get))
        if (statuses.every((status) => status === 429)) { console.log('limited'); break }
        await new Promise((go) => setTimeout(go, 1100))
      }`
    const { stdout } = await stack.compose.run(
      'exec',
      '-T',
      'receiver-1',
      'node',
      '--input-type=module',
      '-e',
      ask,
    )
    expect(stdout.trim()).toBe('limited')
    const statuses = []
    for (let i = 0; i < 6; i++) statuses.push((await fetch(`${stack.url}events?number=1`)).status)
    expect(statuses).toEqual(statuses.map(() => 200))
    // And what a client says of itself is not believed.
    const { stdout: posed } = await stack.compose.run(
      'exec',
      '-T',
      'receiver-1',
      'node',
      '--input-type=module',
      '-e',
      `const headers = { 'x-forwarded-for': '192.0.2.7' }
      console.log((await fetch('http://balancer:8001/events?number=1', { headers })).status)`,
    )
    expect(posed.trim()).toBe('429')
  })

  it('a receiver is stopped, and killed, without a failed request behind the balancer', async ({
    skip: leave,
  }) => {
    if (skip) leave(skip)
    const sent: string[] = []
    const failed: string[] = []
    let running = true
    const load = Array.from({ length: 4 }, async () => {
      while (running) {
        const id = createEventId()
        const answer = await post({ event_id: id, event_type: 'test' }).catch((error: Error) => error)
        if (answer instanceof Error || answer.status !== 200)
          failed.push(answer instanceof Error ? String(answer.cause ?? answer) : String(answer.status))
        else {
          await answer.arrayBuffer()
          sent.push(id)
        }
        await sleep(5)
      }
    })
    await sleep(1000)
    const before = sent.length
    await stack.compose.run('stop', '--timeout', '20', 'receiver-1')
    await stack.compose.run('up', '-d', '--wait', '--no-deps', 'receiver-1')
    const { stdout } = await stack.compose.run('ps', '-q', 'receiver-2')
    await docker(['kill', stdout.trim()])
    await sleep(2000)
    running = false
    await Promise.all(load)
    expect(failed).toEqual([])
    expect(sent.length).toBeGreaterThan(before)
    const answer = await fetch(`${stack.url}events/receipts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_ids: sent.slice(-10_000) }),
    })
    const { missing } = (await answer.json()) as { missing: string[] }
    expect(missing).toEqual([])
  })
})
