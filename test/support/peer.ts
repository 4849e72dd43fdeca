import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A program of somebody else, by the variable that names it; or why there is none. */
export function findPeer(variable: string): { path: string } | { skip: string } {
  const path = process.env[variable]
  return path ? { path } : { skip: `${variable} is not set` }
}

export interface Peer {
  readonly pid: number
  readonly output: string
  readonly exited: Promise<number | null>
  /** SIGTERM, and SIGKILL after five seconds. */
  stop(): Promise<void>
}

export interface SpawnPeerOptions {
  env?: { [name: string]: string }
  cwd?: string
}

export function spawnPeer(path: string, args: string[], { env, cwd }: SpawnPeerOptions = {}): Peer {
  // A group of its own, so that what a shell script started ends with it.
  const child: ChildProcess = spawn(path, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-200_000)
    })
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('exit', (code) => resolve(code))
    child.once('error', reject)
  })
  exited.catch(() => {})
  const signal = (name: NodeJS.Signals) => {
    try {
      process.kill(-child.pid!, name)
    } catch {
      // gone already
    }
  }
  return {
    pid: child.pid!,
    get output() {
      return output
    },
    exited,
    async stop() {
      signal('SIGTERM')
      const timer = setTimeout(() => signal('SIGKILL'), 5000)
      await exited.catch(() => {})
      clearTimeout(timer)
      signal('SIGKILL')
    },
  }
}

/** Settles when something listens on this port of 127.0.0.1. */
export async function waitForPort(port: number, peer: Peer, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let hasEnded = false
  const end = () => {
    hasEnded = true
  }
  peer.exited.then(end, end)
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (open) return
    if (hasEnded) throw new Error(`it ended before it listened on ${port}:\n${peer.output.slice(-3000)}`)
    if (Date.now() > deadline) throw new Error(`nothing listens on ${port}:\n${peer.output.slice(-3000)}`)
    await sleep(50)
  }
}
