import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createChannels } from '../../../receiver/src/alert/setting.ts'
import { sign } from '../../../receiver/src/alert/webhook.ts'
import { startHttpSink } from '../../support/alert-sink.ts'

const create = (channels: unknown, environment: { [name: string]: string } = {}) =>
  createChannels({ email: undefined, channels, privateHosts: ['127.0.0.1'], environment })

describe('channels', () => {
  it('take their secrets from the environment or a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-secret-'))
    const sink = await startHttpSink()
    try {
      await writeFile(join(folder, 'key'), 'from a file\n')
      const channels = create(
        {
          file: { kind: 'webhook', url: sink.url, secret_file: join(folder, 'key') },
          variable: { kind: 'webhook', url_env: 'HOOK', secret_env: 'KEY' },
        },
        { HOOK: sink.url, KEY: 'from the environment' },
      )
      const notice = { key: '[]', labels: {}, ids: [], atMs: 0 } as never
      for (const name of ['file', 'variable']) {
        const message = { id: name, notice, subject: '', text: '', html: '', events: [] }
        expect(await channels.get(name)!.send(message, '')).toEqual({ kind: 'delivered' })
      }
      const signatures = sink.requests.map(({ headers, body }) => {
        const [, seconds, hex] = /^t=(\d+),v1=(\w+)$/.exec(String(headers['x-madsci-signature']))!
        return [
          sign('from a file', Number(seconds), body) === hex,
          sign('from the environment', Number(seconds), body) === hex,
        ]
      })
      expect(signatures).toEqual([
        [true, false],
        [false, true],
      ])
    } finally {
      await sink.stop()
      await rm(folder, { recursive: true })
    }
  })

  it('are refused with every problem: secrets that are not there, mails without addresses, unknown members', () => {
    const wrong = {
      a: { kind: 'webhook', url: 'https://hooks.example', secret_env: 'NOWHERE' },
      b: { kind: 'slack', url_file: '/nowhere/at/all' },
      c: { kind: 'email', smtp_server: 'mail.example', colour: 1 },
      d: { kind: 'webhook', url: 'ftp://hooks.example/hush' },
    }
    const problems = [
      'NOWHERE, which is not set',
      'b.url_file cannot be read',
      'c.email_addresses is needed',
      'c.colour is unknown',
      'd.url must be an http or https URL',
    ]
    for (const problem of problems) expect(() => create(wrong)).toThrow(problem)
    expect(() => create(wrong)).not.toThrow('hush')
  })
})
