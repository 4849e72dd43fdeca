import { createEventId } from '@madsci-events/sdk/event'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sign } from '../../receiver/src/alert/webhook.ts'
import { findOpenssl, type MailServer, startHttpSink, startMailServer } from '../support/alert-sink.ts'
import type { TakenMail } from '../support/mail-server.ts'
import { startTestReceiver } from '../support/receiver.ts'

interface Alert {
  alert_id: string
  rule: string
  key: string
  state: string
  count: number
  repeats: number
  pending: number
  acknowledged_by: string | null
  deliveries: { channel: string; target: string; state: string; attempts: number; error: string | null }[]
}

const post = (url: string, body: object) =>
  fetch(url, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
const ulid = () => createEventId()

function event(fields: object = {}) {
  return {
    event_id: ulid(),
    event_type: 'log_error',
    log_level: 40,
    event_data: { message: 'pump stuck' },
    ...fields,
  }
}

/** Header lines put together again, and the parts by content type. */
function read({ raw }: TakenMail) {
  const [head = ''] = raw.split('\r\n\r\n', 1)
  const headers = new Map(
    head
      .replace(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map((line) => {
        const place = line.indexOf(':')
        return [line.slice(0, place).toLowerCase(), line.slice(place + 1).trim()] as const
      }),
  )
  const boundary = /boundary="([^"]+)"/.exec(headers.get('content-type') ?? '')?.[1] ?? ''
  const parts = raw
    .split(`--${boundary}`)
    .slice(1, -1)
    .map((part) => {
      const place = part.indexOf('\r\n\r\n')
      const partHead = part.slice(0, place)
      const body = part.slice(place + 4)
      const isQuoted = /quoted-printable/i.test(partHead)
      const text = isQuoted
        ? Buffer.from(
            body
              .replace(/=\r\n/g, '')
              .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
            'latin1',
          ).toString('utf8')
        : body
      return {
        type: /content-type: ([\w/]+)/i.exec(partHead)?.[1] ?? '',
        text: text.replaceAll('\r\n', '\n'),
      }
    })
  return {
    headers,
    text: parts.find(({ type }) => type === 'text/plain')?.text ?? '',
    html: parts.find(({ type }) => type === 'text/html')?.text ?? '',
  }
}

