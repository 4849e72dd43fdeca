import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { startTestReceiver } from '@madsci-events/sdk/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runScript } from '../support/script.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'madsci-exit-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Runs a program that has `EventClient` and `startTestReceiver`. */
async function run(source: string, env: { [name: string]: string } = {}) {
  const imports = `import { EventClient } from '@madsci-events/sdk'; import { startTestReceiver } from '@madsci-events/sdk/testing'`
  const options = { env: { MADSCI_SPOOL_DIR: folder, ...env } }
  const { code, stdout, stderr } = await runScript(`${imports}\n${source}`, options)
  return { code, text: stdout + stderr }
}

const messageOf = (event: { event_data: unknown }) => (event.event_data as { message: string }).message

describe('the end of a program', () => {
  for (const [name, ending] of Object.entries({
    'by itself': '',
    'by process.exit()': 'process.exit(0)',
    'by a throw': "throw new Error('jam')",
  })) {
    it(`what exit handlers emit goes to the spool, when it ends ${name}`, async () => {
      const away = await startTestReceiver()
      await away.close()
      await run(`
        const events = new EventClient({ url: '${away.url}', name: 'arm', flushTimeoutMs: 100 })
        process.on('exit', () => { events.info('first'); events.info('second', { n: 1 }) })
        events.info('before')
        ${ending}`)
      const receiver = await startTestReceiver({ port: away.port })
      const { code } = await run(
        `const events = new EventClient({ url: '${receiver.url}', name: 'arm' })
        process.on('exit', () => events.info('last'))
        events.info('one')
        ${ending}`,
      )
      expect(code).toBe(name === 'by a throw' ? 1 : 0)
      await using events = new EventClient({ url: receiver.url, name: 'arm', spoolDir: folder })
      await events.flush()
      const messages = ['before', 'first', 'last', 'one', 'second']
      await receiver.waitFor(() => true, { count: messages.length })
      expect(receiver.events().map(messageOf).sort()).toEqual(messages)
      await receiver.close()
    })
  }

  it('does not wait a second time, when a flush of its own has just waited in vain', async () => {
    const away = await startTestReceiver()
    await away.close()
    const program = (last: string) => `
      const events = new EventClient({ url: '${away.url}', name: 'arm', flushTimeoutMs: 3000 })
      events.info('moved')
      await events.flush().catch((error) => console.log(error.code))
      ${last}
      const waited = performance.now()
      process.on('exit', () => console.log(performance.now() - waited < 2000 ? 'at once' : 'waited'))`
    expect((await run(program(''))).text).toContain('EVT_UNREACHABLE\nat once')
    expect((await run(program("events.info('one more')"))).text).toContain('EVT_UNREACHABLE\nwaited')
  })

  it('a test that fails before it closes the test receiver ends', async () => {
    const started = performance.now()
    const { code, text } = await run(`
      const receiver = await startTestReceiver()
      const events = receiver.createClient()
      receiver.failNext('hang')
      events.info('moved')
      await receiver.waitFor('action_failed', { timeoutMs: 100 })`)
    expect(code, text).toBe(1)
    expect(text).toContain('0 of 1 events after 100 ms')
    const idle = await run(`
      const receiver = await startTestReceiver()
      receiver.createClient().info('moved')
      await receiver.waitFor('log_info')
      console.log('arrived')`)
    expect(idle).toMatchObject({ code: 0, text: 'arrived\n' })
    expect(performance.now() - started).toBeLessThan(8000)
  })

  it('delivery takes the proxy of the environment, as queries do', async () => {
    const asked: string[] = []
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as { port: number }
    const env = { NODE_USE_ENV_PROXY: '1', http_proxy: `http://127.0.0.1:${port}` }
    const { code, text } = await run(
      `const events = new EventClient({ url: 'http://events.invalid', spool: false })
      events.info('moved')
      await events.close()`,
      env,
    )
    expect(code, text).toBe(0)
    expect(asked).toEqual(['POST http://events.invalid/v1/logs'])
    proxy.close()
  })
})
