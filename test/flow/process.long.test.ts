import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { type ReceiverProcess, type SpawnOptions, spawnReceiver } from '../support/process.ts'

const launcher = join(import.meta.dirname, '../../receiver/bin/madsci-events.js')
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'madsci-process-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function start(options: Partial<SpawnOptions> = {}): Promise<ReceiverProcess> {
  const { flags = {}, cwd = await makeFolder(), ...rest } = options
  const receiver = await spawnReceiver({
    flags: { server_url: 'http://127.0.0.1:0/', ...flags },
    cwd,
    ...rest,
  })
  cleanups.push(async () => {
    receiver.kill('SIGKILL')
    await receiver.exited
  })
  return receiver
}

async function run(args: string[], cwd?: string) {
  const child = spawn(process.execPath, [launcher, ...args], { cwd, env: { PATH: process.env.PATH } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code] = await once(child, 'exit')
  return { code, stdout, stderr }
}

/** A request of which only the head and half of the body are sent; `finish` sends the rest and gives the answer. */
async function startHalfRequest(url: string) {
  const { port } = new URL(url)
  const body = '{"event_data":{"half":true}}'
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('error', () => {})
  const closed = once(socket, 'close')
  socket.write(
    `POST /event HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 9)}`,
  )
  await setTimeout(100)
  return {
    async finish() {
      socket.write(body.slice(9))
      await closed
      return answer
    },
    closed,
  }
}

describe('madsci-events serve', () => {
  it('prints its addresses and its data folder, which is looked for in the working directory', async () => {
    const cwd = await makeFolder()
    const receiver = await start({ cwd })
    expect(receiver.stdout).toContain(`SQLite ${join(cwd, '.madsci/events.db')}`)
    expect(existsSync(join(cwd, '.madsci/events.db'))).toBe(true)
    expect((await fetch(`${receiver.url}health`)).status).toBe(200)
    expect(receiver.otlpUrl).toMatch(/\/v1\/logs$/)
  })

  it('on SIGTERM answers new requests with 503 and Retry-After, ends those under way, and exits with 0', async () => {
    const receiver = await start()
    const half = await startHalfRequest(receiver.url)
    const keptAlive = await startHalfRequest(receiver.url)
    receiver.kill('SIGTERM')
    await setTimeout(200)
    expect(await half.finish()).toMatch(/^HTTP\/1\.1 200/)
    expect(await keptAlive.finish()).toMatch(/^HTTP\/1\.1 200/)
    expect(await receiver.exited).toBe(0)
    expect(receiver.stderr).toContain('"events_stored":2')
  })

  it('with drain_delay_ms, says first that it will end, and still takes events', async () => {
    const receiver = await start({ flags: { drain_delay_ms: '700' } })
    receiver.kill('SIGTERM')
    await setTimeout(200)
    expect((await fetch(`${receiver.url}health/ready`)).status).toBe(503)
    const body = JSON.stringify({ event_type: 'test' })
    const headers = { 'content-type': 'application/json' }
    expect((await fetch(`${receiver.url}event`, { method: 'POST', headers, body })).status).toBe(200)
    expect(await receiver.exited).toBe(0)
    expect(receiver.stderr).toContain('"events_stored":1')
  })

  it('cuts off what takes longer than the deadline, and says so with its exit code', async () => {
    const receiver = await start({ flags: { shutdown_timeout_ms: '200' } })
    const half = await startHalfRequest(receiver.url)
    receiver.kill('SIGTERM')
    expect(await receiver.exited).toBe(1)
    await half.closed
  })

  it('ends at once on a second signal', async () => {
    const receiver = await start()
    await startHalfRequest(receiver.url)
    receiver.kill('SIGTERM')
    await setTimeout(200)
    receiver.kill('SIGTERM')
    expect(await receiver.exited).toBe(1)
  })

  it('takes a signal that comes twice at once for one', async () => {
    const receiver = await start()
    const half = await startHalfRequest(receiver.url)
    receiver.kill('SIGINT')
    await expect.poll(() => receiver.stderr, { interval: 2 }).toContain('closing')
    receiver.kill('SIGINT')
    expect(await half.finish()).toMatch(/^HTTP\/1\.1 200/)
    expect(await receiver.exited).toBe(0)
  })

  it('refuses a database that another process owns', async () => {
    const cwd = await makeFolder()
    await start({ cwd })
    await expect(start({ cwd })).rejects.toThrow(/EVT_STORE_LOCKED.*events\.db/s)
  })

  it('refuses a taken port', async () => {
    const first = await start()
    await expect(start({ flags: { server_url: first.url } })).rejects.toThrow(/server_url.*taken/)
  })

  it('warns when the OTLP port is taken, and refuses to start when it was asked for by name', async () => {
    const other = createServer().listen(4318, '127.0.0.1')
    cleanups.push(() => other.close())
    // Taken by us or by somebody else: taken it is.
    await Promise.race([once(other, 'listening'), once(other, 'error')])
    const receiver = await start({ flags: { otlp_port: '4318' } }).catch((error: Error) => error)
    expect(String(receiver)).toMatch(/otlp_port.*taken/)

    const { otlp_port: _, ...flags } = { otlp_port: '', server_url: 'http://127.0.0.1:0/' }
    const child = spawn(
      process.execPath,
      [launcher, 'serve', ...Object.entries(flags).map(([k, v]) => `--${k}=${v}`)],
      {
        cwd: await makeFolder(),
        env: { PATH: process.env.PATH },
      },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    while (!output.includes('the receiver listens')) await setTimeout(50)
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    expect(output).toContain('"level":40')
    expect(output).toContain('no second listener')
    expect(code).toBe(0)
  })

  it('ends with its launcher, also when that was killed, and the next start owns the database file', async () => {
    const cwd = await makeFolder()
    const launch = () => {
      const child = spawn(
        process.execPath,
        [launcher, 'serve', '--server_url=http://127.0.0.1:0/', '--otlp_port=0', '--grpc_port=none'],
        { cwd, env: { PATH: process.env.PATH } },
      )
      let output = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (chunk) => {
          output += chunk
        })
      }
      cleanups.push(() => child.kill('SIGKILL'))
      return { child, output: () => output }
    }
    const first = launch()
    await expect.poll(first.output, { timeout: 20_000 }).toContain('the receiver listens')
    const url = /REST and OTLP\s+(http\S+)/.exec(first.output())![1]!
    first.child.kill('SIGKILL')
    await expect
      .poll(() =>
        fetch(new URL('/health/live', url)).then(
          () => 'alive',
          () => 'gone',
        ),
      )
      .toBe('gone')
    // Its last commits may still be under way when nobody answers any more.
    await setTimeout(1000)
    const second = launch()
    await expect.poll(second.output, { timeout: 20_000 }).toContain('the receiver listens')
    second.child.kill('SIGTERM')
    expect((await once(second.child, 'exit'))[0]).toBe(0)
  })

  it('lists every wrong setting, and never what may be a password', async () => {
    const { code, stderr } = await run([
      'serve',
      '--otlp_port=x',
      '--document_db_url=postgres://me:hunter2@db',
    ])
    expect(code).toBe(1)
    expect(stderr).toMatch(/EVT_CONFIG/)
    expect(stderr).toMatch(/--otlp_port/)
    expect(stderr).toMatch(/--document_db_url/)
    expect(stderr).not.toContain('hunter2')
  })

  it('starts with the settings of a laboratory, and tells of names that are none', async () => {
    const cwd = await makeFolder()
    await mkdir(join(cwd, '.git'))
    await writeFile(
      join(cwd, 'settings.yaml'),
      'event_manager_name: Events of the lab\notel_enabled: true\notel_exporter: otlp',
    )
    await writeFile(
      join(cwd, 'events.env'),
      'EVENT_RETENTON_ENABLED=true\nEVENT_MANAGER_DESCRIPTION=all of them',
    )
    const receiver = await start({ cwd })
    const definition = await (await fetch(`${receiver.url}definition`)).json()
    expect(definition).toMatchObject({ name: 'Events of the lab', description: 'all of them' })
    receiver.kill('SIGTERM')
    expect(await receiver.exited).toBe(0)
    expect(receiver.stderr).toContain('EVENT_RETENTON_ENABLED in ')
    expect(receiver.stderr).toContain('otel_enabled has no effect')
    // The id stays with the laboratory.
    const again = await start({ cwd })
    expect(await (await fetch(`${again.url}definition`)).json()).toEqual(definition)
  })

  it('answers --help, --version and a wrong command line', async () => {
    expect((await run(['--help'])).stdout).toMatch(/madsci-events COMMAND/)
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await run(['dance'])).code).toBe(2)
    expect((await run(['serve', '--colour=red'])).code).toBe(2)
    expect((await run([])).code).toBe(2)
  })

  it('keeps the life of data that its settings ask for: old events are archived, backups lie in backup_dir', async () => {
    const cwd = await makeFolder()
    const first = await start({ cwd })
    for (const [id, time] of [
      ['old', '2025-01-01T00:00:00Z'],
      ['new', new Date().toISOString()],
    ]) {
      await fetch(`${first.url}event`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ event_id: id, event_timestamp: time }),
      })
    }
    first.kill('SIGTERM')
    await first.exited

    const flags = { retention_enabled: 'true', backup_enabled: 'true', backup_dir: 'copies' }
    const second = await start({ cwd, flags })
    const read = async (path: string) => (await fetch(second.url + path)).json() as Promise<object>
    await expect
      .poll(async () => Object.keys(await read('events/archived')), { timeout: 10_000 })
      .toEqual(['old'])
    expect(Object.keys(await read('events'))).toEqual(['new'])
    const made = await fetch(`${second.url}backup`, { method: 'POST' })
    expect(made.status).toBe(200)
    expect(await read('backup/status')).toMatchObject({
      backup_enabled: true,
      backup_dir: join(await realpath(cwd), 'copies'),
      available_backups: [{ is_valid: true }],
    })
  })

  it('refuses a schedule that never comes', async () => {
    const { code, stderr } = await run(
      ['serve', '--server_url=http://127.0.0.1:0', '--backup_enabled=true', '--backup_schedule=99 99 * * *'],
      await makeFolder(),
    )
    expect(code).toBe(1)
    expect(stderr).toContain('backup_schedule is no schedule')
  })
})

describe('madsci-events demo', () => {
  it('moves its figures, and ends cleanly with every event stored', async () => {
    const receiver = await start({ command: 'demo' })
    const deadline = Date.now() + 20_000
    while (!/ [1-9]\d\d? stored/.test(receiver.stdout) && Date.now() < deadline) {
      await setTimeout(100)
    }
    receiver.kill('SIGINT')
    expect(await receiver.exited).toBe(0)
    const last = [...receiver.stdout.matchAll(/(\d+) sent {2}(\d+) stored/g)].at(-1)!
    expect(Number(last[1])).toBeGreaterThan(10)
    // What to try, while it runs and afterwards.
    expect(receiver.stdout.match(/^ {2}madsci-events /gm)).toHaveLength(10)
    expect(last[2]).toBe(last[1])
  })
})
