import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientOptions, EventClient, type Stats } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { findFreePort, restartReceiver, spawnReceiver } from '../support/process.ts'
import { type RunningScript, startScript } from '../support/script.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { startTroubleProxy } from '../support/trouble-proxy.ts'

const cleanups: (() => unknown)[] = []
let folder: string
let spoolDir: string
beforeEach(() => {
  diag.setLogger({ error() {}, warn() {}, info() {}, debug() {}, verbose() {} })
  folder = mkdtempSync(join(tmpdir(), 'madsci-fault-'))
  spoolDir = join(folder, 'spool')
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  diag.disable()
})

/** A program with a client `events`; `emit(count)` writes down the id of each event whose call has returned. */
function start(options: ClientOptions, body: string): RunningScript {
  const script = startScript(`
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${JSON.stringify({ name: 'program', spoolDir, ...options })})
    let number = 0
    const emit = (count, more) => {
      for (let i = 0; i < count; i++) {
        const id = events.info('x', { number: number++, ...more })
        process.stdout.write(id + ' ' + events.stats.inMemory + '\\n')
      }
    }
    ${body}`)
  cleanups.push(async () => {
    script.kill('SIGKILL')
    await script.ended
  })
  return script
}

async function end(script: RunningScript, signal: NodeJS.Signals): Promise<void> {
  script.kill(signal)
  await script.ended
}

const linesOf = ({ stdout }: RunningScript) =>
  [...stdout.matchAll(/^([0-9A-Z]{26}) (\d+)\n/gm)].map(([, id, inMemory]) => ({
    id: id!,
    inMemory: Number(inMemory),
  }))
const soon = (value: () => number) => expect.poll(value, { timeout: 20_000 })
const idsOf = (script: RunningScript) => linesOf(script).map(({ id }) => id)

/** All that the program wrote down, and of the signal that ended it the last call, which may have returned unseen. */
function expectEmitted(arrived: Set<string>, script: RunningScript): void {
  const ids = idsOf(script)
  expect(ids.filter((id) => !arrived.has(id))).toEqual([])
  expect(arrived.size - ids.length).toBeLessThanOrEqual(1)
}

async function startStore() {
  const flags = {
    server_url: `http://127.0.0.1:${await findFreePort()}/`,
    otlp_port: 'none',
    document_db_url: `sqlite:${join(folder, 'events.db')}`,
    log_level: 'error',
  }
  let process = await spawnReceiver({ flags })
  const kill = async () => {
    process.kill('SIGKILL')
    await process.exited
  }
  cleanups.push(kill)
  const { url } = process
  return {
    url,
    kill,
    async restart() {
      process = await restartReceiver({ flags })
    },
    /** Numbers of the stored events; as many as there are documents. */
    async read(): Promise<{ ids: string[]; total: number }> {
      const text = await (await fetch(`${url}events?number=0`)).text()
      const health = (await (await fetch(`${url}health`)).json()) as { total_events: number }
      return {
        ids: [...text.matchAll(/"_id":"([0-9A-Z]{26})"/g)].map(([, id]) => id!),
        total: health.total_events,
      }
    },
  }
}

/** What a program of the name finds, it sends. */
async function deliverLeft(url: string, options: ClientOptions = {}): Promise<Stats> {
  const next = new EventClient({ url, name: 'program', spoolDir, ...options })
  await next.flush({ timeoutMs: 60_000 })
  await next.close()
  return next.stats
}

