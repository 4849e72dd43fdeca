import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type ClientOptions, EventClient } from '@madsci-events/sdk'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { leaveStream, listHomes, openStream } from '../../../sdk/src/spool/folder.ts'
import { openLeftover } from '../../../sdk/src/spool/leftover.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { runScript, startScript } from '../../support/script.ts'

let folder: string
let endpoint: OtlpEndpoint
let warnings: string[]
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'madsci-folder-'))
  endpoint = await startOtlpEndpoint()
  warnings = []
  const warn = (...parts: unknown[]) => void warnings.push(parts.join(' '))
  diag.setLogger({ error: warn, warn, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  vi.useRealTimers()
  await endpoint.close()
  diag.disable()
  rmSync(folder, { recursive: true, force: true })
})

const connect = (options: ClientOptions = {}) =>
  new EventClient({ url: endpoint.url, name: 'arm', spoolDir: folder, ...options })
const arrived = () => endpoint.events.map((event) => event.event_id)
const hourMs = 3_600_000

/** What a program leaves behind that is killed, and gives no sign of life for so long. */
async function leave(name: string, url: string, idleMs: number): Promise<string[]> {
  const { stdout } = await runScript(`
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${JSON.stringify({ url, name, spoolDir: folder, scheduleDelayMs: 60_000 })})
    console.log([1, 2, 3].map((i) => events.info('x', { i })).join(' '))
    process.kill(process.pid, 'SIGKILL')`)
  const stream = readdirSync(folder).find((one) => one.startsWith(`${name}-`))!
  const seen = new Date(Date.now() - idleMs)
  for (const { home } of listHomes(join(folder, stream))) utimesSync(home, seen, seen)
  return stdout.trim().split(' ')
}

describe.skipIf(process.platform !== 'linux')('a folder that cannot be made', () => {
  it('where the system answers ENOENT below a folder that is there: delivery goes on without a spool, and says so', async () => {
    const program = startScript(
      `
      import { EventClient } from '@madsci-events/sdk'
      const events = new EventClient({ url: '${endpoint.url}', name: 'arm' })
      events.info('moved')
      await events.close()
      console.log(JSON.stringify(events.stats))`,
      { env: { MADSCI_SPOOL_DIR: '/proc/nope/deep' } },
    )
    // It would make folders for ever.
    const timer = setTimeout(() => program.kill('SIGKILL'), 20_000)
    const { code, stdout, stderr } = await program.ended
    clearTimeout(timer)
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ emitted: 1, exported: 1, dropped: 0 })
    expect(stderr).toContain('in memory: ENOENT')
    expect(arrived()).toHaveLength(1)
  })
})

describe('the spools of programs that never come back', () => {
  it('are sent by whoever speaks to their endpoint, after an hour', async () => {
    await leave('late', endpoint.url, hourMs / 2)
    const ids = await leave('gone', endpoint.url, 2 * hourMs)
    const events = connect()
    await events.close()
    expect(arrived()).toEqual(ids)
    expect(events.stats).toMatchObject({ recovered: 3, exported: 3 })
    // What another program was in lately is its own.
    expect(readdirSync(folder).map((name) => name.split('-')[0])).toEqual(['late'])
    expect(warnings).toEqual([])
  })

  it('are told of once, when they are for another endpoint, after a day', async () => {
    await leave('gone', 'http://127.0.0.1:1/base', 25 * hourMs)
    await leave('away', 'http://127.0.0.1:1', 23 * hourMs)
    for (let i = 0; i < 2; i++) await connect().close()
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(
      /^madsci-events events of 'gone' for http:\/\/127\.0\.0\.1:1\/base\/v1\/logs wait in /,
    )
    expect(warnings[0]).toContain('`madsci-events spool`')
    expect(readdirSync(folder)).toHaveLength(2)
  })
})

describe('the folder of a spool', () => {
  it('goes with the last that leaves it, when nothing is in it', async () => {
    const clients = [connect(), connect(), connect({ name: 'other' })]
    for (const client of clients) client.info('x')
    expect(readdirSync(folder)).toHaveLength(2)
    for (const client of clients) await client.close()
    expect(arrived()).toHaveLength(3)
    expect(readdirSync(folder)).toEqual([])
  })

  it('comes again for one who had opened it before', async () => {
    const early = connect()
    const late = connect()
    late.info('x')
    await late.close()
    const ids = [early.info('x'), early.info('y')]
    expect(readdirSync(folder)).toHaveLength(1)
    expect(existsSync(join(folder, readdirSync(folder)[0]!, 'stream.json'))).toBe(true)
    await early.close()
    expect(arrived().slice(1)).toEqual(ids)
    expect(warnings).toEqual([])
  })

  it('stays as it is for another home in it', () => {
    const stream = openStream(folder, 'arm', endpoint.url, { isSynced: false })
    mkdirSync(join(stream, 'corrupt'))
    leaveStream(stream)
    expect(readdirSync(stream)).toEqual(['corrupt', 'stream.json'])
  })

  it('of the first version is opened, and what is in it is sent', async () => {
    const url = `${endpoint.url}/v1/logs`
    // Written by the first version that had a spool, which was killed; names of folders and the form of files are its own.
    expect(basename(openStream(folder, 'arm', 'http://127.0.0.1:9/v1/logs', { isSynced: false }))).toBe(
      'arm-67b7c0c7',
    )
    const stream = openStream(folder, 'arm', url, { isSynced: false })
    const home = join(stream, '01M8FWBS9321BHFMZDD5S4ZM72@5bce98f7-35601d7a-4026531836-31439-3212797')
    mkdirSync(home)
    copyFileSync(join(import.meta.dirname, 'version-1.seg'), join(home, '00000001.seg'))
    utimesSync(home, new Date(0), new Date(0))
    const events = connect()
    await events.close()
    expect(events.stats).toMatchObject({ recovered: 3, exported: 3, damaged: 0 })
    expect(endpoint.events).toMatchObject([
      { event_id: '01M8FWBS91CFZYH8FP7TMKZV8T', event_data: { message: 'first', volume_ul: 50 } },
      { event_type: 'log_error', event_data: { nested: { list: [1, 'zwei', null] } } },
      { event_type: 'node_error', alert: true, event_data: 'third' },
    ])
    for (const event of endpoint.events)
      expect(event.source).toEqual({ node_id: '01JYFVHAS9A0QXZT9Z5WBV2E5R' })
  })
})

it('the age of what is found is not by a time of day that is set meanwhile, nor by one that cannot be', () => {
  const [dayMs, limitMs] = [24 * hourMs, 14 * 24 * hourMs]
  const found = (writtenMs: number) => {
    const home = mkdtempSync(join(folder, 'home-'))
    const path = join(home, '00000001.seg')
    copyFileSync(join(import.meta.dirname, 'version-1.seg'), path)
    utimesSync(path, new Date(writtenMs), new Date(writtenMs))
    return openLeftover(home, { onFind() {}, onDamage() {} })
  }
  const nowMs = Date.now()
  const [old, young, unset, ahead] = [nowMs - 15 * dayMs, nowMs - 5000, 1000, nowMs + dayMs].map(found)
  vi.useFakeTimers({ toFake: ['Date'], now: nowMs + 20 * dayMs })
  expect([old, young, unset, ahead].map((one) => one!.dropOlder(limitMs))).toEqual([3, 0, 0, 0])
})
