import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientOptions, Stats } from '@madsci-events/sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { spawnReceiver } from '../support/process.ts'
import { startScript } from '../support/script.ts'
import { startTroubleProxy } from '../support/trouble-proxy.ts'

const cleanups: (() => unknown)[] = []
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'madsci-overload-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startStore() {
  const receiver = await spawnReceiver({
    flags: {
      server_url: 'http://127.0.0.1:0/',
      otlp_port: 'none',
      document_db_url: `sqlite:${join(folder, 'events.db')}`,
      log_level: 'error',
    },
  })
  cleanups.push(async () => {
    receiver.kill('SIGKILL')
    await receiver.exited
  })
  return receiver
}

/** Numbers of the stored events, in the order in which they were emitted. */
async function readStored(url: string): Promise<number[]> {
  const text = await (await fetch(`${url}events?number=0`)).text()
  const numbers = [...text.matchAll(/"number":(\d+)/g)].map(([, number]) => Number(number))
  return numbers.sort((a, b) => a - b)
}

const residentBytes = (pid: number) =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

interface Overload {
  stats: Stats
  /** Of the moment when emitting ended. */
  atEnd: Stats
  warnings: string[]
  /** The longest that the event loop stood still. */
  stallMs: number
  /** Resident memory, twice a second. */
  resident: number[]
}

const seconds = 8
// A reply takes 150 ms and something: 1,300 events a second at most, and half of what is emitted.
const batch = { maxBatchEvents: 200, scheduleDelayMs: 20 }

/** A program that emits 2,600 events a second, 1 kB each, to a receiver that takes half of that. */
async function overload(url: string, options: ClientOptions): Promise<Overload> {
  const script = startScript(`
    import { EventClient } from '@madsci-events/sdk'
    import { monitorEventLoopDelay } from 'node:perf_hooks'
    const events = new EventClient(${JSON.stringify({ url, spoolDir: join(folder, 'spool'), ...batch, ...options })})
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const endMs = performance.now() + ${seconds * 1000}
    let number = 0
    const startMs = performance.now()
    const timer = setInterval(async () => {
      for (const due = (performance.now() - startMs) * 2.6; number < due; number++)
        events.info('x', { number, text: String(number % 10).repeat(850) })
      if (performance.now() < endMs) return
      clearInterval(timer)
      const atEnd = events.stats
      const stallMs = delay.max / 1e6
      await events.close({ timeoutMs: 30_000 }).catch(() => {})
      console.log(JSON.stringify({ atEnd, stallMs, stats: events.stats }))
    }, 10)`)
  cleanups.push(async () => {
    script.kill('SIGKILL')
    await script.ended
  })
  const resident: number[] = []
  for (let i = 0; i < seconds * 2; i++) {
    await sleep(500)
    resident.push(residentBytes(script.pid))
  }
  const { code, stdout, stderr } = await script.ended
  expect(code, stderr).toBe(0)
  return { ...JSON.parse(stdout), warnings: stderr.trim().split('\n'), resident }
}

const mebibyte = 1024 * 1024
const policies: { [name: string]: ClientOptions } = {
  'a spool that rejects': { maxSpoolBytes: 4 * mebibyte },
  'a spool whose oldest go': { maxSpoolBytes: 4 * mebibyte, whenFull: 'drop-oldest' },
  'memory alone': { spool: false, maxQueueBytes: 4 * mebibyte },
}

describe.runIf(process.platform === 'linux')('twice of what the receiver takes, for a while', () => {
  it.each(Object.entries(policies))(
    '%s: stored + counted as lost = emitted, and memory stays flat',
    async (_, options) => {
      const receiver = await startStore()
      const proxy = await startTroubleProxy(receiver.url)
      cleanups.push(() => proxy.close())
      proxy.next = () => 'delay'
      const { stats, atEnd, warnings, stallMs, resident } = await overload(proxy.url, options)

      const stored = await readStored(receiver.url)
      expect(new Set(stored).size).toBe(stored.length)
      expect(stats).toMatchObject({ waiting: 0, rejected: 0, left: 0, exported: stored.length })
      expect(stats.droppedBy.queue_full).toBe(stats.dropped)
      expect(stored.length + stats.dropped).toBe(stats.emitted)
      // It was full, for a good while.
      expect(stats.emitted).toBeGreaterThan(2.6 * seconds * 900)
      expect(atEnd.dropped).toBeGreaterThan(stats.emitted / 10)
      // Neither policy lets what waits go to waste: reject keeps the first ones, drop-oldest the last.
      const last = stats.emitted - 1
      if (options.whenFull === 'drop-oldest') {
        expect(stored.slice(-1000)).toEqual(Array.from({ length: 1000 }, (_, i) => last - 999 + i))
      } else expect(stored.slice(0, 2000)).toEqual(Array.from({ length: 2000 }, (_, i) => i))

      expect(warnings.filter((line) => line.includes('events are being dropped'))).toHaveLength(1)
      expect(warnings.length).toBeLessThanOrEqual(2)
      // From full on.
      const settled = resident.slice(resident.length / 2)
      const growth =
        Math.max(...settled) - Math.max(...resident.slice(resident.length / 4, resident.length / 2))
      console.log(
        `${stats.emitted} emitted, ${stored.length} stored, ${stats.dropped} counted as lost; resident memory ` +
          `${Math.round(Math.max(...settled) / mebibyte)} MiB, ${Math.round(growth / mebibyte)} MiB more than before; ` +
          `longest stall ${Math.round(stallMs)} ms`,
      )
      expect(growth).toBeLessThan(24 * mebibyte)
      expect(Math.max(...settled)).toBeLessThan(256 * mebibyte)
    },
    120_000,
  )
})

it('a hundred thousand events in one tick, by a program that ends then: all are stored, each once', async () => {
  const receiver = await startStore()
  const options = { url: receiver.url, spoolDir: join(folder, 'spool') }
  const script = startScript(`
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${JSON.stringify(options)})
    for (let number = 0; number < 100_000; number++) events.info('x', { number })
    process.on('exit', () => console.log(JSON.stringify(events.stats)))`)
  const { code, stdout, stderr } = await script.ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(JSON.parse(stdout)).toMatchObject({ emitted: 100_000, exported: 100_000, dropped: 0, waiting: 0 })
  const stored = await readStored(receiver.url)
  expect(stored.length).toBe(100_000)
  expect(stored.every((number, i) => number === i)).toBe(true)
}, 120_000)
