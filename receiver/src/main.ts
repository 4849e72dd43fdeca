import { runCommand } from './cli/command.ts'

// What we write is for this user alone, also what a library creates (SQLite's log, temporary files).
process.umask(0o077)
// Other users see the command line of a process, and settings on it may be secrets.
process.title = toTitle(process.argv[2])

const stopping = new AbortController()
const onceMs = 100
const lastWordsMs = 1000
let askedMs = 0
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // The first asks, the second does not wait: what was acknowledged is committed either way. Who signals a whole group
    // of processes reaches us twice at once, by the launcher too.
    if (stopping.signal.aborted && performance.now() - askedMs > onceMs) process.exit(1)
    if (stopping.signal.aborted) return
    askedMs = performance.now()
    stopping.abort(signal)
  })
}

// The launcher was killed: no supervisor knows this process any more, and the next start needs the database file.
if (process.env.MADSCI_EVENTS_LAUNCHED === '1' && process.channel) {
  process.on('disconnect', () => {
    askedMs = performance.now()
    stopping.abort('the launcher has ended')
  })
  process.channel.unref()
}
delete process.env.MADSCI_EVENTS_LAUNCHED

const isLasting = process.argv[2] === 'serve' || process.argv[2] === 'demo'
let isTold = false
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Who reads our output may have enough of it: `query | head`.
  if (!isLasting && error.code === 'EPIPE') process.exit(0)
  if (!isLasting) throw error
  // Events are not lost because nobody reads what we print, or its disk is full.
  if (!isTold) process.stderr.write(`standard output cannot be written: ${error.message}\n`)
  isTold = true
})
// There is no place left to tell it.
if (isLasting) process.stderr.on('error', () => {})

const code = await runCommand(process.argv.slice(2), {
  environment: process.env,
  workingDirectory: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  stopping: stopping.signal,
})
await Promise.all([process.stdout, process.stderr].map(drained))
process.exit(code)

/** A pipe takes 64 KiB at a time: what its reader has not taken yet would be lost with the process. */
function drained(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    // Nobody may read what we print, and a receiver that is asked to end ends.
    const end = () => setTimeout(resolve, lastWordsMs)
    if (isLasting || stopping.signal.aborted) end()
    else stopping.signal.addEventListener('abort', end)
    stream.write('', () => resolve())
  })
}

function toTitle(command = ''): string {
  return /^[a-z]+$/.test(command) ? `madsci-events ${command}` : 'madsci-events'
}
