import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEventExporter, createEventProcessor } from '@madsci-events/sdk'
import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSettings, type Settings } from '../../sdk/src/setting.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { runScript } from '../support/script.ts'

/** The settings under exactly these OTEL_ variables. */
function settingsUnder(env: { [name: string]: string }, options = {}): Settings {
  const before = { ...process.env }
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]
  Object.assign(process.env, env)
  try {
    return readSettings(options)
  } finally {
    for (const name of Object.keys(env)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

type Row = [about: string, env: { [name: string]: string }, expected: Partial<Settings>, options?: object]

const rows: Row[] = [
  [
    'nothing is set: the defaults',
    {},
    {
      disabled: false,
      exporters: ['otlp'],
      logsUrl: 'http://localhost:8001/v1/logs',
      restUrl: 'http://localhost:8001',
      serviceName: undefined,
      protocol: 'http/protobuf',
      compression: 'none',
      timeoutMs: 10_000,
      scheduleDelayMs: 1000,
      exportTimeoutMs: 30_000,
      flushTimeoutMs: 10_000,
      maxQueueEvents: 65_536,
      maxQueueBytes: 67_108_864,
      maxBatchEvents: 512,
      textLimit: undefined,
      attributeCountLimit: 128,
    },
  ],
  [
    'the generic endpoint is a base, for logs and queries',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://lab:4318/otlp/' },
    { logsUrl: 'http://lab:4318/otlp/v1/logs', restUrl: 'http://lab:4318/otlp/' },
  ],
  [
    'the endpoint for logs is used as it is, and wins',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://lab:1', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://logs:2/x' },
    { logsUrl: 'http://logs:2/x', restUrl: 'http://lab:1' },
  ],
  [
    'the option url wins over both',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://lab:1', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://logs:2/x' },
    { logsUrl: 'https://here:3/v1/logs', restUrl: 'https://here:3/' },
    { url: 'https://here:3/' },
  ],
  [
    'a url that names the path for logs, by the habit of OpenTelemetry, is the same receiver',
    {},
    { logsUrl: 'http://lab:3/base/v1/logs', restUrl: 'http://lab:3/base' },
    { url: 'http://lab:3/base/v1/logs' },
  ],
  [
    'so is a generic endpoint',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://lab:4318/v1/logs/' },
    { logsUrl: 'http://lab:4318/v1/logs/', restUrl: 'http://lab:4318/' },
  ],
  [
    'a wrong endpoint is not used',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'lab:4318', OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'grpc://x' },
    { logsUrl: 'http://localhost:8001/v1/logs' },
  ],
  [
    'times and sizes',
    {
      OTEL_EXPORTER_OTLP_TIMEOUT: '2000',
      OTEL_BLRP_SCHEDULE_DELAY: '10',
      OTEL_BLRP_EXPORT_TIMEOUT: '20',
      OTEL_BLRP_MAX_QUEUE_SIZE: '30',
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: '7',
    },
    { timeoutMs: 2000, scheduleDelayMs: 10, exportTimeoutMs: 20, maxQueueEvents: 30, maxBatchEvents: 7 },
  ],
  [
    'the time limit for logs wins; 0 is none',
    { OTEL_EXPORTER_OTLP_TIMEOUT: '2000', OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '0' },
    { timeoutMs: 2 ** 31 - 1 },
  ],
  [
    'a bad number is not used, nor is one below the least',
    {
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: 'soon',
      OTEL_EXPORTER_OTLP_TIMEOUT: '-1',
      OTEL_BLRP_SCHEDULE_DELAY: '',
      OTEL_BLRP_MAX_QUEUE_SIZE: '0',
      OTEL_BLRP_MAX_EXPORT_BATCH_SIZE: 'many',
    },
    { timeoutMs: 10_000, scheduleDelayMs: 1000, maxQueueEvents: 65_536, maxBatchEvents: 512 },
  ],
  [
    'a batch is never more than the queue',
    { OTEL_BLRP_MAX_QUEUE_SIZE: '100' },
    { maxQueueEvents: 100, maxBatchEvents: 100 },
  ],
  [
    'options win over variables',
    { OTEL_BLRP_SCHEDULE_DELAY: '10', OTEL_SERVICE_NAME: 'env', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' },
    { scheduleDelayMs: 5, serviceName: 'code', protocol: 'http/protobuf' },
    { scheduleDelayMs: 5, name: 'code', protocol: 'http/protobuf' },
  ],
  [
    'the protocol for logs wins',
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/json' },
    { protocol: 'http/json' },
  ],
  [
    'a protocol that is not supported',
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    { protocol: 'http/protobuf' },
  ],
  ['switched off', { OTEL_SDK_DISABLED: 'TRUE' }, { disabled: true }],
  ['not switched off', { OTEL_SDK_DISABLED: '1' }, { disabled: false }],
  ['no exporter', { OTEL_LOGS_EXPORTER: 'none' }, { exporters: [] }],
  ['two exporters', { OTEL_LOGS_EXPORTER: 'console, otlp' }, { exporters: ['otlp', 'console'] }],
  ['an unknown exporter', { OTEL_LOGS_EXPORTER: 'zipkin' }, { exporters: ['otlp'] }],
  [
    'limits',
    { OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '9', OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '64' },
    { textLimit: 9, attributeCountLimit: 64 },
  ],
  [
    'limits for log records win; an event keeps all its own attributes',
    {
      OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '9',
      OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: '8',
      OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '2',
    },
    { textLimit: 8, attributeCountLimit: 128 },
  ],
]

describe('settings', () => {
  it.each(rows)('%s', (_about, env, expected, options) => {
    expect(settingsUnder(env, options)).toMatchObject(expected)
  })
})

describe('options that say nothing here', () => {
  it.each([
    ['processor', createEventProcessor],
    ['exporter', createEventExporter],
  ])('of a %s are refused: who speaks is said by the resource', (_, create) => {
    const options = { name: 'arm', resource: { a: 1 }, restUrl: 'http://lab:8001', maxBatchEvents: 0 }
    expect(() => create(options as never)).toThrow(
      expect.objectContaining({
        code: 'EVT_CONFIG',
        detail: [
          'name is said by the resource of the LoggerProvider',
          'resource is said by the resource of the LoggerProvider',
          'restUrl is for queries, which only an EventClient asks',
          'maxBatchEvents must be a number of at least 1',
        ],
      }),
    )
  })
})

describe('OTEL_ variables, in a program of its own', () => {
  let endpoint: OtlpEndpoint
  let folder: string
  beforeAll(async () => {
    endpoint = await startOtlpEndpoint()
    folder = await mkdtemp(join(tmpdir(), 'madsci-sdk-'))
  })
  afterAll(async () => {
    await endpoint.close()
    await rm(folder, { recursive: true })
  })

  const speak = `
    import { EventClient } from '@madsci-events/sdk'
    const events = new EventClient()
    events.info('a text of some length', { volume_ul: 50 })
    await events.close()
    console.log(JSON.stringify(events.stats))`

  async function speakUnder(env: { [name: string]: string }) {
    endpoint.requests.length = 0
    const result = await runScript(speak, { env: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url, ...env } })
    expect(result.stderr + result.code).toMatch(/0$/)
    return {
      ...result,
      request: endpoint.requests[0],
      stats: () => JSON.parse(result.stdout.trim().split('\n').at(-1)!),
    }
  }

  it('headers in baggage syntax, those for logs win; compression; protocol; user agent', async () => {
    const { request, stderr } = await speakUnder({
      OTEL_EXPORTER_OTLP_HEADERS: 'x-lab=one,authorization=Bearer%20abc',
      OTEL_EXPORTER_OTLP_LOGS_HEADERS: 'x-lab=two',
      OTEL_EXPORTER_OTLP_LOGS_COMPRESSION: 'gzip',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'http/json',
    })
    expect(stderr).toBe('')
    expect(request!.path).toBe('/v1/logs')
    expect(request!.headers).toMatchObject({
      'x-lab': 'two',
      authorization: 'Bearer abc',
      'content-encoding': 'gzip',
      'content-type': 'application/json',
      'user-agent': expect.stringMatching(/^madsci-events-sdk\/\S+ OTel-OTLP-Exporter-JavaScript\/\S+$/),
    })
    expect(request!.events).toHaveLength(1)
  })

  it('OTEL_SERVICE_NAME wins over OTEL_RESOURCE_ATTRIBUTES, which bring ids too', async () => {
    const node_id = createEventId()
    const { request, stderr } = await speakUnder({
      OTEL_SERVICE_NAME: 'pump',
      OTEL_RESOURCE_ATTRIBUTES: `service.name=other,deployment.environment.name=lab%201,madsci.source.node_id=${node_id},madsci.source.lab_id=mine`,
    })
    const [event] = request!.events
    expect(event!.source).toEqual({ node_id })
    expect(event!.otel?.resource).toMatchObject({
      'service.name': 'pump',
      'deployment.environment.name': 'lab 1',
      'telemetry.sdk.language': 'nodejs',
    })
    expect(stderr).toContain('madsci.source.lab_id is no ULID')
  })

  it('OTEL_SDK_DISABLED and OTEL_LOGS_EXPORTER=none send nothing, and count it', async () => {
    for (const env of [{ OTEL_SDK_DISABLED: 'true' }, { OTEL_LOGS_EXPORTER: 'none' }]) {
      const { request, stderr, stats } = await speakUnder(env)
      expect(request).toBeUndefined()
      expect(stderr).toBe('')
      expect(stats()).toMatchObject({ emitted: 1, dropped: 1, droppedBy: { disabled: 1 } })
    }
  })

  it('OTEL_LOGS_EXPORTER=console prints, alone or beside otlp', async () => {
    const alone = await speakUnder({ OTEL_LOGS_EXPORTER: 'console' })
    expect(alone.request).toBeUndefined()
    expect(alone.stdout).toContain("body: 'a text of some length'")
    expect(alone.stats()).toMatchObject({ exported: 1 })
    const both = await speakUnder({ OTEL_LOGS_EXPORTER: 'console,otlp' })
    expect(both.request!.events).toHaveLength(1)
    expect(both.stdout.match(/body: /g)).toHaveLength(1)
  })

  it('OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT cuts texts, never the event', async () => {
    const { request, stats } = await speakUnder({ OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT: '6' })
    expect(request!.events[0]!.event_data).toEqual({ message: 'a text', volume_ul: 50 })
    expect(stats()).toMatchObject({ exported: 1, altered: 1 })
  })

  it('a URL that is none is warned of: without what lets somebody in, with the URL that is used, and what may be meant', async () => {
    const wrong: [text: string, shown: string, meant: string | undefined][] = [
      ['receiver:8001', 'receiver:8001', 'http://receiver:8001'],
      ['me:secret@receiver:8001?token=secret', 'receiver:8001', 'http://receiver:8001'],
      ['grpc://me:secret@receiver:8001', 'grpc://receiver:8001', undefined],
      ['http://receiver:port?key=secret@receiver', 'http://…', undefined],
    ]
    for (const [text, shown, meant] of wrong) {
      const { stderr, request } = await speakUnder({ MADSCI_URL: text })
      const question = meant === undefined ? '' : `; is ${meant} meant?`
      expect(stderr).toBe(
        `madsci-events: MADSCI_URL is no http or https URL: '${shown}' is not used, but ${endpoint.url}/v1/logs${question}\n`,
      )
      expect(request!.events).toHaveLength(1)
    }
  })

  it('a wrong variable is warned of', async () => {
    const { stderr } = await speakUnder({
      OTEL_BLRP_SCHEDULE_DELAY: 'soon',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    })
    expect(stderr).toContain('OTEL_BLRP_SCHEDULE_DELAY')
    expect(stderr).toContain("'grpc' is not supported")
  })

  it('OTEL_LOG_LEVEL says how much the SDK tells of itself; a logger of the program is left alone', async () => {
    const broken = { OTEL_BLRP_SCHEDULE_DELAY: 'soon' }
    expect((await speakUnder({ ...broken, OTEL_LOG_LEVEL: 'none' })).stderr).toBe('')
    expect((await speakUnder({ ...broken, OTEL_LOG_LEVEL: 'debug' })).stdout).toContain('bytes to be sent')
    const own = `
      import { diag } from '@opentelemetry/api'
      diag.setLogger({ warn: (text) => console.log('own: ' + text), error() {}, info() {}, debug() {}, verbose() {} })
      ${speak.replace("import { EventClient } from '@madsci-events/sdk'", "const { EventClient } = await import('@madsci-events/sdk')")}`
    const env = { ...broken, OTEL_LOG_LEVEL: 'debug', OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url }
    const { stdout, stderr } = await runScript(own, { env })
    expect(stdout).toContain("own: Unknown value 'soon' for OTEL_BLRP_SCHEDULE_DELAY")
    expect(stdout).not.toContain('bytes to be sent')
    expect(stderr).toBe('')
  })

  it('certificates: of the receiver, and of the client, for events and queries', async (test) => {
    const made = await makeCertificates(folder)
    if (!made) return test.skip('openssl is not installed')
    const { ca, server, client } = made
    const secure = await startOtlpEndpoint({ tls: { ...server, ca: ca.cert, requestCert: true } })
    secure.reply = (request) => ({ ...(request.path.startsWith('/events') && { body: '{}' }) })
    const files = { 'ca.pem': ca.cert, 'client.pem': client.cert, 'client-key.pem': client.key }
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
    const code = speak.replace('await events.close()', 'await events.getEvents(); await events.close()')
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: secure.url.replace('127.0.0.1', 'localhost') }
    const good = await runScript(code, {
      env: {
        ...env,
        OTEL_EXPORTER_OTLP_CERTIFICATE: join(folder, 'ca.pem'),
        OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE: join(folder, 'client.pem'),
        OTEL_EXPORTER_OTLP_CLIENT_KEY: join(folder, 'client-key.pem'),
      },
    })
    expect(good.stderr).toBe('')
    expect(secure.requests.map((request) => request.path).sort()).toEqual(['/events', '/v1/logs'])
    const bad = await runScript(
      `import { EventClient } from '@madsci-events/sdk'
       const events = new EventClient()
       events.info('x')
       await events.flush({ timeoutMs: 500 }).catch((error) => console.log(error.code, error.message, events.stats.waiting))
       process.exit()`,
      { env: { ...env, OTEL_EXPORTER_OTLP_CERTIFICATE: join(folder, 'missing.pem') } },
    )
    expect(bad.stderr).toContain('names a file that cannot be read')
    expect(bad.stdout).toMatch(/^EVT_UNREACHABLE .*certificate.* 1$/m)
    await secure.close()
  })
})

