import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { readSpool, type SpoolSegment } from '@madsci-events/sdk/spool'
import { diag } from '@opentelemetry/api'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../../receiver/src/cli/command.ts'
import { decodeJson } from '../../../receiver/src/otlp/json.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { findFreePort } from '../../support/process.ts'
import { startTestReceiver } from '../../support/receiver.ts'
import { type RunningScript, startScript } from '../../support/script.ts'

let folder: string
let spoolDir: string
let url: string
const scripts: RunningScript[] = []
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'madsci-inspect-'))
  spoolDir = join(folder, 'spool')
  url = `http://127.0.0.1:${await findFreePort()}`
  diag.setLogger({ error() {}, warn() {}, info() {}, debug() {}, verbose() {} })
})
afterEach(async () => {
  for (const script of scripts.splice(0)) {
    script.kill('SIGKILL')
    await script.ended
  }
  diag.disable()
  rmSync(folder, { recursive: true, force: true })
})

function start(name: string, body: string): RunningScript {
  const script = startScript(`
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient(${JSON.stringify({ url, name, spoolDir })})
    let number = 0
    const emit = (count) => {
      const ids = Array.from({ length: count }, () => events.info('x', { number: number++, big: 2n ** 60n, text: 'é' }))
      console.log(ids.join('\\n'))
    }
    ${body}`)
  scripts.push(script)
  return script
}
const idsOf = ({ stdout }: RunningScript) => stdout.match(/^[0-9A-Z]{26}$/gm) ?? []

async function look(): Promise<SpoolSegment[]> {
  const segments: SpoolSegment[] = []
  for await (const segment of readSpool(spoolDir)) segments.push(segment)
  return segments
}

const eventsOf = (lines: Iterable<string>) =>
  [...lines].flatMap(
    (line) => decodeJson(Buffer.from(line), { receivedUnixNano: 1n, maxBodyBytes: 64 << 20 }).events,
  )

/** Names, sizes, times and bytes of everything in it. */
function snapshot() {
  return readdirSync(spoolDir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(spoolDir, name)
      const { mtimeMs, size, mode } = statSync(path)
      return [name, mtimeMs, size, mode, statSync(path).isFile() && readFileSync(path, 'hex')]
    })
}

describe('a look at a spool', () => {
  it('has what waits, as the receiver would read it, of programs that are gone and of those that run', async () => {
    const gone = start('gone', `emit(700); process.kill(process.pid, 'SIGKILL')`)
    await gone.ended
    const runs = start('runs', 'emit(5); setInterval(() => {}, 1000)')
    await expect.poll(() => idsOf(runs).length, { timeout: 10_000 }).toBe(5)
    const before = snapshot()
    const segments = await look()
    expect(snapshot()).toEqual(before)
    const about = segments.map(({ name, endpoint, state, count, isDamaged }) => ({
      name,
      endpoint,
      state,
      count,
      isDamaged,
    }))
    const endpoint = `${url}/v1/logs`
    expect(about).toEqual([
      { name: 'gone', endpoint, state: 'left', count: 700, isDamaged: false },
      { name: 'runs', endpoint, state: 'used', count: 5, isDamaged: false },
    ])
    const lines = segments.map((segment) => [...segment.lines()])
    expect(lines.map(({ length }) => length)).toEqual([2, 1])
    expect(
      lines.flat().every((line) => !line.includes('\n') && Array.isArray(JSON.parse(line).resourceLogs)),
    ).toBe(true)
    const events = eventsOf(lines.flat())
    expect(events.map((event) => event.event_id)).toEqual([...idsOf(gone), ...idsOf(runs)])
    expect(events[699]).toMatchObject({
      event_data: { message: 'x', number: 699, big: 2n ** 60n, text: 'é' },
      otel: { resource: { 'service.name': 'gone' } },
    })
  })

  it('leaves out what is delivered, and tells of what is damaged', async () => {
    const gone = start('arm', `emit(20); process.kill(process.pid, 'SIGKILL')`)
    await gone.ended
    const [segment] = await look()
    const bytes = readFileSync(segment!.path)
    bytes[bytes.length - 50]! ^= 1
    writeFileSync(segment!.path, bytes)
    expect(await look()).toMatchObject([{ count: 19, isDamaged: true, state: 'left' }])
    const endpoint = await startOtlpEndpoint({ port: Number(new URL(url).port) })
    const events = new EventClient({ url, name: 'arm', spoolDir, maxBatchEvents: 7, timeoutMs: 300 })
    endpoint.script.push({}, { status: 503 })
    await expect.poll(() => endpoint.requests.length, { timeout: 5000 }).toBe(2)
    // Noted a moment after the answer.
    await expect
      .poll(async () => (await look()).map(({ count, state }) => [count, state]))
      .toEqual([[12, 'used']])
    await events.close({ timeoutMs: 10_000 })
    expect(await look()).toMatchObject([{ count: 0, isDamaged: true, state: 'corrupt' }])
    await endpoint.close()
  })

  it('beside programs that emit, end and take over, it sees no event twice, and none that is not there', async () => {
    const emitting = start('arm', 'setInterval(emit, 10, 2)')
    await expect.poll(() => idsOf(emitting).length, { timeout: 10_000 }).toBeGreaterThan(50)
    for (let i = 0; i < 8; i++) {
      const before = idsOf(emitting)
      const seen = (await look())
        .flatMap((segment) => eventsOf(segment.lines()))
        .map((event) => event.event_id)
      expect(new Set(seen).size).toBe(seen.length)
      expect(before.filter((id) => !seen.includes(id))).toEqual([])
    }
    emitting.kill('SIGKILL')
    await emitting.ended
    const ids = idsOf(emitting)
    // Its files get another owner while we look.
    const next = start('arm', 'setInterval(() => {}, 1000)')
    let isTaken = false
    const deadlineMs = performance.now() + 20_000
    while (!isTaken && performance.now() < deadlineMs) {
      const segments = await look()
      const seen = segments.flatMap((segment) => eventsOf(segment.lines())).map((event) => event.event_id)
      expect(ids.filter((id) => !seen.includes(id))).toEqual([])
      expect(new Set(seen).size).toBe(seen.length)
      isTaken = segments.every(({ state }) => state === 'used')
    }
    expect(isTaken).toBe(true)
    expect(next.stderr).not.toContain('damaged')
  }, 30_000)

  it('nothing there, or something else: nothing waits', async () => {
    expect(await look()).toEqual([])
    cpSync(join(import.meta.dirname), spoolDir, { recursive: true })
    expect(await look()).toEqual([])
  })
})