describe('mails', () => {
  let mail: MailServer
  let receiver: Awaited<ReturnType<typeof startTestReceiver>>
  const people = [
    'a@lab.example',
    'grey@lab.example',
    'busy@lab.example',
    'nobody@lab.example',
    'unwanted@lab.example',
    'dropped@lab.example',
    'slow@lab.example',
  ]
  beforeAll(async () => {
    mail = await startMailServer()
    receiver = await startTestReceiver({
      flags: {
        email_alerts: JSON.stringify({
          smtp_server: '127.0.0.1',
          smtp_port: mail.port,
          use_tls: false,
          sender: 'lab@lab.example',
          email_addresses: people,
        }),
        alert_rules: JSON.stringify([
          { name: 'alert_level', cooldown_seconds: 0, group_by: ['event_data.message'] },
        ]),
        public_url: 'https://events.lab.example',
      },
    })
  })
  afterAll(async () => {
    await receiver?.close()
    await mail?.stop()
  })
  const alerts = async (query = '') =>
    (await (await fetch(`${receiver.url}alerts${query}`)).json()) as Alert[]

  it('come once to everybody whom the server takes, through grey lists, drops and slowness; the others fail visibly', async () => {
    const source = { workflow_id: ulid(), node_id: ulid() }
    const before = event({
      event_type: 'workflow_step_start',
      log_level: 20,
      source,
      event_data: { message: 'step <1>' },
    })
    const bad = event({ source })
    await post(`${receiver.url}event`, before)
    await post(`${receiver.url}event`, event({ log_level: 30 }))
    expect((await post(`${receiver.url}event`, bad)).status).toBe(200)
    // A duplicate alerts nobody.
    expect((await post(`${receiver.url}event`, bad)).status).toBe(200)

    await expect
      .poll(async () => (await alerts())[0]?.deliveries.filter(({ state }) => state === 'pending').length, {
        timeout: 30_000,
        interval: 200,
      })
      .toBe(0)
    const [alert, ...others] = await alerts()
    expect(others).toEqual([])
    expect(alert).toMatchObject({
      rule: 'alert_level',
      state: 'firing',
      count: 1,
      first_event_ids: [bad.event_id],
    })
    const fates = Object.fromEntries(
      alert!.deliveries.map(({ target, state, attempts }) => [target.split('@')[0], `${state} ${attempts}`]),
    )
    expect(fates).toEqual({
      a: 'delivered 1',
      grey: 'delivered 3',
      busy: 'delivered 2',
      nobody: 'failed 1',
      unwanted: 'failed 1',
      dropped: 'delivered 2',
      slow: 'delivered 1',
    })
    expect(
      mail
        .mails()
        .map(({ to }) => to)
        .sort(),
    ).toEqual(people.filter((one) => !/nobody|unwanted/.test(one)).sort())

    const { headers, text, html } = read(mail.mails().find(({ to }) => to === 'a@lab.example')!)
    expect(headers.get('subject')).toBe(
      `ALERT (EventLogLevel.ERROR): EventType.LOG_ERROR, ${source.node_id}: pump stuck`,
    )
    expect(headers.get('from')).toBe('lab@lab.example')
    expect(headers.get('to')).toBe('a@lab.example')
    expect(headers.get('importance')).toBe('High')
    expect(headers.get('x-priority')).toMatch(/^1/)
    expect(headers.get('x-madsci-event-id')).toBe(bad.event_id)
    const stored = (await (await fetch(`${receiver.url}event/${bad.event_id}`)).json()) as { _id: string }
    const { _id, ...fields } = stored
    expect(text.trimEnd()).toBe(JSON.stringify({ event_id: _id, ...fields }, null, 2))
    expect(html).toContain(`https://events.lab.example/e/${bad.event_id}`)
    expect(html).toContain(`https://events.lab.example/e/${before.event_id}`)
    expect(html).toContain('step &lt;1&gt;')
  }, 40_000)

  it('that cannot be delivered are an event without an alert of its own, and in /health and /metrics', async () => {
    const found = (await (
      await post(`${receiver.url}events/query`, { event_type: 'manager_error' })
    ).json()) as {
      [id: string]: { event_data: { target: string; message: string } }
    }
    expect(
      Object.values(found)
        .map(({ event_data }) => event_data.target)
        .sort(),
    ).toEqual(['nobody@lab.example', 'unwanted@lab.example'])
    expect(Object.values(found)[0]!.event_data.message).toContain('could not be delivered')
    const health = (await (await fetch(`${receiver.url}health`)).json()) as object
    expect(health).toMatchObject({ alerts: { channels: ['email'], pending: 0, retrying: 0, failed: 2 } })
    expect(await alerts()).toHaveLength(1)
    const metrics = await (await fetch(`${receiver.url}metrics`)).text()
    expect(metrics).toContain('madsci_alerts_undeliverable 2')
    expect(metrics).toContain('madsci_alert_attempts_total{outcome="delivered"} 5')
  })

  it('go through one connection that stays open', () => {
    // One for each drop and each refusal that ends it, not one for each mail.
    const calm = mail.mails().filter(({ to }) => /^(a|slow)@/.test(to))
    expect(new Set(calm.map(({ session }) => session)).size).toBeLessThanOrEqual(2)
  })

  it('tell once what a client of MADSci says twice', async () => {
    const words = {
      alert: true,
      log_level: 50,
      event_type: 'log_critical',
      event_data: { message: 'fire in hood 3' },
    }
    await post(`${receiver.url}event`, event(words))
    await post(`${receiver.url}event`, event(words))
    const key = encodeURIComponent('["fire in hood 3"]')
    await expect.poll(async () => (await alerts(`?key=${key}`))[0]?.count, { timeout: 10_000 }).toBe(2)
    const [alert] = await alerts(`?key=${key}`)
    expect(alert).toMatchObject({ count: 2, repeats: 1, pending: 0 })
    expect(alert!.deliveries).toHaveLength(people.length)
  })
})