it('an outage of 11 seconds: a program goes on, nothing is lost, order is kept', async () => {
  const store = await startStore()
  const endpoint = await startOtlpEndpoint()
  cleanups.push(() => endpoint.close())
  const toStore = start({ url: store.url }, 'setInterval(emit, 10, 5)')
  const inOrder = start({ url: endpoint.url, name: 'in order' }, 'setInterval(emit, 10, 5)')
  await soon(() => linesOf(toStore).length).toBeGreaterThan(300)
  await Promise.all([store.kill(), endpoint.close()])
  await sleep(11_000)
  const again = await startOtlpEndpoint({ port: endpoint.port })
  cleanups.push(() => again.close())
  await store.restart()
  await sleep(2000)
  for (const script of [toStore, inOrder]) {
    await end(script, 'SIGTERM')
    expect(script.stderr.split('\n').filter((line) => line.includes('cannot deliver')).length).toBe(1)
  }
  await deliverLeft(store.url)
  await deliverLeft(again.url, { name: 'in order' })
  const { ids, total } = await store.read()
  expect(total).toBe(ids.length)
  expectEmitted(new Set(ids), toStore)
  expect(ids.length).toBeGreaterThan(3000)
  const arrived = [...endpoint.events, ...again.events].map((event) => event.event_id)
  // What was under way when the endpoint went is sent again.
  expect([...new Set(arrived)].slice(0, idsOf(inOrder).length)).toEqual(idsOf(inOrder))
  expectEmitted(new Set(arrived), inOrder)
}, 120_000)

it('replies that are lost, and programs killed in the middle of them: nothing is lost, nothing is there twice', async () => {
  const store = await startStore()
  const proxy = await startTroubleProxy(store.url)
  cleanups.push(() => proxy.close())
  let requests = 0
  proxy.next = () => (['cut-after', 'half-reply', 'pass', 'delay'] as const)[requests++ % 4]!
  const emitted: string[] = []
  for (let cycle = 0; cycle < 3; cycle++) {
    const script = start(
      { url: proxy.url, scheduleDelayMs: 5, maxBatchEvents: 40 },
      'setInterval(emit, 5, 5)',
    )
    await soon(() => linesOf(script).length).toBeGreaterThan(50)
    await sleep(1200)
    // On a busy machine it takes longer.
    await soon(() => proxy.counts.get('cut-after') ?? 0).toBeGreaterThan(2 * cycle + 1)
    await end(script, 'SIGKILL')
    emitted.push(...idsOf(script))
  }
  await deliverLeft(proxy.url)
  const { ids, total } = await store.read()
  expect(total).toBe(ids.length)
  expect(emitted.filter((id) => !ids.includes(id))).toEqual([])
  // Of each kill the last call may have returned unseen.
  expect(ids.length - emitted.length).toBeLessThanOrEqual(3)
  expect(proxy.counts.get('cut-after')).toBeGreaterThan(5)
}, 120_000)

it('a disk that is full, and freed: the program goes on, and a SIGKILL takes nothing that was in a file', async (context) => {
  const disk = mountSmallDisk()
  if (!disk) return context.skip('no right to mount a small file system')
  cleanups.push(disk.remove)
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`
  const script = start({ url, spoolDir: disk.path }, `setInterval(emit, 20, 5, { text: 'x'.repeat(1000) })`)
  await soon(() => linesOf(script).length).toBeGreaterThan(50)
  const free = disk.fill(30_000)
  await soon(() => linesOf(script).at(-1)!.inMemory).toBeGreaterThan(100)
  free()
  await soon(() => linesOf(script).at(-1)!.inMemory).toBe(0)
  await sleep(300)
  await end(script, 'SIGKILL')
  expect(script.stderr.split('\n').filter((line) => line.includes('spool'))).toEqual([
    expect.stringContaining('ENOSPC'),
    expect.stringContaining('can be written again'),
  ])
  const endpoint = await startOtlpEndpoint({ port })
  cleanups.push(() => endpoint.close())
  const ids = idsOf(script)
  const { dropped, damaged } = await deliverLeft(url, { spoolDir: disk.path })
  expect({ dropped, damaged }).toEqual({ dropped: 0, damaged: 0 })
  expect(endpoint.events.map((event) => event.event_id).slice(0, ids.length)).toEqual(ids)
}, 60_000)

it('bytes of a killed program that were torn and changed at random: the next one starts, says so, and sends the rest', async () => {
  const port = await findFreePort()
  const url = `http://127.0.0.1:${port}`
  const ids: string[] = []
  for (let i = 0; i < 3; i++) {
    const script = start(
      { url },
      `emit(200, { text: 'é'.repeat(200) }); process.kill(process.pid, 'SIGKILL')`,
    )
    await script.ended
    ids.push(...idsOf(script))
  }
  const files = readdirSync(spoolDir, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.seg'),
  )
  expect(files).toHaveLength(3)
  for (const file of files) {
    const bytes = readFileSync(join(spoolDir, file))
    for (let i = 0; i < 5; i++) bytes[Math.floor(Math.random() * bytes.length)]! ^= 0x55
    writeFileSync(join(spoolDir, file), bytes.subarray(0, bytes.length - 100))
  }
  const endpoint = await startOtlpEndpoint({ port })
  cleanups.push(() => endpoint.close())
  const next = start({ url }, `emit(1); await events.flush(); console.log(JSON.stringify(events.stats))`)
  expect((await next.ended).code).toBe(0)
  const { exported, recovered, damaged } = JSON.parse(next.stdout.trim().split('\n').at(-1)!) as Stats
  expect(damaged).toBe(3)
  expect(next.stderr.split('\n').filter((line) => line.includes('damaged'))).toHaveLength(1)
  const arrived = endpoint.events.map((event) => event.event_id)
  expect(arrived).toHaveLength(exported)
  expect(exported).toBe(recovered + 1)
  // Five bytes and the end cost six records of each file at most.
  expect(ids.filter((id) => !arrived.includes(id)).length).toBeLessThanOrEqual(18)
  expect(arrived.filter((id) => !ids.includes(id))).toEqual(idsOf(next))
}, 60_000)

