import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { afterEach, describe, expect, it } from 'vitest'
import { buildReceiverImage, createCompose, docker, whyNoDocker } from '../support/docker.ts'
import { findFreePort } from '../support/process.ts'

const skip = await whyNoDocker()
const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const mongoImage = process.env.MONGO_IMAGE ?? 'mongo:8.0.15'

async function startStack(file: string) {
  const RECEIVER_IMAGE = await buildReceiverImage()
  const [RECEIVER_PORT, OTLP_PORT, OTLP_GRPC_PORT] = [
    await findFreePort(),
    await findFreePort(),
    await findFreePort(),
  ]
  const project = `madsci-events-test-${process.pid}-${RECEIVER_PORT}`
  const env = {
    RECEIVER_IMAGE,
    MONGO_IMAGE: mongoImage,
    RECEIVER_PORT: String(RECEIVER_PORT),
    OTLP_PORT: String(OTLP_PORT),
    OTLP_GRPC_PORT: String(OTLP_GRPC_PORT),
  }
  const compose = createCompose(file, project, env)
  cleanups.push(() => compose.down())
  await compose.run('up', '-d', '--wait', '--wait-timeout', '90').catch(async (error: Error) => {
    throw new Error(`${error.message}\n${await compose.logs()}`)
  })
  return { compose, url: `http://127.0.0.1:${RECEIVER_PORT}/`, otlp: `http://127.0.0.1:${OTLP_PORT}` }
}

describe.each(['docker/compose.yaml', 'docker/compose.mongo.yaml'])('%s', (file) => {
  it('keeps MongoDB to a network that leads nowhere else', async ({ skip: leave }) => {
    if (skip) leave(skip)
    if (!file.includes('mongo')) return
    const { compose } = await startStack(file)
    const { stdout } = await compose.run('ps', '-q', 'mongo')
    const format =
      '{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}{{json .HostConfig.PortBindings}}'
    const { stdout: facts } = await docker(['inspect', '--format', format, stdout.trim()])
    const [network, ports] = facts.trim().split(' ')
    expect(network).toMatch(/_store$/)
    expect(ports).toBe('{}')
    const { stdout: isInternal } = await docker(['network', 'inspect', '--format', '{{.Internal}}', network!])
    expect(isInternal.trim()).toBe('true')
  })

  it('comes up healthy, takes an event on both ports, and has it again after down and up', async ({
    skip: leave,
  }) => {
    if (skip) leave(skip)
    const { compose, url, otlp } = await startStack(file)
    const ids: string[] = []
    for (const target of [url, otlp]) {
      const events = new EventClient({ url: target, name: 'compose-test' })
      ids.push(events.info('into the container'))
      await events.flush()
      await events.close()
    }
    // Backups have a volume of their own, and come out of it, and into the database again, as the README says.
    const { backup_path: path } = (await (await fetch(`${url}backup`, { method: 'POST' })).json()) as {
      backup_path: string
    }
    expect(path).toMatch(/^\/backups\//)
    await compose.run('stop', 'receiver')
    const { stdout: restored } = await compose.run('run', '--rm', '-T', 'receiver', 'restore', path)
    expect(restored).toContain('every id of the backup is in the database')
    // They come out as one file, and back into new volumes when all else is lost.
    await compose.run('up', '-d', '--wait', '--wait-timeout', '90')
    const place = await mkdtemp(join(tmpdir(), 'madsci-backups-'))
    cleanups.push(() => rm(place, { recursive: true, force: true }))
    const tar = join(place, 'backups.tar')
    await compose.shell(`exec -T receiver tar -c -C /backups . > ${tar}`)
    await compose.run('down', '-v', '--timeout', '20')
    const unpack = 'run --rm -T --no-deps --entrypoint tar receiver -x -C /backups'
    await compose.shell(`${unpack} < ${tar}`)
    const { stdout: again } = await compose.run('run', '--rm', '-T', 'receiver', 'restore', path)
    expect(again).toContain('every id of the backup is in the database')
    await compose.run('up', '-d', '--wait', '--wait-timeout', '90')
    for (const id of ids) expect((await fetch(`${url}event/${id}`)).status).toBe(200)

    await compose.run('down', '--timeout', '20')
    await compose.run('up', '-d', '--wait', '--wait-timeout', '90')
    for (const id of ids) expect((await fetch(`${url}event/${id}`)).status).toBe(200)

    // The root file system is read-only, and nothing runs with rights that it does not need.
    const { stdout } = await compose.run('ps', '-q', 'receiver')
    const { stdout: facts } = await docker([
      'inspect',
      '--format',
      '{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}}',
      stdout.trim(),
    ])
    expect(facts.trim()).toBe(`true 1000:1000 [ALL] ${2 ** 30}`)
    // It listens on all addresses of the container, and says what that means; what it wrote is for its user alone.
    expect(await compose.logs()).toContain('has no login')
    const { stdout: open } = await compose.run(
      'exec',
      '-T',
      'receiver',
      'find',
      '/data',
      '-mindepth',
      '1',
      '-perm',
      '/077',
    )
    expect(open).toBe('')
  })
})