describe('mails over TLS', () => {
  const noOpenssl = findOpenssl()
  for (const tls of ['starttls', 'implicit'] as const) {
    it(`${tls}: with the right password they come, with a wrong one they are tried again and say why`, async (ctx) => {
      ctx.skip(noOpenssl !== undefined, noOpenssl)
      const mail = await startMailServer({ tls, password: 'right' })
      const common = {
        kind: 'email',
        smtp_server: 'localhost',
        smtp_port: mail.port,
        smtp_username: 'lab',
        email_addresses: ['a@lab.example'],
        tls_ca_file: mail.caFile,
        use_ssl: tls === 'implicit',
      }
      const receiver = await startTestReceiver({
        flags: {
          alert_channels: JSON.stringify({
            good: { ...common, smtp_password: 'right' },
            wrong: { ...common, smtp_password: 'wrong' },
            distrustful: { ...common, smtp_password: 'right', tls_ca_file: null },
          }),
        },
      })
      try {
        await post(`${receiver.url}event`, event())
        const states = async () => {
          const [alert] = (await (await fetch(`${receiver.url}alerts`)).json()) as Alert[]
          return Object.fromEntries((alert?.deliveries ?? []).map((one) => [one.channel, one]))
        }
        await expect.poll(async () => (await states()).good?.state, { timeout: 10_000 }).toBe('delivered')
        await expect
          .poll(async () => (await states()).wrong?.error, { timeout: 10_000 })
          .toContain('wrong password')
        await expect
          .poll(async () => (await states()).distrustful?.error, { timeout: 10_000 })
          .toContain('tls_ca_file')
        expect((await states()).wrong!.state).toBe('pending')
        expect(mail.mails()).toMatchObject([{ isSecure: true, user: 'lab' }])
        const test = async (channel: string) =>
          (await (await post(`${receiver.url}alerts/test`, { channel })).json()) as object
        expect(await test('good')).toEqual({
          channel: 'good',
          results: [{ target: 'a@lab.example', outcome: 'delivered', error: null }],
        })
        // Nothing is kept of a test: its link leads to the laboratory.
        const { raw } = mail.mails().at(-1)!
        expect(raw).toContain('http://127.0.0.1:0/')
        expect(raw).not.toContain('http://127.0.0.1:0/alerts/')
        for (let i = 0; i < 4; i++) await test('good')
        const sessions = mail.mails().map(({ session }) => session)
        expect(sessions).toHaveLength(6)
        expect(new Set(sessions).size).toBe(1)
        expect(await test('wrong')).toMatchObject({ results: [{ outcome: 'retry' }] })
        expect((await post(`${receiver.url}alerts/test`, { channel: 'nowhere' })).status).toBe(422)
      } finally {
        await receiver.close()
        await mail.stop()
      }
    }, 40_000)
  }
})

