import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorTable } from '@madsci-events/sdk/event'
import { describe, expect, it } from 'vitest'
import { nodeEnv, nodeFlags } from '../receiver/bin/node-flags.js'
import { exitCodes } from '../receiver/src/cli/help.ts'
import { commands } from '../receiver/src/cli/table.ts'
import { settings } from '../receiver/src/config/config.ts'
import type { Setting } from '../receiver/src/config/setting.ts'
import { variablesOf } from '../receiver/src/config/source.ts'
import { counters, gauges, histograms } from '../receiver/src/metric.ts'
import { readSettings } from '../sdk/src/setting.ts'
import { dropReasons } from '../sdk/src/tally.ts'
import { startTestReceiver } from './support/receiver.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

/** The rows of the table under a heading, each as its trimmed cells. */
function tableUnder(file: string, heading: string): string[][] {
  const text = read(file)
  const start = text.indexOf(`\n## ${heading}\n`)
  expect(start, `${file} has no section ${heading}`).toBeGreaterThan(0)
  const rest = text.slice(start + 4)
  const end = rest.indexOf('\n## ')
  const section = end < 0 ? rest : rest.slice(0, end)
  const rows = section.split('\n').filter((line) => line.startsWith('|'))
  return rows.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}

/** The README of a package and all of its reference pages, as one text. */
const pagesOf = (folder: string) =>
  [`${folder}/README.md`, ...readdirSync(join(root, folder, 'docs')).map((name) => `${folder}/docs/${name}`)]
    .map(read)
    .join('\n')

const code = (text: string) => `\`${text}\``

it('the image starts Node with the flags of the launcher', () => {
  const [, entrypoint] = /^ENTRYPOINT (.*)$/m.exec(read('docker/Dockerfile'))!
  const [node, ...rest] = JSON.parse(entrypoint!) as string[]
  expect([node, ...rest.slice(0, -1)]).toEqual(['node', ...nodeFlags(24)])
  for (const [name, value] of Object.entries(nodeEnv))
    expect(read('docker/Dockerfile')).toContain(`ENV ${name}=${value}`)
})

