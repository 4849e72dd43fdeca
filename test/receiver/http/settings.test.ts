import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { settings } from '../../../receiver/src/config/config.ts'
import { madsciSettingNames } from '../../../receiver/src/config/madsci.ts'
import { startOtlpEndpoint } from '../../support/otlp-endpoint.ts'
import { startTestReceiver } from '../../support/receiver.ts'

async function withReceiver<T>(
  flags: { [name: string]: string },
  use: (get: (path: string) => Promise<Response>, folder: string) => Promise<T>,
): Promise<T> {
  const receiver = await startTestReceiver({ flags })
  try {
    return await use((path) => fetch(receiver.url + path), receiver.folder)
  } finally {
    await receiver.close()
  }
}

const json = async (answer: Response | Promise<Response>) =>
  // biome-ignore lint/suspicious/noExplicitAny: read as it comes
  (await (await answer).json()) as any

describe('GET /settings', () => {
  it("answers MADSci's settings in its order, then ours, as JSON values, secrets redacted", async () => {
    await withReceiver({}, async (get, folder) => {
      const answer = await get('settings')
      const body = await json(answer)
      expect(Object.keys(body)).toEqual(['settings'])
      const names = Object.keys(body.settings)
      expect(names.slice(0, madsciSettingNames.length)).toEqual(madsciSettingNames)
      expect(names.toSorted()).toEqual(Object.keys(settings).toSorted())
      expect(body.settings).toMatchObject({
        server_url: 'http://127.0.0.1:0/',
        manager_id: expect.stringMatching(/^[0-9A-Z]{26}$/),
        manager_type: 'event_manager',
        rate_limit_short_requests: 50,
        rate_limit_exempt_ips: null,
        uvicorn_workers: null,
        manager_name: null,
        lab_url: null,
        registry_lock_timeout: 60,
        otel_enabled: false,
        otel_exporter: 'console',
        document_db_url: '***REDACTED***',
        alert_level: 40,
        email_alerts: null,
        backup_schedule: null,
        backup_dir: join(folder, '.madsci/backups/events'),
      })
    })
  })

  it('hides what is secret inside of an object, and nothing else of it', async () => {
    const email = JSON.stringify({ smtp_server: 'mail.lab', smtp_password: 'hunter2' })
    await withReceiver({ email_alerts: email, lab_url: 'http://lab:8000' }, async (get) => {
      const text = await (await get('settings')).text()
      expect(text).not.toContain('hunter2')
      expect(JSON.parse(text).settings).toMatchObject({
        lab_url: 'http://lab:8000/',
        email_alerts: {
          smtp_server: 'mail.lab',
          smtp_port: 587,
          smtp_username: '***REDACTED***',
          smtp_password: '***REDACTED***',
          email_addresses: [],
        },
      })
    })
  })

  it('leaves out what nobody set, adds the schema, and says which flag is none', async () => {
    await withReceiver({ backup_max_count: '3' }, async (get) => {
      const { settings: given } = await json(get('settings?include_defaults=no'))
      expect(given).not.toHaveProperty('backup_dir')
      expect(given).toMatchObject({
        server_url: 'http://127.0.0.1:0/',
        manager_id: expect.any(String),
        document_db_url: '***REDACTED***',
        otlp_port: 0,
        backup_max_count: 3,
      })
      const body = await json(get('settings?include_schema=1'))
      expect(Object.keys(body)).toEqual(['settings', 'schema', 'schema_title'])
      expect(body.schema_title).toBe('EventManagerSettings')
      expect(body.schema.title).toBe('EventManagerSettings')
      expect(Object.keys(body.schema.properties)).toEqual(Object.keys(body.settings))
      expect(body.schema.properties.rate_limit_requests).toMatchObject({
        type: 'integer',
        minimum: 1,
        default: 300,
      })
      const wrong = await get('settings?include_defaults=perhaps')
      expect(wrong.status).toBe(422)
      expect((await json(wrong)).detail[0]).toMatchObject({
        type: 'bool_parsing',
        loc: ['query', 'include_defaults'],
      })
    })
  })
})

