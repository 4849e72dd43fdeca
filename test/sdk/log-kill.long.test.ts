import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { EventClient } from '@madsci-events/sdk'
import { startTestReceiver } from '@madsci-events/sdk/testing'
import { describe, expect, it } from 'vitest'
import { findFreePort } from '../support/process.ts'

const program = join(import.meta.dirname, 'log-program.ts')

describe('a logging library that writes in the thread of the program', () => {
  for (const library of ['pino', 'winston']) {
    it(`${library}: a line is safe when the call returns, also from a SIGKILL in the same turn`, async () => {
      const port = await findFreePort()
      const url = `http://127.0.0.1:${port}`
      const name = `killed-${library}`
      const child = spawn(
        process.execPath,
        ['--conditions=madsci-events-source', program, library, '500', url, name],
        {
          env: { PATH: process.env.PATH, MADSCI_SPOOL_DIR: process.env.MADSCI_SPOOL_DIR },
          stdio: 'inherit',
        },
      )
      expect((await once(child, 'close'))[1]).toBe('SIGKILL')
      await using receiver = await startTestReceiver({ port })
      await using _next = new EventClient({ url, name })
      const events = await receiver.waitFor(() => true, { count: 500, timeoutMs: 20_000 })
      const numbers = events.map((event) => (event.event_data as { number: number }).number)
      expect(numbers).toEqual(Array.from({ length: 500 }, (_, number) => number))
    })
  }
})
