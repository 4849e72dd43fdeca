import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnReceiver } from '../support/process.ts'
import { startEmitter } from '../support/sdk-kill-cycle.ts'

/**
 * Half of a cycle is the start of a process, and half of that is compiling. Processes that end well keep what they compiled
 * for those that follow, which run the same code; a killed one keeps nothing, so some are started and ended first.
 * Resolves to what removes it all.
 */
export async function warmCompileCache(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-compiled-'))
  process.env.NODE_COMPILE_CACHE = join(folder, 'cache')
  // Nobody listens on port 1: the receiver starts all the same, and waits for its database.
  for (const url of [`sqlite:${join(folder, 'events.db')}`, 'mongodb://127.0.0.1:1/']) {
    const receiver = await spawnReceiver({
      flags: {
        server_url: 'http://127.0.0.1:0/',
        otlp_port: 'none',
        document_db_url: url,
        log_level: 'fatal',
      },
      cwd: folder,
    })
    // The threads of queries and of previews start with the first of them.
    if (url.startsWith('sqlite:')) await ask(receiver.url)
    receiver.kill('SIGTERM')
    await receiver.exited
  }
  const emitter = startEmitter(['http://127.0.0.1:1/', join(folder, 'spool'), '1'])
  await emitter.hasEmitted
  emitter.child.kill('SIGTERM')
  await emitter.ended
  return () => rm(folder, { recursive: true, force: true })
}

async function ask(url: string): Promise<void> {
  const rule = JSON.stringify({ rule: { name: 'any', selector: { log_level: 40 } } })
  const headers = { 'content-type': 'application/json' }
  const bodies = { '/event': '{"event_type":"log_info"}', '/events/query': '{}', '/alerts/preview': rule }
  for (const [path, body] of Object.entries(bodies))
    await (await fetch(new URL(path, url), { method: 'POST', headers, body })).text()
}