describe('madsci-events spool', () => {
  async function run(...args: string[]) {
    const output = { stdout: '', stderr: '' }
    const to = (stream: 'stdout' | 'stderr') => ({
      write: (text: string) => {
        output[stream] += text
      },
    })
    const code = await runCommand(['spool', ...args], {
      environment: {},
      workingDirectory: folder,
      stdout: to('stdout'),
      stderr: to('stderr'),
      stopping: new AbortController().signal,
    })
    return { code, ...output }
  }

  it('prints lines that a receiver takes, and how many events they are', async () => {
    await start('arm', `emit(600); process.kill(process.pid, 'SIGKILL')`).ended
    const { code, stdout, stderr } = await run('spool')
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(
        /^arm to http:\S+: 600 events, \d+ bytes; the next program of this name sends them\n$/,
      ),
    })
    const receiver = await startTestReceiver()
    for (const line of stdout.trim().split('\n')) {
      const headers = { 'content-type': 'application/json' }
      expect((await fetch(`${receiver.url}v1/logs`, { method: 'POST', body: line, headers })).status).toBe(
        200,
      )
    }
    const health = (await (await fetch(`${receiver.url}health`)).json()) as { total_events: number }
    expect(health.total_events).toBe(600)
    await receiver.close()
    expect(await run(spoolDir, '--count')).toEqual({ code: 0, stdout: stderr, stderr: '' })
    const counted = JSON.parse((await run('spool', '--count', '--json')).stdout)
    expect(counted).toMatchObject({ spool: [{ name: 'arm', state: 'left', events: 600, damaged: 0 }] })
    expect(await run('elsewhere')).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(existsSync(join(folder, 'elsewhere'))).toBe(false)
  })
})

it('what the receiver refuses for good is kept, shown, and never sent again', async () => {
  const endpoint = await startOtlpEndpoint()
  endpoint.reply = ({ events }) =>
    events.some((event) => (event.event_data as { number: number }).number % 5 === 2) ? { status: 422 } : {}
  const events = new EventClient({ url: endpoint.url, name: 'arm', spoolDir })
  const ids = Array.from({ length: 20 }, (_, number) => events.info('x', { number }))
  await expect(events.close()).rejects.toMatchObject({ code: 'EVT_REFUSED' })
  expect(events.stats).toMatchObject({ exported: 16, droppedBy: { refused: 4 } })
  expect(endpoint.events.map((event) => event.event_id)).toEqual(ids.filter((_, number) => number % 5 !== 2))
  const segments = await look()
  expect(segments.map(({ state, name, count }) => [state, name, count])).toEqual([['refused', 'arm', 4]])
  const [line] = [...segments[0]!.lines()]
  const read = decodeJson(Buffer.from(line!), { receivedUnixNano: 1n, maxBodyBytes: 1 << 20 }).events
  expect(read.map((event) => event.event_id)).toEqual(ids.filter((_, number) => number % 5 === 2))
  const before = endpoint.requests.length
  await new EventClient({ url: endpoint.url, name: 'arm', spoolDir }).close()
  expect(endpoint.requests).toHaveLength(before)
  await endpoint.close()
})
