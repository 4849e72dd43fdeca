import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface ScriptResult {
  /** Exit code; null after a signal. */
  code: number | null
  stdout: string
  stderr: string
}

export interface ScriptOptions {
  /** Beside PATH and the tests' spool folder, the whole environment. */
  env?: { [name: string]: string }
  /** Called with stdout so far, to act on the process in the middle. */
  onOutput?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void
}

/** Runs an ES module as a program of its own; it may import the SDK from its sources. */
export async function runScript(source: string, options: ScriptOptions = {}): Promise<ScriptResult> {
  const { env = {}, onOutput } = options
  const child = spawn(
    process.execPath,
    ['--conditions=madsci-events-source', '--input-type=module', '-e', source],
    {
      cwd: import.meta.dirname,
      env: { PATH: process.env.PATH, MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    onOutput?.(stdout, (signal) => child.kill(signal))
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}
