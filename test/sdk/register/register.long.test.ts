import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventId } from '@madsci-events/sdk/event'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let receiver: TestReceiver
let folder: string
beforeEach(async () => {
  receiver = await startTestReceiver()
  folder = await mkdtemp(join(tmpdir(), 'madsci-register-'))
})
afterEach(async () => {
  await receiver.close()
  await rm(folder, { recursive: true, force: true })
})

interface RunOptions {
  name?: string
  flag?: '--import' | '--require' | 'none'
  env?: { [name: string]: string }
}

/** Runs a program that knows nothing of events. */
async function run(source: string, { name = 'app.mjs', flag = '--import', env = {} }: RunOptions = {}) {
  const file = join(folder, name)
  const modules = join(folder, 'node_modules')
  if (!existsSync(modules)) await symlink(join(import.meta.dirname, '../../../node_modules'), modules)
  await writeFile(file, source)
  const flags = flag === 'none' ? [] : [flag, '@madsci-events/sdk/register']
  const child = spawn(process.execPath, ['--conditions=madsci-events-source', ...flags, file], {
    // Where the flag's name is looked up.
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, MADSCI_SPOOL_DIR: folder, MADSCI_URL: receiver.url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (chunk: string) => {
      output[stream] += chunk
    })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...output }
}

