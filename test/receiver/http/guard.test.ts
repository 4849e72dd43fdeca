import { readdirSync } from 'node:fs'
import { request } from 'node:http'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHostCheck } from '../../../receiver/src/http/guard.ts'
import { startTestReceiver } from '../../support/receiver.ts'

interface Sent {
  method?: string
  path: string
  headers?: { [name: string]: string }
  body?: string
}

let receiver: Awaited<ReturnType<typeof startTestReceiver>>
beforeAll(async () => {
  receiver = await startTestReceiver({
    flags: {
      allowed_hosts: '["events.lab.example"]',
      public_url: 'https://lab.example.org/',
      alert_channels: '{"hook":{"kind":"webhook","url":"http://127.0.0.1:9/"}}',
      alert_private_hosts: '["127.0.0.1"]',
      backup_dir: 'backups',
      report_dir: 'reports',
    },
  })
})
afterAll(() => receiver.close())

function send({ method = 'POST', path, headers = {}, body }: Sent, url = receiver.url) {
  return new Promise<{ status: number; text: string; headers: { [name: string]: unknown } }>(
    (resolve, reject) => {
      const { hostname: host, port } = new URL(url)
      const call = request({ host, port, method, path, headers, agent: false }, (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode!, text, headers: answer.headers }))
      })
      call.on('error', reject)
      call.end(body)
    },
  )
}

const json = { 'content-type': 'application/json' }
const chrome = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0 Safari/537.36' }

/** Every route that there is, with what makes it do something. */
const routes: Sent[] = [
  { path: '/event', headers: json, body: '{}' },
  { path: '/event' },
  { path: '/events/query?selector=%7B%7D' },
  { path: '/events/query', headers: json, body: '{}' },
  { path: '/events/archive', headers: json, body: '{"event_ids":[]}' },
  { path: '/events/receipts', headers: json, body: '{"ids":[]}' },
  { path: '/backup' },
  { path: '/backup?description=x' },
  { path: '/alerts/test', headers: json, body: '{"channel":"hook"}' },
  { path: '/alerts/preview', headers: json, body: '{"rule":{"name":"x"}}' },
  { path: '/alerts/x/silence' },
  { path: '/alerts/x/acknowledge' },
  { path: '/alerts/x/resolve' },
  { path: '/v1/logs', headers: json, body: '{}' },
  { path: '/v1/traces', headers: json, body: '{}' },
  { path: '/v1/metrics', headers: json, body: '{}' },
  { method: 'DELETE', path: '/events/archived?older_than_days=0' },
  ...[
    '/events',
    '/events?number=1',
    '/events/archived',
    '/event/x',
    '/events/stream',
    '/health',
    '/health/live',
    '/health/ready',
    '/settings',
    '/metrics',
    '/alerts',
    '/backup/status',
    '/openapi.json',
    '/docs/json',
    '/utilization/sessions?save_to_file=true&csv_format=true&output_path=stranger',
    '/utilization/summary',
    '/no-such-route',
  ].map((path) => ({ method: 'GET', path })),
]
const describeOne = ({ method = 'POST', path }: Sent) => `${method} ${path}`

describe('a page of another site', () => {
  for (const [what, headers] of [
    ['Origin', { origin: 'http://evil.example' }],
    ['the Origin of a sandboxed frame', { origin: 'null' }],
    ['the Origin of another port', { origin: 'http://127.0.0.1:1' }],
    ['Referer', { referer: 'http://evil.example/page' }],
    ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }],
    ['Sec-Fetch-Site: same-site', { 'sec-fetch-site': 'same-site' }],
  ] as const)
    it(`is refused by ${what}, on every route and listener`, async () => {
      for (const url of [receiver.url, new URL('/', receiver.otlpUrl).href])
        for (const route of routes) {
          const answer = await send({ ...route, headers: { ...route.headers, ...headers } }, url)
          expect([describeOne(route), answer.status]).toEqual([describeOne(route), 403])
        }
    })

  it('by a foreign Host it is refused with the name of the setting, on every route and listener', async () => {
    for (const url of [receiver.url, new URL('/', receiver.otlpUrl).href])
      for (const host of [
        'attacker.example',
        'attacker.example:8001',
        'ATTACKER.EXAMPLE.',
        'x.svc.attacker.example',
      ])
        for (const route of routes) {
          const answer = await send({ ...route, headers: { ...route.headers, host } }, url)
          expect([describeOne(route), answer.status]).toEqual([describeOne(route), 403])
          expect(answer.text).toContain('allowed_hosts')
        }
  })

  it('a target of absolute form names the host as well', async () => {
    const answer = await send({ method: 'GET', path: 'http://attacker.example/events' })
    expect(answer.status).toBe(403)
  })

  it('nothing was changed and nothing was saved', async () => {
    expect(receiver.metric.total('events_received')).toBe(0)
    for (const folder of ['backups', 'reports']) {
      let names: string[] = []
      try {
        names = readdirSync(join(receiver.folder, folder))
      } catch {
        // Not even the folder was made.
      }
      expect(names).toEqual([])
    }
  })
})

