import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { GenericContainer, Network, type StartedNetwork, Wait } from 'testcontainers'
import { afterEach, describe, expect, it } from 'vitest'
import { buildReceiverImage, docker, whyNoDocker } from '../support/docker.ts'

const skip = await whyNoDocker()
const mongoImage = process.env.MONGO_IMAGE ?? 'mongo:8.0.15'
// testcontainers' own cleaner is one more image to pull; what is started here is stopped here.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startReceiver(image: string, env: { [name: string]: string }, network?: StartedNetwork) {
  let container = new GenericContainer(image)
    .withEnvironment(env)
    .withExposedPorts(8001, 4318)
    .withTmpFs({ '/tmp': '' })
    .withWaitStrategy(Wait.forHealthCheck())
    .withStartupTimeout(60_000)
  if (network) container = container.withNetwork(network)
  const started = await container.start()
  cleanups.push(() => started.stop())
  return { started, url: `http://127.0.0.1:${started.getMappedPort(8001)}/` }
}

describe('the receiver as an image', () => {
  it('keeps events in its volume, as a user without rights, and ends cleanly', async ({ skip: leave }) => {
    if (skip) leave(skip)
    const image = await buildReceiverImage()
    const { started, url } = await startReceiver(image, {})
    const events = new EventClient({ url, name: 'container-test' })
    const id = events.info('from outside', { plate: 7 })
    await events.close()
    const answer = (await (await fetch(`${url}event/${id}`)).json()) as { event_data: { plate: number } }
    expect(answer.event_data.plate).toBe(7)

    const { output } = await started.exec(['id', '-u'])
    expect(output.trim()).toBe('1000')
    // The command works inside as outside.
    const query = await started.exec(['madsci-events', 'query', '--json'])
    expect(query.output).toContain(id)
    await docker(['stop', '--time', '20', started.getId()])
    const { stdout } = await docker(['inspect', '--format', '{{.State.ExitCode}}', started.getId()])
    expect(stdout.trim()).toBe('0')
  })

  it('runs on a MongoDB container, and finds its events again after it was replaced', async ({
    skip: leave,
  }) => {
    if (skip) leave(skip)
    const image = await buildReceiverImage()
    const network = await new Network().start()
    cleanups.push(() => network.stop())
    const mongo = await new GenericContainer(mongoImage)
      .withNetwork(network)
      .withNetworkAliases('mongo')
      .withWaitStrategy(Wait.forLogMessage(/Waiting for connections/))
      .start()
    cleanups.push(() => mongo.stop())
    const env = { EVENT_DB_URL: 'mongodb://mongo:27017' }
    const first = await startReceiver(image, env, network)
    const posted = await fetch(`${first.url}event`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ event_id: 'kept', event_type: 'test' }),
    })
    expect(posted.status).toBe(200)
    await docker(['kill', first.started.getId()])
    const second = await startReceiver(image, env, network)
    for (let i = 0; i < 50; i++) {
      if ((await fetch(`${second.url}event/kept`)).status === 200) return
      await sleep(100)
    }
    expect.fail('the event is gone')
  })
})
