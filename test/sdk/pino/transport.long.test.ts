import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let receiver: TestReceiver
beforeEach(async () => {
  receiver = await startTestReceiver()
})
afterEach(() => receiver.close())

const program = join(import.meta.dirname, 'program.ts')

function start(args: string[], env: { [name: string]: string } = {}): ChildProcess & { text: () => string } {
  const child = spawn(process.execPath, ['--conditions=madsci-events-source', program, ...args], {
    env: { PATH: process.env.PATH, MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  return Object.assign(child, { text: () => text })
}

const numbersOf = (receiver: TestReceiver) =>
  receiver.events().map((event) => (event.event_data as { number: number }).number)
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number)

describe("pino's transport, in a process of its own", () => {
  for (const version of ['pino', 'pino-9']) {
    for (const [end, code] of [
      ['return', 0],
      ['exit', 3],
      ['throw', 1],
      ['reject', 1],
    ] as const) {
      if (version === 'pino-9' && (end === 'return' || end === 'reject')) continue
      it(`${version}: every line arrives when the program ends by ${end}`, async () => {
        const child = start([version, '2000', end, JSON.stringify({ url: receiver.url })])
        const [status] = await once(child, 'close')
        expect(status, child.text()).toBe(code)
        expect(numbersOf(receiver)).toEqual(upTo(2000))
      })
    }

    for (const signal of version === 'pino' ? (['SIGTERM', 'SIGKILL'] as const) : []) {
      it(`${version}: every line that was flushed arrives when ${signal} ends the program`, async () => {
        const child = start([
          version,
          '500',
          'wait',
          JSON.stringify({ url: receiver.url, scheduleDelayMs: 1 }),
        ])
        child.stdout!.on('data', () => child.kill(signal))
        expect((await once(child, 'close'))[1], child.text()).toBe(signal)
        expect(numbersOf(receiver)).toEqual(upTo(500))
      })
    }
  }

  it('beside other targets it has the level of its own, and the keys of the logger', async () => {
    const child = start(['pino', '3', 'several', JSON.stringify({ url: receiver.url })])
    const [code] = await once(child, 'close')
    expect(code, child.text()).toBe(0)
    expect(child.text().trim().split('\n')).toHaveLength(4)
    expect(receiver.events()).toMatchObject([
      { log_level: 30, event_data: { message: 'last', exception: { type: 'Error', message: 'jam' } } },
    ])
    expect(Object.keys(receiver.events()[0]!.event_data as object)).toEqual(['message', 'exception'])
  })

  for (const end of ['exit', 'throw', 'SIGKILL'] as const) {
    it(`while the endpoint is away, what ${end} leaves behind is delivered by the next program of the name`, async () => {
      const port = receiver.port
      await receiver.close()
      const options = JSON.stringify({
        url: `http://127.0.0.1:${port}`,
        name: `arm-${end}`,
        flushTimeoutMs: 50,
        closeTimeoutMs: 50,
      })
      const first = start(['pino', '500', end === 'SIGKILL' ? 'wait' : end, options])
      if (end === 'SIGKILL') first.stdout!.on('data', () => first.kill(end))
      await once(first, 'close')
      receiver = await startTestReceiver({ port })
      const next = start(['pino', '1', 'wait', options])
      await receiver.waitFor(() => true, { count: 501, timeoutMs: 20_000 })
      next.kill('SIGKILL')
      await once(next, 'close')
      expect(numbersOf(receiver).sort((a, b) => a - b)).toEqual([0, ...upTo(500)])
    })
  }

  it('a short program says that the receiver is away, though a worker has no stderr that outlives it', async () => {
    await receiver.close()
    const options = JSON.stringify({ url: receiver.url, name: 'short', maxSpoolBytes: 1_048_576 })
    for (const end of ['return', 'exit']) {
      const child = start(['pino', '1', end, options])
      const [code] = await once(child, 'close')
      expect(code, child.text()).toBe(end === 'exit' ? 3 : 0)
      expect(child.text()).toMatch(/^madsci-events cannot deliver to .*1 event waits.*ECONNREFUSED/m)
    }
    receiver = await startTestReceiver({ port: receiver.port })
  })

  it('a worker that is killed takes no line with it that it had', async () => {
    const port = receiver.port
    await receiver.close()
    const options = JSON.stringify({
      url: `http://127.0.0.1:${port}`,
      name: 'worker-killed',
      flushTimeoutMs: 50,
    })
    const first = start(['pino', '500', 'kill-worker', options])
    const [code] = await once(first, 'close')
    expect(code, first.text()).toBe(0)
    expect(first.text()).toContain('the worker')
    receiver = await startTestReceiver({ port })
    const next = start(['pino', '1', 'wait', options])
    await receiver.waitFor(() => true, { count: 501, timeoutMs: 20_000 })
    next.kill('SIGKILL')
    await once(next, 'close')
    expect(numbersOf(receiver).sort((a, b) => a - b)).toEqual([0, ...upTo(500)])
  })
})
