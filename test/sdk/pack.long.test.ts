import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { startTestReceiver } from '@madsci-events/sdk/testing'
import { publint } from 'publint'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPackedProject, type PackedProject, unpackSdk } from '../support/packed-sdk.ts'

const root = join(import.meta.dirname, '../..')

describe('the packed SDK, in a project of its own', () => {
  let packed: PackedProject
  let project: string
  beforeAll(() => {
    packed = createPackedProject()
    unpackSdk(packed, ['@types', 'undici-types', 'pino', 'pino-9'])
    project = packed.path
  })
  afterAll(() => packed.remove())

  const use = `
    const events = new EventClient({ url: 'http://127.0.0.1:1', name: 'arm', spool: false })
    const id: string = events.info('Aspirated', { volume_ul: 50 })
    const level: EventLevel = 20
    const moved: number = events.action('move', { args: { to: 'B2' } }, () => 7)
    const stream: NodeJS.WritableStream = createPinoStream({ spool: false })
    const transport: NodeJS.WritableStream = createWinstonTransport({ spool: false, silent: true })
    stream.end()
    transport.end()
    if (!isUlid(id) || level !== 20 || moved !== 7 || registered === undefined) throw new Error('no event')
    if (typeof readSpool !== 'function') throw new Error('no spool')
    if (typeof createTransport !== 'function' || typeof traceMixin !== 'function') throw new Error('no pino')
    startTestReceiver().then((receiver: TestReceiver) => receiver.close())
    events.close({ timeoutMs: 1 }).catch((error: { code: string }) => console.log(error.code))`
  const plain = use.replaceAll(
    /: (\{ code: string \}|string|EventLevel|number|NodeJS\.WritableStream|TestReceiver)/g,
    '',
  )
  const names: { [path: string]: string } = {
    '': 'EventClient',
    '/event': 'isUlid',
    '/testing': 'startTestReceiver',
    '/winston': 'createWinstonTransport',
    '/spool': 'readSpool',
    '/pino': 'createPinoStream, traceMixin',
    '/register': 'events as registered',
  }
  const imports = Object.entries(names).map(
    ([path, name]) => `import { ${name} } from '@madsci-events/sdk${path}'\n`,
  )
  const requires = Object.entries(names).map(
    ([path, name]) => `const { ${name.replace(' as ', ': ')} } = require('@madsci-events/sdk${path}')\n`,
  )

  it('every sub-path is in the test below', () => {
    const { exports } = JSON.parse(readFileSync(join(root, 'sdk/package.json'), 'utf8')) as {
      exports: object
    }
    expect(
      Object.keys(exports)
        .map((path) => path.slice(1))
        .sort(),
    ).toEqual(Object.keys(names).sort())
  })

  it('is imported and required, by every sub-path', () => {
    writeFileSync(
      join(project, 'use.mjs'),
      `${imports.join('')}import createTransport from '@madsci-events/sdk/pino'\n${plain}`,
    )
    writeFileSync(
      join(project, 'use.cjs'),
      `${requires.join('')}const { default: createTransport } = require('@madsci-events/sdk/pino')\n${plain}`,
    )
    for (const file of ['use.mjs', 'use.cjs']) {
      const { status, text } = packed.run(process.execPath, [file])
      expect(text, file).toContain('EVT_UNREACHABLE')
      expect(status, text).toBe(0)
    }
  })

  it('an EventError is one for ESM and CommonJS alike', () => {
    writeFileSync(
      join(project, 'error.mjs'),
      `import { createRequire } from 'node:module'
      import { EventClient, EventError } from '@madsci-events/sdk'
      const required = createRequire(import.meta.url)('@madsci-events/sdk')
      class Own extends EventError {}
      const thrown = [EventClient, required.EventClient].map((Client) => {
        try { new Client({ nme: 'x' }) } catch (error) { return error }
      })
      const seen = thrown.map((error) => [error instanceof EventError, error instanceof required.EventError])
      console.log(EventError === required.EventError, JSON.stringify(seen), thrown[0] instanceof Own, new Own('EVT_CONFIG') instanceof Own, new Error('x') instanceof EventError)`,
    )
    const { text } = packed.run(process.execPath, ['error.mjs'])
    expect(text).toBe('false [[true,true],[true,true]] false true false\n')
  })

  it('the README names the file that is packed, and how an id is made', () => {
    const readme = readFileSync(join(root, 'sdk/README.md'), 'utf8')
    expect(readme).toContain(`npm install path/to/this/repository/${basename(packed.archive)} `)
    const script = /node -p "(.*createEventId.*)"/.exec(readme)![1]!
    const { text } = packed.run(process.execPath, ['-p', script])
    expect(text).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}\n$/)
  })

  it('needs none of its sources, also in a project that has a condition called source', () => {
    const sources = join(project, 'node_modules/@madsci-events/sdk/src')
    renameSync(sources, join(project, 'away'))
    for (const file of ['use.mjs', 'use.cjs']) {
      const { status, text } = packed.run(process.execPath, ['--conditions=source', file])
      expect(text, file).toContain('EVT_UNREACHABLE')
      expect(status, text).toBe(0)
    }
    renameSync(join(project, 'away'), sources)
  })

  it('publint and arethetypeswrong have nothing to say', async () => {
    const tarball = readFileSync(packed.archive)
    const pkgDir = join(project, 'node_modules/@madsci-events/sdk')
    const { messages } = await publint({ pkgDir, level: 'suggestion', strict: true, pack: false })
    expect(messages).toEqual([])
    const checked = await checkPackage(createPackageFromTarballData(new Uint8Array(tarball)))
    if (!checked.types) throw new Error('no types')
    expect(checked.problems).toEqual([])
  })

  it('runs nothing when it is installed, and needs nothing native', () => {
    const modules = join(project, 'node_modules')
    const manifest = JSON.parse(readFileSync(join(modules, '@madsci-events/sdk/package.json'), 'utf8')) as {
      scripts: object
      dependencies: object
      peerDependenciesMeta: { [name: string]: { optional: boolean } }
    }
    expect(Object.keys(manifest.scripts).filter((name) => name.includes('install'))).toEqual([])
    for (const { optional } of Object.values(manifest.peerDependenciesMeta)) expect(optional).toBe(true)
    for (const name of Object.keys(manifest.dependencies)) {
      const files = readdirSync(join(modules, name), { recursive: true, encoding: 'utf8' })
      expect(
        files.filter((file) => file.endsWith('.node') || file.endsWith('binding.gyp')),
        name,
      ).toEqual([])
    }
  })

  it('a program has it by --import and by --require, and pino 9 and 10 by their workers', async () => {
    const receiver = await startTestReceiver()
    const flags = { '--import': 'console.info("imported")', '--require': 'console.info("required")' }
    for (const [flag, source] of Object.entries(flags)) {
      writeFileSync(join(project, 'app.cjs'), source)
      const more = { MADSCI_REGISTER: 'console', MADSCI_URL: receiver.url }
      const { code, text } = await packed.start([flag, '@madsci-events/sdk/register', 'app.cjs'], more)
      expect(code, text).toBe(0)
    }
    for (const name of ['pino', 'pino-9']) {
      const options = JSON.stringify({ url: receiver.url, name })
      const logger = `require('${name}')({ transport: { target: '@madsci-events/sdk/pino', options: ${options} } })`
      writeFileSync(join(project, 'app.cjs'), `${logger}.info('by ${name}')`)
      const { code, text } = await packed.start(['app.cjs'])
      expect(code, text).toBe(0)
    }
    const messages = receiver.events().map((event) => (event.event_data as { message: string }).message)
    expect(messages).toEqual(['imported', 'required', 'by pino', 'by pino-9'])
    await receiver.close()
  })

  it('the example of a test passes a hundred times of a hundred, and leaves nothing in the spool', () => {
    const page = readFileSync(join(root, 'sdk/docs/testing.md'), 'utf8')
    const lines = page.split('```ts\n')[1]!.split('```')[0]!.split('\n')
    const example = lines.filter((line) => !line.startsWith('import '))
    expect(example.join('\n')).toContain('runYourCode(events)')
    writeFileSync(
      join(project, 'hundred.mjs'),
      `${lines.find((line) => line.startsWith('import '))}
      const door = () => { throw new Error('The door is open') }
      const runYourCode = async (events) => { try { events.action('transfer', { args: {} }, door) } catch {} }
      async function test() {
        ${example.join('\n')}
        return failed.event_type === 'action_failed' && receiver.events('action_start').length === 1
      }
      let passed = 0
      for (let i = 0; i < 5; i++)
        for (const one of await Promise.all(Array.from({ length: 20 }, test))) if (one) passed++
      console.log(passed)`,
    )
    const spool = join(project, 'hundred-spool')
    const { status, text } = packed.run(process.execPath, ['hundred.mjs'], { MADSCI_SPOOL_DIR: spool })
    // What failNext() did is told.
    const said = text.split('\n').filter((line) => !line.startsWith('madsci-events http://127.0.0.1:'))
    expect(said.filter((line) => !line.includes('HTTP 503'))).toEqual(['100', ''])
    expect(status, text).toBe(0)
    expect(existsSync(spool)).toBe(false)
  })

  it('has types for both', () => {
    const types = `import type { EventLevel } from '@madsci-events/sdk'
      import type { TestReceiver } from '@madsci-events/sdk/testing'
      import createTransport from '@madsci-events/sdk/pino'\n`
    const source = `${imports.join('')}${types}${use}`
    for (const file of ['use.mts', 'use.cts']) writeFileSync(join(project, file), source)
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
    const { status, text } = packed.run(process.execPath, [tsc, ...flags, 'use.mts', 'use.cts'])
    expect(text).toBe('')
    expect(status).toBe(0)
    const wrong = source.replace("'Aspirated'", '7')
    writeFileSync(join(project, 'use.cts'), wrong)
    expect(packed.run(process.execPath, [tsc, ...flags, 'use.cts']).text).toContain('error TS')
  })
})