describe('webhooks', () => {
  it('are signed, tried again, in the shapes of Slack and Teams; the inner network only by name; rules group, rate and recover', async () => {
    const sink = await startHttpSink(({ path }, count) =>
      path === '/flaky' && count % 2 === 1 ? 503 : path === '/gone' ? 410 : path === '/moved' ? 302 : 200,
    )
    const base = `http://127.0.0.1:${sink.port}`
    const receiver = await startTestReceiver({
      flags: {
        alert_private_hosts: '["127.0.0.1"]',
        alert_channels: JSON.stringify({
          signed: { kind: 'webhook', url: `${base}/signed`, secret: 'key' },
          flaky: { kind: 'webhook', url: `${base}/flaky` },
          gone: { kind: 'webhook', url: `${base}/gone` },
          moved: { kind: 'webhook', url: `${base}/moved` },
          slack: { kind: 'slack', url: `${base}/slack` },
          teams: { kind: 'teams', url: `${base}/teams` },
          inner: { kind: 'webhook', url: `http://localhost:${sink.port}/inner` },
          mapped: { kind: 'webhook', url: `http://[::ffff:127.0.0.1]:${sink.port}/inner` },
        }),
        alert_rules: JSON.stringify([
          {
            name: 'alert_level',
            channels: ['signed', 'flaky', 'gone', 'moved', 'slack', 'teams', 'inner', 'mapped'],
          },
          {
            name: 'pumps',
            selector: { event_type: 'node_error' },
            group_by: ['source.node_id'],
            cooldown_seconds: 60,
            recovery: { event_type: 'node_start' },
            notify_recovery: true,
            channels: ['signed'],
          },
          {
            name: 'many',
            kind: 'rate',
            selector: { log_level: 10 },
            count: 5,
            window_seconds: 60,
            channels: ['signed'],
          },
        ]),
      },
    })
    const alerts = async (query = '') =>
      (await (await fetch(`${receiver.url}alerts${query}`)).json()) as Alert[]
    const bodies = (path: string) =>
      sink.requests.filter((one) => one.path === path).map(({ body }) => JSON.parse(body))
    try {
      const bad = event()
      await post(`${receiver.url}event`, bad)
      await expect
        .poll(async () => (await alerts())[0]?.deliveries.filter(({ state }) => state === 'pending').length, {
          timeout: 15_000,
        })
        .toBe(0)
      const [alert] = await alerts('?rule=alert_level')
      const fates = Object.fromEntries(alert!.deliveries.map(({ channel, state }) => [channel, state]))
      expect(fates).toMatchObject({
        signed: 'delivered',
        flaky: 'delivered',
        gone: 'failed',
        slack: 'delivered',
        teams: 'delivered',
        inner: 'failed',
        mapped: 'failed',
      })
      expect(sink.requests.filter(({ path }) => path === '/inner')).toEqual([])
      expect(alert!.deliveries.find(({ channel }) => channel === 'inner')!.error).toContain('inner network')

      const { headers, body } = sink.requests.find(({ path }) => path === '/signed')!
      const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
        String(headers['x-madsci-signature']),
      )!
      expect(sign('key', Number(seconds), body)).toBe(signature)
      expect(JSON.parse(body)).toMatchObject({
        rule: 'alert_level',
        kind: 'firing',
        count: 1,
        event_ids: [bad.event_id],
        events: [{ event_id: bad.event_id }],
      })
      expect(bodies('/slack')[0].text).toContain('EventType.LOG_ERROR')
      expect(bodies('/teams')[0].attachments[0].content.type).toBe('AdaptiveCard')
      const flaky = sink.requests
        .filter(({ path }) => path === '/flaky')
        .map((one) => one.headers['x-madsci-delivery'])
      expect(new Set(flaky).size).toBe(1)

      const [left, right] = [ulid(), ulid()]
      const fault = (node_id: string) =>
        event({ event_type: 'node_error', log_level: 20, source: { node_id } })
      for (const node of [left, left, right, left]) await post(`${receiver.url}event`, fault(node))
      await expect
        .poll(async () => (await alerts('?rule=pumps')).map(({ count }) => count), { timeout: 10_000 })
        .toEqual([1, 3])
      await post(
        `${receiver.url}event`,
        event({ event_type: 'node_start', log_level: 20, source: { node_id: left } }),
      )
      await expect
        .poll(async () => (await alerts('?rule=pumps&state=resolved')).length, { timeout: 10_000 })
        .toBe(1)
      const told = () => bodies('/signed').filter(({ rule }) => rule === 'pumps')
      await expect
        .poll(() => told().filter(({ kind }) => kind === 'recovery').length, { timeout: 10_000 })
        .toBe(1)
      expect(told().filter(({ kind, source }) => kind === 'firing' && source.node_id === left)).toHaveLength(
        1,
      )

      for (let i = 0; i < 6; i++)
        await post(`${receiver.url}event`, event({ event_type: 'log_debug', log_level: 10 }))
      await expect.poll(async () => (await alerts('?rule=many'))[0]?.count, { timeout: 10_000 }).toBe(6)
      const [many] = await alerts('?rule=many')
      const act = async (verb: string, body: object) =>
        post(`${receiver.url}alerts/${many!.alert_id}/${verb}`, body)
      expect(await (await act('acknowledge', { by: 'me' })).json()).toMatchObject({
        state: 'acknowledged',
        acknowledged_by: 'me',
      })
      expect((await act('silence', { minutes: -1 })).status).toBe(422)
      expect(await (await act('silence', { minutes: 5 })).json()).toMatchObject({
        silenced_until: expect.any(String),
      })
      const bare = await fetch(`${receiver.url}alerts/${many!.alert_id}/acknowledge`, { method: 'POST' })
      expect(bare.status).toBe(200)
      expect(await (await act('resolve', {})).json()).toMatchObject({
        state: 'resolved',
        resolution: 'resolved by hand',
      })
      expect((await act('resolve', {})).status).toBe(422)
      expect((await post(`${receiver.url}alerts/nobody/resolve`, {})).status).toBe(404)

      // One of each client at a time; the first waits for its thread.
      const previews = await Promise.all(
        Array.from({ length: 6 }, () =>
          post(`${receiver.url}alerts/preview`, { rule: { selector: { event_type: 'node_error' } } }),
        ),
      )
      const statuses = previews.map(({ status }) => status)
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      expect(statuses.filter((status) => status === 429)).toHaveLength(5)
      expect(previews.find(({ status }) => status === 429)!.headers.get('retry-after')).not.toBeNull()
      const preview = (await (
        await post(`${receiver.url}alerts/preview`, {
          rule: {
            selector: { event_type: 'node_error' },
            group_by: ['source.node_id'],
            cooldown_seconds: 3600,
          },
        })
      ).json()) as object
      expect(preview).toMatchObject({ matched: 4, alerts: 2, messages: 2 })
      const wrong = await post(`${receiver.url}alerts/preview`, {
        rule: { kind: 'rate', colour: 1, selector: { $where: '1' } },
      })
      expect(wrong.status).toBe(422)
      const { detail } = (await wrong.json()) as { detail: string[] }
      expect(detail).toEqual(
        expect.arrayContaining([
          expect.stringContaining('rule.count'),
          expect.stringContaining('rule.colour'),
          expect.stringContaining('$where'),
        ]),
      )

      const page = await fetch(`${receiver.url}alerts?number=2`)
      const cursor = page.headers.get('x-next-cursor')!
      const ids = ((await page.json()) as Alert[]).map(({ alert_id }) => alert_id)
      const rest = await alerts(`?number=100&cursor=${encodeURIComponent(cursor)}`)
      expect(new Set([...ids, ...rest.map(({ alert_id }) => alert_id)]).size).toBe((await alerts()).length)
    } finally {
      await receiver.close()
      await sink.stop()
    }
  }, 60_000)

  it('refuses wrong settings at the start, every problem at once, without any secret', async () => {
    const start = startTestReceiver({
      flags: {
        alert_channels: '{"a": {"kind": "webhook", "secret": "hush"}, "b": {"kind": "pigeon"}}',
        alert_rules:
          '[{"name": "x", "kind": "silent"}, {"name": "x", "selector": {"event_type": "node_eror"}, "channels": ["z"]}, {"name": "w", "selector": {"$and": [{"event_typ": "node_error"}, {"source.node_id": "x"}]}}, {"name": "v", "selector": {"even_data.code": 3}, "recovery": {"sorce.node_id": "x"}}, {"name": "u", "selector": {"source.nod_id": "x"}, "group_by": ["source.nod_id"]}, {"name": "t", "kind": "silnt", "minutes": 5}, {"name": "y", "selector": {"a": {"$regex": "(a++)"}}}]',
        alert_quiet_hours: '[{"from": "25:00", "to": "06:00", "zone": "Mars/Base"}]',
      },
    })
    const error = await start.then(
      () => undefined,
      (one: Error) => one,
    )
    expect(error).toMatchObject({ code: 'EVT_CONFIG' })
    for (const part of [
      'alert_channels.a.url is needed',
      'alert_channels.b.kind',
      'alert_rules[0].minutes is needed',
      "two rules named 'x'",
      "'node_eror' is no event type: did you mean node_error?",
      "alert_rules[2].selector is not accepted: no event has 'event_typ': did you mean event_type?",
      "alert_rules[3].selector is not accepted: no event has 'even_data': did you mean event_data?",
      "alert_rules[3].recovery is not accepted: no event has 'sorce': did you mean source?",
      "alert_rules[1].channels names no channel of alert_channels: 'z'",
      "alert_rules[4].selector is not accepted: no event has 'source.nod_id': did you mean source.node_id?",
      "alert_rules[4].group_by no event has 'source.nod_id': did you mean source.node_id?",
      'unfinished: did you mean silent?',
      'possessive quantifier',
      'alert_quiet_hours[0].zone',
      'alert_quiet_hours[0].from',
    ])
      expect(error!.message).toContain(part)
    expect(error!.message).not.toContain('hush')
    // One mistake is told once.
    expect(error!.message).not.toMatch(/selector is needed|minutes is unknown/)
  })
})

it('a rule can be tried before a rule or a channel is set', async () => {
  const receiver = await startTestReceiver()
  try {
    for (let i = 0; i < 3; i++)
      await post(`${receiver.url}event`, { event_type: 'node_error', log_level: 40, event_data: { i } })
    for (const [rule, matched] of [
      [{ selector: { event_type: 'node_error' } }, 3],
      ['alert_level', 3],
      [{ selector: { event_type: 'node_start' } }, 0],
    ] as const) {
      const answer = await post(`${receiver.url}alerts/preview`, { rule })
      expect([answer.status, await answer.json()]).toMatchObject([200, { matched }])
    }
  } finally {
    await receiver.close()
  }
})
