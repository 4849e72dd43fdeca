import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventClient } from '@madsci-events/sdk'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort } from '../support/process.ts'
import { type RunningScript, startScript } from '../support/script.ts'
import { cutPower, onWeakDisk, type SyncFault, type WeakDisk } from '../support/weak-disk.ts'

let folder: string
let log: string
let spoolDir: string
let port: number
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'madsci-sync-'))
  log = `${folder}.log`
  spoolDir = join(folder, 'state', 'spool')
  port = await findFreePort()
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(log, { force: true })
})

interface Writer {
  script: RunningScript
  disk: WeakDisk
}

/** A program whose endpoint is away. It writes each event down once its call has returned, and how many are in memory only. */
function write(spool: 'async' | 'fsync', faults: SyncFault[], end = ''): Writer {
  const disk = { log, faults }
  const options = { url: `http://127.0.0.1:${port}`, name: 'writer', spoolDir, spool }
  const source = `
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${JSON.stringify(options)})
    let number = 0
    const emit = () => {
      for (let i = 0; i < 5; i++) {
        const start = performance.now()
        const id = events.info('x', { number: number++, text: 'é'.repeat(number % 300) })
        console.log(id, events.stats.inMemory, performance.now() - start)
      }
    }
    ${end || 'setInterval(emit, 10)'}`
  return { script: startScript(source, onWeakDisk(disk)), disk }
}

/** What it wrote down; a line that the kill has cut counts not. */
function readLines({ script }: Writer) {
  const lines = [...script.stdout.matchAll(/^([0-9A-Z]{26}) (\d+) ([\d.]+)\n/gm)]
  return lines.map(([, id, inMemory, ms]) => ({ id: id!, inMemory: Number(inMemory), ms: Number(ms) }))
}

async function cut(writer: Writer): Promise<void> {
  writer.script.kill('SIGKILL')
  await writer.script.ended
  cutPower(folder, writer.disk)
}

/** What the next program of the name delivers. */
async function deliverLeft(): Promise<string[]> {
  const endpoint = await startOtlpEndpoint({ port })
  const next = new EventClient({ url: endpoint.url, name: 'writer', spoolDir })
  await next.flush()
  await next.close()
  await endpoint.close()
  return endpoint.events.map((event) => event.event_id)
}

const warningsOf = ({ script }: Writer) => script.stderr.split('\n').filter((line) => line.includes('spool'))

describe.runIf(process.platform === 'linux')('a disk that keeps only what was synced', () => {
  it('fsync: a power cut loses no event whose call has returned', async () => {
    const writer = write('fsync', [])
    await sleep(1500)
    await cut(writer)
    const ids = readLines(writer).map(({ id }) => id)
    expect(ids.length).toBeGreaterThan(100)
    const arrived = await deliverLeft()
    // The last one may have been cut off before it was written down.
    expect(arrived.slice(0, ids.length)).toEqual(ids)
    expect(arrived.length - ids.length).toBeLessThanOrEqual(1)
  })

  it('async: a power cut loses what a SIGKILL would not, so the cut above proves something', async () => {
    const writer = write('async', [])
    await sleep(1000)
    await cut(writer)
    expect(readLines(writer).length).toBeGreaterThan(100)
    expect(await deliverLeft()).toEqual([])
  })

  it('syncs that fail, and then do not: told once each, and nothing is called safe that is not', async () => {
    const writer = write('fsync', [{ fromMs: 1500, toMs: 4000, code: 'EIO' }])
    await expect.poll(() => warningsOf(writer).at(-1), { timeout: 15_000 }).toContain('can be written again')
    await sleep(300)
    await cut(writer)
    const lines = readLines(writer)
    const inTrouble = lines.filter(({ inMemory }) => inMemory > 0)
    expect(inTrouble.length).toBeGreaterThan(50)
    expect(lines.at(-1)!.inMemory).toBe(0)
    const ids = lines.map(({ id }) => id)
    expect((await deliverLeft()).slice(0, ids.length)).toEqual(ids)
    expect(warningsOf(writer)).toEqual([
      expect.stringContaining('the spool cannot be written, events wait in memory: EIO'),
      expect.stringContaining('the spool can be written again'),
    ])
  })

  it('a power cut in the middle of that: what was called safe is there', async () => {
    for (const fromMs of [0, 1000]) {
      const writer = write('fsync', [{ fromMs, code: 'EIO' }])
      await sleep(2000)
      await cut(writer)
      const lines = readLines(writer)
      const safe = lines.slice(0, lines.findLastIndex(({ inMemory }) => inMemory === 0) + 1)
      expect(safe.length > 0).toBe(fromMs > 0)
      expect(lines.length).toBeGreaterThan(safe.length + 50)
      // An event whose sync failed may be there all the same.
      const arrived = await deliverLeft()
      expect(arrived.slice(0, safe.length)).toEqual(safe.map(({ id }) => id))
      expect(warningsOf(writer)).toHaveLength(1)
      rmSync(log)
    }
  })

  it('a program that ends then says that events are lost, and how many', async () => {
    const writer = write('fsync', [{ code: 'EIO' }], 'emit(); process.exit()')
    expect((await writer.script.ended).code).toBe(0)
    const warnings = writer.script.stderr.trim().split('\n')
    expect(warnings).toEqual([
      expect.stringMatching(/the spool cannot be used, .* wait in memory: EIO/),
      expect.stringMatching(/events are being dropped: 5 .* the program ends/),
    ])
  })

  it('syncs that take their time: each call of fsync waits for its own, none of async does', async () => {
    const faults = [{ delayMs: 30 }]
    const synced = write('fsync', faults)
    await sleep(2500)
    await cut(synced)
    const lines = readLines(synced)
    expect(lines.length).toBeGreaterThan(10)
    for (const { ms } of lines) expect(ms).toBeGreaterThan(29)
    expect((await deliverLeft()).slice(0, lines.length)).toEqual(lines.map(({ id }) => id))
    rmSync(log)

    const free = write('async', [{ delayMs: 30 }, { code: 'EIO' }])
    await sleep(1500)
    free.script.kill('SIGKILL')
    await free.script.ended
    const ids = readLines(free).map(({ id }) => id)
    const times = readLines(free).map(({ ms }) => ms)
    expect(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]).toBeLessThan(5)
    expect(free.script.stderr).not.toContain('spool')
    expect((await deliverLeft()).slice(0, ids.length)).toEqual(ids)
  })
})