describe('the documents say what the source says', () => {
  it('sdk: every option with its default, every variable, every reason of a drop', () => {
    const defaults: { [name: string]: unknown } = { ...readSettings({}), url: 'http://localhost:8001' }
    const optionNames = [...read('sdk/src/setting.ts').matchAll(/^ {2}(\w+)\?: /gm)].map((match) => match[1]!)
    const rows = tableUnder('sdk/docs/settings.md', 'Options')
    expect(rows.map(([name]) => name)).toEqual(optionNames.map(code))
    for (const [name, fallback] of rows) {
      const value = defaults[name!.replaceAll('`', '')]
      if (typeof value === 'number') expect(fallback, name).toBe(code(String(value)))
    }
    const sources = readdirSync(join(root, 'sdk/src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('event/'))
      .map((name) => read(`sdk/src/${name}`))
    const used = new Set(sources.join('').match(/\b(OTEL|MADSCI|EVENT)_[A-Z_]+[A-Z]\b/g))
    for (const id of ['NODE_ID', 'LAB_ID']) used.delete(`MADSCI_${id}`)
    expect(used.size).toBeGreaterThan(25)
    for (const variable of used) expect(pagesOf('sdk')).toContain(code(variable))
    const drops = tableUnder('sdk/docs/delivery.md', 'Delivery').map(([reason]) => reason)
    expect(drops).toEqual(dropReasons.map(code))
  })

  it('sdk: every part of a configuration file', () => {
    const text = tableUnder('sdk/docs/settings.md', 'A configuration file').join('\n')
    const parts = [...read('sdk/src/config-file.ts').matchAll(/^ {2}(\w+): 'OTEL_/gm)].map(
      (match) => match[1]!,
    )
    expect(parts.length).toBeGreaterThan(10)
    for (const part of parts.filter((name) => !name.endsWith('_file'))) expect(text).toContain(code(part))
  })

  it('sdk: the options of the transports and of the activities, the switches of register, every sub-path', () => {
    const optionsOf = (file: string, name: string) => {
      const text = read(file)
      const start = text.indexOf(`export interface ${name}`)
      expect(start, name).toBeGreaterThan(0)
      const members = text.slice(start, text.indexOf('\n}', start))
      return [...members.matchAll(/^ {2}(\w+)\?: /gm)].map((match) => match[1]!)
    }
    const named = (rows: string[][], of: string) =>
      rows.filter(([, whose]) => whose === of || whose === 'both').map(([name]) => name)
    const transports = tableUnder('sdk/docs/loggers.md', 'pino and winston')
    const pino = optionsOf('sdk/src/pino/index.ts', 'PinoOptions').map(code)
    expect(named(transports, 'pino').sort()).toEqual(pino.sort())
    const winston = optionsOf('sdk/src/winston/index.ts', 'WinstonOptions').map(code)
    expect(named(transports, 'winston').sort()).toEqual(winston.sort())

    const activities = tableUnder('sdk/docs/client.md', 'Actions, workflows, steps, experiments')
    const activity = ['ActivityOptions', 'ActionOptions', 'WorkflowOptions'].flatMap((name) =>
      optionsOf('sdk/src/activity.ts', name),
    )
    for (const name of activity) expect(activities.map(([option]) => option)).toContain(code(name))

    const switches = /const known = \[(.*)\]/
      .exec(read('sdk/src/register/index.ts'))![1]!
      .replaceAll("'", '')
      .split(', ')
    expect(tableUnder('sdk/docs/opentelemetry.md', 'Without a line of code').map(([name]) => name)).toEqual(
      switches.map(code),
    )

    const { exports } = JSON.parse(read('sdk/package.json')) as { exports: object }
    const paths = Object.keys(exports).map((path) => code(`@madsci-events/sdk${path.slice(1)}`))
    expect(
      tableUnder('sdk/README.md', 'Quick start')
        .map(([path]) => path!)
        .sort(),
    ).toEqual(paths.sort())
  })

  it('receiver: every setting with default, unit, variables and meaning', () => {
    const rows = Object.entries(settings).map(([name, one]) => [
      code(name),
      one.fallback === '' ? 'not set' : code(one.fallback),
      one.unit,
      variablesOf(name, one).map(code).join(', '),
      one.about,
    ])
    expect(tableUnder('receiver/docs/settings.md', 'Settings')).toEqual(rows)
  })

  it('receiver: every member of an object setting with its default', () => {
    const text = read('receiver/docs/settings.md')
    for (const [name, { members }] of Object.entries<Setting<unknown>>(settings)) {
      if (!members) continue
      const said = Object.entries(members).map(([member, { fallback }]) =>
        fallback === '' ? code(member) : `${code(member)} (${code(fallback)})`,
      )
      expect(text.replace(/\s+/g, ' ')).toContain(`- **${code(name)}** has the members ${said.join(', ')}.`)
    }
  })

  it('receiver: every command and exit code', () => {
    const rows = tableUnder('receiver/docs/command-line.md', 'Command line')
    expect(rows.slice(0, Object.keys(commands).length)).toEqual(
      Object.entries(commands).map(([name, { about }]) => [code(name), about]),
    )
    const text = read('receiver/docs/command-line.md')
    for (const [number, about] of Object.entries(exitCodes))
      expect(text).toContain(`| ${number} | ${about} |`)
    for (const [name, { codes = {} }] of Object.entries(commands)) {
      for (const [number, about] of Object.entries(codes))
        expect(text).toContain(`| ${number}, ${code(name)} | ${about} |`)
    }
  })

  it('receiver: every error code with status, retry and message', () => {
    const rows = Object.entries(errorTable).map(([name, { status, retry, message }]) => [
      code(name),
      String(status),
      retry ? 'yes' : 'no',
      message,
    ])
    expect(tableUnder('receiver/docs/errors.md', 'Errors')).toEqual(rows)
  })

  it('receiver: every counter', () => {
    const rows = Object.entries(counters).map(([name, about]) => [code(name), about])
    expect(tableUnder('receiver/docs/metrics.md', 'Counters')).toEqual(rows)
  })

  it('receiver: every gauge and histogram', () => {
    const rows = Object.entries({ ...gauges, ...histograms }).map(([name, about]) => [code(name), about])
    expect(tableUnder('receiver/docs/metrics.md', 'Gauges and histograms')).toEqual(rows)
  })

  it('receiver: every field of otel, as the source and the API description have them', async () => {
    const text = read('receiver/docs/otlp.md')
    const table = /\*\*The member `otel`\*\*[\s\S]*?\n\n(\| field[\s\S]*?)\n\n/.exec(text)![1]!
    const told = table
      .split('\n')
      .slice(2)
      .flatMap((row) => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name!))
    const source = readFileSync(join(root, 'sdk/src/event/event.ts'), 'utf8')
    const type = /export interface Otel \{([\s\S]*?)\n\}/.exec(source)![1]!
    const fields = [...type.matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name!)
    expect(told.sort()).toEqual(fields.toSorted())
    const receiver = await startTestReceiver()
    try {
      const { components } = (await (await fetch(`${receiver.url}openapi.json`)).json()) as {
        components: { schemas: { Otel: { properties: object } } }
      }
      expect(Object.keys(components.schemas.Otel.properties).sort()).toEqual(fields.toSorted())
    } finally {
      await receiver.close()
    }
  })

  it('receiver: every route', async () => {
    const receiver = await startTestReceiver()
    try {
      const api = (await (await fetch(`${receiver.url}openapi.json`)).json()) as {
        paths: { [path: string]: { [method: string]: unknown } }
      }
      const routes = Object.entries(api.paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => code(`${method.toUpperCase()} ${path}`)),
      )
      const documented = tableUnder('receiver/docs/routes.md', 'Routes').map(([route]) => route)
      expect([...documented].sort()).toEqual(
        [...routes, code('GET /openapi.json'), code('GET /docs'), code('GET /redoc')].sort(),
      )
      for (const route of ['openapi.json', 'docs', 'redoc']) {
        expect((await fetch(receiver.url + route)).status, route).toBe(200)
      }
    } finally {
      await receiver.close()
    }
  })

  it('docker: every variable of the compose files with its default', () => {
    const used = new Map<string, string>()
    for (const file of ['compose.yaml', 'compose.mongo.yaml', 'compose.full.yaml']) {
      // A default may hold another variable, of which it has the default.
      const text = read(`docker/${file}`)
      const flat = text.replace(/(?<=:-[^{}]*)\$\{[A-Z_]+:-([^{}]*)\}/g, '$1')
      for (const [, name, fallback] of [text, flat].flatMap((one) => [
        ...one.matchAll(/\$\{([A-Z_]+):-([^{}]*)\}/g),
      ]))
        used.set(code(name!), fallback === '' ? 'not set' : code(fallback!))
    }
    const rows = tableUnder('docker/README.md', 'Variables').map(([name, fallback]) => [name, fallback])
    expect(rows.sort()).toEqual([...used].sort())
  })

  it('contributing: every npm script', () => {
    const scripts = Object.keys(JSON.parse(read('package.json')).scripts)
    const text = read('CONTRIBUTING.md')
    for (const name of scripts) {
      expect(text, `npm script ${name}`).toMatch(new RegExp(`npm (run )?${name}\\b`))
    }
  })

  it('every environment variable that the tests read is in CONTRIBUTING.md', () => {
    const text = read('CONTRIBUTING.md')
    for (const name of [
      'MONGODB_URL',
      'MONGOD_BINARY',
      'OTELCOL_BINARY',
      'TELEMETRYGEN_BINARY',
      'LOKI_BINARY',
      'CHROMIUM_BINARY',
      'SCHEMATHESIS_BINARY',
      'MADSCI_PEER',
      'MADSCI_LAB',
    ]) {
      expect(text).toContain(name)
    }
  })

  it('one version of Node: that of the package, of .nvmrc and of the image', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } }
    expect(read('.nvmrc').trim()).toBe(devDependencies.node)
    expect(read('docker/Dockerfile')).toContain(`node:${devDependencies.node}-`)
  })

  it('glossary: at most 60 terms, each once and with a link; every file that the design names exists', () => {
    const rows = read('receiver/docs/glossary.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| term ') && !line.startsWith('| ---'))
    const terms = rows.flatMap((row) => row.split('|')[1]!.trim().split(', '))
    expect(terms.length).toBeGreaterThan(40)
    expect(terms.length).toBeLessThanOrEqual(60)
    expect(new Set(terms).size).toBe(terms.length)
    for (const row of rows) expect(row).toMatch(/\]\(https:/)
    for (const page of ['receiver/docs/design.md', 'receiver/docs/glossary.md', 'CONTRIBUTING.md']) {
      for (const [, path] of read(page).matchAll(/`([a-z][\w/.-]*(?:\.ts|\/))`/g)) {
        const places = [path!, `receiver/src/${path}`, `receiver/src/store/sqlite/${path}`]
        expect(
          places.some((place) => existsSync(join(root, place))),
          `${page}: ${path}`,
        ).toBe(true)
      }
    }
  })
})
