import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../..')

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
}

/** Runs `docker` from the root of the project; throws with the end of its output when it fails. */
export async function docker(args: string[], env: { [name: string]: string } = {}): Promise<CommandResult> {
  const child = spawn('docker', args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr = (stderr + chunk).slice(-20_000)
  })
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (status) => resolve(status ?? 1))
  })
  if (code !== 0)
    throw new Error(
      `docker ${args.join(' ')} ended with ${code}:\n${stdout.slice(-2000)}${stderr.slice(-4000)}`,
    )
  return { code, stdout, stderr }
}

/** Whether a Docker engine answers. */
function hasDocker(): Promise<boolean> {
  if (process.env.DOCKER_HOST) return Promise.resolve(true)
  const path = '/var/run/docker.sock'
  if (!existsSync(path)) return Promise.resolve(false)
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Why there is no container of this image: no engine, or no such image here or where Docker pulls from. */
export async function whyNoImage(image: string): Promise<string | undefined> {
  if (!(await hasDocker())) return 'no Docker engine answers'
  const works = (args: string[]) =>
    docker(args).then(
      () => true,
      () => false,
    )
  if ((await works(['image', 'inspect', image])) || (await works(['pull', '-q', image]))) return undefined
  return `Docker has no image ${image} and cannot pull it`
}

export const nodeImage = () => process.env.NODE_IMAGE ?? 'node:24.21.0-bookworm-slim'

/** Why the receiver's image cannot be built and run here. */
export const whyNoDocker = () => whyNoImage(nodeImage())

/** Builds the receiver's image from docker/Dockerfile. */
export async function buildReceiverImage(): Promise<string> {
  const name = 'madsci-events:test'
  await docker([
    'build',
    '-f',
    'docker/Dockerfile',
    '--build-arg',
    `NODE_IMAGE=${nodeImage()}`,
    '-t',
    name,
    '.',
  ])
  return name
}

/**
 * An image of the same role as a public one, from Debian's or npm's packages on the Node image: `balancer` (HAProxy) and
 * `mail` (MailDev), so that the stack runs where only those can be had.
 */
export async function buildStandIn(role: 'balancer' | 'mail'): Promise<string> {
  const name = `madsci-events-test-${role}`
  const file = `test/support/image/${role}.Dockerfile`
  await docker([
    'build',
    '-f',
    file,
    '--build-arg',
    `NODE_IMAGE=${nodeImage()}`,
    '-t',
    name,
    'test/support/image',
  ])
  return name
}

/** A compose project of its own, with free names; `down` removes its volumes too. */
export function createCompose(file: string, project: string, env: { [name: string]: string }) {
  const run = (...args: string[]) => docker(['compose', '-f', file, '-p', project, ...args], env)
  return {
    run,
    /** As an operator types it: with `<` and `>` of the shell. */
    shell: (command: string) =>
      promisify(execFile)('sh', ['-c', `docker compose -f ${file} -p ${project} ${command}`], {
        cwd: root,
        env: { ...process.env, ...env },
      }),
    async logs() {
      const { stdout } = await run('logs', '--no-color', '--tail', '60').catch(() => ({ stdout: '' }))
      return stdout
    },
    down: () => run('down', '-v', '--timeout', '5', '--remove-orphans'),
  }
}
