import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startFileCollector } from '../support/collector.ts'
import { type FiledRecord, parseOtlpLines, textOf } from '../support/otlp-file.ts'
import { findPeer } from '../support/peer.ts'
import { findPythonOtel } from '../support/python.ts'
import { startTestReceiver } from '../support/receiver.ts'
import { prepareStore, type StoreName } from '../support/store-flag.ts'
import { waitUntil } from '../support/wait.ts'

const sources = join(import.meta.dirname, 'sender')

/** A program that sends the same odd and equal records by an SDK of OpenTelemetry; or why there is none. */
type Sender = { command: string[] } | { skip: string }

/** Kept beside the files of other runs, since a build takes its time. */
function build(name: string, product: string, steps: string[][]): string | { skip: string } {
  const folder = join(tmpdir(), `madsci-events-sender-${name}`)
  mkdirSync(folder, { recursive: true })
  cpSync(sources, folder, { recursive: true })
  for (const [command, ...args] of steps) {
    const { status, error, stderr } = spawnSync(command!, args, {
      cwd: folder,
      encoding: 'utf8',
      timeout: 300_000,
    })
    if (error !== undefined) return { skip: `no ${command}` }
    if (status === 0) continue
    // Without a registry the packages cannot be had; sources that do not compile are our fault.
    if (/dial tcp|no such host|Could not (resolve|transfer)|Unknown host/.test(stderr))
      return { skip: `${command}: ${stderr.trim().split('\n')[0]}` }
    throw new Error(`${[command, ...args].join(' ')}: ${stderr}`)
  }
  if (!existsSync(join(folder, product))) throw new Error(`${product} was not built`)
  return join(folder, product)
}

const senders: { [language: string]: () => Sender } = {
  javascript: () => ({ command: [process.execPath, join(sources, 'sender.mjs')] }),
  python() {
    const found = findPythonOtel()
    return 'skip' in found ? found : { command: [found.python, join(sources, 'sender.py')] }
  },
  go() {
    const program = build('go', 'sender', [['go', 'build', '-o', 'sender', 'sender.go']])
    return typeof program === 'string' ? { command: [program] } : program
  },
  java() {
    const maven = ['mvn', '-q', '-B', 'dependency:build-classpath', '-Dmdep.outputFile=classpath']
    const classes = build('java', 'Sender.class', [
      maven,
      ['sh', '-c', 'javac -cp "$(cat classpath)" Sender.java'],
    ])
    if (typeof classes !== 'string') return classes
    const folder = join(classes, '..')
    return {
      command: ['sh', '-c', `exec java -cp "$(cat ${folder}/classpath):${folder}" Sender "$@"`, 'java'],
    }
  },
}

const cases = [
  ['javascript', 'json'],
  ['javascript', 'protobuf'],
  ['python', 'http'],
  ['python', 'grpc'],
  ['go', 'http'],
  ['go', 'grpc'],
  ['java', 'http'],
  ['java', 'grpc'],
] as const
/** Four odd ones, two equal ones, one without time, and 25 ticks of a pump. */
const count = 32

const cleanups: (() => unknown)[] = []
const receivers = new Map<StoreName, Awaited<ReturnType<typeof startTestReceiver>>>()
let collector: Awaited<ReturnType<typeof startFileCollector>> | undefined
let skip: string | undefined

beforeAll(async () => {
  const otelcol = findPeer('OTELCOL_BINARY')
  if ('skip' in otelcol) {
    skip = otelcol.skip
    return
  }
  collector = await startFileCollector(otelcol.path)
  cleanups.push(collector.stop)
  for (const store of ['sqlite', 'mongodb'] as const) {
    const prepared = await prepareStore(store)
    if ('skip' in prepared) continue
    const receiver = await startTestReceiver({ flags: { ...prepared.flags, grpc_port: '0' } })
    cleanups.push(prepared.stop, () => receiver.close())
    receivers.set(store, receiver)
  }
})

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const ofService = (records: FiledRecord[], service: string) =>
  records.filter(
    ({ resource }) => textOf((resource as { resource: object }).resource, 'service.name') === service,
  )

/**
 * Records without the id that a receiver adds, and in one writing: defaults and empty lists left out.
 */
function toLines(records: FiledRecord[]): string[] {
  const write = (_: string, value: unknown) => {
    if (value === null || typeof value !== 'object') return value
    const { doubleValue, kvlistValue, arrayValue } = value as {
      [kind: string]: { values?: unknown[] } | number
    }
    if (Object.is(doubleValue, -0)) return { doubleValue: '-0' }
    const list = (kvlistValue ?? arrayValue) as { values?: unknown[] } | undefined
    if (list?.values?.length === 0) return { [kvlistValue === undefined ? 'arrayValue' : 'kvlistValue']: {} }
    return value
  }
  return records
    .map(({ resource, scope, record }) => {
      const {
        attributes = [],
        severityNumber,
        ...rest
      } = record as {
        attributes?: { key: string }[]
        severityNumber?: number
      }
      const others = attributes.filter(({ key }) => key !== 'log.record.uid')
      const fields = Object.entries({
        ...rest,
        severityNumber: severityNumber || undefined,
        attributes: others,
      })
      // A body without a value is none.
      const told = fields.filter(([key, value]) => key !== 'body' || JSON.stringify(value) !== '{}')
      return JSON.stringify(
        [Object.fromEntries(told.sort(([a], [b]) => (a < b ? -1 : 1))), scope, resource],
        write,
      )
    })
    .sort()
}

async function exported(url: string): Promise<FiledRecord[]> {
  const answer = await fetch(`${url}events/export?format=otlp&order=oldest`)
  expect(answer.status).toBe(200)
  return parseOtlpLines(await answer.text())
}

describe("OpenTelemetry's SDKs send odd and equal records", () => {
  it.for(cases)(
    '%s over %s: each is stored once, and leaves as it came',
    async ([language, protocol], context) => {
      if (skip !== undefined || collector === undefined) return context.skip(skip!)
      if (receivers.size < 2) return context.skip('no MongoDB')
      const sender = senders[language]!()
      if ('skip' in sender) return context.skip(sender.skip)
      const grpc = protocol === 'grpc'
      const hosts = [
        grpc ? collector.grpcUrl : collector.url,
        ...[...receivers.values()].map((one) => (grpc ? one.grpcUrl : one.otlpUrl)),
      ].map((url) => new URL(url).host)
      const [command, ...args] = sender.command
      const child = spawn(command!, [...args, protocol, ...hosts], { stdio: ['ignore', 'ignore', 'pipe'] })
      let complaints = ''
      child.stderr!.on('data', (chunk) => {
        complaints += chunk
      })
      const [code] = await once(child, 'close')
      expect({ code, complaints }).toMatchObject({ code: 0 })
      const service = `${language}-${protocol}`
      const straight = async () => ofService(parseOtlpLines(await readFile(collector!.file, 'utf8')), service)
      await waitUntil(async () => (await straight()).length >= count, 'the records in the Collector')
      const sent = toLines(await straight())
      expect(sent).toHaveLength(count)
      for (const [store, { url }] of receivers) {
        const stored = ofService(await exported(url), service)
        const found = toLines(stored)
        const missing = sent.filter((line) => !found.includes(line))
        const foreign = found.filter((line) => !sent.includes(line))
        expect({ store, missing, foreign }).toEqual({ store, missing: [], foreign: [] })
        expect(found).toEqual(sent)
        const ids = stored.map(({ record }) => textOf(record, 'log.record.uid'))
        expect(new Set(ids).size).toBe(count)
      }
    },
  )
})
