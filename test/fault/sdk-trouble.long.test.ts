import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { EventClient } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort } from '../support/process.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { startTroubleProxy, type Trouble, troubles } from '../support/trouble-proxy.ts'

const cleanups: (() => unknown)[] = []
let spoolDir: string
let warnings: string[]
beforeEach(() => {
  spoolDir = mkdtempSync(join(tmpdir(), 'madsci-trouble-'))
  cleanups.push(() => rmSync(spoolDir, { recursive: true, force: true }))
  warnings = []
  const warn = (...parts: unknown[]) => {
    if (parts[0] === 'madsci-events') warnings.push(parts.slice(1).join(' '))
  }
  diag.setLogger({ error() {}, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  diag.disable()
})

async function startBehindProxy(timeoutMs: number) {
  const receiver = await startTestReceiver()
  cleanups.push(() => receiver.close())
  const proxy = await startTroubleProxy(receiver.url)
  cleanups.push(() => proxy.close())
  const events = new EventClient({
    url: proxy.url,
    restUrl: receiver.url,
    spoolDir,
    timeoutMs,
    scheduleDelayMs: 5,
  })
  const stored = async () => {
    const reader = new EventClient({ url: receiver.url, spool: false })
    const all = await reader.getEvents({ number: 0 })
    return new Set(all.map((event) => event.event_id))
  }
  return { receiver, proxy, events, stored }
}

/** What each trouble means for the events of the request: all are stored, after one request, after a second, or by halves. */
const table: { [trouble in Trouble]: 'stored' | 'again' | 'halves' } = {
  pass: 'stored',
  delay: 'stored',
  'cut-before': 'again',
  'cut-after': 'again',
  'half-reply': 'again',
  hang: 'again',
  'slow-loris': 'again',
  'too-large': 'again',
  garbage: 'again',
  '429-seconds': 'again',
  '429-date': 'again',
  '502': 'again',
  '503-seconds': 'again',
  '503-date': 'again',
  '504': 'again',
  '400': 'halves',
  '500': 'again',
}

describe('through a proxy that makes trouble, to a real receiver', () => {
  it.each(troubles)('%s', async (trouble) => {
    const { proxy, events, stored } = await startBehindProxy(1500)
    let requests = 0
    proxy.next = () => (requests++ === 0 ? trouble : 'pass')
    const ids = [events.info('a'), events.info('b')]
    const flushed = await events.flush({ timeoutMs: 10_000 }).catch((error) => error.code)
    expect(flushed).toBeUndefined()
    expect(requests).toBe({ stored: 1, again: 2, halves: 3 }[table[trouble]])
    expect(await stored()).toEqual(new Set(ids))
    await events.close()
  })

  it('any weather: what was not refused is stored, each once, and the counters say how many', async () => {
    const { proxy, events, stored, receiver } = await startBehindProxy(300)
    let seed = 7
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return seed / 2 ** 31
    }
    proxy.next = () => (random() < 0.4 ? 'pass' : troubles[Math.floor(random() * troubles.length)]!)
    const ids: string[] = []
    const deadlineMs = performance.now() + 8000
    while (performance.now() < deadlineMs) {
      for (let i = 0; i < 20; i++) ids.push(events.info('x', { i }))
      await events.flush({ timeoutMs: 300 }).catch(() => {})
      // A flush that fails may fail at once.
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    proxy.next = () => 'pass'
    await events.flush({ timeoutMs: 10_000 }).catch(() => {})
    const { stats } = events
    expect(stats).toMatchObject({ emitted: ids.length, waiting: 0, dropped: stats.droppedBy.refused })
    expect(stats.exported + stats.dropped).toBe(ids.length)
    const there = await stored()
    expect(there.size).toBeGreaterThanOrEqual(stats.exported)
    expect(ids.filter((id) => !there.has(id)).length).toBeLessThanOrEqual(stats.dropped)
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }
    expect(health.total_events).toBe(there.size)
    expect(proxy.counts.size).toBeGreaterThan(10)
    await events.close()
  })
})

const outages: [length: string, seconds: number, stepSeconds: number][] = [
  ['five minutes', 5 * 60, 1],
  ['three days', 3 * 24 * 3600, 20],
]

it.each(outages)(
  'an outage of %s: nothing is lost, order is kept, memory stays flat',
  async (_, seconds, stepSeconds) => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'],
    })
    const port = await findFreePort()
    const events = new EventClient({ url: `http://127.0.0.1:${port}`, spoolDir, maxBatchEvents: 512 })
    const inputOutput = () => new Promise((resolve) => setImmediate(resolve))
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const used = () => {
      collectGarbage()
      const { heapUsed, external } = process.memoryUsage()
      return heapUsed + external
    }
    const steps = seconds / stepSeconds
    let usedBefore = 0
    let emitted = 0
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < 10; i++)
        events.info('reading', { number: emitted++, unit: 'm'.repeat(emitted % 300) })
      await vi.advanceTimersByTimeAsync(stepSeconds * 1000)
      await inputOutput()
      if (step === Math.round(steps / 25)) usedBefore = used()
    }
    expect(emitted).toBe(steps * 10)
    expect(events.stats).toMatchObject({ emitted, waiting: emitted, dropped: 0 })
    // After three days 50 MB of events wait.
    expect(used() - usedBefore).toBeLessThan(32 * 1024 * 1024)
    expect(warnings.filter((line) => line.includes('cannot deliver'))).toHaveLength(1)
    const endpoint = await startOtlpEndpoint({ port })
    cleanups.push(() => endpoint.close())
    const deadline = process.hrtime.bigint() + 60_000_000_000n
    while (events.stats.waiting > 0 && process.hrtime.bigint() < deadline) {
      await vi.advanceTimersByTimeAsync(100)
      await inputOutput()
    }
    const numbers = endpoint.events.map((event) => (event.event_data as { number: number }).number)
    expect(numbers).toHaveLength(emitted)
    expect(numbers.every((number, i) => number === i)).toBe(true)
    vi.useRealTimers()
    await events.close()
  },
  240_000,
)

it('a disk that is full, and freed: nothing is lost, order is kept, two warnings', async (context) => {
  const disk = mountSmallDisk()
  if (!disk) return context.skip('no right to mount a small file system')
  cleanups.push(disk.remove)
  const port = await findFreePort()
  const events = new EventClient({ url: `http://127.0.0.1:${port}`, spoolDir: disk.path })
  const ids: string[] = []
  const emit = (count: number) => {
    for (let i = 0; i < count; i++) ids.push(events.info('x'.repeat(5000), { i }))
  }
  emit(100)
  // Less than all: the disk fills up in the middle of a record.
  const free = disk.fill(30_000)
  emit(300)
  expect(events.stats).toMatchObject({ waiting: 400, dropped: 0 })
  // Two looks at a disk that is still full change nothing, and are not worth a word.
  await new Promise((resolve) => setTimeout(resolve, 11_000))
  emit(10)
  expect(warnings.filter((line) => line.includes('spool'))).toEqual([expect.stringContaining('ENOSPC')])
  free()
  await expect.poll(() => warnings.at(-1), { timeout: 12_000 }).toBe('the spool can be written again')
  emit(50)
  const endpoint = await startOtlpEndpoint({ port })
  cleanups.push(() => endpoint.close())
  await events.flush({ timeoutMs: 20_000 })
  expect(endpoint.events.map((event) => event.event_id)).toEqual(ids)
  expect(events.stats).toMatchObject({ emitted: 460, exported: 460, dropped: 0, damaged: 0 })
  await events.close()
})
