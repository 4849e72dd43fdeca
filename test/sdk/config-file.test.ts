import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { diag } from '@opentelemetry/api'
import { parseConfigFile as parseByOpenTelemetry } from '@opentelemetry/configuration'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseYaml } from '../../sdk/src/config-file.ts'
import { readSettings, type Settings } from '../../sdk/src/setting.ts'
import { type OtlpEndpoint, startOtlpEndpoint } from '../support/otlp-endpoint.ts'
import { runScript } from '../support/script.ts'

const folder = mkdtempSync(join(tmpdir(), 'madsci-config-'))
afterAll(() => rmSync(folder, { recursive: true }))
let told: string[]
beforeEach(() => {
  told = []
  const tell = (text: string) => void told.push(text)
  diag.setLogger({ error: tell, warn: tell, info() {}, debug() {}, verbose() {} })
})
afterEach(() => diag.disable())

let count = 0
function write(text: string): string {
  const path = join(folder, `${count++}.yaml`)
  writeFileSync(path, text)
  return path
}

/** The settings under this file, and these variables. */
function settingsUnder(text: string, variables: { [name: string]: string } = {}, options = {}): Settings {
  const before = { ...process.env }
  Object.assign(process.env, { OTEL_CONFIG_FILE: write(text), ...variables })
  try {
    return readSettings(options)
  } finally {
    for (const name of ['OTEL_CONFIG_FILE', ...Object.keys(variables)]) delete process.env[name]
    Object.assign(process.env, before)
  }
}

const whole = `
file_format: "1.1"
log_level: debug
disabled: false
attribute_limits:
  attribute_value_length_limit: 400
  attribute_count_limit: 40
resource:
  attributes_list: deployment.environment.name=lab%201,service.name=hidden
  attributes:
    - name: service.name
      value: pump
    - { name: bench, value: 3, type: int }
    - { name: tags, value: [a, b], type: string_array }
tracer_provider:
  processors:
    - batch: { exporter: { otlp_grpc: { endpoint: "http://lab:4317" } } }
propagator:
  composite: [{ tracecontext: }]
logger_provider:
  limits:
    attribute_value_length_limit: 300
  processors:
    - batch:
        schedule_delay: 10
        export_timeout: 20000
        max_queue_size: 300
        max_export_batch_size: 100
        exporter:
          otlp_http:
            endpoint: https://lab:4318/some/where
            headers_list: x-lab=one,x-b=two%20words
            headers:
              - name: x-lab
                value: "1,2"
              - name: x-none
                value:
            compression: gzip
            timeout: 0
            encoding: json
    - simple: { exporter: { console: } }
`

