import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { type BuildOptions, build } from 'esbuild'
import { build as buildByRolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import webpack from 'webpack'
import { createPackedProject, type PackedProject, unpackSdk } from '../support/packed-sdk.ts'

// A bundle has nothing beside it: it runs in a folder without node_modules.
describe('a bundle of a program with the packed SDK', () => {
  let project: PackedProject
  let receiver: TestReceiver
  let alone: string
  beforeAll(async () => {
    project = createPackedProject()
    unpackSdk(project, ['pino', 'winston'])
    receiver = await startTestReceiver()
    alone = mkdtempSync(join(tmpdir(), 'madsci-bundle-'))
  })
  afterAll(async () => {
    await receiver?.close()
    project?.remove()
    rmSync(alone, { recursive: true, force: true })
  })

  const use = `
    const events = new EventClient()
    events.info('from a bundle', { format: process.env.NAME })
    const line = createPinoStream()
    line.end('{"level":30,"time":1,"msg":"by pino"}\\n')
    const winston = createWinstonTransport()
    winston.end({ level: 'info', message: 'by winston' })
    events.close().then(() => console.log(events.stats.exported))`
  const paths = {
    '@madsci-events/sdk': 'EventClient',
    '@madsci-events/sdk/pino': 'createPinoStream',
    '@madsci-events/sdk/winston': 'createWinstonTransport',
  }
  const sources: { [name: string]: string } = {
    mjs: Object.entries(paths)
      .map(([path, name]) => `import { ${name} } from '${path}'\n`)
      .join('')
      .concat(use),
    cjs: Object.entries(paths)
      .map(([path, name]) => `const { ${name} } = require('${path}')\n`)
      .join('')
      .concat(use),
  }

  const byEsbuild = (options: BuildOptions) => async (entry: string, outfile: string) => {
    const { warnings } = await build({
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      outfile,
      logLevel: 'silent',
      ...options,
    })
    expect(warnings).toEqual([])
  }
  const byRolldown = (format: 'esm' | 'cjs') => async (input: string, file: string) => {
    const warnings: string[] = []
    await buildByRolldown({
      input,
      platform: 'node',
      output: { file, format, codeSplitting: false },
      onwarn: ({ message }) => void warnings.push(message),
    })
    expect(warnings).toEqual([])
  }
  const byWebpack = (format: 'module' | 'commonjs2') => (entry: string, file: string) =>
    new Promise<void>((resolve, reject) => {
      const compiler = webpack({
        mode: 'production',
        target: 'node22',
        context: project.path,
        entry,
        optimization: { minimize: entry.endsWith('.mjs') },
        experiments: { outputModule: format === 'module' },
        output: { path: dirname(file), filename: basename(file), library: { type: format } },
      })
      compiler!.run((error, stats) => {
        const problems = stats?.toJson({ all: false, errors: true, warnings: true })
        compiler!.close(() => (error ? reject(error) : resolve()))
        expect([problems?.errors, problems?.warnings]).toEqual([[], []])
      })
    })

  const bundlers: [string, 'mjs' | 'cjs', (entry: string, file: string) => Promise<void>][] = [
    ['esbuild, ESM', 'mjs', byEsbuild({ format: 'esm' })],
    ['esbuild, ESM, minified', 'mjs', byEsbuild({ format: 'esm', minify: true })],
    ['esbuild, CommonJS', 'cjs', byEsbuild({ format: 'cjs' })],
    ['rolldown, ESM', 'mjs', byRolldown('esm')],
    ['rolldown, CommonJS', 'cjs', byRolldown('cjs')],
    ['webpack, ESM', 'mjs', byWebpack('module')],
    ['webpack, CommonJS', 'cjs', byWebpack('commonjs2')],
  ]
  const cases = bundlers.flatMap(([name, kind, bundle]) =>
    // webpack takes its time.
    (name.startsWith('webpack') ? [kind] : ['mjs', 'cjs']).map((source) => ({
      name: `${name}, of a .${source}`,
      kind,
      source,
      bundle,
    })),
  )

  it.each(cases)('$name delivers its events', async ({ name, kind, source, bundle }) => {
    receiver.clear()
    const entry = join(project.path, `entry.${source}`)
    writeFileSync(entry, sources[source]!)
    const file = join(alone, `${name.replaceAll(/\W+/g, '-')}.${kind}`)
    await bundle(entry, file)
    const config = join(alone, 'otel.yaml')
    writeFileSync(
      config,
      `file_format: "1.0"\nresource: { attributes: [{ name: service.name, value: "\${NAME}" }] }`,
    )
    const env = { MADSCI_URL: receiver.url, OTEL_CONFIG_FILE: config, NAME: name }
    const { code, text } = await project.start([file], env)
    expect({ code, text }).toEqual({ code: 0, text: '1\n' })
    const events = await receiver.waitFor({}, { count: 3 })
    const messages = events.map((event) => (event.event_data as { message: string }).message)
    expect(messages.sort()).toEqual(['by pino', 'by winston', 'from a bundle'])
    for (const event of events) expect(event.otel?.resource).toMatchObject({ 'service.name': name })
  })
})
