import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createPackedProject, type PackedProject, unpackSdk } from '../support/packed-sdk.ts'

const source = `
import { EventClient, EventError, type ClientOptions, type Event, type EventInput, type Source } from '@madsci-events/sdk'
import { isUlid } from '@madsci-events/sdk/event'
import { createPinoStream, traceMixin } from '@madsci-events/sdk/pino'
import { events as registered } from '@madsci-events/sdk/register'
import { readSpool } from '@madsci-events/sdk/spool'
import { startTestReceiver } from '@madsci-events/sdk/testing'
import { createWinstonTransport } from '@madsci-events/sdk/winston'

// What is not known is undefined, as in every variable of the environment.
const unknown: string | undefined = process.env.NODE_ID
const options: ClientOptions = {
  url: unknown,
  name: unknown,
  source: { node_id: unknown },
  resource: { bench: unknown },
  headers: { authorization: unknown },
  spoolDir: unknown,
  maxQueueEvents: undefined,
  destinations: undefined,
}
const events = new EventClient(options)
const client: EventClient = events.bind({ workflow_id: unknown })
const written: EventInput = { event_type: 'action_start', source: { node_id: unknown }, event_data: 7 }
const ids: string[] = [
  client.info('Aspirated', { volume_ul: 50 }),
  client.error(new Error('jam')),
  client.log(written),
  client.log({ event_type: 'log_info', event_data: 'anything' }),
  client.log({ event_type: 'espresso', event_data: 1 }),
  client.log({ event_type: 'action_start', event_data: { action: 'move', args: { to: 'B2' }, more: 1 } }),
  client.log({ event_type: 'action_complete', event_data: { status: 'succeeded', duration_seconds: undefined } }),
]
// @ts-expect-error the name of an action is a text
client.log({ event_type: 'action_start', event_data: { action: 7 } })
// @ts-expect-error a duration is a number
client.warning({ event_type: 'workflow_complete', event_data: { duration_seconds: '7' } })
const moved: number = client.action('move', { action_id: unknown, node_id: unknown }, () => 7)
const asked: Promise<Event[]> = client.getEvents({ number: undefined, level: 'error' })
client.flush({ timeoutMs: undefined })
const stream: NodeJS.WritableStream = createPinoStream({ url: unknown, messageKey: unknown })
const transport: NodeJS.WritableStream = createWinstonTransport({ url: unknown, level: unknown })
const source: Source = traceMixin()
const isError = (error: unknown): boolean => error instanceof EventError && error.code === 'EVT_REFUSED'

export async function test(): Promise<void> {
  const receiver = await startTestReceiver()
  const [failed] = await receiver.waitFor({ event_type: 'action_failed', 'event_data.action': 'move' })
  const text: string = failed!.event_data.exception.type + failed!.event_data.action
  const [start] = await receiver.waitFor('workflow_start', { count: undefined })
  // @ts-expect-error a workflow's start has no duration of this kind
  const wrong: string = start!.event_data.workflow_id.length
  const [any] = await receiver.waitFor({ log_level: { $gte: 40 } })
  const event: Event = any!
  const all: Event[] = receiver.events()
  console.log(text, wrong, any!.event_data.exception.message, event, all, receiver.events('log_error')[0]!.event_data.exception?.type)
  for await (const segment of readSpool(unknown)) console.log(segment.name)
}
console.log(ids, moved, asked, stream, transport, source, isError, isUlid, registered)
`

// Each as it is set up by those who use it.
const setups = {
  'CommonJS, node10': { module: 'commonjs', moduleResolution: 'node' },
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
}
type Setup = keyof typeof setups
// The oldest and the newest each way; between them, where something changed. TypeScript 7 has no node10 any more.
const compilers: { [version: string]: Setup[] } = {
  '5.0.4': ['CommonJS, node10', 'node16', 'nodenext', 'bundler'],
  '5.4.5': ['CommonJS, node10'],
  '5.9.3': ['CommonJS, node10', 'bundler'],
  '6.0.3': ['nodenext'],
  '7.0.2': ['node16', 'nodenext', 'bundler'],
}
const versions = Object.keys(compilers)
const cases = versions.flatMap((version) =>
  compilers[version]!.map((name) => ({ version, name, setup: setups[name] })),
)

describe('types of the packed SDK', () => {
  let project: PackedProject
  let missing: string | undefined
  beforeEach(({ skip }) => skip(missing !== undefined, missing))
  beforeAll(() => {
    project = createPackedProject()
    const dependencies = Object.fromEntries(
      versions.map((one) => [`typescript-${one}`, `npm:typescript@${one}`]),
    )
    writeFileSync(join(project.path, 'package.json'), JSON.stringify({ private: true, dependencies }))
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts']
    const { status, text } = project.run('npm', ['install', ...flags])
    const away = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT)\b/.exec(text)
    if (away !== null) missing = `npm reaches no registry: ${away[0]}`
    else expect(status, text).toBe(0)
    unpackSdk(project, ['@types', 'undici-types'])
    for (const kind of ['ts', 'mts', 'cts']) writeFileSync(join(project.path, `use.${kind}`), source)
  })
  afterAll(() => project?.remove())

  it.each(cases)('TypeScript $version, $name', ({ version, name, setup }) => {
    const isNode = name.startsWith('node')
    const compilerOptions = {
      ...setup,
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      target: 'es2022',
      lib: ['es2022', 'esnext.disposable'],
      types: ['node'],
      ...(version.startsWith('6.') && { ignoreDeprecations: '6.0' }),
    }
    if (version < '5.2') compilerOptions.lib = ['es2022']
    const files = isNode ? ['use.mts', 'use.cts'] : ['use.ts']
    writeFileSync(join(project.path, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
    const bin = join(project.path, 'node_modules', `typescript-${version}`, 'bin/tsc')
    expect(readFileSync(bin, 'utf8')).toContain('node')
    const { text } = project.run(process.execPath, [bin, '-p', '.', '--pretty', 'false'])
    // Without skipLibCheck; what is wrong in the packages of others is theirs.
    const ours = text.split('\n').filter((line) => /^(use\.|tsconfig|error)|@madsci-events/.test(line))
    expect(ours).toEqual([])
  })
})
