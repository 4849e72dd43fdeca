import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { spawnReceiver } from '../../../support/process.ts'

// Source: SQLite, PRAGMA synchronous.
const numbers = { full: 2, normal: 1, off: 0 }
const preload = pathToFileURL(join(import.meta.dirname, '../../../support/synchronous-preload.ts')).href

it.for([undefined, 'full', 'normal', 'off'] as const)(
  'commits are as durable as sqlite_synchronous says: %s',
  async (setting) => {
    const folder = await mkdtemp(join(tmpdir(), 'madsci-synchronous-'))
    const log = join(folder, 'synchronous.log')
    const receiver = await spawnReceiver({
      cwd: folder,
      flags: {
        server_url: 'http://127.0.0.1:0/',
        document_db_url: `sqlite:${join(folder, 'events.db')}`,
        ...(setting && { sqlite_synchronous: setting }),
      },
      nodeFlags: ['--import', preload],
      env: { SYNCHRONOUS_LOG: log },
    })
    try {
      const post = (path: string, body: object) =>
        fetch(receiver.url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      const logRecords = Array.from({ length: 200 }, (_, i) => ({ body: { stringValue: String(i) } }))
      const many = await post('v1/logs', { resourceLogs: [{ scopeLogs: [{ logRecords }] }] })
      expect(many.status).toBe(200)
      const lines = new Set(readFileSync(log, 'utf8').trim().split('\n'))
      const number = numbers[setting ?? 'full']
      expect([...lines]).toContain(`thread ${number}`)
      for (const line of lines) expect(line).toMatch(new RegExp(` ${number}$`))
    } finally {
      receiver.kill('SIGTERM')
      await receiver.exited
      await rm(folder, { recursive: true, force: true })
    }
  },
)
