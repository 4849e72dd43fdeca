import { copyFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestReceiver, type TestReceiver } from '@madsci-events/sdk/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPackedProject, type PackedProject } from '../support/packed-sdk.ts'

interface Seen {
  spans: string[]
  logs: string[]
  metrics: string[]
  told: string[]
  headers: { traceparent?: string }
  trace: string
}

const programs = {
  // The newest 2.x, which wants an API below 1.10: there are two copies.
  'OpenTelemetry 2.x with API 1.9': {
    '@opentelemetry/api': '1.9.0',
    '@opentelemetry/api-logs': '0.208.0',
    '@opentelemetry/instrumentation-http': '0.208.0',
    '@opentelemetry/sdk-metrics': '2.2.0',
    '@opentelemetry/sdk-node': '0.208.0',
  },
  // Everything is one copy.
  'OpenTelemetry 3.x with API 1.10': {
    '@opentelemetry/api': '1.10.0',
    '@opentelemetry/instrumentation-http': '0.301.0',
    '@opentelemetry/sdk-metrics': '3.1.0',
    '@opentelemetry/sdk-node': '0.301.0',
  },
}

describe.each(Object.entries(programs))('beside %s, installed by npm', (name, dependencies) => {
  let project: PackedProject
  let receiver: TestReceiver
  let missing: string | undefined
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  beforeAll(async () => {
    project = createPackedProject()
    const all = { ...dependencies, '@madsci-events/sdk': `file:${project.archive}` }
    writeFileSync(join(project.path, 'package.json'), JSON.stringify({ private: true, dependencies: all }))
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts']
    const { status, text } = project.run('npm', ['install', ...flags])
    const away = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT)\b/.exec(text)
    if (away !== null) missing = `npm reaches no registry: ${away[0]}`
    else expect(status, text).toBe(0)
    copyFileSync(join(import.meta.dirname, 'guest-program.cjs'), join(project.path, 'app.cjs'))
    receiver = await startTestReceiver()
  })
  afterAll(async () => {
    await receiver?.close()
    project?.remove()
  })

  const register = ['--import', '@madsci-events/sdk/register']
  async function run(
    when: string,
    flags: string[] = [],
    env: { [name: string]: string } = {},
  ): Promise<Seen> {
    receiver.clear()
    const more = { MADSCI_URL: receiver.url, MADSCI_SPOOL_DIR: join(project.path, 'spool'), ...env }
    const { code, text } = await project.start([...flags, 'app.cjs'], { ...more, WHEN: when })
    expect(code, text).toBe(0)
    // Whatever else were written would be no JSON.
    return JSON.parse(text) as Seen
  }

  it('the API is shared where it can be', () => {
    const own = join(project.path, 'node_modules/@madsci-events/sdk/node_modules')
    const nested = () =>
      readdirSync(own, { recursive: true, encoding: 'utf8' }).includes('@opentelemetry/api')
    if (name.includes('1.9')) expect(nested()).toBe(true)
    else expect(nested).toThrow('ENOENT')
  })

  const plain = { spans: ['outer', 'GET'], logs: ['a log of its own'], told: [] }

  it.each([
    ['never', []],
    ['never', register],
  ] as const)('a client made %s, %j: the program is as without it', async (when, flags) => {
    const seen = await run(when, [...flags])
    expect(seen).toMatchObject(plain)
    expect(seen.metrics).toContain('lab.count')
    expect(receiver.events()).toEqual([])
  })

  it('its LoggerProvider takes createEventProcessor', async () => {
    const seen = await run('processor')
    expect(seen).toMatchObject(plain)
    const [event] = receiver.events()
    expect(event).toMatchObject({ event_data: { message: 'a log of its own' }, trace_id: seen.trace })
  })

  it.each([
    ['before', 'http/protobuf', []],
    ['after', 'http/protobuf', []],
    ['after', 'http/json', []],
    ['before', 'http/protobuf', register],
  ] as const)(
    'a client made %s its SDK starts, %s, %j: events are of its traces, delivery is of none',
    async (when, protocol, flags) => {
      const seen = await run(when, [...flags], { PROTOCOL: protocol })
      expect(seen.spans).toEqual(['move', 'outer', 'GET'])
      expect(seen.logs).toEqual(plain.logs)
      expect(seen.metrics).toEqual(expect.arrayContaining(['lab.count', 'otel.sdk.log.created']))
      // The program's own logger hears of what is wrong, and OpenTelemetry complains of nothing.
      expect(seen.told).toEqual(['madsci-events'])
      expect(seen.headers.traceparent).toContain(seen.trace)
      const inside = receiver.events().filter((event) => event.trace_id !== null)
      expect(new Set(inside.map((event) => event.trace_id))).toEqual(new Set([seen.trace]))
      expect(inside.map((event) => event.event_type)).toEqual([
        'log_info',
        'action_start',
        'action_status_change',
        'log_info',
        'action_complete',
        'action_status_change',
      ])
    },
  )
})
