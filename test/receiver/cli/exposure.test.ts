import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findExposure } from '../../../receiver/src/cli/exposure.ts'
import { spawnReceiver } from '../../support/process.ts'

describe('a receiver that other machines can reach', () => {
  it.for(['localhost', '127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])(
    '%s is this machine',
    async (host) => {
      expect(await findExposure(host)).toBeUndefined()
    },
  )

  it.for(['0.0.0.0', '::', '192.168.1.5', 'fe80::1', 'no-such-host.invalid'])(
    '%s is told of',
    async (host) => {
      expect(await findExposure(host)).toContain('no login')
    },
  )

  it('says at its start that it has no login, and how to limit who reaches it; one on localhost does not', async () => {
    const cwd = await mkdtemp(join(tmpdir(), 'madsci-exposure-'))
    try {
      for (const [host, isTold] of [
        ['0.0.0.0', true],
        ['127.0.0.1', false],
      ] as const) {
        const flags = { server_url: `http://${host}:0/`, document_db_url: 'null:' }
        const receiver = await spawnReceiver({ flags, cwd })
        receiver.kill('SIGTERM')
        await receiver.exited
        const lines = receiver.stderr.split('\n').filter((line) => line.includes('no login'))
        expect(lines, host).toHaveLength(isTold ? 1 : 0)
        if (isTold) expect(lines[0]).toMatch(/"level":40.*firewall/)
      }
    } finally {
      await rm(cwd, { recursive: true, force: true })
    }
  })
})