describe("Node's own fetch", () => {
  it('is no browser, whatever name its program gives itself', async () => {
    for (const agent of ['madsci-events-receiver', 'my-program/1.0', undefined]) {
      const headers = { ...json, ...(agent !== undefined && { 'user-agent': agent }) }
      const answer = await fetch(new URL('v1/logs', receiver.url), { method: 'POST', headers, body: '{}' })
      expect([agent, answer.status]).toEqual([agent, 200])
    }
    const headers = { 'user-agent': 'my-program/1.0', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
    expect((await send({ path: '/v1/logs', headers: { ...headers, ...json }, body: '{}' })).status).toBe(403)
  })
})

describe('a browser', () => {
  const changing = routes.filter(
    ({ method = 'POST', path }) =>
      (method !== 'GET' || path.includes('save_to_file')) && !/query|receipts|preview/.test(path),
  )

  it('changes nothing, not even from a page of this receiver', async () => {
    const site = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
    for (const route of changing) {
      for (const headers of [site, { ...site, ...chrome }, { ...chrome, 'content-type': 'text/plain' }]) {
        const answer = await send({ ...route, headers: { ...route.headers, ...headers } })
        expect([describeOne(route), answer.status]).toEqual([describeOne(route), 403])
      }
    }
  })

  it('without the headers of a fetch is known by its name', async () => {
    expect((await send({ path: '/backup', headers: chrome })).status).toBe(403)
    // What sends JSON under such a name is another program: a page cannot, without being asked for its origin.
    expect((await send({ path: '/event', headers: { ...chrome, ...json }, body: '{}' })).status).toBe(200)
  })

  it('reads what a page of this receiver asks for, and follows links', async () => {
    const { port } = new URL(receiver.url)
    const own = {
      origin: `http://127.0.0.1:${port}`,
      referer: `http://127.0.0.1:${port}/docs`,
      'sec-fetch-site': 'same-origin',
    }
    for (const path of ['/events', '/health', '/openapi.json'])
      expect((await send({ method: 'GET', path, headers: { ...chrome, ...own } })).status).toBe(200)
    const link = {
      referer: 'http://mail.example/',
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    expect(
      (await send({ method: 'GET', path: '/docs', headers: { ...chrome, ...link } })).status,
    ).toBeLessThan(400)
    expect((await send({ method: 'GET', path: '/events', headers: { ...chrome, ...link } })).status).toBe(403)
    expect(
      (
        await send({
          method: 'GET',
          path: '/docs',
          headers: { ...chrome, ...link, 'sec-fetch-dest': 'iframe' },
        })
      ).status,
    ).toBe(403)
  })

  it('is told what it may do with an answer', async () => {
    for (const path of ['/events', '/docs/', '/nowhere', '/v1/logs']) {
      const { headers } = await send({ method: 'GET', path })
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      })
    }
  })
})

describe('other programs', () => {
  it('pass under every name that no page can have', async () => {
    const names = [
      '127.0.0.1',
      '10.1.2.3:8001',
      '[::1]:8001',
      '[fe80::1]',
      'localhost',
      'LOCALHOST:8001',
      'event-manager',
      'event_manager:8001',
      'lab.local',
      'lab.local.',
      'x.internal',
      'events.lab.svc',
      'events.lab.svc.cluster.local:8001',
      'a.localhost',
      hostname(),
      'events.lab.example',
      'Events.Lab.Example:443',
      'lab.example.org',
    ]
    for (const host of names) {
      for (const route of [
        { path: '/event', headers: json, body: '{}' },
        { path: '/event', headers: { ...json, 'x-a': 'b', te: 'x' }, body: '{}' },
      ]) {
        const answer = await send({ ...route, headers: { ...route.headers, host } })
        expect([host, answer.status]).toEqual([host, 200])
      }
    }
  })

  it('do all that they did: fetch of Node, requests of Python, curl', async () => {
    expect((await fetch(`${receiver.url}backup`, { method: 'POST' })).status).toBe(200)
    for (const agent of ['python-requests/2.32.3', 'curl/8.9.1', 'Go-http-client/1.1', ''])
      expect((await send({ path: '/backup', headers: { 'user-agent': agent } })).status).toBe(200)
  })
})

describe('a host check', () => {
  it('takes no name that is not one', () => {
    const isAllowed = createHostCheck([])
    for (const host of [
      '',
      ' ',
      'a.b',
      'evil.example#.local',
      'user@x.local',
      'x.local/y',
      '1.2.3',
      'x.local.evil.example',
    ])
      expect([host, isAllowed(host)]).toEqual([host, false])
    expect(createHostCheck(['*'])('anything.example')).toBe(true)
  })
})
