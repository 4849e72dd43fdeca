import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ownEnv } from '../../support/process.ts'

const main = join(import.meta.dirname, '../../../receiver/src/main.ts')
// Told at the end on standard error: which packages were resolved.
const spy = `data:text/javascript,${encodeURIComponent(`
import { registerHooks } from 'node:module'
const seen = new Set()
registerHooks({ resolve(name, context, next) { seen.add(name); return next(name, context) } })
process.on('exit', () => process.stderr.write('SEEN ' + [...seen].join(' ') + '\\n'))
`)}`

function packagesOf(...args: string[]): string[] {
  const { stderr } = spawnSync(
    process.execPath,
    ['--conditions=madsci-events-source', '--import', spy, main, ...args],
    { encoding: 'utf8', env: ownEnv() },
  )
  return /SEEN (.*)/.exec(stderr)![1]!.split(' ')
}

describe('what a command loads', () => {
  it.each([
    ['--version'],
    ['help', 'query'],
    ['nosuchcommand'],
    ['query', '--server_url=http://127.0.0.1:1/'],
    ['utilization', 'summary', '--server_url=http://127.0.0.1:1/'],
  ])('%s: nothing of the receiver itself', (...args) => {
    const names = packagesOf(...args)
    expect(names.length).toBeGreaterThan(5)
    for (const heavy of ['fastify', 'mongodb', 'zod', 'nodemailer', 'pino', '../receiver.ts'])
      expect(names).not.toContain(heavy)
  })
})
