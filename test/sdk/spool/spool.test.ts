import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ClientOptions, EventClient } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type OtlpEndpoint, startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { findFreePort } from '../../support/process.ts'
import { runScript } from '../../support/script.ts'

let folder: string
let port: number
let warnings: string[]
const endpoints: OtlpEndpoint[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-spool-test-'))
  port = await findFreePort()
  warnings = []
  const warn = (...parts: unknown[]) => {
    if (parts[0] === 'madsci-events') warnings.push(parts.slice(1).join(' '))
  }
  diag.setLogger({ error() {}, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) await endpoint.close()
  diag.disable()
  await rm(folder, { recursive: true, force: true })
})

async function listen(): Promise<OtlpEndpoint> {
  const endpoint = await startOtlpEndpoint({ port })
  endpoints.push(endpoint)
  return endpoint
}

const connect = (options: ClientOptions = {}) =>
  new EventClient({ url: `http://127.0.0.1:${port}`, name: 'arm', spoolDir: folder, ...options })

/** A program of its own, that speaks to our port, with our spool. */
const run = (body: string, options: object = {}) =>
  runScript(`
    import { EventClient } from '@madsci-events/sdk'
    const options = ${JSON.stringify({ url: `http://127.0.0.1:${port}`, name: 'arm', spoolDir: folder, ...options })}
    const events = new EventClient(options)
    // In one write: many small ones may wait for their reader, and are gone with a process that is killed.
    const emit = (count) => {
      const ids = Array.from({ length: count }, (_, i) => events.info('x', { i, text: 'é'.repeat(i % 50) }))
      console.log(ids.join('\\n'))
    }
    ${body}`)

const idsOf = (stdout: string): string[] => stdout.match(/^[0-9A-Z]{26}$/gm) ?? []
const arrivedAt = (endpoint: OtlpEndpoint) => endpoint.events.map((event) => event.event_id)

function emit(events: EventClient, count: number): string[] {
  return Array.from({ length: count }, (_, i) => events.info('x', { i }))
}

/** The homes that are left in the spool. */
function homes(): string[] {
  return readdirSync(folder).flatMap((stream) =>
    readdirSync(join(folder, stream)).filter((name) => name.includes('@')),
  )
}

describe('what push took outlives a SIGKILL', () => {
  it('the next process of the name sends it, in order, each once, whatever the first had sent', async () => {
    const killed = await run(`emit(300); process.kill(process.pid, 'SIGKILL')`)
    expect(killed.code).toBe(null)
    const ids = idsOf(killed.stdout)
    expect(ids).toHaveLength(300)
    const endpoint = await listen()
    const events = connect({ maxBatchEvents: 70 })
    await events.flush()
    expect(arrivedAt(endpoint)).toEqual(ids)
    expect(events.stats).toMatchObject({ emitted: 0, recovered: 300, exported: 300, waiting: 0 })
    const [first] = endpoint.events
    expect(first!.otel?.resource).toMatchObject({ 'service.name': 'arm' })
    await events.close()
    expect(homes()).toEqual([])
  })

  it('own events and those that were found take turns', async () => {
    const ids = idsOf((await run(`emit(100); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const endpoint = await listen()
    const events = connect({ maxBatchEvents: 10 })
    const own = emit(events, 100)
    await events.flush()
    const arrived = arrivedAt(endpoint)
    expect(arrived.filter((id) => ids.includes(id))).toEqual(ids)
    expect(arrived.filter((id) => own.includes(id))).toEqual(own)
    expect(arrived.slice(0, 40).filter((id) => own.includes(id))).toHaveLength(20)
    await events.close()
  })

  it('another name, or another endpoint, does not get it', async () => {
    const ids = idsOf((await run(`emit(5); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const other = await startOtlpEndpoint()
    endpoints.push(other)
    const endpoint = await listen()
    for (const options of [{ name: 'leg' }, { url: other.url }]) {
      const events = connect(options)
      emit(events, 1)
      await events.close()
    }
    expect([...arrivedAt(endpoint), ...arrivedAt(other)].some((id) => ids.includes(id))).toBe(false)
    await connect().close()
    expect(arrivedAt(endpoint).slice(-5)).toEqual(ids)
  })

  it('close() without an endpoint leaves it to the next client, and says so', async () => {
    const events = connect()
    const ids = emit(events, 10)
    await expect(events.close({ timeoutMs: 50 })).rejects.toMatchObject({
      code: 'EVT_UNREACHABLE',
      message: expect.stringMatching(
        /^10 events are not delivered yet: .*; 10 events stay in the spool until the next start of a program of this name sends what is there$/,
      ),
    })
    expect(events.stats).toMatchObject({ emitted: 10, waiting: 0, dropped: 0, left: 10 })
    const endpoint = await listen()
    await connect().close()
    expect(arrivedAt(endpoint)).toEqual(ids)
  })
})

describe('how a program ends does not matter', () => {
  const ends = {
    'it returns': '',
    'process.exit()': 'process.exit(3)',
    'a throw': `throw new Error('end')`,
    'a rejection': `Promise.reject(new Error('end'))`,
    SIGTERM: `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`,
    SIGINT: `process.kill(process.pid, 'SIGINT'); setInterval(() => {}, 1000)`,
    SIGKILL: `process.kill(process.pid, 'SIGKILL')`,
  }
  it.each(Object.entries(ends))('%s: everything is delivered, or in the spool', async (name, end) => {
    const endpoint = await listen()
    const { stdout } = await run(`emit(50)\n${end}`)
    const ids = idsOf(stdout)
    expect(ids).toHaveLength(50)
    if (name === 'it returns') expect(arrivedAt(endpoint)).toEqual(ids)
    await connect().close()
    expect(new Set(arrivedAt(endpoint))).toEqual(new Set(ids))
    expect(homes()).toEqual([])
  })
})

describe('bytes and age are bounded; what that costs is counted, and told once', () => {
  const big = 'x'.repeat(10_000)
  const full = { maxSpoolBytes: 1024 * 1024, maxBatchEvents: 10 }
  /** Some of three times as many as there is room for. */
  const fill = (events: EventClient) => Array.from({ length: 300 }, () => events.info(big))

  it('reject: the new ones go; drained() resolves when there is room again', async () => {
    const events = connect(full)
    const ids = fill(events)
    const { waiting, droppedBy } = events.stats
    expect(waiting).toBeGreaterThan(50)
    expect(waiting).toBeLessThan(110)
    expect(droppedBy.queue_full).toBe(300 - waiting)
    expect(warnings.filter((line) => line.includes('are being dropped'))).toHaveLength(1)
    let isDrained = false
    const drained = events.drained().then(() => {
      isDrained = true
    })
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(isDrained).toBe(false)
    const endpoint = await listen()
    await expect(events.flush()).rejects.toMatchObject({ code: 'EVT_REFUSED' })
    await drained
    expect(arrivedAt(endpoint)).toEqual(ids.slice(0, waiting))
    await events.close()
  })

  it('drop-oldest: the oldest go', async () => {
    const events = connect({ ...full, whenFull: 'drop-oldest' })
    const ids = fill(events)
    const { waiting, droppedBy } = events.stats
    expect(waiting).toBeGreaterThan(50)
    expect(droppedBy.queue_full).toBe(300 - waiting)
    const endpoint = await listen()
    await expect(events.flush()).rejects.toMatchObject({ code: 'EVT_REFUSED' })
    // The segment that was being read for the first request stays.
    const arrived = arrivedAt(endpoint)
    expect(arrived).toHaveLength(waiting)
    expect(arrived.slice(12)).toEqual(ids.slice(12 - waiting))
    expect(warnings.filter((line) => line.includes('are being dropped'))).toHaveLength(1)
    await events.close()
  })

  it('what is older than the limit is tried by the next process, and dropped after a while', async () => {
    await run(`emit(5); process.kill(process.pid, 'SIGKILL')`)
    const [stream] = readdirSync(folder)
    const home = join(folder, stream!, homes()[0]!)
    // The first segment is in hand as long as it is tried.
    copyFileSync(join(home, '00000001.seg'), join(home, '00000002.seg'))
    for (const name of readdirSync(home)) utimesSync(join(home, name), new Date(0), new Date(0))
    const events = connect({ maxSpoolAgeMs: 1000 })
    expect(events.stats).toMatchObject({ dropped: 0 })
    await expect.poll(() => events.stats.droppedBy.expired, { timeout: 20_000 }).toBe(5)
    expect(events.stats).toMatchObject({ recovered: 10, waiting: 5, dropped: 5 })
    await events.close().catch(() => {})
  })

  it('a clock that is wrong drops nothing that can be delivered', async () => {
    const ids = idsOf((await run(`emit(5); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const [stream] = readdirSync(folder)
    const home = join(folder, stream!, homes()[0]!)
    for (const name of readdirSync(home)) utimesSync(join(home, name), new Date(0), new Date(0))
    const clock = vi.spyOn(Date, 'now')
    try {
      const endpoint = await listen()
      const events = connect()
      const own = emit(events, 3)
      // The clock of this machine is set right: 13 years on.
      const realNow = Date.now()
      clock.mockImplementation(() => realNow + 13 * 365 * 86_400_000)
      for (let i = 0; i < 3; i++) {
        own.push(...emit(events, 1))
        await new Promise((resolve) => setTimeout(resolve, 300))
      }
      await events.flush()
      expect(new Set(arrivedAt(endpoint))).toEqual(new Set([...ids, ...own]))
      expect(events.stats).toMatchObject({ dropped: 0, waiting: 0 })
      await events.close()
    } finally {
      clock.mockRestore()
    }
  })
})

describe('what cannot be read is set aside and counted, and stops nothing else', () => {
  it('a damaged segment: what is whole in it is sent', async () => {
    const ids = idsOf((await run(`emit(20); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const [stream] = readdirSync(folder)
    const home = join(folder, stream!, homes()[0]!)
    const [name] = readdirSync(home)
    const bytes = readFileSync(join(home, name!))
    bytes[Math.floor(bytes.length / 2)]! ^= 1
    writeFileSync(join(home, name!), bytes)
    writeFileSync(join(home, '00000002.seg'), 'nonsense that is longer than a header is')
    const endpoint = await listen()
    const events = connect()
    const own = emit(events, 3)
    await events.flush()
    const arrived = arrivedAt(endpoint)
    expect(arrived).toHaveLength(22)
    expect([...ids, ...own].filter((id) => !arrived.includes(id))).toHaveLength(1)
    expect(events.stats).toMatchObject({ damaged: 2, recovered: 19, exported: 22 })
    expect(warnings.filter((line) => line.includes('damaged'))).toHaveLength(1)
    expect(readdirSync(join(folder, stream!, 'corrupt'))).toHaveLength(2)
    await events.close()
    expect(homes()).toEqual([])
  })

  it('what is no plain file is left where it is', async () => {
    const first = connect()
    first.info('left')
    const stream = join(folder, (await readdir(folder))[0]!)
    const home = join(stream, '01JJJJJJJJJJJJJJJJJJJJJJJJ@free')
    mkdirSync(join(home, '00000002.seg'), { recursive: true })
    execFileSync('mkfifo', [join(home, '00000001.seg')])
    symlinkSync('/dev/zero', join(home, '00000003.seg'))
    await listen()
    const second = connect()
    second.info('own')
    await second.flush()
    await first.flush()
    expect([first.stats, second.stats]).toMatchObject([
      { exported: 1 },
      { exported: 1, recovered: 0, damaged: 0 },
    ])
    await first.close()
    await second.close()
    expect((await readdir(home)).sort()).toEqual(['00000001.seg', '00000002.seg', '00000003.seg'])
  })

  it('a file of ours that is damaged while we run', async () => {
    const events = connect()
    const ids = emit(events, 20)
    const [stream] = readdirSync(folder)
    const path = join(folder, stream!, homes()[0]!, '00000001.seg')
    const bytes = readFileSync(path)
    bytes[Math.floor(bytes.length / 2)]! ^= 1
    writeFileSync(path, bytes)
    const endpoint = await listen()
    const later = emit(events, 5)
    await expect(events.flush()).rejects.toMatchObject({ code: 'EVT_REFUSED' })
    const arrived = arrivedAt(endpoint)
    expect([...ids, ...later].filter((id) => !arrived.includes(id))).toHaveLength(1)
    expect(events.stats).toMatchObject({ exported: 24, droppedBy: { corrupt: 1 }, damaged: 1, waiting: 0 })
    const [last] = emit(events, 1)
    await events.flush()
    expect(arrivedAt(endpoint).at(-1)).toBe(last)
    await events.close()
  })
})

describe('a disk that cannot be written costs nothing while there is room in memory, and is used again when it can', () => {
  it('order is kept, whatever is in a file and whatever in memory', async () => {
    const events = connect()
    const ids = emit(events, 10)
    const [stream] = readdirSync(folder)
    // Nothing can be made in a folder that is none; what is open can be written on.
    renameSync(join(folder, stream!), join(folder, 'away'))
    writeFileSync(join(folder, stream!), '')
    for (let i = 0; i < 100; i++) ids.push(events.info('x'.repeat(100_000)))
    expect(events.stats).toMatchObject({ waiting: 110, dropped: 0 })
    expect(warnings.filter((line) => line.includes('cannot be written'))).toHaveLength(1)
    await rm(join(folder, stream!))
    renameSync(join(folder, 'away'), join(folder, stream!))
    await expect.poll(() => warnings.at(-1), { timeout: 12_000 }).toBe('the spool can be written again')
    ids.push(...emit(events, 10))
    const endpoint = await listen()
    await events.flush()
    expect(arrivedAt(endpoint)).toEqual(ids)
    await events.close()
  }, 20_000)

  it('what is in memory when the client is closed goes to files, if it can by then', async () => {
    writeFileSync(join(folder, 'none'), '')
    const events = connect({ spoolDir: join(folder, 'none', 'deeper') })
    emit(events, 10)
    expect(warnings.filter((line) => line.includes('cannot be'))).toHaveLength(1)
    await rm(join(folder, 'none'))
    await events.close({ timeoutMs: 10 }).catch(() => {})
    expect(events.stats).toMatchObject({ left: 10, dropped: 0 })
  })
})

describe('several processes share a folder without harm', () => {
  it('nobody takes what belongs to a process that lives, whoever comes and goes', async () => {
    const endpoint = await listen()
    const body = `
      for (let i = 0; i < 20; i++) { emit(20); await new Promise((resolve) => setTimeout(resolve, 10)) }`
    const results = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        run(`${body}\n${i % 2 ? '' : `process.kill(process.pid, 'SIGKILL')`}`),
      ),
    )
    await connect().close()
    const ids = results.flatMap(({ stdout }) => idsOf(stdout))
    expect(ids).toHaveLength(1600)
    expect(new Set(arrivedAt(endpoint))).toEqual(new Set(ids))
    expect(homes()).toEqual([])
  })

  it('a process id that was given out again, another boot, a container without a sign of life: taken over', async () => {
    const ids = idsOf((await run(`emit(5); process.kill(process.pid, 'SIGKILL')`)).stdout)
    const [stream] = readdirSync(folder)
    const [home] = homes()
    const [id, owner] = home!.split('@')
    const mine = owner!.split('-')
    const pid = String(process.pid)
    const endpoint = await listen()
    const expectTaken = async (parts: string[], seen: Date, isTaken: boolean) => {
      const name = `${id}@${parts.join('-')}`
      const path = join(folder, stream!, name)
      renameSync(join(folder, stream!, homes().find((one) => one.startsWith(id!))!), path)
      utimesSync(path, seen, seen)
      const events = connect()
      expect(homes().includes(name)).toBe(!isTaken)
      await events.close({ timeoutMs: 1 }).catch(() => {})
    }
    const [host, boot, namespace, , started] = mine as [string, string, string, string, string]
    const long = new Date(Date.now() - 60_000)
    const now = new Date()
    await endpoint.close()
    await expectTaken([host, boot, namespace, pid, '1'], now, true)
    await expectTaken([host, 'abcdef01', namespace, pid, started], now, true)
    await expectTaken(['abcdef01', 'abcdef02', namespace, pid, started], now, false)
    await expectTaken(['abcdef01', 'abcdef02', namespace, pid, started], long, true)
    await expectTaken([host, boot, '12345', pid, started], now, false)
    await expectTaken([host, boot, '12345', pid, started], long, true)
    const again = await listen()
    await connect().close()
    expect(arrivedAt(again)).toEqual(ids)
  })

  it('an owner that was taken for dead notices, and loses nothing', async () => {
    const events = connect()
    const ids = emit(events, 5)
    const [stream] = readdirSync(folder)
    const [home] = homes()
    const elsewhere = await mkdtemp(join(tmpdir(), 'madsci-elsewhere-'))
    renameSync(join(folder, stream!, home!), join(elsewhere, home!))
    ids.push(...emit(events, 5))
    await new Promise((resolve) => setTimeout(resolve, 5500))
    ids.push(...emit(events, 5))
    expect(homes()).toHaveLength(1)
    const endpoint = await listen()
    await events.flush()
    expect(arrivedAt(endpoint)).toEqual(ids)
    await events.close()
    await rm(elsewhere, { recursive: true })
  }, 20_000)
})

it('without a spool nothing is written', async () => {
  const endpoint = await listen()
  const events = connect({ spool: false })
  emit(events, 10)
  await events.close()
  expect(endpoint.events).toHaveLength(10)
  expect(existsSync(folder) ? await readdir(folder) : []).toEqual([])
})