describe('OTEL_CONFIG_FILE', () => {
  it('says what OTEL_ variables would say, in their place', () => {
    const settings = settingsUnder(whole, {
      OTEL_SDK_DISABLED: 'true',
      OTEL_SERVICE_NAME: 'variable',
      OTEL_RESOURCE_ATTRIBUTES: 'a=b',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-variable=1',
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: 'http://variable:1',
      OTEL_ATTRIBUTE_COUNT_LIMIT: '99',
      OTEL_LOGS_EXPORTER: 'none',
    })
    expect(settings).toMatchObject({
      disabled: false,
      exporters: ['otlp', 'console'],
      logsUrl: 'https://lab:4318/some/where',
      restUrl: 'http://localhost:8001',
      serviceName: 'pump',
      spoolName: 'pump',
      protocol: 'http/json',
      compression: 'gzip',
      timeoutMs: 2 ** 31 - 1,
      scheduleDelayMs: 10,
      exportTimeoutMs: 20_000,
      maxQueueEvents: 300,
      maxBatchEvents: 100,
      textLimit: 300,
      attributeCountLimit: 40,
      others: [],
    })
    expect(settings.headers).toEqual({ 'x-lab': '1,2', 'x-b': 'two words' })
    expect(settings.environment.resource).toEqual({
      'service.name': 'pump',
      'deployment.environment.name': 'lab 1',
      bench: 3,
      tags: ['a', 'b'],
    })
    expect(told).toEqual([])
  })

  it('options still win, and so do MADSCI_ variables', () => {
    const options = { name: 'code', compression: 'none', scheduleDelayMs: 5, headers: { 'x-lab': 'code' } }
    const given = settingsUnder(whole, { MADSCI_URL: 'http://madsci:8001' }, options)
    expect(given).toMatchObject({ serviceName: 'code', compression: 'none', scheduleDelayMs: 5 })
    expect(given).toMatchObject({ logsUrl: 'http://madsci:8001/v1/logs', protocol: 'http/json' })
    expect(given.headers).toEqual({ 'x-lab': 'code', 'x-b': 'two words' })
    expect(settingsUnder(whole, {}, { url: 'http://here:1' }).logsUrl).toBe('http://here:1/v1/logs')
  })

  it('what it leaves out has its default, whatever the variables say', () => {
    const variables = { OTEL_SERVICE_NAME: 'variable', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://variable:1' }
    const defaults = { serviceName: undefined, exporters: ['otlp'], maxBatchEvents: 512, compression: 'none' }
    const url = 'http://localhost:8001/v1/logs'
    expect(settingsUnder('file_format: "1.0"', variables)).toMatchObject({ ...defaults, logsUrl: url })
    const plain = `
      file_format: "1.0"
      logger_provider: { processors: [{ batch: { exporter: { otlp_http: } } }] }`
    // The default of the schema, which is not that of MADSci.
    const standard = { ...defaults, logsUrl: 'http://localhost:4318/v1/logs' }
    expect(settingsUnder(plain, variables)).toMatchObject(standard)
    expect(told).toEqual([])
  })

  it('each batch processor beyond the first is a destination of its own', () => {
    const { logsUrl, headers, others } = settingsUnder(
      `
      file_format: "1.1"
      logger_provider:
        processors:
          - batch: { exporter: { otlp_http: { endpoint: "http://a/v1/logs", headers_list: key=secret } } }
          - batch: { schedule_delay: 7, exporter: { otlp_http: { endpoint: "http://b/v1/logs", compression: gzip } } }
          - simple: { exporter: { otlp_http: { endpoint: "http://c/v1/logs" } } }
          - batch: { exporter: { otlp_http: { endpoint: "http://a/v1/logs" } } }`,
      { MADSCI_URL: 'http://madsci:1' },
    )
    expect({ logsUrl, headers }).toEqual({ logsUrl: 'http://madsci:1/v1/logs', headers: { key: 'secret' } })
    expect(others.map((one) => [one.logsUrl, one.scheduleDelayMs, one.compression, one.headers])).toEqual([
      ['http://b/v1/logs', 7, 'gzip', {}],
      ['http://c/v1/logs', 0, 'none', {}],
      ['http://a/v1/logs', 1000, 'none', {}],
    ])
  })

  it('no processors: nothing is sent; switched off: neither', () => {
    const none = 'file_format: "1.0"\nlogger_provider: { processors: [] }'
    expect(settingsUnder(none)).toMatchObject({ exporters: [] })
    expect(settingsUnder('file_format: "1.0"\ndisabled: true')).toMatchObject({ disabled: true })
  })

  it('one warning names all that is unknown here; wrong values are named by their place', () => {
    const settings = settingsUnder(`
      file_format: "1.1"
      sampling: off
      constructor: 1
      __proto__: { log_level: trace }
      resource: { detection/development: {}, attributes: [{ value: 1 }, { name: map, value: { a: 1 } }, { name: none, value: }] }
      logger_provider:
        logger_configurator/development: {}
        processors:
          - batch:
              schedule_delay: soon
              max_queue_size: -1
              exporter: { otlp_http: { endpoint: "lab:1", retry: 3, tls: { ca_file: /nowhere.pem, insecure: yes } } }
          - batch: { exporter: { otlp_grpc: {}, otlp_file/development: {} } }
          - event_to_span_event_bridge/development:`)
    expect(settings).toMatchObject({ scheduleDelayMs: 1000, maxQueueEvents: 65_536, exporters: ['otlp'] })
    expect(settings.logsUrl).toBe('http://localhost:8001/v1/logs')
    const at = 'logger_provider.processors[0].batch'
    expect(told).toEqual([
      'OTEL_CONFIG_FILE: these parts are unknown here, or not what they should be, and not used: ' +
        'sampling, constructor, __proto__, resource.detection/development, resource.attributes[0], ' +
        'resource.attributes: map, resource.attributes: none, logger_provider.logger_configurator/development, ' +
        `${at}.exporter.otlp_http.retry, ${at}.exporter.otlp_http.tls.insecure, ` +
        'logger_provider.processors[1].batch.exporter.otlp_grpc, ' +
        'logger_provider.processors[1].batch.exporter.otlp_file/development, ' +
        'logger_provider.processors[2].event_to_span_event_bridge/development',
      `madsci-events: ${at}.exporter.otlp_http.endpoint is no http or https URL: 'lab:1' is not used, but http://localhost:8001/v1/logs; is http://lab:1 meant?`,
      `${at}.max_queue_size=-1 is less than 1: it is not used`,
      `Unknown value 'soon' for ${at}.schedule_delay, expected a number: it is not used`,
      `${at}.exporter.otlp_http.tls.ca_file names a file that cannot be read: it is not used`,
    ])
  })

  it.each([
    ['no YAML', 'a: [', 'flow collection'],
    ['another version', 'file_format: "2.0"', "file_format must be 1.0 or 1.1, not '2.0'"],
    ['no version', 'disabled: true', 'file_format must be'],
    ['no map', '- 1', 'file_format must be'],
    ['a reference that is none', `file_format: "1.0"\nlog_level: \${1X}`, `'\${1X}' names no variable`],
  ])('%s: told, and the variables count as without it', (_, text, why) => {
    const settings = settingsUnder(text, { OTEL_SERVICE_NAME: 'variable' })
    expect(settings.serviceName).toBe('variable')
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('OTEL_CONFIG_FILE is not used')
    expect(told[0]).toContain(why)
  })

  it('a file that is not there: the same', () => {
    process.env.OTEL_CONFIG_FILE = join(folder, 'missing.yaml')
    try {
      readSettings({})
      readSettings({})
    } finally {
      delete process.env.OTEL_CONFIG_FILE
    }
    expect(told).toEqual([expect.stringContaining('ENOENT')])
  })
})

describe('references to variables', () => {
  const variables = {
    TEXT: 'a text',
    NUMBER: '12',
    FLAG: 'true',
    EMPTY: '',
    YAML: 'x: 1\ny: [2]',
    COMMENT: '# none',
    QUOTED: '"12"',
    DOLLAR: `\${NUMBER}`,
    NULLISH: 'null',
  }
  beforeEach(() => void Object.assign(process.env, variables))
  afterEach(() => {
    for (const name of Object.keys(variables)) delete process.env[name]
  })

  it("are replaced as OpenTelemetry's own reader replaces them", () => {
    const values = `
\${TEXT}
"\${TEXT}"
'\${env:TEXT}'
\${NUMBER}
"\${NUMBER}"
\${FLAG}
x\${NUMBER}y
\${NUMBER}\${NUMBER}
\${EMPTY}
"\${EMPTY}"
\${EMPTY:-7}
\${MISSING}
\${MISSING:-}
\${MISSING:-a b}
\${MISSING:-"q"}
$\${NUMBER}
a $$ b
$NUMBER
\${DOLLAR}
\${NULLISH}
"\${YAML}"
1\${EMPTY}
\${env:MISSING:-3.5}
`
      .trim()
      .split('\n')
    const members = values.map((value, i) => `      a${i}: ${value}`).join('\n')
    const text = `file_format: "1.1"\ninstrumentation/development:\n  js:\n    probe:\n${members}\n`
    const { file_format: _, ...ours } = parseYaml(text) as { file_format: string }
    expect(ours).toEqual(parseByOpenTelemetry(write(text)))
  })

  it('are none in keys, and each alias has its own', () => {
    const text = `file_format: "1.0"\n\${TEXT}: &a \${NUMBER}\n"\${FLAG}": *a\nlist:\n  - *a\n  - - \${FLAG}`
    const { list, file_format: _, ...rest } = parseYaml(text) as { [key: string]: unknown }
    expect(list).toEqual([12, [true]])
    expect(Object.entries(rest)).toEqual([
      [`$\{TEXT}`, 12],
      [`$\{FLAG}`, 12],
    ])
  })

  it('never make more of a file than one value', () => {
    expect(parseYaml(`file_format: "1.0"\nlog_level: \${YAML}`)).toEqual({
      file_format: '1.0',
      log_level: variables.YAML,
    })
    expect(parseYaml(`file_format: "1.0"\nlog_level: \${COMMENT}`)).toMatchObject({ log_level: '# none' })
  })
})

describe('in a program of its own', () => {
  let endpoint: OtlpEndpoint
  let other: OtlpEndpoint
  beforeEach(async () => {
    endpoint = await startOtlpEndpoint()
    other = await startOtlpEndpoint()
  })
  afterEach(async () => {
    await endpoint.close()
    await other.close()
  })
  const file = () =>
    write(`
      file_format: "1.1"
      log_level: error
      resource: { attributes: [{ name: service.name, value: from the file }] }
      logger_provider:
        limits: { attribute_value_length_limit: 9 }
        processors:
          - batch:
              exporter:
                otlp_http: { endpoint: "${endpoint.url}/v1/logs", headers: [{ name: x-key, value: "\${KEY}" }], encoding: json }
          - batch: { exporter: { otlp_http: { endpoint: "${other.url}/v1/logs" } } }`)
  const env = () => ({
    OTEL_CONFIG_FILE: file(),
    KEY: 's3cret',
    OTEL_EXPORTER_OTLP_HEADERS: 'x-variable=1',
    OTEL_SERVICE_NAME: 'variable',
  })

  it('a client', async () => {
    const source = `
      import { EventClient } from '@madsci-events/sdk'
      const events = new EventClient()
      events.info('a long text')
      await events.close()`
    expect(await runScript(source, { env: env() })).toMatchObject({ code: 0, stderr: '' })
    for (const { requests, events } of [endpoint, other]) {
      expect(requests).toHaveLength(1)
      expect(requests[0]!.headers).not.toHaveProperty('x-variable')
      expect(events[0]).toMatchObject({ event_data: { message: 'a long te' } })
      expect(events[0]!.otel?.resource).toMatchObject({ 'service.name': 'from the file' })
    }
    expect(endpoint.requests[0]!.headers).toMatchObject({
      'x-key': 's3cret',
      'content-type': 'application/json',
    })
    expect(other.requests[0]!.headers).not.toHaveProperty('x-key')
  })

  it('--import @madsci-events/sdk/register', async () => {
    const source = `
      import { logs } from '${import.meta.resolve('@opentelemetry/api')}'
      console.log('by console')
      logs.getLogger('x').emit({ body: 'by the API', attributes: { text: 'a long text' } })`
    const nodeFlags = ['--import', '@madsci-events/sdk/register']
    const result = await runScript(source, { env: { ...env(), MADSCI_REGISTER: 'console,logs' }, nodeFlags })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    const messages = endpoint.events.map((event) => (event.event_data as { message: string }).message)
    expect(messages.sort()).toEqual(['by consol', 'by the API'])
    for (const event of endpoint.events)
      expect(event.otel?.resource).toMatchObject({ 'service.name': 'from the file' })
    expect(other.events).toHaveLength(2)
  })
})
