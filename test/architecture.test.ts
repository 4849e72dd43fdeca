import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')

/** Every TypeScript source below a folder, as paths from the root with `/`. */
function sourcesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => join(folder, name).replaceAll('\\', '/'))
}

const importPattern =
  /^(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm

/** What a file imports, type imports counted: paths from the root for our own files, names for packages. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(importPattern)].map((match) => {
    const name = (match[1] ?? match[2] ?? match[3])!
    return name.startsWith('.')
      ? relative(root, resolve(root, dirname(file), name)).replaceAll('\\', '/')
      : name
  })
}

const sources = [...sourcesBelow('sdk/src'), ...sourcesBelow('receiver/src')]
const imports = new Map(sources.map((file) => [file, importsOf(file)]))

/** The rooms of the receiver, and what each may know. A file at the top of src/ is a room of its name. */
const rooms: { [room: string]: string[] } = {
  main: ['cli'],
  cli: [
    'closest',
    'level',
    'plural',
    'database',
    'receiver',
    'config',
    'demo',
    'transfer',
    'search',
    'subject',
    'backup',
    'store',
    'log',
    'doctor',
    'finding',
    'private',
    'inert',
    'url',
    'version',
  ],
  demo: [],
  version: [],
  alert: ['closest', 'plural', 'thread', 'document', 'store', 'metric', 'log', 'inert', 'url'],
  receiver: [
    'version',
    'client',
    'telemetry',
    'trace',
    'conservation',
    'canary',
    'listen',
    'database',
    'alert',
    'config',
    'http',
    'grpc',
    'fanout',
    'ingest',
    'store',
    'utilization',
    'retention',
    'backup',
    'metric',
    'log',
    'doctor',
    'folder',
    'registry',
    'url',
  ],
  http: [
    'plural',
    'listen',
    'trace',
    'client',
    'connection',
    'alert',
    'document',
    'otlp',
    'ingest',
    'fanout',
    'search',
    'subject',
    'transfer',
    'store',
    'utilization',
    'backup',
    'finding',
    'metric',
    'log',
  ],
  search: ['closest', 'level', 'store', 'subject'],
  subject: [],
  transfer: ['store', 'otlp', 'csv', 'utilization'],
  utilization: ['thread', 'store', 'private', 'csv'],
  retention: ['store', 'log'],
  backup: ['store', 'metric', 'log', 'private'],
  fanout: ['trace', 'thread', 'store', 'otlp', 'metric', 'log', 'url'],
  ingest: ['plural', 'trace', 'thread', 'fair', 'document', 'store', 'otlp', 'metric', 'log'],
  grpc: ['trace', 'client', 'connection', 'listen', 'otlp', 'ingest', 'fanout', 'metric', 'log'],
  otlp: ['document', 'pace'],
  store: ['plural', 'subject', 'thread', 'fair', 'document', 'log', 'finding', 'private', 'url'],
  document: [],
  config: ['client', 'closest', 'level', 'private', 'url'],
  database: ['config', 'store', 'backup', 'log'],
  folder: ['private'],
  finding: [],
  closest: [],
  level: [],
  doctor: ['plural', 'config', 'store', 'backup', 'folder', 'finding', 'url'],
  registry: ['folder', 'log', 'private'],
  private: [],
  csv: [],
  inert: [],
  url: [],
  connection: ['client', 'metric'],
  listen: ['config', 'log'],
  canary: ['store', 'metric', 'log'],
  conservation: ['plural', 'store', 'metric', 'log'],
  client: [],
  pace: [],
  plural: [],
  telemetry: ['inert', 'log', 'metric', 'trace', 'url'],
  trace: [],
  thread: [],
  fair: [],
  metric: [],
  log: [],
}

/** Each third-party name has one room. */
const libraryRooms: { [name: string]: RegExp } = {
  fastify: /^receiver\/src\/http\//,
  '@fastify/static': /^receiver\/src\/http\/pages\.ts$/,
  '@fastify/swagger': /^receiver\/src\/http\//,
  '@fastify/swagger-ui': /^receiver\/src\/http\//,
  'fastify-type-provider-zod': /^receiver\/src\/http\//,
  zod: /^receiver\/src\/http\//,
  croner: /^receiver\/src\/backup\//,
  'smol-toml': /^receiver\/src\/config\//,
  yaml: /^receiver\/src\/config\//,
  'js-yaml': /^sdk\/src\/config-file\.ts$/,
  'ipaddr.js': /^receiver\/src\/alert\/address\.ts$/,
  '@fastify/proxy-addr': /^receiver\/src\/client\.ts$/,
  helmet: /^receiver\/src\/http\/guard\.ts$/,
  '@grpc/grpc-js': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-logs-otlp-grpc': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-logs-otlp-http': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-metrics-otlp-grpc': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-metrics-otlp-http': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-trace-otlp-grpc': /^receiver\/src\/telemetry-exporter\.ts$/,
  '@opentelemetry/exporter-trace-otlp-http': /^receiver\/src\/telemetry-exporter\.ts$/,
  re2js: /^receiver\/src\/store\/regex\.ts$/,
  nodemailer: /^receiver\/src\/alert\/email\.ts$/,
  mongodb: /^receiver\/src\/store\/mongo\//,
  pino: /^receiver\/src\/(main|receiver|cli\/\w+)\.ts$/,
  ulid: /^sdk\/src\/event\/id\.ts$/,
}

function roomOf(file: string): string | undefined {
  const match = /^receiver\/src\/([a-z]+)[^/]*?(?:\/|\.ts$|-)/.exec(file)
  return match?.[1]
}

const packageOf = (name: string) =>
  name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/')

describe('architecture', () => {
  it('the event model imports ulid and nothing else', () => {
    for (const [file, names] of imports) {
      if (!file.startsWith('sdk/src/event/')) continue
      for (const name of names) {
        expect(name.startsWith('sdk/src/event/') || name === 'ulid', `${file} imports ${name}`).toBe(true)
      }
    }
  })

  it('the receiver knows the event model of the SDK and no more of it, but for the demo and the look at a spool', () => {
    for (const [file, names] of imports) {
      if (!file.startsWith('receiver/src/')) continue
      for (const name of names.filter((one) => one.startsWith('@madsci-events/') || one.startsWith('sdk/'))) {
        const allowed = ['@madsci-events/sdk/event']
        if (file.startsWith('receiver/src/demo/')) allowed.push('@madsci-events/sdk')
        if (file === 'receiver/src/cli/spool.ts') allowed.push('@madsci-events/sdk/spool')
        expect(allowed, `${file} imports ${name}`).toContain(name)
      }
    }
  })

  it('what has a sub-path of its own in the SDK is imported by nobody else', () => {
    const room = (file: string) => /^sdk\/src\/(pino|winston|register|testing)\//.exec(file)?.[1]
    for (const [file, names] of imports) {
      for (const name of names)
        if (room(name) !== undefined) expect(room(file), `${file} imports ${name}`).toBe(room(name))
    }
  })

  it('rooms of the receiver import only the rooms that they may know', () => {
    for (const [file, names] of imports) {
      const room = roomOf(file)
      if (room === undefined) continue
      expect(rooms, `${file} lies in no known room`).toHaveProperty(room)
      for (const name of names) {
        const other = roomOf(name)
        if (other === undefined || other === room) continue
        expect(rooms[room], `${file} imports ${name}`).toContain(other)
      }
    }
  })

  it('a library appears in one room', () => {
    for (const [file, names] of imports) {
      for (const name of names) {
        const home = libraryRooms[packageOf(name)]
        if (home) expect(home.test(file), `${file} imports ${name}`).toBe(true)
      }
    }
  })

  it('no import goes in a circle, type imports counted', () => {
    const state = new Map<string, 'open' | 'done'>()
    const visit = (file: string, path: string[]) => {
      if (state.get(file) === 'done') return
      expect(state.get(file), `cycle: ${[...path, file].join(' → ')}`).not.toBe('open')
      state.set(file, 'open')
      for (const name of imports.get(file) ?? []) if (imports.has(name)) visit(name, [...path, file])
      state.set(file, 'done')
    }
    for (const file of sources) visit(file, [])
  })

  it('only main.ts exits, and only config reads the environment', () => {
    for (const file of sources.filter((one) => one.startsWith('receiver/src/'))) {
      const text = readFileSync(join(root, file), 'utf8')
      if (file !== 'receiver/src/main.ts') expect(text.includes('process.exit('), `${file} exits`).toBe(false)
      if (!/^receiver\/src\/(config|main)/.test(file))
        expect(text.includes('process.env'), `${file} reads the environment`).toBe(false)
    }
  })

  it('no default exports but the one that pino asks its transports for, and no file of more than 400 lines', () => {
    for (const file of sources) {
      const text = readFileSync(join(root, file), 'utf8')
      if (file !== 'sdk/src/pino/index.ts')
        expect(/^export default /m.test(text), `${file} has a default export`).toBe(false)
      expect(text.split('\n').length, `${file} is long`).toBeLessThanOrEqual(400)
    }
  })

  it('no function name stands in more than three files', () => {
    const files = new Map<string, Set<string>>()
    const definition =
      /^(?:export )?(?:async )?(?:function\*? (\w+)|const (\w+) = (?:async )?(?:<[^>]*>)?\()/gm
    for (const file of sources)
      for (const [, one, other] of readFileSync(join(root, file), 'utf8').matchAll(definition)) {
        const name = (one ?? other)!
        files.set(name, (files.get(name) ?? new Set()).add(file))
      }
    expect(files.size).toBeGreaterThan(1000)
    const many = [...files].filter(([, found]) => found.size > 3).map(([name, found]) => [name, ...found])
    expect(many).toEqual([])
  })

  it('no room is called utils, helpers, common, shared or core', () => {
    for (const file of sources)
      expect(/(^|\/)(utils?|helpers?|common|shared|core)(\/|\.)/.test(file), file).toBe(false)
  })
})