describe('--import @madsci-events/sdk/register', () => {
  it('makes events of the console, and changes nothing of what is written', async () => {
    const node_id = createEventId()
    const source = `
      console.log('moved %d', 3, { to: 'B2' })
      console.warn('\\u001b[33mlow\\u001b[0m')
      console.error(new TypeError('jam'))
      console.debug({ [Symbol.for('nodejs.util.inspect.custom')]() { console.log('inner'); return 'outer' } })
      console.table([1])`
    const env = { MADSCI_REGISTER: 'console', MADSCI_NODE_ID: node_id }
    const plain = await run(source, { flag: 'none' })
    const { code, stdout, stderr } = await run(source, { name: 'app.mjs', env })
    expect({ code, stdout }).toEqual({ code: plain.code, stdout: plain.stdout })
    expect(stderr.split('\n').slice(0, 3)).toEqual(plain.stderr.split('\n').slice(0, 3))
    const events = receiver.events()
    const messages = events.map((event) => (event.event_data as { message: string }).message)
    expect(messages.slice(0, 5)).toEqual(["moved 3 { to: 'B2' }", 'low', 'jam', 'inner', 'outer'])
    expect(events.slice(0, 5).map((event) => event.log_level)).toEqual([20, 30, 40, 20, 10])
    expect(messages[5]).toContain('│ 0       │ 1')
    expect(events[2]!.event_data).toMatchObject({ console: 'error', exception: { type: 'TypeError' } })
    for (const event of events) {
      expect(event.source).toEqual({ node_id })
      expect(event.otel?.resource).toMatchObject({ 'service.name': 'app' })
    }
  })

  it('takes what the program logs through @opentelemetry/api', async () => {
    const api = import.meta.resolve('@opentelemetry/api')
    const source = `
      import { logs } from '${api}'
      logs.getLogger('arm').emit({ body: 'moved', severityNumber: 13, attributes: { well: 'A1' } })`
    const { code, stderr } = await run(source, { env: { OTEL_SERVICE_NAME: 'named' } })
    expect(code, stderr).toBe(0)
    const [event] = receiver.events()
    expect(event).toMatchObject({ log_level: 30, event_data: { message: 'moved', well: 'A1' } })
    expect(event!.otel?.resource).toMatchObject({ 'service.name': 'named' })
  })

  it.each(['--import', '--require'] as const)(
    'takes them by %s, whichever copy of the API the program has',
    async (flag) => {
      const api = import.meta.resolve('@opentelemetry/api')
      const source = `
      import { createRequire } from 'node:module'
      import { logs } from '${api}'
      const { logs: required } = createRequire('${import.meta.url}')('@opentelemetry/api')
      logs.getLogger('arm').emit({ body: 'by import' })
      required.getLogger('arm').emit({ body: 'by require' })`
      const { code, stderr } = await run(source, { flag, name: 'app.mjs' })
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const messages = receiver.events().map((event) => (event.event_data as { message: string }).message)
      expect(messages.sort()).toEqual(['by import', 'by require'])
    },
  )

  it("a program's own provider, which starts later, has its logs from then on, and nobody complains", async () => {
    const api = import.meta.resolve('@opentelemetry/api')
    const source = `
      import { diag, logs } from '${api}'
      diag.setLogger({ error: console.log, warn: console.log, info() {}, debug() {}, verbose() {} })
      const early = logs.getLogger('early')
      early.emit({ body: 'before' })
      const own = { emit: ({ body }) => console.log('own: ' + body), enabled: () => true }
      console.log(logs.setGlobalLoggerProvider({ getLogger: () => own }))
      early.emit({ body: 'after' })
      logs.getLogger('late').emit({ body: 'late' })`
    const { code, stdout, stderr } = await run(source)
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'true\nown: after\nown: late\n', stderr: '' })
    expect(receiver.events().map((event) => event.event_data)).toEqual([{ message: 'before' }])
  })

  it('a CommonJS program has it by --require, and the client behind it', async () => {
    const source = `
      const { events } = require(process.env.REGISTER)
      events.info('by hand')
      console.info('by console')`
    const env = {
      MADSCI_REGISTER: 'console',
      REGISTER: import.meta.resolve('@madsci-events/sdk/register').slice(7),
    }
    const { code, stderr } = await run(source, { name: 'app.cjs', flag: '--require', env })
    expect(code, stderr).toBe(0)
    const messages = receiver.events().map((event) => (event.event_data as { message: string }).message)
    expect(messages).toEqual(['by hand', 'by console'])
  })

  it('is there once, also in programs with workers', async () => {
    const source = `
      import { Worker } from 'node:worker_threads'
      new Worker("console.log('from the worker')", { eval: true })`
    const { code, stdout, stderr } = await run(source, { env: { MADSCI_REGISTER: 'console' } })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'from the worker\n', stderr: '' })
    expect(receiver.events()).toEqual([])
  })

  it('an endpoint that is away, or settings that are wrong, change neither what a program writes nor how it ends', async () => {
    const source = `console.log('works'); process.exitCode = 7`
    await receiver.close()
    const started = performance.now()
    const away = await run(source, { env: { MADSCI_REGISTER: 'console' } })
    expect(away).toMatchObject({ code: 7, stdout: 'works\n' })
    expect(performance.now() - started).toBeLessThan(8000)
    const wrong = { MADSCI_REGISTER: 'nonsense', MADSCI_NODE_ID: 'arm', MADSCI_URL: 'nowhere' }
    const ended = await run(source, { env: wrong })
    expect(ended).toMatchObject({ code: 7, stdout: 'works\n' })
    expect(ended.stderr).toContain('MADSCI_NODE_ID is no ULID')
    expect(ended.stderr).toContain('MADSCI_REGISTER: nonsense is none of errors, logs, console')
  })

  it('an error that ends the program ends it as before', async () => {
    const source = `setTimeout(() => { throw new TypeError('jam') })`
    const plain = await run(source, { flag: 'none' })
    const manager_id = createEventId()
    const { code, stdout, stderr } = await run(source, { env: { MADSCI_MANAGER_ID: manager_id } })
    expect({ code, stdout }).toEqual({ code: plain.code, stdout: plain.stdout })
    expect(stderr).toContain(plain.stderr.slice(0, plain.stderr.indexOf('Node.js')))
    expect(await run(`Promise.reject(new Error('rejected'))`)).toMatchObject({ code: 1 })
    // What there was no time to send is sent by the next program of the name.
    await run(`await new Promise((resolve) => setTimeout(resolve, 2000))`, {
      env: { MADSCI_MANAGER_ID: manager_id },
    })
    const events = await receiver.waitFor({ log_level: 50 }, { count: 2 })
    expect(events).toMatchObject([
      {
        event_type: 'manager_error',
        source: { manager_id },
        event_data: {
          message: 'The program ends: jam',
          origin: 'uncaughtException',
          exception: { type: 'TypeError', message: 'jam' },
        },
      },
      {
        event_type: 'log_critical',
        event_data: { origin: 'unhandledRejection', message: 'The program ends: rejected' },
      },
    ])
  })

  it('an error that a handler takes ends nothing, and is told only when the program fails of it', async () => {
    const late = "setTimeout(() => { throw new TypeError('jam') })"
    const handlers = [
      "process.on('uncaughtException', () => {})",
      'process.setUncaughtExceptionCaptureCallback(() => {})',
    ]
    for (const handler of handlers) expect(await run(`${handler}; ${late}`)).toMatchObject({ code: 0 })
    const domain = "import { create } from 'node:domain'; const d = create(); d.on('error', () => {})"
    expect(await run(`${domain}; d.run(() => { ${late} })`)).toMatchObject({ code: 0 })
    expect(receiver.events()).toEqual([])
    const stops = "process.on('uncaughtException', () => setTimeout(() => process.exit(3), 50))"
    expect(await run(`${stops}; ${late}`)).toMatchObject({ code: 3 })
    await run('await new Promise((resolve) => setTimeout(resolve, 2000))')
    const [event] = await receiver.waitFor({ log_level: 50 })
    expect(event).toMatchObject({ event_data: { message: 'The program ends: jam' } })
  })
})
