import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '../..')

describe('the packed SDK, in a project of its own', () => {
  let project: string
  const run = (command: string, args: string[], cwd = project) => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
    return { status, text: stdout + stderr }
  }
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'madsci-pack-'))
    const packed = run('npm', ['pack', '-w', 'sdk', '--pack-destination', project], root)
    expect(packed.status, packed.text).toBe(0)
    const archive = readdirSync(project).find((name) => name.endsWith('.tgz'))!
    expect(run('tar', ['-xzf', archive]).status).toBe(0)
    const modules = join(project, 'node_modules')
    mkdirSync(join(modules, '@madsci-events'), { recursive: true })
    renameSync(join(project, 'package'), join(modules, '@madsci-events/sdk'))
    // Its dependencies, as npm would install them; they are those of this checkout.
    for (const name of ['@opentelemetry', 'ulid', '@types', 'undici-types'])
      symlinkSync(join(root, 'node_modules', name), join(modules, name))
    writeFileSync(join(project, 'package.json'), '{"name":"lab"}')
  })
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  const use = `
    const events = new EventClient({ url: 'http://127.0.0.1:1', name: 'arm' })
    const id: string = events.info('Aspirated', { volume_ul: 50 })
    const level: EventLevel = 20
    if (!isUlid(id) || level !== 20 || events.stats.emitted !== 1) throw new Error('no event')
    events.close({ timeoutMs: 1 }).catch((error: { code: string }) => console.log(error.code))`
  const plain = use.replace(': string', '').replace(': EventLevel', '').replace(': { code: string }', '')

  it('is imported and required', () => {
    writeFileSync(
      join(project, 'use.mjs'),
      `import { EventClient } from '@madsci-events/sdk'\nimport { isUlid } from '@madsci-events/sdk/event'\n${plain}`,
    )
    writeFileSync(
      join(project, 'use.cjs'),
      `const { EventClient } = require('@madsci-events/sdk')\nconst { isUlid } = require('@madsci-events/sdk/event')\n${plain}`,
    )
    for (const file of ['use.mjs', 'use.cjs']) {
      const { status, text } = run(process.execPath, [file])
      expect(text, file).toContain('EVT_UNREACHABLE')
      expect(status, text).toBe(0)
    }
  })

  it('has types for both', () => {
    const source = `import { EventClient, type EventLevel } from '@madsci-events/sdk'\nimport { isUlid } from '@madsci-events/sdk/event'\n${use}`
    for (const file of ['use.mts', 'use.cts']) writeFileSync(join(project, file), source)
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const { status, text } = run(process.execPath, [tsc, ...flags, 'use.mts', 'use.cts'])
    expect(text).toBe('')
    expect(status).toBe(0)
    const wrong = source.replace("'Aspirated'", '7')
    writeFileSync(join(project, 'use.cts'), wrong)
    expect(run(process.execPath, [tsc, ...flags, 'use.cts']).text).toContain('error TS')
  })
})