describe('GET /definition', () => {
  it('answers the definition of MADSci 0.5, as GET / does', async () => {
    const flags = {
      manager_name: 'Events',
      manager_description: 'of the lab',
      manager_id: '01JJ4S0WNGEF5FQAZG5KDGJRBV',
    }
    await withReceiver(flags, async (get) => {
      for (const path of ['definition', '']) {
        expect(await json(get(path))).toEqual({
          name: 'Events',
          description: 'of the lab',
          manager_id: '01JJ4S0WNGEF5FQAZG5KDGJRBV',
          manager_type: 'event_manager',
        })
      }
    })
  })
})

describe('OpenTelemetry of the receiver itself', () => {
  it('is told in /health as the original tells it', async () => {
    await withReceiver({}, async (get) => {
      expect(await json(get('health'))).toMatchObject({
        otel_enabled: null,
        otel_exporter_type: null,
        otel_endpoint: null,
      })
    })
    const flags = { otel_enabled: 'true', otel_exporter: 'otlp', otel_endpoint: 'http://collector:4317' }
    await withReceiver(flags, async (get) => {
      expect(await json(get('health'))).toMatchObject({
        otel_enabled: true,
        otel_exporter_type: 'otlp',
        otel_endpoint: 'http://collector:4317',
      })
      expect((await json(get('settings'))).settings).toMatchObject({
        otel_enabled: true,
        otel_protocol: 'grpc',
      })
    })
  })

  it('is told as off where nothing can be sent', async () => {
    const flags = { otel_enabled: 'true', otel_exporter: 'otlp', otel_endpoint: 'collector' }
    await withReceiver(flags, async (get) => {
      expect(await json(get('health'))).toMatchObject({ otel_enabled: false, otel_endpoint: 'collector' })
    })
  })

  it('sends its log lines by OTLP, without secrets, the last ones too', async () => {
    const endpoint = await startOtlpEndpoint()
    const lines: string[] = []
    const write = (_fields: object, message: string) => void lines.push(message)
    const receiver = await startTestReceiver({
      flags: {
        otel_enabled: 'true',
        otel_exporter: 'otlp',
        otel_protocol: 'http',
        otel_endpoint: endpoint.url,
        otel_service_name: 'the log of lab 3',
      },
      log: { info: write, warn: write, error: write },
    })
    try {
      expect(await (await fetch(`${receiver.url}health`)).json()).toMatchObject({
        otel_enabled: true,
        otel_exporter_type: 'otlp',
      })
      const wrong = await fetch(`${receiver.url}v1/logs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{',
      })
      expect(wrong.status).toBe(400)
    } finally {
      await receiver.close()
      await endpoint.close()
    }
    const sent = endpoint.events.map(({ event_data, otel }) => ({ event_data, otel }))
    expect(lines.length).toBeGreaterThan(0)
    expect(sent.map(({ event_data }) => (event_data as { message?: string }).message ?? event_data)).toEqual(
      lines,
    )
    expect(sent[0]!.otel).toMatchObject({ resource: { 'service.name': 'the log of lab 3' } })
  })
})

describe('GET /openapi.json', () => {
  it('names each schema once, and only those that something refers to', async () => {
    await withReceiver({}, async (get) => {
      const text = await (await get('openapi.json')).text()
      const names = Object.keys(JSON.parse(text).components.schemas)
      expect(names).toContain('NewEvent')
      expect(names).toContain('Event')
      expect(names.filter((name) => name.endsWith('Input') || name.startsWith('_'))).toEqual([])
      for (const name of names) expect(text).toContain(`"#/components/schemas/${name}"`)
      const referred = [...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!)
      for (const name of referred) expect(names).toContain(name)
    })
  })
})
