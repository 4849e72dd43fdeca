import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ownEnv } from './process.ts'

export interface ScriptResult {
  /** Exit code; null after a signal. */
  code: number | null
  stdout: string
  stderr: string
}

export interface ScriptOptions {
  /** Beside `ownEnv` and the tests' spool folder, the whole environment. */
  env?: { [name: string]: string }
  nodeFlags?: string[]
  /** Called with stdout so far, to act on the process in the middle. */
  onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void
}

export interface RunningScript {
  readonly pid: number
  /** What it wrote so far. */
  readonly stdout: string
  readonly stderr: string
  readonly ended: Promise<ScriptResult>
  kill(signal: NodeJS.Signals): void
}

/** Runs an ES module as a program of its own; it may import the SDK from its sources. */
export function runScript(source: string, options: ScriptOptions = {}): Promise<ScriptResult> {
  return startScript(source, options).ended
}

/** The same, while it runs. */
export function startScript(source: string, options: ScriptOptions = {}): RunningScript {
  const { env = {}, nodeFlags = [], onOutput } = options
  const flags = ['--conditions=madsci-events-source', ...nodeFlags, '--input-type=module', '-e', source]
  const child = spawn(process.execPath, flags, {
    cwd: import.meta.dirname,
    env: { ...ownEnv(), MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  const kill = (signal: NodeJS.Signals) => void child.kill(signal)
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk
    onOutput?.(output.stdout, kill)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk
  })
  return {
    pid: child.pid!,
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...output })),
    kill,
  }
}