/** A certificate authority, and what it signed for localhost and for a client; undefined without openssl. */
async function makeCertificates(folder: string) {
  const { spawnSync } = await import('node:child_process')
  const { readFile } = await import('node:fs/promises')
  const openssl = (...args: string[]) =>
    spawnSync('openssl', args, { cwd: folder, stdio: 'ignore' }).status === 0
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  if (!openssl('req', '-x509', ...key, '-keyout', 'a.key', '-out', 'a.crt', '-subj', '/CN=lab', '-days', '2'))
    return
  await writeFile(join(folder, 'san'), 'subjectAltName=DNS:localhost')
  const pair = async (name: string) => ({
    key: await readFile(join(folder, `${name}.key`)),
    cert: await readFile(join(folder, `${name}.crt`)),
  })
  for (const name of ['server', 'client']) {
    openssl('req', '-new', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'a.crt',
      '-CAkey',
      'a.key',
      '-CAcreateserial',
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-extfile',
      'san',
    )
  }
  return { ca: await pair('a'), server: await pair('server'), client: await pair('client') }
}

it('an option that is none is a problem, with the one that may be meant; every option is known', () => {
  const problems = (options: object) => {
    try {
      readSettings(options)
      return []
    } catch (error) {
      expect(error).toMatchObject({ code: 'EVT_CONFIG' })
      return (error as { detail: string[] }).detail
    }
  }
  expect(problems({ nme: 'arm', spoolDirectory: '/x', ulr: undefined })).toEqual([
    'nme is no option: is name meant?',
    'spoolDirectory is no option',
  ])
  expect(problems({ destinations: [{ url: 'http://a:1', timeoutms: 3, spool: false }] })).toEqual([
    'destinations[0].timeoutms is no option: is timeoutMs meant?',
    'destinations[0].spool is no option',
  ])
  const text = readFileSync(join(import.meta.dirname, '../../sdk/src/setting.ts'), 'utf8')
  const members = text.slice(
    text.indexOf('interface ClientOptions'),
    text.indexOf('interface DestinationOptions'),
  )
  const names = [...members.matchAll(/^ {2}(\w+)\?: /gm)].map((match) => match[1]!)
  expect(names.length).toBeGreaterThan(20)
  const all = problems(Object.fromEntries(names.map((name) => [name, {}])))
  expect(all.filter((line) => line.includes('is no option'))).toEqual([])
})
