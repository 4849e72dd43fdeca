import { runCommand } from './cli/command.ts'

const stopping = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The first asks, the second does not wait: what was acknowledged is committed either way.
    if (stopping.signal.aborted) process.exit(1)
    stopping.abort(signal)
  })
}

// Who reads our output may have enough of it: `query | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const code = await runCommand(process.argv.slice(2), {
  environment: process.env,
  workingDirectory: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  stopping: stopping.signal,
})
process.exit(code)
