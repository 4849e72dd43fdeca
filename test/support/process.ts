import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { nodeFlags as launcherFlags, nodeEnv } from '../../receiver/bin/node-flags.js'

const leaseProgram = join(import.meta.dirname, 'lease-program.ts')
const main = join(import.meta.dirname, '../../receiver/src/main.ts')

export interface ReceiverProcess {
  readonly pid: number
  readonly url: string
  readonly otlpUrl: string
  /** '' unless the flag grpc_port was given. */
  readonly grpcUrl: string
  /** What it wrote so far. */
  readonly stdout: string
  readonly stderr: string
  /** Settles with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>
  /** As when the program that reads it ends. */
  closeStdout(): void
  kill(signal: NodeJS.Signals): void
}

export interface SpawnOptions {
  /** Settings by name. */
  flags: { [name: string]: string }
  command?: 'serve' | 'demo'
  cwd?: string
  env?: { [name: string]: string }
  nodeFlags?: string[]
  /** Descriptors that it may have open (`ulimit -n`). */
  maxDescriptors?: number
  /** See StartOptions. */
  leaseMs?: number
}

/** The receiver as a process of its own, listening. Rejects with its output when it ends before it listens. */
export async function spawnReceiver(options: SpawnOptions): Promise<ReceiverProcess> {
  const { flags, command = 'serve', cwd, env = {}, nodeFlags = [], maxDescriptors, leaseMs } = options
  const args = Object.entries({ otlp_port: '0', grpc_port: 'none', ...flags }).map(
    ([name, value]) => `--${name}=${value}`,
  )
  const line = [
    process.execPath,
    ...launcherFlags(24),
    '--conditions=madsci-events-source',
    ...nodeFlags,
    leaseMs === undefined ? main : leaseProgram,
    command,
    ...args,
  ]
  const limited =
    maxDescriptors === undefined ? line : ['sh', '-c', `ulimit -n ${maxDescriptors}; exec "$0" "$@"`, ...line]
  const child: ChildProcess = spawn(limited[0]!, limited.slice(1), {
    cwd,
    env: {
      ...nodeEnv,
      ...ownEnv(),
      ...(leaseMs !== undefined && { LEASE_MS: String(leaseMs) }),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const listening = new Promise<void>((resolve) => {
    child.stdout!.on('data', (chunk) => {
      stdout += chunk
      if (stdout.includes('events rest in')) resolve()
    })
  })
  child.stderr!.on('data', (chunk) => {
    // The last lines are the ones that explain a failure.
    stderr = (stderr + chunk).slice(-100_000)
  })
  const early = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the receiver ended before it listened (${code ?? signal}):\n${stdout}${stderr}`)
  })
  await Promise.race([listening, early])
  early.catch(() => {})
  const find = (label: string) => new RegExp(`${label}\\s+(http\\S+)`).exec(stdout)?.[1] ?? ''
  return {
    pid: child.pid!,
    url: find('REST and OTLP'),
    otlpUrl: find('OTLP alone'),
    grpcUrl: find('OTLP/gRPC'),
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
    exited,
    closeStdout: () => void child.stdout!.destroy(),
    kill: (signal) => void child.kill(signal),
  }
}

/** What the programs of the tests get of our environment: nothing that could set them up, and compiled code, if we keep some. */
export function ownEnv(): NodeJS.ProcessEnv {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  return NODE_COMPILE_CACHE === undefined ? { PATH } : { PATH, NODE_COMPILE_CACHE }
}

/** On the port that it had, which an outgoing connection of somebody may hold for a moment. */
export async function restartReceiver(options: SpawnOptions): Promise<ReceiverProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await spawnReceiver(options)
    } catch (error) {
      const isTaken = String(error).includes('port is taken')
      if (!isTaken || attempt === 20) throw error
      await sleep(500)
    }
  }
}

/** Ports of 127.0.0.1 that are free now, each another. */
export async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}

/** A port of 127.0.0.1 that is free now. */
export async function findFreePort(): Promise<number> {
  const [port] = await findFreePorts(1)
  return port!
}

/** A command of the receiver as a process of its own, to its end. */
export async function runMain(
  args: readonly string[],
  { cwd, env = {} }: Pick<SpawnOptions, 'cwd' | 'env'> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const line = [...launcherFlags(24), '--conditions=madsci-events-source', main, ...args]
  const child = spawn(process.execPath, line, {
    cwd,
    env: { ...nodeEnv, ...ownEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  return { code, stdout, stderr }
}