it('values that are a danger to whoever reads them: stored as they were, or counted', async () => {
  const store = await startStore()
  const script = start(
    { url: store.url },
    `
    const deep = (levels) => { let value = 'leaf'; for (let i = 0; i < levels; i++) value = [value]; return value }
    const values = [
      NaN, -Infinity, -0, 2n ** 63n, -(2n ** 64n), 1e308, 9007199254740993n, '\\u0000', '',
      JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "": 0}'),
      { $where: 'while (true);', 'a.b': { $gt: 1 }, $: null }, deep(50), 'é💡'.repeat(500_000), [1, 'two', null, [true]],
    ]
    for (const value of values) events.info('x', { value })
    events.info('\\ud800', { value: '\\udc00' })
    events.info('x', { value: deep(5000) })
    events.info('x', { value: () => 1 })
    events.info('x', { value: 'x'.repeat(70 << 20) })
    await events.flush()
    console.log(JSON.stringify(events.stats))`,
  )
  expect((await script.ended).code).toBe(0)
  const stats = JSON.parse(script.stdout) as Stats
  expect(stats).toMatchObject({ emitted: 18, exported: 18, dropped: 0, altered: 7 })
  // One for each reason.
  expect(
    script.stderr
      .trim()
      .split('\n')
      .map((line) => /altered: (.*) \(told once/.exec(line)?.[1]),
  ).toEqual([
    'an integer beyond 64 bits is sent as text',
    'a lone surrogate is no text',
    expect.stringMatching(/^data nested deeper than \d+ cannot be sent$/),
    'a function cannot be sent',
    expect.stringMatching(/^data of more than \d+ bytes cannot be sent$/),
  ])
  const reader = new EventClient({ url: store.url, spool: false })
  const stored = (await reader.getEvents({ number: 0 })).reverse()
  await reader.close()
  const values = stored.map((event) => (event.event_data as { value: unknown }).value)
  const deep = (levels: number) =>
    Array.from({ length: levels }).reduce((value) => [value], 'leaf' as unknown)
  expect(values.slice(0, 14)).toEqual([
    // JSON, in which the answer comes, has no such numbers.
    null,
    null,
    0,
    '9223372036854775808',
    '-18446744073709551616',
    1e308,
    9007199254740993n,
    '\0',
    '',
    JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "": 0}'),
    { $where: 'while (true);', 'a.b': { $gt: 1 }, $: null },
    deep(50),
    'é💡'.repeat(500_000),
    [1, 'two', null, [true]],
  ])
  expect(values).toHaveLength(18)
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
}, 60_000)
