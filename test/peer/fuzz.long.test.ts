import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findPeer, spawnPeer } from '../support/peer.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore } from '../support/store-flag.ts'

const peer = findPeer('SCHEMATHESIS_BINARY')

describe.concurrent('fuzzed from its own API description', () => {
  for (const backend of ['sqlite', 'mongodb'] as const) {
    it(`${backend}: no request ends with 500, and the next one is served`, async (context) => {
      if ('skip' in peer) return context.skip(peer.skip)
      const store = await prepareStore(backend)
      if ('skip' in store) return context.skip(store.skip)
      context.onTestFinished(store.stop)
      const receiver = await startTestReceiver({ flags: store.flags })
      context.onTestFinished(async () => void (await receiver.close()))
      // Its notes go to the working directory.
      const cwd = await mkdtemp(join(tmpdir(), 'madsci-fuzz-'))
      context.onTestFinished(() => rm(cwd, { recursive: true, force: true }))
      const fuzzer = spawnPeer(
        peer.path,
        [
          'run',
          `${receiver.url}openapi.json`,
          '--checks=not_a_server_error',
          '--max-examples=20',
          '--seed=7',
          // Never ends.
          '--exclude-path=/events/stream',
        ],
        { cwd },
      )
      context.onTestFinished(() => fuzzer.stop())
      const code = await fuzzer.exited
      expect(code, fuzzer.output.slice(-5000)).toBe(0)
      expect(fuzzer.output).toMatch(/(\d{3,}) generated, \1 passed/)
      expect(fuzzer.output).not.toContain('Unresolvable references')
      const health = await (await fetch(`${receiver.url}health`)).json()
      expect(health).toMatchObject({ healthy: true })
    })
  }
})
