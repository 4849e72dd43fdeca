import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { textOf } from './emitted.ts'
import { findFreePort, ownEnv, type ReceiverProcess, restartReceiver, spawnReceiver } from './process.ts'

export interface SdkKillReport {
  kills: number
  receiverKills: number
  /** Calls that returned before the process was killed. */
  emitted: number
  stored: number
  /** Emitted ids that are not there. */
  lost: string[]
  /** Events that are there with another content. */
  altered: string[]
  /** What the store counts, which is more than `stored` if one is there twice. */
  totalEvents: number
  /** Homes that nobody took over. */
  left: string[]
}

export interface SdkKillOptions {
  cycles: number
  /** Programs at a time, in one spool folder. */
  programs?: number
  onCycle?: (cycle: number, emitted: number) => void
}

/**
 * Programs emit without pause and are killed with SIGKILL at a random moment, each one's successor too, now and then the
 * receiver with them. At the end one program of the name delivers what is left; then the store is read.
 */
export async function runSdkKillCycles({
  cycles,
  programs = 2,
  onCycle,
}: SdkKillOptions): Promise<SdkKillReport> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-sdk-kill-'))
  const spoolDir = join(folder, 'spool')
  const flags = {
    server_url: `http://127.0.0.1:${await findFreePort()}/`,
    otlp_port: 'none',
    document_db_url: `sqlite:${join(folder, 'events.db')}`,
    log_level: 'error',
  }
  let receiver: ReceiverProcess = await spawnReceiver({ flags })
  const { url } = receiver
  const emitted = new Map<string, number>()
  const report = { kills: 0, receiverKills: 0 }
  let nextNumber = 0
  try {
    for (let cycle = 1; cycle <= cycles; cycle++) {
      const running = Array.from({ length: programs }, () => {
        nextNumber += 1_000_000
        return startEmitter([url, spoolDir, String(nextNumber)])
      })
      await Promise.all(running.map(({ hasEmitted }) => hasEmitted))
      if (cycle % 4 === 0) {
        receiver.kill('SIGKILL')
        await receiver.exited
        report.receiverKills++
      }
      await Promise.all(
        running.map(async ({ child, ended }) => {
          await sleep(Math.random() * 300)
          child.kill('SIGKILL')
          report.kills++
          for (const [id, number] of await ended) emitted.set(id, number)
        }),
      )
      if (cycle % 4 === 0) receiver = await restartReceiver({ flags })
      onCycle?.(cycle, emitted.size)
    }
    const last = new EventClient({ url, spoolDir, name: 'killed' })
    await last.flush({ timeoutMs: 60_000 })
    await last.close()
    const verdict = await judge(url, emitted)
    // The folders of the streams go when they are empty.
    const left = (await readdir(spoolDir, { recursive: true })).filter((name) => name.includes('@'))
    return { ...report, ...verdict, emitted: emitted.size, left }
  } finally {
    receiver.kill('SIGKILL')
    await receiver.exited
    await rm(folder, { recursive: true, force: true })
  }
}

export function startEmitter(args: string[]) {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--conditions=madsci-events-source', join(import.meta.dirname, 'emitter.ts'), ...args],
    { env: ownEnv(), stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let text = ''
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  const closed = once(child, 'close')
  const hasEmitted = Promise.race([once(child.stdout!, 'data'), closed])
  // A line that the kill has cut has no end: its call may not have returned.
  const ended = closed.then(() =>
    [...text.matchAll(/^([0-9A-Z]{26}) (\d+)\n/gm)].map(([, id, number]) => [id!, Number(number)] as const),
  )
  return { child, hasEmitted, ended }
}

async function judge(url: string, emitted: Map<string, number>) {
  const found = new Map<string, { number: number; text: string }>()
  const text = await (await fetch(`${url}events?number=0&include_archived=true`)).text()
  const events = JSON.parse(text) as { [id: string]: { event_data: { number: number; text: string } } }
  for (const [id, event] of Object.entries(events)) found.set(id, event.event_data)
  const health = (await (await fetch(`${url}health`)).json()) as { total_events: number }
  const altered = [...found].filter(
    ([id, { number, text }]) => text !== textOf(number) || (emitted.get(id) ?? number) !== number,
  )
  return {
    stored: found.size,
    lost: [...emitted.keys()].filter((id) => !found.has(id)),
    altered: altered.map(([id]) => id),
    totalEvents: health.total_events,
  }
}
